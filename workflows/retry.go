package workflows

import (
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows/contract"
)

// Retry runs a job that is a retry as its child workflow Job, and rolls its result up into the jobs above it in the
// chain, whatever the result was. It closes as the child did.
//
// Cancelling either of the two cancels the job: a cancel of Retry is passed on to the child, and Retry waits for its
// end. Terminating either of the two ends the job as failed (terminated): a terminated child is settled and rolled up
// by Retry at once; a terminated Retry takes its child with it, and the reconciler settles and rolls up. The child is
// terminated and not asked to cancel, because otherwise the same order of the operator would end some jobs as failed
// and others as cancelled, depending on who is faster.
func Retry(ctx workflow.Context, in contract.RetryInput) (contract.JobResult, error) {
	r := newRetryRun(in)
	return r.run(ctx)
}

// errElsewhere: the child exists already, so another Retry runs or ran it (this one was reset by an operator). That
// one's result can not be awaited from here; the reconciler rolls it up.
var errElsewhere = temporal.NewNonRetryableApplicationError(
	"the job is run by another workflow, its result will be rolled up by the reconciler", "RunElsewhere", nil)

// retryRun is one run of Retry.
type retryRun struct {
	in contract.JobInput
}

func newRetryRun(in contract.RetryInput) *retryRun { return &retryRun{in: in.Job} }

func (r *retryRun) run(ctx workflow.Context) (contract.JobResult, error) {
	result, err := r.runJob(ctx)
	if err != nil {
		return contract.JobResult{}, err
	}
	if err := r.rollUp(ctx); err != nil {
		return contract.JobResult{}, err
	}
	return closeAs(ctx, result)
}

// runJob runs the child to its end. A child that closed without a result, or never started, is settled here.
func (r *retryRun) runJob(ctx workflow.Context) (contract.JobResult, error) {
	child := workflow.WithChildOptions(ctx, r.childOptions())
	var result contract.JobResult
	err := workflow.ExecuteChildWorkflow(child, contract.JobWorkflow, r.in).Get(ctx, &result)
	if err == nil && result.Status.Final() {
		return result, nil
	}
	if result, ok := resultOf(err); ok {
		return result, nil
	}
	var twice *temporal.ChildWorkflowExecutionAlreadyStartedError
	if errors.As(err, &twice) {
		return contract.JobResult{}, errElsewhere
	}
	v := wasTerminated
	if temporal.IsCanceledError(err) {
		v = wasCancelled
	}
	// Now is after the start of every attempt of the child, so the fence made of it is above theirs.
	result, err = settle(ctx, r.in, workflow.Now(ctx).UTC(), v)
	if r.in.Lane != "" {
		leaveLane(ctx, r.in) // the child did not
	}
	return result, err
}

func (r *retryRun) childOptions() workflow.ChildWorkflowOptions {
	return workflow.ChildWorkflowOptions{ // on the queue of the Retry, like all workflows
		WorkflowID:            contract.JobWorkflowID(r.in.JobID),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WaitForCancellation:   true,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_TERMINATE,
		TypedSearchAttributes: SearchAttributes(r.in),
		Memo:                  Memo(r.in),
		StaticSummary:         Summary(r.in),
		StaticDetails:         Details(r.in),
	}
}

// rollUp completes the results of the jobs above this one. It is repeated until it succeeds, and the transaction behind
// it is idempotent, so it takes effect exactly once.
func (r *retryRun) rollUp(ctx workflow.Context) error {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	return workflow.ExecuteActivity(statusWrite(ctx, "roll-up", "complete the results above"), contract.RollUpRetry, contract.RollUpInput{
		JobID: r.in.JobID, AccountID: r.in.AccountID,
	}).Get(ctx, nil)
}
