package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"testing"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

func TestALineTellsWhatItsContextKnows(t *testing.T) {
	t.Parallel()
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	traced := tracing.Into(t.Context(), job.Trace{Parent: "00-" + id + "-" + span + "-01"})
	known := Attrs{slog.String(Job, "j1"), slog.Int64(Account, 7)}
	for name, c := range map[string]struct {
		ctx  context.Context
		args []any
		want map[string]any
	}{
		"nothing known": {t.Context(), []any{"a", "b"}, map[string]any{"a": "b"}},
		"in a trace":    {traced, nil, map[string]any{TraceID: id, SpanID: span}},
		"of a job":      {With(t.Context(), known), nil, map[string]any{Job: "j1", Account: 7.0}},
		"both":          {With(traced, known), nil, map[string]any{TraceID: id, SpanID: span, Job: "j1", Account: 7.0}},
		"told by itself": {
			With(traced, known), []any{"job", "j2", "attempt", 3}, map[string]any{TraceID: id, SpanID: span, Job: "j2", Account: 7.0, Attempt: 3.0},
		},
	} {
		var out bytes.Buffer
		slog.New(NewHandler(slog.NewJSONHandler(&out, nil))).InfoContext(c.ctx, "line", c.args...)
		if n := bytes.Count(out.Bytes(), []byte(`"job":`)); n > 1 {
			t.Errorf("%s: the job is told %d times: %s", name, n, out.String())
		}
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, own := range []string{"time", "level", "msg"} {
			delete(got, own)
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestLoggersMadeOfAnotherKeepTelling(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(NewHandler(slog.NewJSONHandler(&out, nil))).With("part", "x")
	log.InfoContext(With(t.Context(), Attrs{slog.String(Job, "j1")}), "line")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["part"] != "x" || got[Job] != "j1" {
		t.Errorf("%v %v", got, err)
	}
}
