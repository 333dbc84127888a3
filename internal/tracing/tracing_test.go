package tracing

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
)

const sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestAPlaceInATraceIsReadAndWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{sampled, strings.TrimSuffix(sampled, "1") + "0"} {
		in := job.Trace{Parent: text, State: "vendor=value,other=1"}
		at := Parse(in)
		if !at.IsValid() || !at.IsRemote() || at.IsSampled() != strings.HasSuffix(text, "1") {
			t.Errorf("%s was read as %+v", text, at)
		}
		if out := Format(at); out != in {
			t.Errorf("%+v came back as %+v", in, out)
		}
		if got := Of(Into(context.Background(), in)); got != in {
			t.Errorf("%+v came back from a context as %+v", in, got)
		}
	}
}

func TestWhatIsNoPlaceInATraceIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "00", "x", strings.ToUpper(sampled), sampled + "-more", "ff" + sampled[2:], "0" + sampled[2:], sampled[:len(sampled)-1], "zz" + sampled[2:],
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
	} {
		if at := Parse(job.Trace{Parent: text}); at.IsValid() {
			t.Errorf("%q was read as %+v", text, at)
		}
		if got := Of(Into(context.Background(), job.Trace{Parent: text})); got != (job.Trace{}) {
			t.Errorf("%q came back as %+v", text, got)
		}
	}
	if !Parse(job.Trace{Parent: "01" + sampled[2:] + "-more"}).IsValid() {
		t.Error("a later version with more parts was refused")
	}
}

func TestAStateThatIsTooLongOrBrokenIsDroppedAlone(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"=", "a=" + strings.Repeat("x", maxState)} {
		if got := Format(Parse(job.Trace{Parent: sampled, State: state})); got != (job.Trace{Parent: sampled}) {
			t.Errorf("%q gave %+v", state, got)
		}
	}
}

func TestWithoutASpanNothingIsBegun(t *testing.T) {
	t.Parallel()
	ctx := Into(context.Background(), job.Trace{Parent: sampled}) // a place, but nobody here who records
	same, span := Start(ctx, "x")
	if same != ctx || span.IsRecording() {
		t.Error("a span was begun")
	}
	End(span, context.Canceled)
	if trace.SpanContextFromContext(Quiet(ctx)).IsValid() {
		t.Error("Quiet left the span")
	}
	if len(Link(job.Trace{})) != 0 || len(Link(job.Trace{Parent: sampled})) != 1 {
		t.Error("Link is wrong")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sampled, "a=b")
	f.Add("00--", "")
	f.Add("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-x", "a=b,,c=")
	f.Fuzz(func(t *testing.T, parent, state string) {
		at := Parse(job.Trace{Parent: parent, State: state})
		if !at.IsValid() {
			return
		}
		again := Parse(Format(at))
		if !again.Equal(at) {
			t.Errorf("%q %q gave %+v and then %+v", parent, state, at, again)
		}
		if got := (job.Trace{Parent: parent}).ID(); got != at.TraceID().String() {
			t.Errorf("%q has id %s, want %s", parent, got, at.TraceID())
		}
	})
}
