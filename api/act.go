package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Act begins the audit trail of a call that changes something or signs somebody in. The context goes to the use case; end is called
// with how it ended.
func (s *Server) Act(ctx context.Context, action, kind string, ids ...string) (with context.Context, end func(error)) {
	r := RequestOf(ctx)
	trail := control.NewTrail(job.AuditEntry{Action: action, Address: r.Address, Request: r.ID, Trace: traceOf(ctx, r.HTTP)})
	trail.About(kind, ids...)
	return control.WithTrail(ctx, trail), func(err error) { s.Audit.End(ctx, trail, err) }
}

// traceOf is the id of the trace that a call belongs to: our own span's or, without one, what the caller sent (W3C Trace Context).
func traceOf(ctx context.Context, r *http.Request) string {
	if s := trace.SpanContextFromContext(ctx); s.HasTraceID() {
		return s.TraceID().String()
	}
	parts := strings.Split(r.Header.Get("Traceparent"), "-")
	if len(parts) < 4 {
		return ""
	}
	id, err := trace.TraceIDFromHex(parts[1])
	if err != nil {
		return ""
	}
	return id.String()
}

// Audited is the middleware of an operation that changes something: it begins the trail of a call before anybody has looked at the call, and
// ends it whatever becomes of it: refused, failed, broken off by a panic. ids names the path parameters that tell what it is about.
func (s *Server) Audited(action, kind string, ids []string) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := Gin(hc)
		r := RequestOf(c.Request.Context())
		var about []string
		for _, name := range ids {
			about = append(about, hc.Param(name))
		}
		if len(about) > 0 {
			about = []string{strings.Join(about, "/")}
		}
		ctx, end := s.Act(c.Request.Context(), action, kind, about...)
		c.Request = c.Request.WithContext(ctx)
		whole := false
		defer func() {
			err := r.Outcome()
			if !whole && err == nil {
				err = job.Errorf(job.Internal, job.WordInternal, "broken off")
			}
			end(err)
		}()
		next(hc)
		whole = true
	}
}
