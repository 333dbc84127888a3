package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// verdict is what the workflow thinks happened to a job that ended without an outcome of its own. The row has the last
// word: a final status stays, and a user's stop stays a user's stop.
type verdict struct {
	status  job.Status
	reason  job.Reason
	message string
}

// The verdicts. Their messages are shown to users.
var (
	wasCancelled    = verdict{job.Cancelled, job.ReasonStopped, "Cancelled while no worker was at work on it"}
	wasTerminated   = verdict{job.Failed, job.ReasonTerminated, "The workflow was terminated"}
	wasForgotten    = verdict{job.Failed, job.ReasonTerminated, fmt.Sprintf("The job ran for %d days", maxRun/(24*time.Hour))}
	wasOverTime     = verdict{job.Failed, job.ReasonTimeout, "The job was over its time, and its worker did not end it"}
	wasLost         = verdict{job.Failed, job.ReasonWorkerLost, "The worker gave no more signs of life"}
	wasTakenOver    = verdict{job.Failed, job.ReasonWorkerLost, "Another attempt took the job over and left no outcome"}
	wasDefect       = verdict{job.Failed, job.ReasonWorkerLost, "The worker failed while it had the job; its own log says why"}
	wasNotTaken     = verdict{job.Failed, job.ReasonTimeout, "No worker took the job within its queue timeout"}
	wasPastDeadline = verdict{job.Failed, job.ReasonTimeout, "The job was not over within its total timeout"}
	wasUnfit        = verdict{job.Failed, job.ReasonInvalidPackage, "The package can not be run"}
)

// errOver ends a wait when a limit is broken and the row could not be asked.
var errOver = errors.New("the job is over its time")

// verdictOf judges how ExecutePackage ended without an outcome. A cancel comes first: whatever else went wrong then, the
// job was to end.
func verdictOf(ctx workflow.Context, in contract.JobInput, err error) verdict {
	if temporal.IsCanceledError(err) || ctx.Err() != nil {
		return wasCancelled
	}
	var late *temporal.TimeoutError
	var app *temporal.ApplicationError
	switch {
	case errors.As(err, &late) && late.TimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT:
		return wasLost
	case errors.As(err, &late) && in.Timeout > 0:
		return wasOverTime
	case errors.As(err, &late):
		return wasForgotten
	case errors.As(err, &app) && app.Type() == contract.ErrFenced:
		return wasTakenOver
	case errors.As(err, &app) && (app.Type() == string(job.Invalid) || app.Type() == string(job.NotFound)):
		return wasUnfit
	}
	return wasDefect
}

// settle is the durable last step of a job whose worker wrote no outcome: it ends the row as v says unless the row is
// final already, and returns the row as it stands then. No cancel reaches it and no outage ends it. started must not be
// before the start of any attempt's run, for it makes the fence that shuts late workers out.
func settle(ctx workflow.Context, in contract.JobInput, started time.Time, v verdict) (contract.JobResult, error) {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	var result contract.JobResult
	err := workflow.ExecuteActivity(statusWrite(ctx, "settle", "write down how the job ended"), contract.SettleJob, contract.SettleInput{
		JobID: in.JobID, AccountID: in.AccountID, RunStarted: started,
		Status: v.status, Reason: v.reason, Message: v.message,
	}).Get(ctx, &result)
	return result, err
}

// closeAs shows the final status and closes the workflow as the job ended, in one workflow task.
func closeAs(ctx workflow.Context, r contract.JobResult) (contract.JobResult, error) {
	show(ctx, r.Status)
	switch r.Status {
	case job.Completed:
		return r, nil
	case job.Cancelled:
		return r, temporal.NewCanceledError(r)
	}
	return r, temporal.NewNonRetryableApplicationError(failureText(r), contract.ErrJobFailed, nil, r)
}

// resultOf reads the result out of the error with which a Job closed; false when it closed without one.
func resultOf(err error) (contract.JobResult, bool) {
	var r contract.JobResult
	var app *temporal.ApplicationError
	var canceled *temporal.CanceledError
	switch {
	case errors.As(err, &app) && app.Type() == contract.ErrJobFailed && app.HasDetails():
		err = app.Details(&r)
	case errors.As(err, &canceled) && canceled.HasDetails():
		err = canceled.Details(&r)
	}
	return r, err == nil && r.Status.Final()
}

// failureText says in one line why the job failed.
func failureText(r contract.JobResult) string {
	switch r.Reason {
	case job.ReasonTimeout:
		return "job failed: over its time"
	case job.ReasonWorkerLost:
		return "job failed: its worker was lost"
	case job.ReasonTerminated:
		return "job failed: terminated"
	case job.ReasonInvalidPackage:
		return "job failed: the package can not be run"
	}
	if r.ReturnCode != nil {
		return fmt.Sprintf("job failed: the program exited with code %d", *r.ReturnCode)
	}
	return "job failed"
}

// endText says in one line how the job ended.
func endText(r contract.JobResult) string {
	switch r.Status {
	case job.Completed:
		return "Completed"
	case job.Cancelled:
		return "Cancelled"
	}
	return strings.Replace(failureText(r), "job failed", "Failed", 1)
}
