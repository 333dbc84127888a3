package objectstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"

	"waybill/internal/job"
)

// translate is the one place where S3's errors become the domain's. doing says what was tried; the cause, which may name
// the endpoint, is for the log only.
func translate(ctx context.Context, err error, doing string) error {
	if err == nil {
		return nil
	}
	// The context first: net/http's own timeouts also say that they are context.DeadlineExceeded.
	if ctx.Err() != nil {
		return job.Wrap(context.Cause(ctx), job.Canceled, "", "Gave up trying to %s.", doing)
	}
	var own *job.Error
	if errors.As(err, &own) {
		return own
	}
	res := minio.ToErrorResponse(err)
	switch {
	case res.Code == minio.NoSuchKey:
		return job.Wrap(err, job.NotFound, job.WordNotFound, "There is no such object.")
	case isFull(res):
		return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The object store is full.")
	case isDown(err, res):
		return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The object store is not available.")
	}
	if hint := hintOf(err, res); hint != "" { // it worked when the process began: whoever looks after it must act, callers may come again
		return job.Wrap(&hinted{hint, err}, job.Unavailable, job.WordDependencyDown, "The object store is not available.")
	}
	return job.Wrap(err, job.Internal, job.WordInternal, "Could not %s.", doing)
}

// hinted puts what is to be done before the cause, for the log.
type hinted struct {
	hint string
	err  error
}

func (h *hinted) Error() string { return h.hint + " " + h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// explain translates for whoever set the store up: what a setting can mend is job.Invalid and says which.
func explain(ctx context.Context, err error, doing string) error {
	if err != nil && ctx.Err() == nil {
		if hint := hintOf(err, minio.ToErrorResponse(err)); hint != "" {
			return job.Wrap(err, job.Invalid, job.WordInvalidField, "%s", hint)
		}
	}
	return translate(ctx, err, doing)
}

// noHost tells whether the name of the bucket's host is not known, and the endpoint's alone may be.
func noHost(err error, bucket string) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound && strings.HasPrefix(dns.Name, bucket+".")
}

// hints tell what to do about an error code of S3.
var hints = map[string]string{
	"InvalidAccessKeyId":                 "The object store does not know the access key: look at --s3-access-key, or where else the keys come from.",
	"SignatureDoesNotMatch":              "The object store does not accept the secret key: look at WAYBILL_S3_SECRET_KEY, or where else the keys come from.",
	"InvalidTokenId":                     "The object store does not accept the session token: temporary keys need theirs (WAYBILL_S3_SESSION_TOKEN).",
	"InvalidToken":                       "The object store does not accept the session token: temporary keys need theirs (WAYBILL_S3_SESSION_TOKEN).",
	"InvalidClientTokenId":               "The object store does not accept the session token: temporary keys need theirs (WAYBILL_S3_SESSION_TOKEN).",
	"ExpiredToken":                       "The temporary keys of the object store are over: give new ones, or let Waybill get them from the machine's role.",
	"AccessDenied":                       "The object store denies access: the keys need the rights that docs/objectstore.md lists, for this bucket and prefix.",
	"AllAccessDisabled":                  "The object store denies access: the keys need the rights that docs/objectstore.md lists, for this bucket and prefix.",
	"RequestTimeTooSkewed":               "The clock of this machine and that of the object store differ by more than 15 minutes: set the clocks.",
	"AuthorizationHeaderMalformed":       "The object store is in another region: set --s3-region.",
	"PermanentRedirect":                  "The bucket is in another region: set --s3-region and the endpoint of that region (--s3-endpoint).",
	"TemporaryRedirect":                  "The bucket is in another region: set --s3-region and the endpoint of that region (--s3-endpoint).",
	"InvalidRegion":                      "The object store is in another region: set --s3-region.",
	"IllegalLocationConstraintException": "The object store does not make buckets of this region: set --s3-region.",
	"InvalidLocationConstraint":          "The object store does not make buckets of this region: set --s3-region.",
	"XMinioInvalidRegion":                "The object store does not make buckets of this region: set --s3-region.",
	"InvalidBucketName":                  "The bucket's name is not valid: look at --s3-bucket.",
	"MethodNotAllowed":                   "The endpoint does not answer as an S3 does: look at --s3-endpoint and --s3-lookup.",
	"KMS.NotFoundException":              "The object store has no such key: look at --s3-sse-kms-key.",
	"kms:KeyNotFound":                    "The object store has no such key: look at --s3-sse-kms-key.",
	"KMS.DisabledException":              "The key of --s3-sse-kms-key is disabled.",
	"KMSNotConfigured":                   "The object store has no key management: it can not do what --s3-sse asks for.",
	"InvalidEncryptionAlgorithmError":    "The object store can not do what --s3-sse asks for.",
	"NotImplemented":                     "The object store can not do what it is asked for: without trailing checksums it needs --s3-checksums=false, without encryption --s3-sse=none.",
}

// hintOf tells what to do about an error; "" for one that no setting mends. A code of 301 or 400 without a body has none.
func hintOf(err error, res minio.ErrorResponse) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
	)
	text := err.Error()
	switch {
	case errors.Is(err, errNoKeys):
		return "There are no keys for the object store: give --s3-access-key and WAYBILL_S3_SECRET_KEY, the AWS_... variables, or the machine a role."
	case errors.As(err, &unknown):
		return "The object store's certificate is signed by an authority that is not known here: give the authority's certificate (--s3-ca-file)."
	case errors.As(err, &hostname):
		return "The object store's certificate is for another name than the endpoint has: use a name that stands in it (--s3-endpoint)."
	case errors.As(err, &invalid):
		return "The object store's certificate is not valid: it may be over, or this machine's clock wrong."
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "The object store does not speak TLS: leave out --s3-tls, or give the port on which it does (--s3-endpoint)."
	case strings.Contains(text, "protocol version not supported"):
		return "The object store speaks no TLS as new as is asked for: look at --s3-tls-min."
	case strings.Contains(text, "HTTP request to an HTTPS server"):
		return "The object store speaks TLS: give --s3-tls."
	}
	if res.Code == "InternalError" {
		return ""
	}
	hint := hints[res.Code]
	if hint != "" && res.Region != "" && strings.HasSuffix(hint, "set --s3-region.") {
		hint = strings.TrimSuffix(hint, ".") + "=" + res.Region + "."
	}
	return hint
}

func isFull(res minio.ErrorResponse) bool {
	return res.Code == "XMinioStorageFull" || res.Code == "QuotaExceeded" || res.Code == "XMinioAdminBucketQuotaExceeded" ||
		res.StatusCode == http.StatusInsufficientStorage
}

func isDown(err error, res minio.ErrorResponse) bool {
	switch res.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "RequestTimeout",
		// What was sent is not what arrived: it was changed on the way, and may come through the next time.
		"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest", "IncompleteBody",
		minio.NoSuchBucket, // somebody took it away
		"NoSuchUpload":     // or an upload, under way
		return true
	}
	if hints[res.Code] != "" {
		return false
	}
	if res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests {
		return true
	}
	if hintOf(err, res) != "" {
		return false
	}
	var (
		netErr net.Error
		urlErr *url.Error
	)
	return errors.As(err, &netErr) || errors.As(err, &urlErr) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
