package starter

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows"
	"waybill/workflows/contract"
)

func TestTheReconcilerIsStartedOnlyWhenItIsNotThere(t *testing.T) {
	t.Parallel()
	for status, want := range map[enumspb.WorkflowExecutionStatus]bool{
		enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED: true, // never started
		enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:  true,
		enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:    true,
		enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:      true,
		enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:     false,
	} {
		f := &fakeEngine{states: map[string]enumspb.WorkflowExecutionStatus{}}
		if status != enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
			f.states[contract.ReconcilerID] = status
		}
		state, err := New(f, Config{}).EnsureReconciler(t.Context(), false)
		if err != nil || state.Started != want || (len(f.started) == 1) != want {
			t.Errorf("%s: %+v, %v, started %v", status, state, err, f.started)
		}
		if want && (f.options.ID != "reconciler" || f.options.TaskQueue != contract.SystemQueue ||
			f.options.WorkflowIDConflictPolicy != enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING) {
			t.Errorf("%s: started with %+v", status, f.options)
		}
	}
	f := &fakeEngine{hang: true}
	if _, err := New(f, Config{Timeout: time.Millisecond}).EnsureReconciler(t.Context(), true); job.CodeOf(err) != job.Unavailable {
		t.Errorf("with the engine away: %v", err)
	}
}

// A process that died with the loop is waited for, unless nobody else can have had it.
func TestTheReconcilerOfADeadProcessAgainstAServer(t *testing.T) {
	t.Parallel()
	address := os.Getenv("WAYBILL_TEST_TEMPORAL")
	if address == "" {
		t.Skip("WAYBILL_TEST_TEMPORAL names no Temporal server (with Waybill's search attributes)")
	}
	dial := func(identity string) client.Client {
		c, err := client.Dial(client.Options{HostPort: address, Identity: identity, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	c := dial("test")
	queue := fmt.Sprintf("reconcilers-%d", time.Now().UnixNano())
	s := New(c, Config{Queue: queue, Timeout: 10 * time.Second})
	t.Cleanup(func() { _ = c.TerminateWorkflow(context.WithoutCancel(t.Context()), contract.ReconcilerID, "", "test") })
	ensure := func(alone, started bool) control.ReconcilerState {
		t.Helper()
		state, err := s.EnsureReconciler(t.Context(), alone)
		if err != nil || state.Started != started {
			t.Fatalf("alone %v: %+v, %v", alone, state, err)
		}
		return state
	}
	w := worker.New(c, queue, worker.Options{LocalActivityWorkerOnly: true})
	workflows.Register(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	ensure(true, true)
	ensure(true, false) // nobody has the loop yet
	// One takes it, and says no more.
	poll(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := c.WorkflowService().PollActivityTaskQueue(ctx, pollLoop(queue)); err != nil {
			return err
		}
		if state := ensure(false, false); state.Worker != "dead" {
			return fmt.Errorf("the engine tells of %+v", state)
		}
		return nil
	})
	ensure(true, true)
	if state := ensure(false, false); state.Worker != "" {
		t.Errorf("the new one is held by %+v", state)
	}
}

// pollLoop asks for the loop, as a process does.
func pollLoop(queue string) *workflowservice.PollActivityTaskQueueRequest {
	return &workflowservice.PollActivityTaskQueueRequest{
		Namespace: "default", TaskQueue: &taskqueue.TaskQueue{Name: contract.StatusQueue(queue)}, Identity: "dead",
	}
}
