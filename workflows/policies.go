package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows/contract"
)

const (
	// maxRun bounds an attempt of a job that has no timeout of its own. Temporal wants a bound; this one is there for
	// programs that are forgotten, not for slow ones: such a job ends as failed (terminated).
	maxRun = 30 * 24 * time.Hour
	// slack is what an attempt may take besides its program: fetching and unpacking before, storing outputs and the rest
	// of the log after. The worker itself ends a program that is over its time; this bound is for a worker that hangs
	// and still gives signs of life.
	slack = time.Hour
)

// Types that Temporal's retry policies compare failures with.
const (
	// typePanic is a panic of the activity: a defect of ours, which another attempt would only repeat.
	typePanic = "PanicError"
	// typeOverTime is an attempt past StartToCloseTimeout.
	typeOverTime = "TemporalTimeout:StartToClose"
)

// again is how every call is repeated: for ever, soon at first, then once a minute. How often a failed program gets
// another attempt is the job's own policy, which ExecutePackage counts itself: it knows exit codes from lost workers.
func again(never ...string) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:        time.Second,
		BackoffCoefficient:     2,
		MaximumInterval:        time.Minute,
		NonRetryableErrorTypes: never,
	}
}

// longRun is ExecutePackage: as long as the program may take, watched by heartbeats. There is no limit on waiting for a
// worker, and a cancel waits until the worker has stopped the program and written the outcome.
//
// The queue is named only when it is not the workflow's own: the SDK and the server start the activity at once in the same
// worker (eager execution) when both queues are one.
func longRun(ctx workflow.Context, in contract.JobInput) workflow.Context {
	o := workflow.ActivityOptions{
		ActivityID:          "execute",
		Summary:             "run the program",
		StartToCloseTimeout: maxRun,
		HeartbeatTimeout:    in.HeartbeatTimeout,
		WaitForCancellation: true,
		RetryPolicy:         again(contract.ErrFenced, typePanic, typeOverTime),
	}
	if in.Timeout > 0 {
		o.StartToCloseTimeout = in.Timeout + in.Grace + slack
	}
	if in.TaskQueue != workflow.GetInfo(ctx).TaskQueueName {
		o.TaskQueue = in.TaskQueue
	}
	return workflow.WithActivityOptions(ctx, o)
}

// statusWrite is a short transaction that must happen, however long the database is away. It runs on the status queue of
// the workflow's own queue: the worker that decided it is there to do it, even when programs take all its places. Callers
// hand it a disconnected context, so that a cancel does not reach it.
func statusWrite(ctx workflow.Context, id, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          id,
		Summary:             summary,
		TaskQueue:           contract.StatusQueue(workflow.GetInfo(ctx).TaskQueueName),
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         again(),
	})
}
