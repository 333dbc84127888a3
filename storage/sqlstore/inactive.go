package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// waitsInVain is a job that waits for a worker and whose submitter is no longer active.
const waitsInVain = `status = 'queued' AND EXISTS (
	SELECT 1 FROM users WHERE users.id = jobs.submitted_by_id AND users.account_id = jobs.account_id AND NOT users.active)`

// forInactive is which of these jobs there are, and who is to have stopped them: whoever changed the user last.
const forInactive = `SELECT jobs.id, jobs.account_id, coalesce(users.modified_by_id, 0) AS by_id, coalesce(users.modified_by_name, '') AS by_name
	FROM jobs JOIN users ON users.id = jobs.submitted_by_id AND users.account_id = jobs.account_id
	WHERE status = 'queued' AND NOT users.active AND `

type inVainRow struct {
	ID        string `gorm:"column:id"`
	AccountID int64  `gorm:"column:account_id"`
	ByID      int64  `gorm:"column:by_id"`
	ByName    string `gorm:"column:by_name"`
}

// CancelInVain is control.InactiveJobs'.
func (s *Store) CancelInVain(ctx context.Context, at time.Time, limit int) (int, error) {
	// Users are fewer than unfinished jobs, and nearly always all of them are active.
	if _, some, err := one[int](s.background.read.WithContext(ctx), "SELECT 1 FROM users WHERE NOT active LIMIT 1"); err != nil || !some {
		return 0, s.fault(ctx, err)
	}
	return s.cancelInVain(ctx, at, limit, "users.id > ?", 0)
}

// cancelInVain is CancelInVain for the jobs of some users.
func (s *Store) cancelInVain(ctx context.Context, at time.Time, limit int, whose string, ids any) (int, error) {
	rows, err := many[inVainRow](s.background.read.WithContext(ctx), forInactive+unfinished+" AND "+whose+" ORDER BY jobs.id LIMIT ?", ids, limit)
	if err != nil || len(rows) == 0 {
		return 0, s.fault(ctx, err)
	}
	return len(rows), s.transactLater(ctx, func(tx *gorm.DB) error {
		for _, r := range rows {
			// Looked at again: a worker may have the job by now, or the user be active again.
			if _, _, err := r.cancel(tx, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// cancel cancels the job if it still waits in vain.
func (r inVainRow) cancel(tx *gorm.DB, at time.Time) (jobRow, bool, error) {
	return cancelIn(tx, r.AccountID, job.ID(r.ID), job.UserRef{ID: r.ByID, Name: r.ByName}, at, 0, waitsInVain)
}

// cancelUntaken cancels the job that a worker was about to take if it waits in vain: the worker may come to it before its turn here.
func cancelUntaken(tx *gorm.DB, account int64, id job.ID, fence int64, at time.Time) (jobRow, bool, error) {
	r, found, err := one[inVainRow](tx, forInactive+"jobs.id = ? AND jobs.account_id = ? AND jobs.fence < ?", string(id), account, fence)
	if err != nil || !found {
		return jobRow{}, false, err
	}
	return r.cancel(tx, at)
}

// How many waiting jobs are cancelled at once after a deactivation: so many in each transaction, none of which is long, and so often.
const (
	inVainAtOnce  = 100
	inVainBatches = 10
)

// cancelSoon cancels what waits in vain once a deactivation is stored. What it leaves, and what it can not do, is the duty's, so it
// has no error: the deactivation is done.
func (s *Store) cancelSoon(ctx context.Context, users []int64, at time.Time) {
	for range inVainBatches {
		if n, err := s.cancelInVain(ctx, at, inVainAtOnce, "users.id IN ?", users); err != nil || n < inVainAtOnce {
			return
		}
	}
}
