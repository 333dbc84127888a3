package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/standalone"
	"waybill/workflows/contract"
)

const (
	bareQueue = "bench-bare"
	bareName  = "Bare"
)

func (o Options) dial(ctx context.Context, address, token string) (client.Client, error) {
	c := client.Options{HostPort: address, Namespace: standalone.Namespace, Logger: log.NewStructuredLogger(o.Log)}
	if token != "" {
		c.Credentials, c.ConnectionOptions.TLSDisabled = client.NewAPIKeyStaticCredentials(token), true
	}
	return client.DialContext(ctx, c)
}

// unfinished is what a phase waits for: its own workflows. The reconciler's is always open.
var unfinished = fmt.Sprintf("ExecutionStatus = 'Running' AND WorkflowType IN ('%s', '%s')", contract.JobWorkflow, bareName)

// allClosed waits until no workflow of the measurement is open. What is open comes from the visibility store, which lags by about
// a tenth of a second; so does the end of the wait, for every phase alike.
func allClosed(ctx context.Context, c client.Client) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		open, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: standalone.Namespace, Query: unfinished,
		})
		if err != nil || open.GetCount() == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// bare measures one-activity workflows through a worker as the SDK sets it up by itself.
func (o Options) bare(ctx context.Context, name string, c client.Client) (all []Figures, err error) {
	w := worker.New(c, bareQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(bareWorkflow, workflow.RegisterOptions{Name: bareName})
	w.RegisterActivityWithOptions(bareActivity, activity.RegisterOptions{Name: "Nothing"})
	if err := w.Start(); err != nil {
		return nil, err
	}
	defer w.Stop()
	return o.both(ctx, name, c, func(ctx context.Context) error {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: bareQueue}, bareName)
		return errors.Join(err, get(ctx, run))
	})
}

func get(ctx context.Context, run client.WorkflowRun) error {
	if run == nil {
		return nil
	}
	return run.Get(ctx, nil)
}

func bareWorkflow(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.ExecuteActivity(ctx, "Nothing").Get(ctx, nil)
}

func bareActivity(context.Context) error { return nil }
