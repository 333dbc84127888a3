package activities

import (
	"context"

	"waybill/workflows/contract"
)

// RollUpRetry completes the results above a finished retry. It is one idempotent transaction: repeating it finds
// nothing left to do.
func (a *Activities) RollUpRetry(ctx context.Context, in contract.RollUpInput) error {
	if err := a.cfg.Settlement.RollUp(ctx, in.AccountID, in.JobID, a.cfg.Now()); err != nil {
		return engineError(err)
	}
	a.ring(in.JobID)
	return nil
}
