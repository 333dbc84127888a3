package diem_test

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestSpanHasTheIDThatTheCallerIsShown: the door gives a call the id that it came with.
func TestSpanHasTheIDThatTheCallerIsShown(t *testing.T) {
	t.Parallel()
	f, spans := newFixture(t), tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	f.server.Tracer = tracers.Tracer("test")
	const id = "2c5ea4c0-4067-4c1e-8b8d-000000000007"
	f.call("apijob", asked("status"), header("X-Request-Id", id)).want(t, 200, `{"message":"Pending"}`)
	told := map[string]bool{}
	for _, span := range spans.Ended() {
		for _, a := range span.Attributes() {
			if a.Key == "waybill.request" {
				told[a.Value.AsString()] = true
			}
		}
	}
	if len(told) != 1 || !told[id] {
		t.Errorf("requests %v are told, want %s", told, id)
	}
}
