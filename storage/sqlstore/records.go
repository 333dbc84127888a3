package sqlstore

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// recordIDs is how many ids go into one statement.
const recordIDs = 500

// Errors is control.RecordReader's.
func (s *Store) Errors(ctx context.Context, account int64, id job.ID, q job.Query) (job.List[job.RecordError], error) {
	if err := s.exists(ctx, account, id); err != nil {
		return job.List[job.RecordError]{}, err
	}
	q.Scope = job.Scope{AccountID: account}
	return list(ctx, s, errorListing, q, condition{sql: "job_id = ?", args: []any{string(id)}}, errorRow.recordError)
}

// exists tells whether the account has the job.
func (s *Store) exists(ctx context.Context, account int64, id job.ID) error {
	if !job.ValidID(string(id)) {
		return noJob(id)
	}
	_, found, err := one[string](s.read.WithContext(ctx), "SELECT id FROM jobs WHERE id = ? AND account_id = ?", string(id), account)
	if err == nil && !found {
		err = noJob(id)
	}
	return s.fault(ctx, err)
}

func noRecord(id job.ID, record string) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Job %s has no error of record '%s'", id, record)
}

// dataRow is the data of an error, which may have none.
type dataRow struct {
	ResolvedHow string
	Data        *string
	Rev         *int
}

// ErrorData is control.RecordReader's.
func (s *Store) ErrorData(ctx context.Context, account int64, id job.ID, record string) (job.RecordData, error) {
	if !job.ValidID(string(id)) {
		return job.RecordData{}, noJob(id)
	}
	if clean(record) != record {
		return job.RecordData{}, noRecord(id, clean(record))
	}
	row, found, err := one[dataRow](s.read.WithContext(ctx), `
		SELECT e.resolved_how, d.data, d.rev FROM job_errors e JOIN jobs j ON j.id = e.job_id
			LEFT JOIN job_error_data d ON d.job_id = e.job_id AND d.record_id = e.record_id
		WHERE e.job_id = ? AND e.record_id = ? AND j.account_id = ?`, string(id), record, account)
	switch {
	case err != nil:
		return job.RecordData{}, s.fault(ctx, err)
	case !found:
		return job.RecordData{}, noRecord(id, record)
	case row.Data == nil:
		return job.RecordData{}, job.Errorf(job.NotFound, job.WordNotFound, "The error of record '%s' of job %s came without data", record, id)
	}
	return job.RecordData{Data: []byte(*row.Data), Rev: *row.Rev}, nil
}

// SetErrorData is control.RecordWriter's.
func (s *Store) SetErrorData(
	ctx context.Context, account int64, id job.ID, record string, data []byte, at time.Time,
) (d job.RecordData, err error) {
	if clean(record) != record {
		return d, noRecord(id, clean(record))
	}
	text := string(data)
	if err := checkText("data", text); err != nil {
		return d, err
	}
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		if _, err := s.held(tx, account, id); err != nil {
			return err
		}
		how, found, err := one[string](tx, "SELECT resolved_how FROM job_errors WHERE job_id = ? AND record_id = ?", string(id), record)
		switch {
		case err != nil:
			return err
		case !found:
			return noRecord(id, record)
		case how != "":
			return job.Errorf(job.Conflict, job.WordRecordResolved, "The error of record '%s' of job %s is resolved (%s)", record, id, how)
		}
		if err := notSent(tx, id, record); err != nil {
			return err
		}
		rev, _, err := one[int](tx, `
			INSERT INTO job_error_data (job_id, record_id, data, rev) VALUES (?, ?, ?, 1)
			ON CONFLICT (job_id, record_id) DO UPDATE SET data = excluded.data, rev = job_error_data.rev + 1 RETURNING rev`,
			string(id), record, text)
		if err != nil {
			return err
		}
		if _, err := run(tx, "UPDATE job_errors SET has_data = true WHERE job_id = ? AND record_id = ?", string(id), record); err != nil {
			return err
		}
		d = job.RecordData{Data: data, Rev: rev}
		_, err = run(tx, "UPDATE jobs SET change = change + 1, written_at = ? WHERE id = ?", micros(at), string(id))
		return err
	})
	return d, err
}

// notSent refuses to change a record that an unfinished retry was given: its attempts read it when they begin, and must not
// send one thing in the first and another in the second.
func notSent(tx *gorm.DB, id job.ID, record string) error {
	active, found, err := one[string](tx, `
		SELECT jobs.id FROM retry_records r JOIN jobs ON jobs.id = r.job_id
		WHERE r.parent_id = ? AND r.record_id = ? AND `+unfinished+` LIMIT 1`, string(id), record)
	if err == nil && found {
		err = job.Errorf(job.Conflict, job.WordRetryActive, "Retry %s of record '%s' of job %s has not finished", active, record, id)
	}
	return err
}

// held reads a job's row and keeps others from it until the transaction ends.
func (s *Store) held(tx *gorm.DB, account int64, id job.ID) (jobRow, error) {
	row, found, err := one[jobRow](tx, "SELECT "+jobColumns+" FROM jobs WHERE id = ? AND account_id = ?"+s.forUpdate(), string(id), account)
	if err == nil && !found {
		err = noJob(id)
	}
	return row, err
}

// ResolveErrors is control.RecordWriter's.
func (s *Store) ResolveErrors(
	ctx context.Context, account int64, id job.ID, records []string, by job.UserRef, at time.Time,
) (resolved int64, err error) {
	if slices.ContainsFunc(records, func(r string) bool { return clean(r) != r }) {
		return 0, job.Errorf(job.Invalid, job.WordUnknownRecord, "A record id holds a character that no id has")
	}
	err = s.onJob(ctx, id, func(tx *gorm.DB) error {
		resolved = 0
		if _, err := s.held(tx, account, id); err != nil {
			return err
		}
		if err := knownRecords(tx, id, records, ""); err != nil {
			return err
		}
		resolve := func(condition string, args ...any) error {
			n, err := run(tx, `
				UPDATE job_errors SET resolved_how = 'user', resolved_by_id = ?, resolved_by_name = ?, resolved_at = ?
				WHERE job_id = ? AND resolved_how = ''`+condition, append([]any{by.ID, by.Name, micros(at), string(id)}, args...)...)
			resolved += n
			return err
		}
		if records == nil {
			if err := resolve(""); err != nil {
				return err
			}
		}
		for chunk := range slices.Chunk(records, recordIDs) {
			in, args := marked(chunk)
			if err := resolve(" AND record_id IN ("+in+")", args...); err != nil {
				return err
			}
		}
		if resolved == 0 {
			return nil
		}
		if err := recount(tx, string(id)); err != nil {
			return err
		}
		return noteResolved(tx, string(id), job.Resolution{ByUser: true}, at)
	})
	if err != nil {
		return 0, err
	}
	return resolved, nil
}

// knownRecords refuses an id that is no error of the job; condition narrows what counts as one.
func knownRecords(tx *gorm.DB, id job.ID, records []string, condition string) error {
	for chunk := range slices.Chunk(records, recordIDs) {
		in, args := marked(chunk)
		known, err := many[string](tx, "SELECT record_id FROM job_errors WHERE job_id = ? AND record_id IN ("+in+")"+condition,
			append([]any{string(id)}, args...)...)
		if err != nil {
			return err
		}
		for _, r := range chunk {
			if !slices.Contains(known, r) {
				what := "an error"
				if condition != "" {
					what = "an open error"
				}
				return job.Errorf(job.Invalid, job.WordUnknownRecord, "'%s' is not %s of job %s", r, what, id)
			}
		}
	}
	return nil
}

// noteResolved counts a change of the job and tells of it as it then stands.
func noteResolved(tx *gorm.DB, id string, change job.Resolution, at time.Time) error {
	row, _, err := one[jobRow](tx, "UPDATE jobs SET change = change + 1, written_at = ? WHERE id = ? RETURNING "+jobColumns, micros(at), id)
	if err != nil {
		return err
	}
	change.ErrorsOpen, change.ErrorsResolved = row.ErrorsOpen, row.ErrorsResolved
	return noteEvent(tx, row, job.EventResolved, toJSON(change))
}

// retryRecordRow is one record of a retry.
type retryRecordRow struct {
	RecordID, Step, TraceKey, Data string
}

// RetryRecords is control.Run's.
func (s *Store) RetryRecords(ctx context.Context, account int64, id job.ID, after string, limit int) ([]job.RetryRecord, error) {
	if !job.ValidID(string(id)) {
		return nil, noJob(id)
	}
	rows, err := many[retryRecordRow](s.read.WithContext(ctx), `
		SELECT r.record_id, e.step, e.trace_key, coalesce(d.data, '') FROM retry_records r
			JOIN jobs j ON j.id = r.job_id
			JOIN job_errors e ON e.job_id = r.parent_id AND e.record_id = r.record_id
			LEFT JOIN job_error_data d ON d.job_id = r.parent_id AND d.record_id = r.record_id
		WHERE r.job_id = ? AND j.account_id = ? AND r.record_id > ? ORDER BY r.record_id LIMIT ?`,
		string(id), account, after, limit)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	records := make([]job.RetryRecord, len(rows))
	for i, r := range rows {
		records[i] = job.RetryRecord{RecordID: r.RecordID, Step: r.Step, TraceKey: r.TraceKey}
		if r.Data != "" {
			records[i].Data = []byte(r.Data)
		}
	}
	return records, nil
}

// chooseRecords notes which records the retry is given: those named, or all that are open, of its parent.
func chooseRecords(tx *gorm.DB, j job.Job, records []string) error {
	if j.RetryScope != job.RetryFailedRecords {
		return nil
	}
	var chosen int64
	choose := func(condition string, args ...any) error {
		n, err := run(tx, `
			INSERT INTO retry_records (job_id, parent_id, record_id)
			SELECT CAST(? AS text), job_id, record_id FROM job_errors WHERE job_id = ? AND resolved_how = ''`+condition+`
			ON CONFLICT DO NOTHING`, append([]any{string(j.ID), string(j.RetryOf)}, args...)...)
		chosen += n
		return err
	}
	if err := knownRecords(tx, j.RetryOf, records, " AND resolved_how = ''"); err != nil {
		return err
	}
	if len(records) == 0 {
		if err := choose(""); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(records, recordIDs) {
		in, args := marked(chunk)
		if err := choose(" AND record_id IN ("+in+")", args...); err != nil {
			return err
		}
	}
	if chosen == 0 {
		return job.Errorf(job.Conflict, job.WordNothingToRetry, "Job %s has no open error", j.RetryOf)
	}
	_, err := run(tx, `
		UPDATE job_errors SET retry_job = ?
		WHERE job_id = ? AND record_id IN (SELECT record_id FROM retry_records WHERE job_id = ?)`,
		string(j.ID), string(j.RetryOf), string(j.ID))
	return err
}

// retriesRow counts the retries of one job.
type retriesRow struct {
	RetryOf string
	Active  string
}

// RetryStates is control.RecordReader's.
func (s *Store) RetryStates(ctx context.Context, account int64, ids []job.ID) (map[job.ID]job.RetryState, error) {
	states := map[job.ID]job.RetryState{}
	for chunk := range slices.Chunk(ids, recordIDs) {
		texts := make([]string, len(chunk))
		for i, id := range chunk {
			texts[i] = clean(string(id))
		}
		in, args := marked(texts)
		rows, err := many[retriesRow](s.read.WithContext(ctx), `
			SELECT retry_of, coalesce(max(CASE WHEN `+unfinished+` THEN id END), '') AS active FROM jobs
			WHERE retry_of IN (`+in+`) AND retry_of <> '' AND account_id = ? GROUP BY retry_of`, append(args, account)...)
		if err != nil {
			return nil, s.fault(ctx, err)
		}
		for _, r := range rows {
			states[job.ID(r.RetryOf)] = job.RetryState{Made: true, Active: job.ID(r.Active)}
		}
	}
	return states, nil
}
