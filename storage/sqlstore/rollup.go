package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// RollUp is control.Settlement's.
func (s *Store) RollUp(ctx context.Context, account int64, child job.ID, at time.Time) error {
	return s.onJob(ctx, child, func(tx *gorm.DB) error {
		row, err := s.held(tx, account, child)
		if err != nil {
			return err
		}
		if !job.Status(row.Status).Final() {
			return job.Errorf(job.Conflict, job.WordJobNotFinished, "Job %s has not finished", child)
		}
		if row.RolledUp || row.RetryOf == "" {
			return nil
		}
		if err := s.completeAbove(tx, row, at); err != nil {
			return err
		}
		_, err = run(tx, "UPDATE jobs SET rolled_up = true, change = change + 1, written_at = ? WHERE id = ?", micros(at), row.ID)
		return err
	})
}

// completeAbove books the end of a retry on the jobs above it in its chain: those it descends from, and the other retries
// that were made before it and have ended. People retry the first job again as often as they retry the retry that failed.
func (s *Store) completeAbove(tx *gorm.DB, child jobRow, at time.Time) error {
	above, err := many[jobRow](tx, "SELECT "+jobColumns+` FROM jobs
		WHERE account_id = ? AND (id = ? OR root = ? AND root <> '' AND retry_number < ? AND finished_at IS NOT NULL) ORDER BY id`+s.forUpdate(),
		child.AccountID, child.Root, child.Root, child.RetryNumber)
	if err != nil || len(above) == 0 {
		return err
	}
	ids := make([]string, len(above))
	for i, a := range above {
		ids[i] = a.ID
	}
	whole := job.Status(child.Status) == job.Completed && job.RetryScope(child.RetryScope) != job.RetryFailedRecords
	if whole {
		in, args := marked(unresolved(child, above))
		if _, err := run(tx, "UPDATE jobs SET resolved_by = ?, resolved_at = ? WHERE id IN ("+in+") AND resolved_by = ''",
			append([]any{child.ID, micros(at)}, args...)...); err != nil {
			return err
		}
	}
	if err := resolveAbove(tx, child, ids, at); err != nil {
		return err
	}
	if err := recount(tx, ids...); err != nil {
		return err
	}
	for _, was := range above {
		now, _, err := one[jobRow](tx, "SELECT "+jobColumns+" FROM jobs WHERE id = ?", was.ID)
		if err != nil {
			return err
		}
		var change job.Resolution
		if now.ResolvedBy != was.ResolvedBy {
			change.By = job.ID(child.ID)
		}
		if now.ErrorsOpen != was.ErrorsOpen {
			change.RetryJob = job.ID(child.ID)
		}
		if change == (job.Resolution{}) {
			continue
		}
		if err := noteResolved(tx, was.ID, change, at); err != nil {
			return err
		}
	}
	return nil
}

// unresolved are the jobs whose result a retry that completed completes: all it descends from, and of the others those that
// did not complete by themselves. There is always one, the job it was made from.
func unresolved(child jobRow, above []jobRow) []string {
	parents := make(map[string]string, len(above))
	for _, a := range above {
		parents[a.ID] = a.RetryOf
	}
	ancestors := map[string]bool{}
	for id := child.RetryOf; id != "" && !ancestors[id]; id = parents[id] {
		ancestors[id] = true
	}
	ids := []string{child.RetryOf}
	for _, a := range above {
		if a.ID != child.RetryOf && (ancestors[a.ID] || job.Status(a.Status) != job.Completed) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// resolveAbove books the end of a retry on the record errors of the jobs above it. What it raised again is open there and
// superseded here, however it ended. The rest of what it was given went through, if it completed.
func resolveAbove(tx *gorm.DB, child jobRow, above []string, at time.Time) error {
	in, args := marked(above)
	resolve := func(how job.ErrorState, condition string, more ...any) error {
		values := append([]any{string(how), micros(at), child.ID}, args...)
		_, err := run(tx, `
			UPDATE job_errors SET resolved_how = ?, resolved_at = ?, retry_job = ?
			WHERE job_id IN (`+in+`) AND resolved_how = ''`+condition, append(values, more...)...)
		return err
	}
	if err := resolve(job.ResolvedSuperseded,
		" AND record_id IN (SELECT record_id FROM job_errors WHERE job_id = ?)", child.ID); err != nil {
		return err
	}
	switch {
	case job.Status(child.Status) != job.Completed:
		return nil
	case job.RetryScope(child.RetryScope) == job.RetryFailedRecords:
		return resolve(job.ResolvedByRetry,
			" AND record_id IN (SELECT record_id FROM retry_records WHERE job_id = ?)", child.ID)
	default:
		return resolve(job.ResolvedByRetry, "")
	}
}
