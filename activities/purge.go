package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Purger deletes what is over its retention (control.Retention).
type Purger interface {
	Batch(ctx context.Context, started time.Time, from job.RetentionMark, beat func()) (job.RetentionMark, job.Purged, error)
	Packages(ctx context.Context, started time.Time, beat func()) (job.Purged, error)
}

// PurgeJobs deletes about a hundred jobs that are over their retention. It needs no idempotency key: which jobs are left to be
// deleted is in the tables, so a repeat goes on where the try before it ended.
func (a *Activities) PurgeJobs(ctx context.Context, in contract.PurgeInput) (contract.PurgeResult, error) {
	mark, deleted, err := a.cfg.Purger.Batch(ctx, in.Started, in.Mark, func() { activity.RecordHeartbeat(ctx) })
	return contract.PurgeResult{Mark: mark, Deleted: deleted}, engineError(err)
}

// PurgePackages deletes the versions of deleted file keys that no job needs, and bytes that no version refers to. It needs no
// idempotency key either.
func (a *Activities) PurgePackages(ctx context.Context, in contract.PurgeInput) (contract.PurgeResult, error) {
	deleted, err := a.cfg.Purger.Packages(ctx, in.Started, func() { activity.RecordHeartbeat(ctx) })
	return contract.PurgeResult{Mark: in.Mark, Deleted: deleted}, engineError(err)
}
