package activities

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/internal/job"
)

// graceRow is the job's row as whoever stops it left it.
type graceRow struct {
	grace time.Duration
	err   error
}

func (g graceRow) Job(context.Context, int64, job.ID) (job.Job, error) {
	return job.Job{StopGrace: g.grace}, g.err
}

func TestAStopLeavesTheProgramTheTimeItsRowSays(t *testing.T) {
	// It says goodbye only when it is given longer than the setting.
	const slow = "trap 'sleep 0.5; echo bye; exit 0' TERM; echo running; while :; do sleep 0.02; done"
	for name, c := range map[string]struct {
		row  graceRow
		want bool
	}{
		"a clean stop":   {graceRow{grace: 30 * time.Second}, true},
		"a plain stop":   {graceRow{}, false},
		"an unknown row": {graceRow{err: job.Errorf(job.Unavailable, job.WordDependencyDown, "down")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, slow)
			b.in.Grace = 100 * time.Millisecond
			b.cfg.Jobs = c.row
			b.when("running", func() { b.end(temporal.NewCanceledError()) })
			result, err := b.execute()
			if err != nil || result.Status != job.Cancelled {
				t.Fatalf("got %+v %v", result, err)
			}
			if got := strings.Contains(b.log(), "bye\n"); got != c.want {
				t.Errorf("log %q", b.log())
			}
		})
	}
}

func TestAJobThatLacksSomethingFailsWithoutItsProgram(t *testing.T) {
	b := newBench(t, "echo ran")
	b.store.job.Spec.Fault = "Parameter file 'x.param' not found"
	result, err := b.execute()
	if err != nil || result.Status != job.Failed || result.Reason != job.ReasonError {
		t.Fatalf("got %+v %v", result, err)
	}
	if text := b.log(); strings.Contains(text, "ran") || !strings.Contains(text, "waybill: Parameter file 'x.param' not found") {
		t.Errorf("log %q", text)
	}
	if got := b.store.get().Message; got != "Parameter file 'x.param' not found" {
		t.Errorf("message %q", got)
	}
}
