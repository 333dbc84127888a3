package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Cancel is control.JobWriter's. A job already Cancelling for another reason (its timeout) stays what it is.
func (s *Store) Cancel(
	ctx context.Context, account int64, id job.ID, by job.UserRef, at time.Time, grace time.Duration,
) (j job.Job, err error) {
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		row, found, err := cancelIn(tx, account, id, by, at, grace, cancellable)
		if err != nil {
			return err
		}
		if found {
			j, err = withInputs(tx, row)
			return err
		}
		j, err = s.jobIn(tx, account, id)
		if err == nil && j.Status.Final() {
			return job.Errorf(job.Conflict, job.WordJobFinished, "Job %s has already finished", id)
		}
		return err
	})
	if err != nil {
		return job.Job{}, err
	}
	return j, nil
}

// cancelIn records the wish in a transaction, for a job that is as the condition says, which must be one that can be cancelled; found is false
// for any other.
func cancelIn(
	tx *gorm.DB, account int64, id job.ID, by job.UserRef, at time.Time, grace time.Duration, which string,
) (row jobRow, found bool, err error) {
	now := micros(at)
	row, found, err = one[jobRow](tx, `
		UPDATE jobs SET status = CASE WHEN `+endedAtOnce+` THEN ? ELSE ? END,
			finished_at = CASE WHEN `+endedAtOnce+` THEN ? ELSE finished_at END,
			reason = ?, stopped_by_id = ?, stopped_by_name = ?, stopped_by_fold = ?, start_after = NULL, cancel_due = true, stop_grace = ?,
			change = change + 1, written_at = ?
		WHERE id = ? AND account_id = ? AND `+which+` RETURNING `+jobColumns,
		string(job.Cancelled), string(job.Cancelling), now, string(job.ReasonStopped), by.ID, clean(by.Name),
		foldOrNull(clean(by.Name)), int64(grace), now, string(id), account)
	if err == nil && found {
		err = note(tx, row)
	}
	return row, found, err
}

// MarkUnreachable is control.JobWriter's. Only a job that waits can be unreachable: one that a worker took since stays as
// it is.
func (s *Store) MarkUnreachable(ctx context.Context, account int64, id job.ID, down bool) error {
	return s.onJob(ctx, id, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE jobs SET unreachable = ?, change = change + 1, written_at = ?
			WHERE id = ? AND account_id = ? AND unreachable <> ? AND (status = ? OR unreachable)`,
			down, micros(s.now()), string(id), account, down, string(job.Queued))
		if err != nil || changed > 0 {
			return err
		}
		_, err = s.jobIn(tx, account, id)
		return err
	})
}
