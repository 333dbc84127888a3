package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// ExpireJob ends a job that is over a limit on its time, unless a worker has it: that one ends the program itself. The
// idempotency key is the row: a job that is final stays as it is. The fence is above that of every attempt of the workflow
// run, so a worker that takes the job at the same moment finds it ended.
//
// The timer is the engine's. By the clock that the limit was set by it may be early: then the job stays as it is, and Temporal asks
// again.
func (a *Activities) ExpireJob(ctx context.Context, in contract.ExpireInput) (contract.ExpireResult, error) {
	j, err := a.cfg.Jobs.Job(ctx, in.AccountID, in.JobID)
	if err != nil {
		return contract.ExpireResult{}, engineError(err)
	}
	now := a.cfg.Now()
	if early := limitOf(j, in.Limit).Sub(now); early > 0 && !j.Status.Final() {
		return contract.ExpireResult{}, notYet(early)
	}
	message := "The job was not over within its totalTimeout"
	if in.Limit == contract.LimitQueue {
		message = "No worker took the job within its queueTimeout"
	}
	j, err = a.cfg.Expiry.Expire(ctx, in.AccountID, in.JobID, job.SettleFence(in.RunStarted), in.Limit == contract.LimitQueue, job.Outcome{
		Status: job.Failed, Reason: job.ReasonTimeout, Message: message, At: now,
	})
	if err != nil {
		return contract.ExpireResult{}, engineError(err)
	}
	if j.Status.Final() {
		a.ring(j.ID)
	}
	return contract.ExpireResult{Ended: j.Status.Final(), Job: resultOf(j)}, nil
}

// limitOf is when the limit is broken; zero: the job has none.
func limitOf(j job.Job, l contract.Limit) time.Time {
	if l == contract.LimitQueue {
		return j.QueueUntil()
	}
	return j.Deadline()
}

const errEarlyType = "Early"

// earlyPause is the longest pause before a limit whose timer was early is looked at again. The workflow waits meanwhile, whatever
// becomes of its job.
const earlyPause = 5 * time.Second

// notYet makes Temporal ask again, when the time has come or soon.
func notYet(early time.Duration) error {
	return temporal.NewApplicationErrorWithOptions("The timer was early by the clock that the limit was set by", errEarlyType,
		temporal.ApplicationErrorOptions{NextRetryDelay: min(early, earlyPause), Category: temporal.ApplicationErrorCategoryBenign})
}
