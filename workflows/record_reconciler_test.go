//go:build record

package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"waybill/workflows"
	"waybill/workflows/contract"
)

// TestRecordReconciler records the runs of Reconciler; testdata/histories/README.md says how.
func TestRecordReconciler(t *testing.T) {
	address := os.Getenv("WAYBILL_RECORD_ADDRESS")
	if address == "" {
		t.Fatal("WAYBILL_RECORD_ADDRESS must name a Temporal server with Waybill's search attributes")
	}
	c, err := client.Dial(client.Options{HostPort: address, Identity: "recorder", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	recordReconciler(t, c)
}

// recordReconciler records a first run, whose loop is handed over once before its turn is over, and the run after it, which is
// cancelled.
func recordReconciler(t *testing.T, c client.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	queue := "record-reconciler"
	workflowWorker := worker.New(c, queue, worker.Options{Identity: "recorder", DisableRegistrationAliasing: true})
	workflows.Register(workflowWorker)
	activityWorker := worker.New(c, contract.StatusQueue(queue), worker.Options{
		Identity: "recorder", DisableWorkflowWorker: true, MaxHeartbeatThrottleInterval: 100 * time.Millisecond,
	})
	turns, begun := 0, make(chan int, 8)
	activityWorker.RegisterActivityWithOptions(func(ctx context.Context, _ contract.ReconcileInput) (contract.ReconcileResult, error) {
		turns++
		begun <- turns
		switch turns {
		case 1:
			return contract.ReconcileResult{}, temporal.NewApplicationErrorWithOptions("the process stops", contract.ErrHandedOver,
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Millisecond, Category: temporal.ApplicationErrorCategoryBenign})
		case 2:
			return contract.ReconcileResult{Passes: 3}, nil
		}
		for ctx.Err() == nil {
			activity.RecordHeartbeat(ctx, contract.ReconcileProgress{Passes: 1})
			time.Sleep(50 * time.Millisecond)
		}
		return contract.ReconcileResult{}, temporal.NewCanceledError()
	}, activity.RegisterOptions{Name: contract.Reconcile})
	for _, w := range []worker.Worker{workflowWorker, activityWorker} {
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
	}
	id := fmt.Sprintf("reconciler-%d", time.Now().UnixNano())
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: queue}, contract.ReconcilerWorkflow, contract.ReconcilerInput{Turn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	first := run.GetRunID()
	for turn := range begun {
		if turn == 3 {
			break
		}
	}
	if err := c.CancelWorkflow(ctx, id, ""); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(ctx, nil); !temporal.IsCanceledError(err) {
		t.Fatalf("closed with %v", err)
	}
	s := &stage{T: t, ctx: ctx, c: c}
	s.saveRun("reconciler", id, first)
	s.save("reconciler_cancelled", id)
}
