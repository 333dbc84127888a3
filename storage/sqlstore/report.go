package sqlstore

import (
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Report is control.Run's. The steps come as they stand, so a report stored twice changes nothing the second time.
func (s *Store) Report(ctx context.Context, account int64, id job.ID, fence int64, r job.Report) error {
	return s.onJob(ctx, id, func(tx *gorm.DB) error {
		// Whatever else changes, this row is written first: it holds the fence, and it keeps others from the counters.
		row, found, err := one[jobRow](tx, `
			UPDATE jobs SET warnings = CASE WHEN ? THEN ? ELSE warnings END, change = change + 1, written_at = ?
			WHERE id = ? AND account_id = ? AND fence = ? AND `+underWorker+` RETURNING `+jobColumns,
			r.Warnings != nil, clean(warningsJSON(r.Warnings)), micros(r.At), string(id), account, fence)
		if err != nil {
			return err
		}
		if !found {
			_, err := s.lost(tx, account, id)
			return err
		}
		if err := storeSteps(tx, row, r.Steps); err != nil {
			return err
		}
		if err := storeErrors(tx, row, r.Errors); err != nil {
			return err
		}
		if err := storeTalk(tx, row, r); err != nil {
			return err
		}
		if err := recount(tx, row.ID); err != nil {
			return err
		}
		return noteProgress(tx, row, r.Progress)
	})
}

func storeSteps(tx *gorm.DB, row jobRow, steps []job.Step) error {
	for _, s := range steps {
		if _, err := run(tx, `
			INSERT INTO job_steps (job_id, position, name, status, attempt, started_at, finished_at, return_code, records_read,
				records_written, records_failed, records_ignored, message)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (job_id, position) DO UPDATE SET name = excluded.name, status = excluded.status,
				attempt = excluded.attempt, started_at = excluded.started_at, finished_at = excluded.finished_at,
				return_code = excluded.return_code, records_read = excluded.records_read,
				records_written = excluded.records_written, records_failed = excluded.records_failed,
				records_ignored = excluded.records_ignored, message = excluded.message`,
			row.ID, s.Index, clean(s.Name), string(s.Status), row.Attempt, microsOrNull(s.StartedAt), microsOrNull(s.FinishedAt),
			s.ReturnCode, s.RecordsRead, s.RecordsWritten, s.RecordsFailed, s.RecordsIgnored, clean(s.Message)); err != nil {
			return err
		}
	}
	return nil
}

// errorRows is how many errors go into one statement: PostgreSQL takes 65,535 parameters, SQLite 32,766.
const errorRows = 100

// storeErrors keeps what was raised. A record that is raised again in the same attempt is the same error: the later line
// says what it is, but does not open what somebody resolved meanwhile.
func storeErrors(tx *gorm.DB, row jobRow, raised []job.RecordError) error {
	for batch := range slices.Chunk(newestOf(raised), errorRows) {
		var (
			errors, data         []any
			errorMarks, dataMark []string
		)
		for _, e := range batch {
			message := clean(e.Message)
			errors = append(errors, row.ID, clean(e.RecordID), row.Attempt, clean(e.Step), clean(e.Code), message, foldOrNull(message),
				clean(e.TraceKey), e.Classification, micros(e.OccurredAt), len(e.Data) > 0)
			errorMarks = append(errorMarks, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, '', NULL, '', ?)")
			if len(e.Data) > 0 {
				data = append(data, row.ID, clean(e.RecordID), clean(string(e.Data)))
				dataMark = append(dataMark, "(?, ?, ?, 1)")
			}
		}
		if _, err := run(tx, `
			INSERT INTO job_errors (job_id, record_id, attempt, step, code, message, message_fold, trace_key, classification,
				occurred_at, resolved_how, resolved_by_id, resolved_by_name, resolved_at, retry_job, has_data)
			VALUES `+strings.Join(errorMarks, ", ")+`
			ON CONFLICT (job_id, record_id) DO UPDATE SET step = excluded.step, code = excluded.code, message = excluded.message,
				message_fold = excluded.message_fold, trace_key = excluded.trace_key,
				has_data = job_errors.has_data OR excluded.has_data`, errors...); err != nil {
			return err
		}
		if len(data) == 0 {
			continue
		}
		if _, err := run(tx, `
			INSERT INTO job_error_data (job_id, record_id, data, rev) VALUES `+strings.Join(dataMark, ", ")+`
			ON CONFLICT (job_id, record_id) DO UPDATE SET data = excluded.data,
				rev = CASE WHEN job_error_data.data = excluded.data THEN job_error_data.rev ELSE job_error_data.rev + 1 END`,
			data...); err != nil {
			return err
		}
	}
	return nil
}

// newestOf keeps the last error of each record: a statement can not write one row twice.
func newestOf(raised []job.RecordError) []job.RecordError {
	place := make(map[string]int, len(raised))
	kept := raised[:0:0]
	for _, e := range raised {
		key := clean(e.RecordID)
		if i, again := place[key]; again {
			e.OccurredAt = kept[i].OccurredAt
			kept[i] = e
			continue
		}
		place[key] = len(kept)
		kept = append(kept, e)
	}
	return kept
}

// recount brings the counters of jobs in line with their errors and steps. Whoever changes either calls it in the same
// transaction, holding the jobs' rows.
func recount(tx *gorm.DB, ids ...string) error {
	in, args := marked(ids)
	if _, err := run(tx, `
		UPDATE job_steps SET
			errors_open = (SELECT count(*) FROM job_errors e
				WHERE e.job_id = job_steps.job_id AND e.step = job_steps.name AND e.resolved_how = ''),
			errors_resolved = (SELECT count(*) FROM job_errors e
				WHERE e.job_id = job_steps.job_id AND e.step = job_steps.name AND e.resolved_how <> '')
		WHERE job_id IN (`+in+`)`, args...); err != nil {
		return err
	}
	_, err := run(tx, `
		UPDATE jobs SET (records_read, records_written, records_failed, records_ignored, errors_open, errors_resolved) =
			(SELECT coalesce(sum(records_read), 0), coalesce(sum(records_written), 0), coalesce(sum(records_failed), 0),
				coalesce(sum(records_ignored), 0), coalesce(sum(errors_open), 0), coalesce(sum(errors_resolved), 0)
			FROM job_steps WHERE job_id = jobs.id)
		WHERE id IN (`+in+`)`, args...)
	return err
}

// marked makes the inside of an IN.
func marked(ids []string) (string, []any) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return strings.TrimSuffix(strings.Repeat("?, ", len(ids)), ", "), args
}

// forget drops what the program of an earlier attempt reported.
func forget(tx *gorm.DB, row jobRow) error {
	for _, table := range []string{"job_errors", "job_steps"} {
		if _, err := run(tx, "DELETE FROM "+table+" WHERE job_id = ?", row.ID); err != nil {
			return err
		}
	}
	return hush(tx, row)
}

func noteProgress(tx *gorm.DB, row jobRow, p *job.Progress) error {
	now, _, err := one[jobRow](tx, "SELECT "+jobColumns+" FROM jobs WHERE id = ?", row.ID)
	if err != nil {
		return err
	}
	change := job.ProgressChange{
		RecordsRead: now.RecordsRead, RecordsWritten: now.RecordsWritten, RecordsFailed: now.RecordsFailed,
		RecordsIgnored: now.RecordsIgnored, ErrorsOpen: now.ErrorsOpen,
	}
	if p != nil {
		change.Progress = *p
	}
	return noteEvent(tx, now, job.EventProgress, clean(toJSON(change)))
}
