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

	"waybill/internal/job"
	"waybill/workflows"
	"waybill/workflows/contract"
)

// TestRecordRetention records the runs of Retention; testdata/histories/README.md says how. With the setting named there a
// run continues as new after a hundred events.
func TestRecordRetention(t *testing.T) {
	address := os.Getenv("WAYBILL_RECORD_ADDRESS")
	if address == "" {
		t.Fatal("WAYBILL_RECORD_ADDRESS must name a Temporal server with Waybill's search attributes")
	}
	c, err := client.Dial(client.Options{HostPort: address, Identity: "recorder", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, k := range map[string]struct {
		batches int64
		fail    bool
	}{
		"retention":           {batches: 3},
		"retention_outage":    {batches: 2, fail: true},
		"retention_continued": {batches: 40},
	} {
		t.Run(name, func(t *testing.T) { recordRetention(t, c, name, k.batches, k.fail) })
	}
}

func recordRetention(t *testing.T, c client.Client, name string, batches int64, fail bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	queue := "record-" + name
	workflowWorker := worker.New(c, queue, worker.Options{Identity: "recorder", DisableRegistrationAliasing: true})
	workflows.Register(workflowWorker)
	activityWorker := worker.New(c, contract.StatusQueue(queue), worker.Options{Identity: "recorder", DisableWorkflowWorker: true})
	activityWorker.RegisterActivityWithOptions(func(_ context.Context, in contract.PurgeInput) (contract.PurgeResult, error) {
		if fail && in.Mark.Account == batches-1 {
			return contract.PurgeResult{}, temporal.NewNonRetryableApplicationError("away", string(job.Unavailable), nil)
		}
		next := job.RetentionMark{Account: in.Mark.Account + 1, Done: in.Mark.Account+1 == batches}
		return contract.PurgeResult{Mark: next, Deleted: job.Purged{Jobs: 100, Objects: 200, Bytes: 4096}}, nil
	}, activity.RegisterOptions{Name: contract.PurgeJobs})
	activityWorker.RegisterActivityWithOptions(func(_ context.Context, in contract.PurgeInput) (contract.PurgeResult, error) {
		return contract.PurgeResult{Mark: in.Mark, Deleted: job.Purged{Versions: 2}}, nil
	}, activity.RegisterOptions{Name: contract.PurgePackages})
	for _, w := range []worker.Worker{workflowWorker, activityWorker} {
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
	}
	id := fmt.Sprintf("retention-%s-%d", name, time.Now().UnixNano())
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: queue}, contract.RetentionWorkflow, contract.RetentionInput{})
	if err != nil {
		t.Fatal(err)
	}
	first := run.GetRunID()
	if err := run.Get(ctx, nil); (err != nil) != fail {
		t.Fatalf("closed with %v", err)
	}
	s := &stage{T: t, ctx: ctx, c: c}
	if name == "retention_continued" {
		s.saveRun(name+"_first", id, first)
	}
	s.save(name, id)
}
