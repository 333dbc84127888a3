package activities

import (
	"context"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// ExpireJob ends a job that is over a limit on its time, unless a worker has it: that one ends the program itself. The
// idempotency key is the row: a job that is final stays as it is. The fence is above that of every attempt of the workflow
// run, so a worker that takes the job at the same moment finds it ended.
func (a *Activities) ExpireJob(ctx context.Context, in contract.ExpireInput) (contract.ExpireResult, error) {
	message := "The job was not over within its totalTimeout"
	if in.Limit == contract.LimitQueue {
		message = "No worker took the job within its queueTimeout"
	}
	j, err := a.cfg.Expiry.Expire(ctx, in.AccountID, in.JobID, job.SettleFence(in.RunStarted), in.Limit == contract.LimitQueue, job.Outcome{
		Status: job.Failed, Reason: job.ReasonTimeout, Message: message, At: a.cfg.Now(),
	})
	if err != nil {
		return contract.ExpireResult{}, engineError(err)
	}
	if j.Status.Final() {
		a.ring(j.ID)
	}
	return contract.ExpireResult{Ended: j.Status.Final(), Job: resultOf(j)}, nil
}
