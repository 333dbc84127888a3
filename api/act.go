package api

import (
	"context"
	"net/http"
	"strings"

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
