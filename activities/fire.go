package activities

import (
	"context"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Fires takes fires of schedules up: control.Fires.
type Fires interface {
	Take(ctx context.Context, in contract.TakeFireInput) (contract.Fired, error)
}

// JobReader reads jobs: control.JobReader.
type JobReader interface {
	Job(ctx context.Context, account int64, id job.ID) (job.Job, error)
}

// TakeFire takes a fire up. The idempotency key is the config and the time the schedule names, which no repeat of the activity, and no
// reset of the workflow, changes.
func (a *Activities) TakeFire(ctx context.Context, in contract.TakeFireInput) (contract.Fired, error) {
	fired, err := a.cfg.Fires.Take(ctx, in)
	if err != nil {
		return contract.Fired{}, engineError(err)
	}
	if fired.JobID != "" {
		a.ring(fired.JobID)
	}
	return fired, nil
}

// LookAtJob answers what a job's row says. It only reads. A job that is gone was final: retention deletes no other.
func (a *Activities) LookAtJob(ctx context.Context, in contract.LookAtJobInput) (contract.JobResult, error) {
	j, err := a.cfg.Jobs.Job(ctx, in.AccountID, in.JobID)
	if job.CodeOf(err) == job.NotFound {
		return contract.JobResult{JobID: in.JobID, Status: job.Completed}, nil
	}
	if err != nil {
		return contract.JobResult{}, engineError(err)
	}
	return resultOf(j), nil
}
