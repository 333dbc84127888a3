package sqlstore

import (
	"context"

	"waybill/internal/job"
)

// Ended is control.EndedJobs', along the indexes over ended jobs. Run numbers of a config are unique but for retries of one that was
// deleted, so of one run there is one job.
func (s *Store) Ended(ctx context.Context, scope job.Scope, config, run int64, offset, limit int) ([]job.Job, error) {
	within, err := s.sightOf(ctx, scope)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	where := within.jobs("")
	where.sql += " AND account_id = ? AND finished_at IS NOT NULL"
	where.args = append(where.args, scope.AccountID)
	index := "jobs_finished"
	if config != 0 {
		where.sql += " AND config_id = ?"
		where.args = append(where.args, config)
		index = "jobs_config_finished"
	}
	if run != 0 {
		where.sql += " AND run_number = ?"
		where.args = append(where.args, run)
	}
	from := "jobs"
	if s.driver == SQLite {
		from += " INDEXED BY " + index
	}
	rows, err := many[jobRow](s.read.WithContext(ctx), "SELECT "+jobColumns+" FROM "+from+" WHERE "+where.sql+
		" ORDER BY finished_at DESC, id DESC LIMIT ? OFFSET ?", append(where.args, limit, offset)...)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list, err := all(rows, jobRow.job)
	return list, s.fault(ctx, err)
}
