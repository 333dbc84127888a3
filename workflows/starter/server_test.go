package starter

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"waybill/internal/control"
	"waybill/internal/job"
)

// TestAgainstAServer checks on a real Temporal server what a fake can not: that the queries are understood, and what the
// server answers for absent, open, terminated and ended workflows. No worker runs, so every job stays as it is put.
func TestAgainstAServer(t *testing.T) {
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
	ctx, began := t.Context(), time.Now().Add(-time.Second)
	s := New(c, Config{Queue: fmt.Sprintf("nobody-%d", began.UnixNano()), Timeout: 10 * time.Second})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	state := func(id job.ID, retry bool, want control.EngineState) {
		t.Helper()
		got, err := s.JobState(ctx, id, retry)
		if err != nil || got != want {
			t.Errorf("state of %s: %s, %v; want %s", id, got, err, want)
		}
	}
	newID := func(n int) job.ID { return job.ID(fmt.Sprintf("%08x%015x%x", began.Unix(), 0, n)) }
	first, retry := input(), input()
	first.JobID, retry.JobID = newID(1), newID(2)
	retry.Parent, retry.Root = first.JobID, first.JobID

	must(s.Ping(ctx))
	state(first.JobID, false, control.EngineAbsent)
	must(s.CancelJob(ctx, first.JobID)) // absent: no error
	must(s.StartJob(ctx, first))
	must(s.StartJob(ctx, first)) // open: no error
	must(s.StartJob(ctx, retry))
	state(first.JobID, false, control.EngineOpen)
	state(retry.JobID, true, control.EngineOpen)
	must(s.CancelJob(ctx, retry.JobID)) // not begun: goes to the workflow around it
	must(s.CancelJob(ctx, retry.JobID)) // a second time: no error

	must(c.TerminateWorkflow(ctx, "job-"+string(first.JobID), "", "test"))
	must(c.TerminateWorkflow(ctx, "retry-"+string(retry.JobID), "", "test"))
	state(first.JobID, false, control.EngineTerminated)
	state(retry.JobID, true, control.EngineTerminated)
	must(s.CancelJob(ctx, first.JobID)) // ended: no error
	must(s.StartJob(ctx, first))        // ended: no error, and not started again
	state(first.JobID, false, control.EngineTerminated)

	deadline := time.Now().Add(time.Minute) // the visibility store lags behind
	for {
		found, err := s.Terminated(ctx, began)
		must(err)
		if slices.Contains(found, first.JobID) && slices.Contains(found, retry.JobID) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("terminated: %v", found)
		}
	}
	if later, err := s.Terminated(ctx, time.Now().Add(time.Hour)); err != nil || len(later) != 0 {
		t.Errorf("terminated in an hour: %v, %v", later, err)
	}
}

func TestServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	s := New(deadClient(t), Config{Timeout: 200 * time.Millisecond})
	if err := s.StartJob(t.Context(), input()); job.CodeOf(err) != job.Unavailable {
		t.Errorf("StartJob: %v", err)
	}
	if err := s.Ping(t.Context()); job.CodeOf(err) != job.Unavailable {
		t.Errorf("Ping: %v", err)
	}
}

// deadClient is a client of an address where nobody listens.
func deadClient(t *testing.T) client.Client {
	t.Helper()
	c, err := client.NewLazyClient(client.Options{
		HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
