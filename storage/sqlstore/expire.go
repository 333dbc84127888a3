package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Expire is control.Expiry's.
func (s *Store) Expire(
	ctx context.Context, account int64, id job.ID, fence int64, untaken bool, o job.Outcome,
) (j job.Job, err error) {
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		row, found, err := one[jobRow](tx,
			"SELECT "+jobColumns+" FROM jobs WHERE id = ? AND account_id = ?"+s.forUpdate(), string(id), account)
		if err != nil {
			return err
		}
		if !found {
			return noJob(id)
		}
		if job.Status(row.Status) == job.Queued && !(untaken && row.Taken) {
			if row, err = settleRow(tx, row, fence, o); err != nil {
				return err
			}
		}
		j, err = withInputs(tx, row)
		return err
	})
	if err != nil {
		return job.Job{}, err
	}
	return j, nil
}

// CancelsDue is control.CancelBacklog's.
func (s *Store) CancelsDue(ctx context.Context, after job.ID, limit int) ([]job.Job, error) {
	return s.backlog(ctx, "SELECT "+jobColumns+" FROM jobs WHERE cancel_due AND id > ? ORDER BY id LIMIT ?", string(after), limit)
}

// CancelPassedOn is control.CancelBacklog's.
func (s *Store) CancelPassedOn(ctx context.Context, account int64, id job.ID) error {
	return s.onJob(ctx, id, func(tx *gorm.DB) error {
		_, err := run(tx, "UPDATE jobs SET cancel_due = false WHERE id = ? AND account_id = ?", string(id), account)
		return err
	})
}
