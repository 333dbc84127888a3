package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
	"waybill/internal/logs"
)

// Request is what the server knows of the call it serves. One is made for each call and travels in its context.
type Request struct {
	ID      string // X-Request-Id
	Address string // of the client, without its port
	Method  string
	Path    string // as sent, without the query
	Time    time.Time
	Actor   job.Actor // set by the door's authentication
	HTTP    *http.Request
	door    Door
	// outcome is the error that the call was answered with.
	outcome   error
	malformed error // what is wrong with the query of a call to a door
	// fault is the cause of a reply that is ours to blame; the access middleware logs it once.
	fault error
	span  trace.Span // nil: none
	known knownBy
	now   func() time.Time // the server's clock; nil: the machine's
}

type requestKey struct{}

// RequestOf gives the Request of a call's context. It panics in a context that did not come from the server.
func RequestOf(ctx context.Context) *Request { return ctx.Value(requestKey{}).(*Request) }

// WithRequest puts a Request into a context, for tests and for what is served outside of the router.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(logs.With(ctx, r), requestKey{}, r)
}

// Blame notes the cause of a reply that does not show it, so that it is logged with the request id.
func (r *Request) Blame(err error) { r.fault = err }

// Answered notes the error that the call is answered with; the doors' Fault does.
func (r *Request) Answered(err error) { r.outcome = err }

// Outcome is what Answered noted; nil: the call went well so far.
func (r *Request) Outcome() error { return r.outcome }

// newRequestID makes an id for a call that brought none.
func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// maxRequestID bounds an id that a client brings: it is echoed and logged.
const maxRequestID = 128

// requestID is the client's own id if it is short and plain, else a new one.
func requestID(h http.Header) string {
	id := h.Get("X-Request-Id")
	if id == "" || len(id) > maxRequestID {
		return newRequestID()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return newRequestID()
		}
	}
	return id
}

// Brought is the X-Request-Id that the client gave its call; "" if it gave none that could be taken.
func (r *Request) Brought() string {
	if r.HTTP == nil || r.HTTP.Header.Get("X-Request-Id") != r.ID {
		return ""
	}
	return r.ID
}

// Fault is what Blame noted.
func (r *Request) Fault() error { return r.fault }

// Malformed is why a call must be refused, if it must, once its caller is known and before anything is done. Every door looks at it.
func (r *Request) Malformed() error { return r.malformed }

// Changes tells whether calls of a method may change something.
func Changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}
