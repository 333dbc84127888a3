package sqlstore

import (
	"context"

	"waybill/internal/job"
)

// lastFinished is the order of Ended.
var lastFinished = []sortKey{{sql: absentFirst("finished_at"), desc: true}, {sql: "id", text: true, desc: true}}

// Ended is control.EndedJobs', along the indexes over ended jobs. Run numbers of a config are unique but for retries of one that was
// deleted, so of one run there is one job.
func (s *Store) Ended(ctx context.Context, scope job.Scope, config, run int64, offset, limit int) ([]job.Job, error) {
	var rows []jobRow
	read := func(ctx context.Context) error {
		within, err := s.sightOf(ctx, scope)
		if err != nil {
			return err
		}
		rows, err = s.ended(ctx, within, config, run, offset, limit)
		return err
	}
	var err error
	if narrow(scope) && config == 0 {
		// A job that ends meanwhile must not be of a job config that had none.
		err = s.snapshot(ctx, read)
	} else {
		err = read(ctx)
	}
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list, err := all(rows, jobRow.job)
	return list, s.fault(ctx, err)
}

// ended is Ended, with the errors of the database as they are.
func (s *Store) ended(ctx context.Context, within sight, config, run int64, offset, limit int) ([]jobRow, error) {
	if narrow(within.Scope) && config == 0 && run == 0 && offset < job.CountLimit {
		known, err := s.census(ctx, within, nil, nil)
		if err != nil || len(known.ended) == 0 {
			return nil, err
		}
		if branches := known.finished(within); parameters(branches, always) <= maxParameters {
			rows, _, err := s.branchedPage(ctx, job.Query{Offset: offset}, always, lastFinished, limit-1, branches)
			return rows, err
		}
	}
	where := condition{sql: "account_id = ? AND finished_at IS NOT NULL", args: []any{within.AccountID}}
	index := "jobs_finished"
	if config != 0 {
		where = where.and(condition{sql: "config_id = ?", args: []any{config}})
		index = "jobs_config_finished"
	}
	if run != 0 {
		where = where.and(condition{sql: "run_number = ?", args: []any{run}})
		if config != 0 {
			index = "jobs_config_run"
		}
	}
	if config == 0 {
		where = where.and(within.jobs(""))
	} else {
		where = where.and(within.of(config))
	}
	from := "jobs"
	if s.driver == SQLite {
		from += " INDEXED BY " + index
	}
	return many[jobRow](s.reader(ctx), "SELECT "+jobColumns+" FROM "+from+" WHERE "+where.sql+
		" ORDER BY finished_at DESC, id DESC LIMIT ? OFFSET ?", append(where.args, limit, offset)...)
}
