package tracing

import (
	"context"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
)

// Scope is the instrumentation scope of all spans.
const Scope = "waybill"

// Names of attributes. They are part of the interface (docs/observability.md).
const (
	Job       = "waybill.job"
	JobConfig = "waybill.job_config" // its number
	Account   = "waybill.account"
	Trigger   = "waybill.trigger"
	Attempt   = "waybill.attempt"
	Fence     = "waybill.fence"
	Outcome   = "waybill.outcome"
	Word      = "waybill.error"
)

// Start begins a span below the one of ctx, by the provider of that one. Where ctx has none that is recorded, ctx comes back
// as it is with a span that takes everything and keeps nothing.
func Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, none
	}
	return above.TracerProvider().Tracer(Scope).Start(ctx, name, options...)
}

// none records nothing.
var none = trace.SpanFromContext(context.Background())

// None is a span that records nothing.
func None() trace.Span { return none }

// End ends a span. Of an error the code and the word are kept; its text is for logs.
func End(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, string(job.CodeOf(err)))
		if word := job.WordOf(err); word != "" {
			span.SetAttributes(attribute.String(Word, string(word)))
		}
	}
	span.End()
}

// Quiet takes the span out of a context, for what would make very many: the log and the reports of a program that runs.
func Quiet(ctx context.Context) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return trace.ContextWithSpan(ctx, nil)
}

// Of is the place in a trace that ctx is at; zero where there is none.
func Of(ctx context.Context) job.Trace { return Format(trace.SpanContextFromContext(ctx)) }

// Format writes a place in a trace in the form of W3C Trace Context, version 00.
func Format(at trace.SpanContext) job.Trace {
	if !at.IsValid() {
		return job.Trace{}
	}
	id, span := at.TraceID(), at.SpanID()
	text := make([]byte, 0, 55)
	text = append(text, "00-"...)
	text = hex.AppendEncode(text, id[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, span[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, []byte{byte(at.TraceFlags() & trace.FlagsSampled)})
	return job.Trace{Parent: string(text), State: at.TraceState().String()}
}

// Parse reads a place in a trace. What is not well-formed is taken for none, as the recommendation has it; a state that is not
// well-formed is dropped alone.
func Parse(t job.Trace) trace.SpanContext {
	parts := strings.Split(t.Parent, "-")
	// Later versions may have more parts behind those of version 00, which has none.
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 || !isHex(parts[0]) || !isHex(parts[3]) || len(parts[3]) != 2 {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(parts[1])
	if err != nil {
		return trace.SpanContext{}
	}
	span, err := trace.SpanIDFromHex(parts[2])
	if err != nil {
		return trace.SpanContext{}
	}
	flags, _ := hex.DecodeString(parts[3])
	c := trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true}
	if len(t.State) <= maxState {
		if state, err := trace.ParseTraceState(t.State); err == nil {
			c.TraceState = state
		}
	}
	return trace.NewSpanContext(c)
}

// maxState bounds a tracestate that callers bring: it is stored with jobs. The recommendation asks for 512 at least.
const maxState = 512 // bytes

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Into puts a place in a trace into ctx, if it is one.
func Into(ctx context.Context, t job.Trace) context.Context {
	if t.Parent == "" {
		return ctx
	}
	at := Parse(t)
	if !at.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, at)
}

// Link gives the option that links a new span to a place in a trace; nil where it is none.
func Link(t job.Trace) []trace.SpanStartOption {
	if t.Parent == "" {
		return nil
	}
	at := Parse(t)
	if !at.IsValid() {
		return nil
	}
	return []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: at})}
}
