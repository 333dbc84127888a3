package sqlstore

import (
	"context"
	"slices"

	"waybill/internal/job"
)

// Job is control.JobReader's.
func (s *Store) Job(ctx context.Context, account int64, id job.ID) (job.Job, error) {
	tx := s.read.WithContext(ctx)
	row, err := rowIn(tx, account, id)
	if err != nil {
		return job.Job{}, s.fault(ctx, err)
	}
	j, err := withInputs(tx, row)
	if err == nil {
		j.Position, err = s.position(tx, j)
	}
	if err == nil {
		err = talkOf(tx, &j, row)
	}
	return j, s.fault(ctx, err)
}

// statsRow counts the jobs of one kind, in the order of its query.
type statsRow struct {
	Status string
	Error  bool
	Taken  bool
	Jobs   int64
	Micros int64
}

// counter is the map of native.md, 6.1.
func (r statsRow) counter(s *job.JobStats) *int64 {
	switch job.Status(r.Status) {
	case job.Queued:
		return &s.Queued
	case job.Running, job.Cancelling:
		return &s.Running
	case job.Completed:
		return &s.Finished
	case job.Failed:
		if r.Error {
			return &s.Error
		}
	case job.Cancelled:
		if !r.Taken {
			return &s.Cancelled
		}
	}
	return &s.Failed
}

// Family is control.JobReader's.
func (s *Store) Family(ctx context.Context, account int64, id job.ID) ([]job.Job, error) {
	member, err := s.Job(ctx, account, id)
	if err != nil {
		return nil, err
	}
	root := string(member.RootID())
	// Numbers are given out one after the other within a chain, so they are its order; the first run has 0.
	rows, err := many[jobRow](s.read.WithContext(ctx), "SELECT * FROM (SELECT "+jobColumns+
		" FROM jobs WHERE id = ? AND account_id = ? UNION ALL SELECT "+jobColumns+
		" FROM jobs WHERE root = ? AND root <> '' AND account_id = ?) AS chain ORDER BY retry_number, id",
		root, account, root, account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	family, err := all(rows, jobRow.job)
	return family, s.fault(ctx, err)
}

// Steps is control.JobReader's.
func (s *Store) Steps(ctx context.Context, account int64, id job.ID) ([]job.Step, error) {
	return children(ctx, s, account, id, "job_steps", "position", func(r stepRow) (job.Step, error) { return r.step(), nil })
}

// StepsOf is control.JobReader's. Of jobs of other accounts there are none.
func (s *Store) StepsOf(ctx context.Context, account int64, ids []job.ID) (map[job.ID][]job.Step, error) {
	found := make(map[job.ID][]job.Step, len(ids))
	for some := range slices.Chunk(ids, configsAtOnce) {
		list := make([]string, len(some))
		for i, id := range some {
			list[i] = string(id)
		}
		rows, err := many[stepRow](s.read.WithContext(ctx), "SELECT "+columnsOf[stepRow]("s.")+
			" FROM job_steps s JOIN jobs j ON j.id = s.job_id WHERE s.job_id IN ? AND j.account_id = ? ORDER BY s.job_id, s.position", list, account)
		if err != nil {
			return nil, s.fault(ctx, err)
		}
		for _, r := range rows {
			found[job.ID(r.JobID)] = append(found[job.ID(r.JobID)], r.step())
		}
	}
	return found, nil
}

// Outputs is control.JobReader's, by name: those of the last attempt that ended.
func (s *Store) Outputs(ctx context.Context, account int64, id job.ID) ([]job.Output, error) {
	return children(ctx, s, account, id, "job_outputs", "name",
		func(r outputRow) (job.Output, error) { return r.output(), nil })
}

// Attempts lists the tries of a job, first to last.
func (s *Store) Attempts(ctx context.Context, account int64, id job.ID) ([]job.Attempt, error) {
	return children(ctx, s, account, id, "job_attempts", "number",
		func(r attemptRow) (job.Attempt, error) { return r.attempt(), nil })
}

// children lists what hangs on a job of the account.
func children[R, T any](
	ctx context.Context, s *Store, account int64, id job.ID, table, order string, convert func(R) (T, error),
) ([]T, error) {
	if !job.ValidID(string(id)) {
		return nil, noJob(id)
	}
	db := s.read.WithContext(ctx)
	_, found, err := one[string](db, "SELECT id FROM jobs WHERE id = ? AND account_id = ?", string(id), account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	if !found {
		return nil, noJob(id)
	}
	rows, err := many[R](db, "SELECT "+columnsOf[R]("")+" FROM "+table+" WHERE job_id = ? ORDER BY "+order, string(id))
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	items, err := all(rows, convert)
	return items, s.fault(ctx, err)
}
