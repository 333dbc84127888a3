package workflows

import (
	"errors"
	"strconv"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Fire is what a schedule starts each time it comes due. It has the job made, and runs it as its child Job. It is open as long as
// the job is, so that the engine's own overlap policies hold for jobs: skip, wait for the end, cancel. A cancel is passed on to the job; a
// terminated Fire leaves it running, for it was accepted like any other.
//
// It closes as Completed whatever became of the job, Canceled when it was cancelled: the ending of a job is the Job's to show.
func Fire(ctx workflow.Context, in contract.FireInput) (contract.Fired, error) {
	f := &fireRun{in: in}
	return f.run(ctx)
}

// fireRun is one run of Fire.
type fireRun struct {
	in contract.FireInput
}

// attrScheduled is the engine's own: the time the schedule names.
var attrScheduled = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// FireAttributes are the search attributes of a config's fires.
func FireAttributes(account, config int64) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		attrAccount.ValueSet(strconv.FormatInt(account, 10)),
		attrJobConfig.ValueSet(strconv.FormatInt(config, 10)),
		attrTrigger.ValueSet(string(job.TriggerSchedule)),
	)
}

func (f *fireRun) run(ctx workflow.Context) (contract.Fired, error) {
	fired, err := f.take(ctx)
	if err != nil {
		return fired, err
	}
	if fired.Job != nil {
		fired.Status, err = f.follow(ctx, *fired.Job)
		fired.Job = nil // it is in the history already
	}
	if ctx.Err() != nil {
		return fired, temporal.NewCanceledError(fired)
	}
	return fired, err
}

// take has the fire taken up. A cancel that comes before is as if it came after: the job is then cancelled.
func (f *fireRun) take(ctx workflow.Context) (contract.Fired, error) {
	info := workflow.GetInfo(ctx)
	at, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(attrScheduled)
	if !ok { // started by hand
		at = info.WorkflowStartTime
	}
	sure, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	var fired contract.Fired
	err := workflow.ExecuteActivity(statusWrite(sure, "take", "see what is to be done, and store the job"), contract.TakeFire, contract.TakeFireInput{
		AccountID: f.in.AccountID, ConfigID: f.in.ConfigID, At: at.UTC(), Started: info.WorkflowStartTime.UTC(), Paused: f.in.Paused, End: f.in.End,
	}).Get(sure, &fired)
	return fired, err
}

// follow runs the job as a child to its end.
func (f *fireRun) follow(ctx workflow.Context, in contract.JobInput) (job.Status, error) {
	options := (&retryRun{in: in}).childOptions()
	// A job is accepted for good: an operator who terminates its fire, or the engine that does so to keep its rules, does not end it.
	options.ParentClosePolicy = enumspb.PARENT_CLOSE_POLICY_ABANDON
	var result contract.JobResult
	err := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), contract.JobWorkflow, in).Get(ctx, &result)
	if err == nil && result.Status.Final() {
		return result.Status, nil
	}
	if result, ok := resultOf(err); ok {
		return result.Status, nil
	}
	// Either the reconciler was faster, or this run was reset, and another workflow runs the job; or the child was terminated, or
	// never began, and the reconciler ends or starts it. The row tells when it is over.
	var twice *temporal.ChildWorkflowExecutionAlreadyStartedError
	if err != nil && !errors.As(err, &twice) && temporal.IsCanceledError(err) {
		return f.cancelled(ctx, in)
	}
	return f.wait(ctx, in)
}

// cancelled settles a job whose child was cancelled before it had begun.
func (f *fireRun) cancelled(ctx workflow.Context, in contract.JobInput) (job.Status, error) {
	result, err := settle(ctx, in, workflow.Now(ctx).UTC(), wasCancelled)
	if in.Lane != "" {
		leaveLane(ctx, in)
	}
	return result.Status, err
}

// Pauses between two looks at a job that another workflow runs.
const (
	lookFirst = time.Second
	lookMax   = time.Minute
)

// wait looks at the job's row until it is final. A cancel is passed on to whoever runs the job.
func (f *fireRun) wait(ctx workflow.Context, in contract.JobInput) (job.Status, error) {
	sure, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	asked := false
	for n, pause := 1, lookFirst; ; n, pause = n+1, min(pause*2, lookMax) {
		var now contract.JobResult
		look := statusWrite(sure, "look-"+strconv.Itoa(n), "see whether the job has ended")
		if err := workflow.ExecuteActivity(look, contract.LookAtJob, contract.LookAtJobInput{
			AccountID: in.AccountID, JobID: in.JobID,
		}).Get(sure, &now); err != nil || now.Status.Final() {
			return now.Status, err
		}
		if ctx.Err() != nil && !asked {
			asked = true
			// One that is not there, or that has ended, is what is wanted, too.
			_ = workflow.RequestCancelExternalWorkflow(sure, contract.JobWorkflowID(in.JobID), "").Get(sure, nil)
			pause = lookFirst
		}
		waiting := ctx
		if asked {
			waiting = sure
		}
		_ = workflow.Sleep(waiting, pause) // ends early when the cancel comes
	}
}
