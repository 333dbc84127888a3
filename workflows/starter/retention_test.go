package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// TestRetentionAgainstAServer checks on a real Temporal server that histories go, and that the schedule is made, follows its
// setting, and keeps what an operator changed.
func TestRetentionAgainstAServer(t *testing.T) {
	t.Parallel()
	address := os.Getenv("WAYBILL_TEST_TEMPORAL")
	if address == "" {
		t.Skip("WAYBILL_TEST_TEMPORAL names no Temporal server (with Waybill's search attributes)")
	}
	c, err := client.Dial(client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	r, s := NewRetention(c, "default"), New(c, Config{Queue: fmt.Sprintf("nobody-%d", time.Now().UnixNano()), Timeout: 10 * time.Second})

	in := input()
	in.JobID = job.ID(fmt.Sprintf("%08x%016x", time.Now().Unix(), 0xde1))
	if err := s.StartJob(ctx, in); err != nil {
		t.Fatal(err)
	}
	if n, err := r.DeleteHistory(ctx, in.JobID); err != nil || n != 1 {
		t.Errorf("deleted %d histories, %v; want the one there is", n, err)
	}
	poll(t, func() error {
		state, err := s.JobState(ctx, in.JobID, false)
		if err == nil && state != control.EngineAbsent {
			err = fmt.Errorf("the workflow is %s", state)
		}
		return err
	})
	poll(t, func() error { // the list forgets it a little later
		n, err := r.DeleteHistory(ctx, in.JobID)
		if err == nil && n != 0 {
			err = fmt.Errorf("%d histories of a job that has none", n)
		}
		return err
	})

	handle := c.ScheduleClient().GetHandle(ctx, contract.RetentionID)
	var absent *serviceerror.NotFound
	if err := handle.Delete(ctx); err != nil && !errors.As(err, &absent) {
		t.Fatal(err)
	}
	if err := r.Ensure(ctx, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := handle.Pause(ctx, client.SchedulePauseOptions{Note: "by an operator"}); err != nil {
		t.Fatal(err)
	}
	for _, every := range []time.Duration{10 * time.Minute, 30 * time.Minute} {
		if err := r.Ensure(ctx, every); err != nil {
			t.Fatal(err)
		}
		d, err := handle.Describe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Schedule.Spec.Intervals; len(got) != 1 || got[0].Every != every || !d.Schedule.State.Paused || d.Schedule.State.Note != "by an operator" {
			t.Errorf("schedule every %v, %+v; want %v, and the pause kept", got, d.Schedule.State, every)
		}
	}
	if err := r.RunNow(ctx); err != nil {
		t.Fatal(err)
	}
	poll(t, func() error {
		d, err := handle.Describe(ctx)
		if err == nil && d.Info.NumActions == 0 {
			err = errors.New("no run was started")
		}
		return err
	})
	if err := handle.Delete(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRetentionOfAnEngineThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	r := NewRetention(deadClient(t), "default")
	r.timeout = 200 * time.Millisecond
	_, err := r.DeleteHistory(t.Context(), testID)
	for what, err := range map[string]error{
		"DeleteHistory": err, "Ensure": r.Ensure(t.Context(), time.Minute), "RunNow": r.RunNow(t.Context()),
	} {
		if job.CodeOf(err) != job.Unavailable {
			t.Errorf("%s: %v, want unavailable", what, err)
		}
	}
}

// poll calls try until it succeeds, for a minute at most.
func poll(t *testing.T, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-tick.C:
		}
	}
}
