package workflows

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

func TestRetryClosesAsItsJobAndRollsUpOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result contract.JobResult
	}{
		"completed": {resultWith(job.Completed, "", 0)},
		"failed":    {resultWith(job.Failed, job.ReasonError, 3)},
		"cancelled": {resultWith(job.Cancelled, job.ReasonStopped)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeActivities{execute: ends(c.result)}
			env := newEnv(t, f)
			env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
			switch c.result.Status {
			case job.Completed:
				wantResult(t, env, c.result)
			case job.Failed:
				wantFailed(t, env, c.result)
			case job.Cancelled:
				wantCancelled(t, env, c.result)
			}
			equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.RollUpRetry})
			equal(t, "rolled up", f.rollUps, []contract.RollUpInput{{JobID: testID, AccountID: 7}})
			// once by Job, once by Retry
			equal(t, "statuses shown", f.shown, []job.Status{c.result.Status, c.result.Status})
		})
	}
}

func TestRetryStartsItsJobUnderItsOwnIDWithAllAttributes(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	var child *workflow.Info
	var got contract.JobInput
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, args converter.EncodedValues) {
		child = info
		if err := args.Get(&got); err != nil {
			t.Error(err)
		}
	})
	env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "input of the child", got, retryInput().Job)
	equal(t, "workflow id", child.WorkflowExecution.ID, "job-"+string(testID))
	equal(t, "workflow type", child.WorkflowType.Name, contract.JobWorkflow)
	want := map[string]string{
		contract.AttrAccount: "7", contract.AttrJobConfig: "44", contract.AttrJob: string(testID), contract.AttrStatus: "completed",
		contract.AttrRootJob: "69b9209b00000000000000a1", contract.AttrParentJob: "69b9209b00000000000000b2",
	}
	for name, value := range want {
		var s string
		//lint:ignore SA1019 the typed form needs the child's context after its end, which the test environment does not give
		if err := converter.GetDefaultDataConverter().FromPayload(child.SearchAttributes.GetIndexedFields()[name], &s); err != nil || s != value {
			t.Errorf("%s = %q (%v), want %q", name, s, err, value)
		}
	}
}

func TestCancelOfRetryCancelsItsJobAndRollsUp(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: breaks(temporal.NewApplicationErrorWithOptions("x", contract.ErrAttemptFailed,
		temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour}))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.SettleJob, contract.RollUpRetry})
}

func TestCancelOfRetryBeforeItsJobStartedIsSettledAndRolledUp(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.RegisterDelayedCallback(env.CancelWorkflow, 0) // before the first workflow task
	env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.SettleJob, contract.RollUpRetry})
}

func TestJobOfARetryThatClosedWithoutAResultIsSettledAndRolledUp(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]error{
		"terminated":        &temporal.TerminatedError{},
		"timed out":         temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil),
		"settle failed":     temporal.NewNonRetryableApplicationError("no such job", "not_found", nil),
		"failed, no result": temporal.NewNonRetryableApplicationError("x", contract.ErrJobFailed, nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeActivities{}
			env := newEnv(t, f)
			env.SetStartTime(start)
			env.OnWorkflow(contract.JobWorkflow, mock.Anything, mock.Anything).Return(contract.JobResult{}, closes)
			env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
			wantFailed(t, env, resultWith(job.Failed, job.ReasonTerminated))
			equal(t, "activities", f.trail, []string{contract.SettleJob, contract.RollUpRetry})
			in := f.settles[0]
			if job.SettleFence(in.RunStarted) <= job.Fence(start, 1<<19) {
				t.Errorf("the fence of %v lets an attempt of the child through", in.RunStarted)
			}
			equal(t, "statuses shown", f.shown, []job.Status{job.Failed})
		})
	}
}

func TestJobOfARetryThatRunsElsewhereIsLeftToIt(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{}
	env := newEnv(t, f)
	env.OnWorkflow(contract.JobWorkflow, mock.Anything, mock.Anything).
		Return(contract.JobResult{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{})
	env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
	var app *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &app) || app.Type() != "RunElsewhere" {
		t.Fatalf("closed with %v", err)
	}
	equal(t, "activities", len(f.trail), 0)
}

func TestRollUpOutlastsAnOutageAndASecondCancel(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{
		execute: ends(resultWith(job.Completed, "", 0)),
		rollUp: func(call int) error {
			if call < 7 {
				return errors.New("database is away")
			}
			return nil
		},
	}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, 3*time.Second)
	env.ExecuteWorkflow(contract.RetryWorkflow, retryInput())
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "calls of the roll-up", len(f.rollUps), 7)
	equal(t, "settles", len(f.settles), 0)
}

func TestRetryRunsItsJobOnItsOwnQueueWhateverTheDestination(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	var queue string
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		queue = info.TaskQueueName
	})
	in := retryInput()
	in.Job.TaskQueue = "mainframe"
	env.ExecuteWorkflow(contract.RetryWorkflow, in)
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "queue of the child", queue, "default-test-taskqueue")
}
