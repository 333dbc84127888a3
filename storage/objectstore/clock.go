package objectstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// S3 refuses a request that was signed more than 15 minutes ago, or will be: a machine whose clock jumps could store nothing any more,
// and its jobs would not end until somebody sets its clock. So the store's own clock, which every answer tells, is the one that
// requests are signed by once the two are far apart.
const (
	// farApart is when the machine's clock is left for the store's: well below what stores bear, well above what NTP leaves.
	farApart = time.Minute
	// backAgain is when it is good enough again.
	backAgain = farApart / 2
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	stamp     = "20060102T150405Z"
	// signedChunks is the value of X-Amz-Content-Sha256 for bodies whose pieces are signed one after the other.
	signedChunks = "STREAMING-AWS4-HMAC-SHA256"
)

// clocked signs requests again by the store's clock, where this machine's differs from it. minio-go signs by the machine's (v7.4.1).
//
// It must stand where nobody on the way can tell another time, and make this machine sign for later what is to be played again then:
// with TLS, or with a store on this machine. That is where bodies are not signed either, so it needs the headers only.
type clocked struct {
	next http.RoundTripper
	keys *credentials.Credentials
	now  func() time.Time
	off  atomic.Int64 // of the store's clock against this machine's; 0 while they are near
}

func (c *clocked) RoundTrip(req *http.Request) (*http.Response, error) {
	if !again(req) {
		return c.next.RoundTrip(req)
	}
	used := time.Duration(c.off.Load())
	resp, err := c.next.RoundTrip(c.signed(req, used))
	if err != nil {
		return nil, err
	}
	off, told := c.learn(resp)
	if resp.StatusCode != http.StatusForbidden || !told || (off-used).Abs() < farApart {
		return resp, nil
	}
	if req.Body == nil || req.Body == http.NoBody {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection is used again
		_ = resp.Body.Close()
		return c.next.RoundTrip(c.signed(req, off))
	}
	// Only the caller has the body. minio-go repeats what a store that is busy refuses, if it can; the code in the answer tells what
	// it was when it can not.
	resp.StatusCode, resp.Status = http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable)
	return resp, nil
}

// learn reads the store's clock from its answer, to the second.
func (c *clocked) learn(resp *http.Response) (off time.Duration, told bool) {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	// Round drops the monotonic clock, by which a jump of the other one would not show.
	off = at.Sub(c.now().Round(0))
	if off.Abs() < backAgain || off.Abs() < farApart && c.off.Load() == 0 {
		off = 0
	}
	c.off.Store(int64(off))
	return off, true
}

// again tells whether a request has a signature for the store that can be made anew from its headers. Those for keys of a role have
// none, or one for another service.
func again(req *http.Request) bool {
	text := req.Header.Get("Authorization")
	return strings.HasPrefix(text, algorithm+" ") && strings.Contains(text, "/s3/") &&
		!strings.HasPrefix(req.Header.Get("X-Amz-Content-Sha256"), signedChunks)
}

// signed is the request, with a signature of the store's time if that is another than this machine's.
func (c *clocked) signed(req *http.Request, off time.Duration) *http.Request {
	if off == 0 {
		return req
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(req.Header.Get("Authorization"), algorithm+" "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	at := c.now().Add(off).UTC()
	id, scope, secret := c.scope(parts["Credential"], at)
	if secret == "" {
		return req
	}
	req = req.Clone(req.Context()) // a transport leaves its request alone
	req.Header.Set("X-Amz-Date", at.Format(stamp))
	names := strings.Split(parts["SignedHeaders"], ";")
	signature := sign(secret, scope, at, canonical(req, names, req.Header.Get("X-Amz-Content-Sha256")))
	req.Header.Set("Authorization", algorithm+" Credential="+id+"/"+scope+", SignedHeaders="+parts["SignedHeaders"]+", Signature="+signature)
	return req
}

// presigned is an address that was signed by this machine's clock, by the store's.
func (c *clocked) presigned(u *url.URL) *url.URL {
	off := time.Duration(c.off.Load())
	query := u.Query()
	if off == 0 || query.Get("X-Amz-Algorithm") != algorithm {
		return u
	}
	at := c.now().Add(off).UTC()
	id, scope, secret := c.scope(query.Get("X-Amz-Credential"), at)
	if secret == "" {
		return u
	}
	query.Del("X-Amz-Signature")
	query.Set("X-Amz-Date", at.Format(stamp))
	query.Set("X-Amz-Credential", id+"/"+scope)
	signed := *u
	signed.RawQuery = encoded(query)
	req := &http.Request{Method: http.MethodGet, URL: &signed, Host: u.Host}
	signed.RawQuery += "&X-Amz-Signature=" + sign(secret, scope, at, canonical(req, strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), "UNSIGNED-PAYLOAD"))
	return &signed
}

// scope reads a credential, which is ID/DATE/REGION/SERVICE/aws4_request, and gives its scope at another time and the secret key that
// belongs to it; "" when the keys have changed since.
func (c *clocked) scope(credential string, at time.Time) (id, scope, secret string) {
	fields := strings.Split(credential, "/")
	if len(fields) < 5 {
		return "", "", ""
	}
	last := len(fields) - 4 // an id may have a slash
	id = strings.Join(fields[:last], "/")
	keys, err := c.keys.GetWithContext(nil)
	if err != nil || keys.AccessKeyID != id {
		return "", "", ""
	}
	return id, strings.Join(append([]string{at.Format("20060102")}, fields[last+1:]...), "/"), keys.SecretAccessKey
}

// canonical is the text that is signed of a request (Signature Version 4, "create a canonical request").
func canonical(req *http.Request, names []string, payload string) string {
	var b strings.Builder
	b.WriteString(req.Method + "\n" + s3utils.EncodePath(req.URL.Path) + "\n" + encoded(req.URL.Query()) + "\n")
	sort.Strings(names)
	for _, name := range names {
		values := req.Header.Values(name)
		if name == "host" {
			if values = []string{req.URL.Host}; req.Host != "" {
				values = []string{req.Host}
			}
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + payload)
	return b.String()
}

// encoded is a query as it is signed: sorted, and with %20 for a space.
func encoded(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

// sign makes the signature of a canonical request. The scope is DATE/REGION/SERVICE/aws4_request.
func sign(secret, scope string, at time.Time, canonical string) string {
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	sum := sha256.Sum256([]byte(canonical))
	return hex.EncodeToString(mac(key, algorithm+"\n"+at.Format(stamp)+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
