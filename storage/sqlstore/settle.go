package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Settle is control.Settlement's.
func (s *Store) Settle(
	ctx context.Context, account int64, id job.ID, fence int64, o job.Outcome,
) (j job.Job, err error) {
	if !o.Status.Final() {
		return job.Job{}, job.Errorf(job.Invalid, job.WordInvalidField, "A job can not be settled as '%s'", o.Status)
	}
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		row, found, err := one[jobRow](tx,
			"SELECT "+jobColumns+" FROM jobs WHERE id = ? AND account_id = ?"+s.forUpdate(), string(id), account)
		if err != nil {
			return err
		}
		if !found {
			return noJob(id)
		}
		if !job.Status(row.Status).Final() {
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

func settleRow(tx *gorm.DB, row jobRow, fence int64, o job.Outcome) (jobRow, error) {
	o = wished(row, o)
	if job.Path(job.Status(row.Status), o.Status) == nil {
		return row, job.Errorf(job.Conflict, job.WordStale, "Job %s is %s and can not become %s", row.ID, row.Status, o.Status)
	}
	now := micros(o.At)
	row, found, err := one[jobRow](tx, `
		UPDATE jobs SET status = ?, reason = ?, return_code = ?, message = ?, finished_at = ?, start_after = NULL,
			unreachable = false, fence = CASE WHEN fence < ? THEN ? ELSE fence END, change = change + 1, written_at = ?
		WHERE id = ? AND status = ? AND change = ? RETURNING `+jobColumns,
		string(o.Status), string(o.Reason), o.ReturnCode, clean(o.Message), now, fence, fence, now,
		row.ID, row.Status, row.Change)
	if err != nil {
		return row, err
	}
	id := job.ID(row.ID)
	if !found { // the row was locked, so this does not happen; a lost write must not pass for a made one
		return row, stale("Job", id)
	}
	if err := note(tx, row); err != nil {
		return row, err
	}
	if _, err := closeAttempts(tx, id, o); err != nil {
		return row, err
	}
	if err := closeSteps(tx, id, o); err != nil {
		return row, err
	}
	if err := dropFilesNow(tx, row); err != nil {
		return row, err
	}
	if len(o.Outputs) == 0 {
		return row, nil
	}
	return row, storeOutputs(tx, id, row.Attempt, o.Outputs)
}

// wished puts the ending that a Cancelling job was promised in place of what the workflow thinks.
func wished(row jobRow, o job.Outcome) job.Outcome {
	if job.Status(row.Status) != job.Cancelling {
		return o
	}
	switch {
	case row.StoppedByID != 0 || row.StoppedByName != "":
		return job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped, Message: o.Message, At: o.At}
	case job.Reason(row.Reason) == job.ReasonTimeout:
		return job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout, Message: o.Message, At: o.At}
	}
	return o
}
