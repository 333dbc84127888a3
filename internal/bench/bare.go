package bench

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/standalone"
)

const bareQueue = "bench-bare"

// bare measures one-activity workflows through a worker and a client as the SDK sets them up by itself.
func (o Options) bare(ctx context.Context, name, address string) (all []Figures, err error) {
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Namespace: standalone.Namespace, Logger: log.NewStructuredLogger(o.Log)})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	w := worker.New(c, bareQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(bareWorkflow, workflow.RegisterOptions{Name: "Bare"})
	w.RegisterActivityWithOptions(bareActivity, activity.RegisterOptions{Name: "Nothing"})
	if err := w.Start(); err != nil {
		return nil, err
	}
	defer w.Stop()
	return o.both(ctx, name, func(ctx context.Context) error {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: bareQueue}, "Bare")
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
