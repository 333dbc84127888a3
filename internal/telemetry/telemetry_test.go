package telemetry

import (
	"context"
	"errors"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/interceptor"

	"waybill/workflows/contract"
)

// recorded makes tracing whose spans end in the recorder.
func recorded(t *testing.T, sampling float64) (*Tracing, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	tracing, err := start(t.Context(), Config{Service: "test", Sampling: sampling}, sdktrace.WithSpanProcessor(recorder))
	if err != nil {
		t.Fatal(err)
	}
	return tracing, recorder
}

func begin(t *testing.T, x *tracer, o interceptor.TracerStartSpanOptions) *span {
	t.Helper()
	s, err := x.StartSpan(&o)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*span)
}

func TestWithoutAPlaceNobodyTakesPart(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"} {
		t.Setenv(name, "")
	}
	off, err := Start(t.Context(), Config{Sampling: -1})
	if off != nil || err != nil || off.Tracer() != nil || off.Interceptors() != nil || off.Stop(t.Context()) != nil {
		t.Errorf("%v %v", off, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	if !(Config{}).Wanted() {
		t.Error("the variable of OpenTelemetry is not heeded")
	}
	t.Setenv("OTEL_SDK_DISABLED", "TRUE")
	if (Config{Endpoint: "http://127.0.0.1:1"}).Wanted() {
		t.Error("OTEL_SDK_DISABLED is not heeded")
	}
	t.Setenv("OTEL_SDK_DISABLED", "")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")
	if _, err := Start(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "carrier-pigeon") {
		t.Errorf("a protocol that is none gives %v", err)
	}
}

func TestAReplayFindsTheSpanOfItsRunAgain(t *testing.T) {
	t.Parallel()
	tracing, _ := recorded(t, 1)
	x := &tracer{tracer: tracing.tracer}
	above := begin(t, x, interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: contract.JobWorkflow})
	run := interceptor.TracerStartSpanOptions{Parent: above, Operation: "RunWorkflow", Name: contract.JobWorkflow, IdempotencyKey: "run-1"}
	first, again := begin(t, x, run).SpanContext(), begin(t, x, run).SpanContext()
	if !first.IsValid() || !first.Equal(again) || first.TraceID() != above.SpanContext().TraceID() {
		t.Errorf("%v and then %v", first, again)
	}
	run.IdempotencyKey = "run-2"
	if other := begin(t, x, run).SpanContext(); other.SpanID() == first.SpanID() {
		t.Error("another run has the same span")
	}
	root := interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: contract.JobWorkflow, IdempotencyKey: "run-1"}
	if a, b := begin(t, x, root).SpanContext(), begin(t, x, root).SpanContext(); !a.IsValid() || !a.Equal(b) {
		t.Errorf("a root is %v and then %v", a, b)
	}
}

func TestWhoBeginsATrace(t *testing.T) {
	t.Parallel()
	tracing, recorder := recorded(t, 1)
	x := &tracer{tracer: tracing.tracer}
	parent := begin(t, x, interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: contract.JobWorkflow})
	for name, c := range map[string]struct {
		o          interceptor.TracerStartSpanOptions
		made, root bool
	}{
		"a job outside of a trace":             {interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: contract.JobWorkflow}, true, true},
		"the reconciler's call":                {interceptor.TracerStartSpanOptions{Operation: "StartWorkflow", Name: contract.DeliverWorkflow, ToHeader: true}, false, false},
		"the retention":                        {interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: contract.RetentionWorkflow}, false, false},
		"an activity of a trace":               {interceptor.TracerStartSpanOptions{Parent: parent, Operation: "RunActivity", Name: contract.ExecutePackage}, true, false},
		"a lane that a job in a trace started": {interceptor.TracerStartSpanOptions{Parent: parent, Operation: "SignalWithStartWorkflow", Name: contract.LaneWorkflow, ToHeader: true}, false, false},
		"a fire":                               {interceptor.TracerStartSpanOptions{Parent: parent, Operation: "RunWorkflow", Name: contract.FireWorkflow}, true, true},
	} {
		s := begin(t, x, c.o)
		at := s.SpanContext()
		if at.IsValid() != c.made {
			t.Errorf("%s: made is %v", name, at.IsValid())
		}
		if own := at.TraceID() != parent.SpanContext().TraceID(); c.made && own != c.root {
			t.Errorf("%s: a trace of its own is %v", name, own)
		}
		s.Finish(&interceptor.TracerFinishSpanOptions{Error: errors.New("the password is 1234")})
	}
	for _, s := range recorder.Ended() {
		if strings.Contains(s.Status().Description, "password") {
			t.Errorf("%s tells the text of an error: %s", s.Name(), s.Status().Description)
		}
		if fire := s.Name() == "RunWorkflow:"+contract.FireWorkflow; fire != (len(s.Links()) == 1) {
			t.Errorf("%s has the links %v", s.Name(), s.Links())
		}
	}
}

func TestAPlaceComesThroughHeaders(t *testing.T) {
	t.Parallel()
	tracing, _ := recorded(t, 1)
	x := &tracer{tracer: tracing.tracer}
	s := begin(t, x, interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: contract.JobWorkflow})
	header, err := x.MarshalSpan(s)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := x.UnmarshalSpan(header)
	if err != nil || parentOf(ref).TraceID() != s.SpanContext().TraceID() || parentOf(ref).SpanID() != s.SpanContext().SpanID() {
		t.Errorf("%v came back as %v, %v", header, ref, err)
	}
	for _, broken := range []map[string]string{nil, {"traceparent": "x"}} {
		if ref, err := x.UnmarshalSpan(broken); ref != nil || err != nil {
			t.Errorf("%v gives %v, %v", broken, ref, err)
		}
	}
}

func TestSamplingHeedsTheCaller(t *testing.T) {
	t.Parallel()
	tracing, _ := recorded(t, 0)
	if _, s := tracing.Tracer().Start(context.Background(), "own"); s.IsRecording() {
		t.Error("a trace is kept of none")
	}
	kept := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true})
	if _, s := tracing.Tracer().Start(trace.ContextWithRemoteSpanContext(context.Background(), kept), "callers"); !s.IsRecording() {
		t.Error("the caller's trace is not kept")
	}
}
