package activities

import (
	"context"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// SettleJob ends a job whose worker did not, and answers what the row says then. The idempotency key is the row itself: a
// final one stays as it is. The fence is above that of every attempt of the workflow run, so no slow worker of it can
// write afterwards.
func (a *Activities) SettleJob(ctx context.Context, in contract.SettleInput) (contract.JobResult, error) {
	j, err := a.cfg.Settlement.Settle(ctx, in.AccountID, in.JobID, job.SettleFence(in.RunStarted), job.Outcome{
		Status: in.Status, Reason: in.Reason, Message: in.Message, At: a.cfg.Now(),
	})
	if err != nil {
		return contract.JobResult{}, engineError(err)
	}
	a.ring(j.ID)
	return resultOf(j), nil
}
