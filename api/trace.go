package api

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
	"waybill/internal/logs"
	"waybill/internal/tracing"
)

// trace puts a call into the trace its caller names, or begins one. Without a tracer the caller's is passed on as it is.
func (s *Server) trace(ctx context.Context, c *gin.Context, r *Request) context.Context {
	h := c.Request.Header
	if parent := h["Traceparent"]; len(parent) == 1 { // of several none can be believed (W3C Trace Context, 3.2.2)
		ctx = tracing.Into(ctx, job.Trace{Parent: parent[0], State: strings.Join(h["Tracestate"], ",")})
	}
	if s.Tracer == nil || isProbe(r.Path) {
		return ctx
	}
	verb, name := method(r.Method), method(r.Method)
	route := c.FullPath()
	if route != "" {
		name += " " + route
	}
	ctx, span := s.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", verb), attribute.String("http.route", route), attribute.String("url.path", r.Path),
		attribute.String("client.address", r.Address),
	))
	r.span = span
	if at := span.SpanContext(); at.IsValid() {
		answer := c.Writer.Header()
		answer["Trace-Id"] = []string{at.TraceID().String()}
		answer["Traceresponse"] = []string{tracing.Format(at).Parent}
	}
	return ctx
}

// isProbe tells whether a path is asked for every few seconds by a machine that makes no use of traces.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" || path == "/metrics" }

// endTrace ends the span of a call.
func (r *Request) endTrace(status int) {
	if r.span == nil || !r.span.IsRecording() {
		return
	}
	// The id only now: a door may give the call another one.
	r.span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.String("waybill.request", r.ID))
	if r.Actor.User.ID != 0 {
		r.span.SetAttributes(attribute.Int64(tracing.Account, r.Actor.AccountID), attribute.String("user.id", strconv.FormatInt(r.Actor.User.ID, 10)))
	}
	if status >= http.StatusInternalServerError {
		r.span.SetStatus(codes.Error, http.StatusText(status))
	}
	r.span.End()
}

// LogAttrs is logs.Source's: what every line that is written while the call is served tells.
func (r *Request) LogAttrs() []slog.Attr {
	list := []slog.Attr{slog.String(logs.Request, r.ID)}
	if r.Actor.User.ID != 0 {
		list = append(list, slog.Int64(logs.Account, r.Actor.AccountID), slog.Int64(logs.User, r.Actor.User.ID))
	}
	return list
}
