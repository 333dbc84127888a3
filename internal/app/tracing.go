package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/telemetry"
	"waybill/internal/tracing"
)

// startTracing begins to take part in traces, if the settings or the environment say where they go. service is the name under
// which this kind of process is found there.
func (p *parts) startTracing(ctx context.Context, service string) (err error) {
	instance, _ := newIdentity()
	p.traces, err = telemetry.Start(ctx, telemetry.Config{
		Endpoint: p.settings.Observe.OTLPEndpoint, Protocol: p.settings.Observe.OTLPProtocol, Sampling: p.settings.Observe.TraceSampling,
		Service: service, Version: Version(), Instance: instance, Log: p.log,
	})
	if err != nil {
		return err
	}
	p.onStop("traces", 5*time.Second, func(ctx context.Context) error {
		if err := p.traces.Stop(ctx); err != nil { // what is lost is no job's
			p.log.WarnContext(ctx, "the last traces are lost", "error", err)
		}
		return nil
	})
	return nil
}

// tracedTransport makes spans of requests that are made for somebody whose own span is recorded. Keys and queries, in which
// signatures may stand, stay out of them.
type tracedTransport struct {
	next   http.RoundTripper
	system string
}

// RoundTrip is http.RoundTripper's.
func (t tracedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := tracing.Start(r.Context(), t.system+" "+r.Method, trace.WithSpanKind(trace.SpanKindClient))
	if !span.IsRecording() {
		return t.next.RoundTrip(r)
	}
	defer span.End()
	span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Host),
		attribute.Int64("http.request.body.size", r.ContentLength))
	answer, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
		return answer, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", answer.StatusCode))
	if answer.StatusCode >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, answer.Status)
	}
	return answer, err
}

// accessLog takes a line for each request; nil: none is wanted.
func (p *parts) accessLog() *slog.Logger {
	if !p.settings.Observe.AccessLog {
		return nil
	}
	return p.log
}
