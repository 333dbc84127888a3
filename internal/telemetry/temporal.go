package telemetry

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/internal/tracing"
	"waybill/workflows/contract"
)

// Interceptors join workflows and activities to the trace of whoever started them: the place in the trace travels in the
// headers of workflows and activities, which no history is replayed by. They are for the options of a client, whose workers take
// them over. Without tracing there are none.
//
// The SDK's own module for OpenTelemetry does much the same. It gives the span of a workflow's run a new id at every replay, so
// that what hung below the old one hangs nowhere, begins a trace for each call that is in none, of which the reconciler makes
// some every second, and puts the texts of errors into spans (ADR 0014).
func (t *Tracing) Interceptors() []interceptor.ClientInterceptor {
	if t == nil {
		return nil
	}
	return []interceptor.ClientInterceptor{interceptor.NewTracingInterceptor(&tracer{tracer: t.tracer})}
}

// tracer tells the SDK's interceptor how spans are made.
type tracer struct {
	interceptor.BaseTracer
	tracer trace.Tracer
}

type spanKey struct{}

// header is the key of Temporal's headers that SDKs of all languages keep the place in a trace under.
const header = "_tracer-data"

// span is a span that was begun here.
type span struct{ trace.Span }

// place is a remote span.
type place struct{ trace.SpanContext }

// Options is interceptor.Tracer's. Signals between our workflows are too many and too short, and queries are asked by people.
func (t *tracer) Options() interceptor.TracerOptions {
	return interceptor.TracerOptions{
		SpanContextKey: spanKey{}, HeaderKey: header, DisableSignalTracing: true, DisableQueryTracing: true, DisableUpdateTracing: true,
		AllowInvalidParentSpans: true, // they can come from anybody who may start workflows
	}
}

// UnmarshalSpan is interceptor.Tracer's.
func (t *tracer) UnmarshalSpan(m map[string]string) (interceptor.TracerSpanRef, error) {
	at := tracing.Parse(job.Trace{Parent: m["traceparent"], State: m["tracestate"]})
	if !at.IsValid() {
		return nil, nil //nolint:nilnil // there is none
	}
	return place{at}, nil
}

// MarshalSpan is interceptor.Tracer's.
func (t *tracer) MarshalSpan(s interceptor.TracerSpan) (map[string]string, error) {
	at := tracing.Format(s.(*span).SpanContext())
	if at.Parent == "" {
		return nil, nil
	}
	m := map[string]string{"traceparent": at.Parent}
	if at.State != "" {
		m["tracestate"] = at.State
	}
	return m, nil
}

// SpanFromContext is interceptor.Tracer's.
func (t *tracer) SpanFromContext(ctx context.Context) interceptor.TracerSpan {
	s := trace.SpanFromContext(ctx)
	if !s.SpanContext().IsValid() {
		return nil
	}
	return &span{Span: s}
}

// ContextWithSpan is interceptor.Tracer's.
func (t *tracer) ContextWithSpan(ctx context.Context, s interceptor.TracerSpan) context.Context {
	return trace.ContextWithSpan(ctx, s.(*span).Span)
}

// SpanName is interceptor.Tracer's.
func (t *tracer) SpanName(o *interceptor.TracerStartSpanOptions) string {
	return o.Operation + ":" + nameOf(o)
}

// nameOf leaves ids out of names.
func nameOf(o *interceptor.TracerStartSpanOptions) string {
	if o.Operation == "CreateSchedule" {
		return "schedule"
	}
	return o.Name
}

// roots are the workflows whose runs begin a trace when they are started outside of one.
var roots = map[string]bool{contract.JobWorkflow: true, contract.RetryWorkflow: true, contract.FireWorkflow: true}

// StartSpan is interceptor.Tracer's.
func (t *tracer) StartSpan(o *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	options := []trace.SpanStartOption{trace.WithSpanKind(kindOf(o)), trace.WithAttributes(attributesOf(o)...)}
	if !o.Time.IsZero() {
		options = append(options, trace.WithTimestamp(o.Time))
	}
	parent := parentOf(o.Parent)
	runs := o.Operation == "RunWorkflow"
	switch {
	case o.Name == contract.LaneWorkflow && (runs || strings.HasSuffix(o.Operation, "StartWorkflow")):
		return &span{Span: tracing.None()}, nil // it serves many jobs, each of another trace
	case runs && o.Name == contract.FireWorkflow && parent.IsValid():
		// Every fire of a schedule brings the place at which the schedule was made.
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: parent}))
	case !parent.IsValid() && !(runs && roots[o.Name]):
		return &span{Span: tracing.None()}, nil
	}
	ctx := trace.ContextWithSpanContext(context.Background(), parent)
	if runs {
		ctx = fixed(ctx, o.IdempotencyKey)
	}
	_, s := t.tracer.Start(ctx, t.SpanName(o), options...)
	return &span{Span: s}, nil
}

func parentOf(ref interceptor.TracerSpanRef) trace.SpanContext {
	switch p := ref.(type) {
	case *span:
		return p.SpanContext()
	case place:
		return p.SpanContext
	}
	return trace.SpanContext{}
}

func kindOf(o *interceptor.TracerStartSpanOptions) trace.SpanKind {
	switch {
	case o.ToHeader && strings.HasPrefix(o.Operation, "Start"), o.Operation == "CreateSchedule", o.Operation == "SignalWithStartWorkflow":
		return trace.SpanKindProducer // it is not waited for
	case o.ToHeader:
		return trace.SpanKindClient
	case strings.HasPrefix(o.Operation, "Run"):
		return trace.SpanKindConsumer
	}
	return trace.SpanKindInternal
}

// tags are the attributes of what the SDK's interceptor tells.
var tags = map[string]string{
	"temporalWorkflowID": "temporal.workflow_id", "temporalRunID": "temporal.run_id", "temporalActivityID": "temporal.activity_id",
}

func attributesOf(o *interceptor.TracerStartSpanOptions) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, len(o.Tags))
	for name, value := range o.Tags {
		if key, known := tags[name]; known {
			list = append(list, attribute.String(key, value))
		}
	}
	return list
}

// Finish is interceptor.TracerSpan's. The texts of errors stay out of spans.
func (s *span) Finish(o *interceptor.TracerFinishSpanOptions) {
	if o.Error != nil && !workflow.IsContinueAsNewError(o.Error) {
		s.SetStatus(codes.Error, fmt.Sprintf("%T", o.Error))
	}
	s.End()
}
