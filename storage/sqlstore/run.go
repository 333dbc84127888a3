package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// mainStep is the step of a program that reports none (native.md, 7).
const mainStep = "main"

// onJob is transact for the writes to one job. What has not the form of an id is absent; PostgreSQL would not even take
// some of it as a text.
func (s *Store) onJob(ctx context.Context, id job.ID, fn func(tx *gorm.DB) error) error {
	if !job.ValidID(string(id)) {
		return noJob(id)
	}
	return s.transact(ctx, fn)
}

// jobIn reads a job with its inputs inside a transaction.
func (s *Store) jobIn(tx *gorm.DB, account int64, id job.ID) (job.Job, error) {
	row, err := rowIn(tx, account, id)
	if err != nil {
		return job.Job{}, err
	}
	return withInputs(tx, row)
}

func rowIn(tx *gorm.DB, account int64, id job.ID) (jobRow, error) {
	if !job.ValidID(string(id)) {
		return jobRow{}, noJob(id)
	}
	row, found, err := one[jobRow](tx, "SELECT "+jobColumns+" FROM jobs WHERE id = ? AND account_id = ?", string(id), account)
	if err == nil && !found {
		err = noJob(id)
	}
	return row, err
}

func withInputs(tx *gorm.DB, row jobRow) (job.Job, error) {
	j, err := row.job()
	if err != nil || !row.HasInputs {
		return j, err
	}
	inputs, _, err := one[inputsRow](tx, "SELECT job_id, macros, files, messages FROM job_inputs WHERE job_id = ?", row.ID)
	if err != nil {
		return j, err
	}
	if err := inputs.into(&j.Spec); err != nil {
		return j, err
	}
	j.Spec.Inputs, err = inputFiles(tx, row.ID)
	return j, err
}

// lost reads a job whose compare-and-set changed nothing: it is absent, or it has moved on. The job comes back with the
// conflict.
func (s *Store) lost(tx *gorm.DB, account int64, id job.ID) (job.Job, error) {
	j, err := s.jobIn(tx, account, id)
	if err != nil {
		return job.Job{}, err
	}
	return j, stale("Job", id)
}

// Begin is control.Run's. On a conflict the job is returned as it stands.
func (s *Store) Begin(
	ctx context.Context, account int64, id job.ID, fence int64, worker string, at time.Time,
) (j job.Job, lost bool, err error) {
	worker = clean(worker)
	cancelled := false
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		j, lost, cancelled = job.Job{}, false, false
		now := micros(at)
		row, found, err := take(tx, account, id, fence, worker, now)
		if err == nil && !found {
			if row, cancelled, err = cancelUntaken(tx, account, id, fence, at); err == nil && cancelled {
				j, err = withInputs(tx, row)
				return err
			}
			if err == nil { // of a user who is active again
				row, found, err = take(tx, account, id, fence, worker, now)
			}
		}
		if err != nil {
			return err
		}
		if !found {
			j, err = s.lost(tx, account, id)
			return err
		}
		if err := note(tx, row); err != nil {
			return err
		}
		if row.Attempt > 1 {
			// Attempts that ended were closed by whoever ended them; one that is open had a worker that went away.
			open, err := closeAttempts(tx, id, job.Outcome{Reason: job.ReasonWorkerLost, At: at})
			if err != nil {
				return err
			}
			lost = open > 0
		}
		if _, err := run(tx, `
			INSERT INTO job_attempts (job_id, number, fence, worker, started_at, reason, message)
			VALUES (?, ?, ?, ?, ?, '', '')`, row.ID, row.Attempt, fence, worker, now); err != nil {
			return err
		}
		j, err = withInputs(tx, row)
		return err
	})
	if err == nil && cancelled { // and stored as that
		err = stale("Job", id)
	}
	if err != nil && job.WordOf(err) != job.WordStale {
		j = job.Job{}
	}
	return j, lost && err == nil, err
}

// take gives a job to a worker, unless it waits in vain.
func take(tx *gorm.DB, account int64, id job.ID, fence int64, worker string, now int64) (jobRow, bool, error) {
	return one[jobRow](tx, `
		UPDATE jobs SET status = ?, reason = ?, taken = true, fence = ?, worker = ?, worker_fold = ?,
			attempt = attempt + 1, received_at = coalesce(received_at, ?), start_after = NULL, unreachable = false,
			change = change + 1, written_at = ?
		WHERE id = ? AND account_id = ? AND fence < ? AND `+beginnable+` AND NOT (`+waitsInVain+`) RETURNING `+jobColumns,
		string(job.Running), string(job.ReasonInitializing), fence, worker, foldOrNull(worker), now, now, string(id), account, fence)
}

// Started is control.Run's. A job that became Cancelling keeps that status and its reason. The program begins anew, so what
// it reported in the attempt before is dropped here: nothing is counted twice.
func (s *Store) Started(ctx context.Context, account int64, id job.ID, fence int64, sandbox string, at time.Time) error {
	sandbox = clean(sandbox)
	return s.onJob(ctx, id, func(tx *gorm.DB) error {
		now := micros(at)
		row, found, err := one[jobRow](tx, `
			UPDATE jobs SET reason = CASE WHEN status = ? THEN '' ELSE reason END, started_at = coalesce(started_at, ?),
				records_read = 0, records_written = 0, records_failed = 0, records_ignored = 0, errors_open = 0,
				errors_resolved = 0, warnings = '', sandbox = ?, change = change + 1, written_at = ?
			WHERE id = ? AND account_id = ? AND fence = ? AND `+underWorker+` RETURNING `+jobColumns,
			string(job.Running), now, sandbox, now, string(id), account, fence)
		if err != nil {
			return err
		}
		if !found {
			_, err := s.lost(tx, account, id)
			return err
		}
		if err := note(tx, row); err != nil {
			return err
		}
		if row.Attempt > 1 {
			if err := forget(tx, row); err != nil {
				return err
			}
		}
		if _, err := run(tx, "UPDATE job_attempts SET sandbox = ? WHERE job_id = ? AND number = ?", sandbox, row.ID, row.Attempt); err != nil {
			return err
		}
		_, err = run(tx, `
			INSERT INTO job_steps (job_id, position, name, status, attempt, started_at, records_read, records_written,
				records_failed, message)
			VALUES (?, 0, ?, ?, ?, ?, 0, 0, 0, '')
			ON CONFLICT (job_id, position) DO UPDATE SET status = excluded.status, attempt = excluded.attempt,
				started_at = excluded.started_at, finished_at = NULL, return_code = NULL, message = ''`,
			string(id), mainStep, string(job.Running), row.Attempt, now)
		return err
	})
}

// Cancelling is control.Run's.
func (s *Store) Cancelling(ctx context.Context, account int64, id job.ID, fence int64, reason job.Reason) error {
	return s.onJob(ctx, id, func(tx *gorm.DB) error {
		row, found, err := one[jobRow](tx, `
			UPDATE jobs SET status = ?, reason = ?, change = change + 1, written_at = ?
			WHERE id = ? AND account_id = ? AND fence = ? AND `+stoppable+` RETURNING `+jobColumns,
			string(job.Cancelling), string(reason), micros(s.now()), string(id), account, fence)
		if err != nil {
			return err
		}
		if found {
			return note(tx, row)
		}
		j, err := s.lost(tx, account, id)
		if j.Status == job.Cancelling && j.Fence == fence {
			return nil
		}
		return err
	})
}

// Again is control.Run's. A job that became Cancelling is not tried again: Conflict, WordStale.
func (s *Store) Again(
	ctx context.Context, account int64, id job.ID, fence int64, o job.Outcome, startAfter time.Time,
) error {
	return s.onJob(ctx, id, func(tx *gorm.DB) error {
		row, found, err := one[jobRow](tx, `
			UPDATE jobs SET status = ?, reason = '', failures = failures + 1, return_code = ?, message = ?, start_after = ?,
				change = change + 1, written_at = ?
			WHERE id = ? AND account_id = ? AND fence = ? AND `+pausable+` RETURNING `+jobColumns,
			string(job.Queued), o.ReturnCode, clean(o.Message), microsOrNull(startAfter), micros(o.At),
			string(id), account, fence)
		if err != nil {
			return err
		}
		if !found {
			_, err := s.lost(tx, account, id)
			return err
		}
		if err := note(tx, row); err != nil {
			return err
		}
		return closeAttempt(tx, id, row.Attempt, o)
	})
}

// Finish is control.Run's. On a conflict the job is returned as it stands.
func (s *Store) Finish(
	ctx context.Context, account int64, id job.ID, fence int64, o job.Outcome,
) (j job.Job, err error) {
	if !o.Status.Final() {
		return job.Job{}, job.Errorf(job.Invalid, job.WordInvalidField, "A job can not end as '%s'", o.Status)
	}
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		now := micros(o.At)
		row, found, err := one[jobRow](tx, `
			UPDATE jobs SET status = ?, reason = ?, return_code = ?, message = ?, finished_at = ?, change = change + 1,
				written_at = ?
			WHERE id = ? AND account_id = ? AND fence = ? AND `+finishable[o.Status]+` RETURNING `+jobColumns,
			string(o.Status), string(o.Reason), o.ReturnCode, clean(o.Message), now, now, string(id), account, fence)
		if err != nil {
			return err
		}
		if !found {
			j, err = s.lost(tx, account, id)
			return err
		}
		if err := note(tx, row); err != nil {
			return err
		}
		if err := closeAttempt(tx, id, row.Attempt, o); err != nil {
			return err
		}
		if err := dropFilesNow(tx, row); err != nil {
			return err
		}
		j, err = withInputs(tx, row)
		return err
	})
	if err != nil && job.WordOf(err) != job.WordStale {
		j = job.Job{}
	}
	return j, err
}

// closeAttempt ends what is open of an attempt that reports its end, and keeps its outputs in place of those of the
// attempt before it.
func closeAttempt(tx *gorm.DB, id job.ID, attempt int, o job.Outcome) error {
	if _, err := closeAttempts(tx, id, o); err != nil {
		return err
	}
	if err := closeSteps(tx, id, o); err != nil {
		return err
	}
	return storeOutputs(tx, id, attempt, o.Outputs)
}

// closeAttempts ends the open attempts of a job and tells how many there were.
func closeAttempts(tx *gorm.DB, id job.ID, o job.Outcome) (int64, error) {
	return run(tx, `
		UPDATE job_attempts SET finished_at = ?, return_code = ?, reason = ?, message = ?
		WHERE job_id = ? AND finished_at IS NULL`,
		micros(o.At), o.ReturnCode, string(o.Reason), clean(o.Message), string(id))
}

// closeSteps ends the open steps of a job.
func closeSteps(tx *gorm.DB, id job.ID, o job.Outcome) error {
	_, err := run(tx, `
		UPDATE job_steps SET status = ?, finished_at = ?, return_code = ?, message = ?
		WHERE job_id = ? AND finished_at IS NULL`,
		string(o.Status), micros(o.At), o.ReturnCode, clean(o.Message), string(id))
	return err
}

func storeOutputs(tx *gorm.DB, id job.ID, attempt int, outputs []job.Output) error {
	if attempt > 1 {
		if _, err := run(tx, "DELETE FROM job_outputs WHERE job_id = ?", string(id)); err != nil {
			return err
		}
	}
	for _, o := range outputs {
		row := toOutputRow(id, o)
		if _, err := run(tx, `
			INSERT INTO job_outputs (job_id, name, size, sha256, object, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (job_id, name) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256,
				object = excluded.object, created_at = excluded.created_at`,
			row.JobID, row.Name, row.Size, row.SHA256, row.Object, row.CreatedAt); err != nil {
			return err
		}
	}
	return nil
}
