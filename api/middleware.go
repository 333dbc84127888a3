package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"waybill/internal/job"
)

// StatusClientGone is logged and counted for a call whose client went away before it was answered (nginx's number).
const StatusClientGone = 499

// begin makes the Request of a call, sets the headers every reply has, and, when the call is over, counts and logs it.
func (s *Server) begin(c *gin.Context) {
	start := time.Now()
	r := &Request{
		ID: requestID(c.Request.Header), Address: s.clientAddress(c.Request),
		Method: c.Request.Method, Path: c.Request.URL.Path, Time: s.Now().UTC(), now: s.Now,
	}
	r.door = s.doorOf(r.Path)
	ctx := c.Request.Context()
	c.Request = c.Request.WithContext(WithRequest(s.trace(ctx, c, r), r))
	if c.Request.Body != nil && c.Request.Body != http.NoBody {
		c.Request.Body = &patient{ReadCloser: c.Request.Body, control: http.NewResponseController(c.Writer), reply: c.Writer.Header(), now: s.Now}
	}
	r.HTTP = c.Request
	h := c.Writer.Header()
	h["X-Request-Id"] = []string{r.ID}
	h["X-Content-Type-Options"] = noSniff
	h["X-Frame-Options"] = deny
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = nothing
	h["Cache-Control"] = noStore
	if len(c.Request.TransferEncoding) > 0 {
		// It may have had a Content-Length, too, which net/http drops and a proxy may have believed: what comes behind such a call
		// must not be taken for another one (RFC 9112, 6.3).
		h["Connection"] = closes
	}
	// The API may be called from anywhere a token is; browsers of other sites get no CORS headers and so no answers.
	defer func() { s.end(c, r, time.Since(start)) }() // also when the reply is broken off by a panic
	c.Next()
}

// Header values that are the same on every reply; shared, so never changed in place.
var (
	noSniff    = []string{"nosniff"}
	deny       = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
	nothing    = []string{"default-src 'none'; frame-ancestors 'none'; sandbox"}
	noStore    = []string{"no-store"}
	closes     = []string{"close"}
)

func (s *Server) end(c *gin.Context, r *Request, took time.Duration) {
	ctx := c.Request.Context()
	status := c.Writer.Status()
	if ctx.Err() != nil && (status >= 500 || !c.Writer.Written()) {
		status = StatusClientGone
	}
	s.metrics.count(ctx, c.FullPath(), r.Method, status, took)
	defer r.endTrace(status)
	if r.fault != nil && status != StatusClientGone {
		s.Log.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("request", r.ID), slog.String("method", r.Method),
			slog.String("path", r.Path), slog.Int("status", status), slog.String("word", string(job.WordOf(r.fault))), slog.Any("error", r.fault))
	}
	if s.AccessLog != nil {
		s.AccessLog.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("request", r.ID), slog.String("method", r.Method),
			slog.String("path", r.Path), slog.String("route", c.FullPath()), slog.Int("status", status),
			slog.Int("bytes", max(c.Writer.Size(), 0)), slog.Float64("seconds", took.Seconds()), slog.String("address", r.Address),
			slog.String("user", r.Actor.User.Name))
	}
}

// query refuses a query that is not well-formed. net/url drops the parts it can not read, and a list without the filter
// that was asked for would show, or a bulk call touch, more than was meant.
func (s *Server) query(c *gin.Context) {
	_, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err == nil {
		return
	}
	err = job.Errorf(job.Invalid, job.WordInvalidField, "The query is not well-formed: %s", err)
	if r := RequestOf(c.Request.Context()); s.ofDoor(r.Path) || Changes(c.Request.Method) {
		r.malformed = err // the door refuses it, once it is known who calls, and the audit log knows what it would have been
		return
	}
	s.Fail(c, err)
	c.Abort()
}

// recover turns a panic into a 500 of the door's shape. A reply that has begun can only be broken off, so that the
// client does not take half of it for the whole.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		r := RequestOf(c.Request.Context())
		s.Log.LogAttrs(
			c.Request.Context(),
			slog.LevelError,
			"panic",
			slog.String("request", r.ID),
			slog.String("method", r.Method),
			slog.String("path", r.Path),
			slog.Any("panic", p),
			slog.String("stack", string(debug.Stack())),
		)
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		s.Fail(c, job.Errorf(job.Internal, job.WordInternal, "Internal error"))
		r.Blame(nil) // it has been logged, with the stack
		c.Abort()
	}()
	c.Next()
}
