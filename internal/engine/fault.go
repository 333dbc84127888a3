package engine

import (
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"

	"waybill/internal/job"
)

// Fault tells why Temporal can not be used, and what to do about it. Code Invalid is what waiting does not mend.
func Fault(err error, o Options) error {
	var own *job.Error
	if errors.As(err, &own) {
		return err
	}
	if why := tlsFault(err, o); why != "" {
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "Temporal at %s: %s", o.Address, why)
	}
	switch code := serviceerror.ToStatus(err).Code(); code {
	case codes.Unauthenticated, codes.PermissionDenied:
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "Temporal at %s: %s", o.Address, signInFault(code, o))
	}
	return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "the engine at %s can not be reached", o.Address)
}

func signInFault(code codes.Code, o Options) string {
	switch {
	case code == codes.PermissionDenied && o.Token != nil:
		return "it does not let the API key use the namespace " + o.Namespace + "; give its owner write access to it, or check the namespace's name"
	case code == codes.PermissionDenied:
		return "it does not let us use the namespace " + o.Namespace + "; give an API key or a client certificate that may"
	case o.Token != nil:
		return "it refuses the API key; it may have ended or been deleted: make a new one"
	}
	return "it wants a sign-in; give an API key or a client certificate"
}

// tlsFault explains what went wrong in a handshake. Of our own checks the error itself is known; what the server says, and what
// speaks no TLS, is known by its text only, because gRPC keeps no more.
func tlsFault(err error, o Options) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch last := o.TLS.lastError(); {
	case errors.As(last, &unknown):
		return "its certificate is signed by a CA that is not known here; give the CA's certificate in the CA file"
	case errors.As(last, &name):
		return "its certificate is for another name (" + name.Error() + "); give the name as the server name, or another address"
	case errors.As(last, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has ended or does not hold yet (" + invalid.Detail + "); replace it there, or set the clock here"
	case last != nil:
		return "its certificate is refused: " + last.Error()
	}
	text := err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch ended := o.TLS.expired(time.Now()); {
	case has("first record does not look like a TLS handshake"):
		return "it speaks no TLS; leave the TLS settings out, or give the address of a port with TLS"
	case o.TLS == nil && has("frame too large", "http2: failed reading the frame payload", "error reading server preface: EOF", "malformed HTTP response"):
		return "it does not speak gRPC in clear; if it wants TLS, turn TLS on"
	case !has("remote error: tls"):
		return ""
	case ended != "":
		return "it refuses the client certificate, and " + ended + "; give a new one"
	case has("certificate required"), o.TLS != nil && o.TLS.Cert == "" && has("bad certificate", "handshake failure"):
		return "it wants a client certificate; give its file and that of its key"
	case has("unknown certificate authority", "bad certificate", "unknown certificate", "expired certificate", "certificate expired", "revoked"):
		return "it refuses the client certificate; it must be signed by a CA that the server trusts, for clients, and hold still"
	}
	return "the TLS handshake failed: " + text
}
