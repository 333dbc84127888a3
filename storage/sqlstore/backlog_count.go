package sqlstore

import (
	"context"
	"time"

	"waybill/internal/job"
)

// CountBacklog counts the jobs of all accounts that have not ended. It reads the index of those, and no other job. seen is when a
// worker must have given a sign of life to count as online.
func (s *Store) CountBacklog(ctx context.Context, seen time.Time) (b job.Backlog, err error) {
	db := s.background.read.WithContext(ctx)
	type group struct {
		Status  string
		Waiting bool
		Jobs    int64
		Oldest  int64
	}
	groups, err := many[group](db, "SELECT status, reason = 'sequenced' AS waiting, COUNT(*), MIN(scheduled_at) FROM jobs "+
		"WHERE status IN ('queued', 'running', 'cancelling') GROUP BY 1, 2")
	if err != nil {
		return b, s.fault(ctx, err)
	}
	for _, g := range groups {
		switch {
		case g.Status == string(job.Queued) && g.Waiting:
			b.Waiting += int(g.Jobs)
		case g.Status == string(job.Queued):
			b.Queued += int(g.Jobs)
			b.Oldest = timeOf(g.Oldest)
		case g.Status == string(job.Running):
			b.Running += int(g.Jobs)
		default:
			b.Cancelling += int(g.Jobs)
		}
	}
	if b.Waiting > 0 {
		type lanes struct{ Lanes, Deepest int64 }
		l, _, err := one[lanes](db, "SELECT COUNT(*), COALESCE(MAX(jobs), 0) FROM (SELECT COUNT(*) AS jobs FROM jobs "+
			"WHERE status = 'queued' AND reason = 'sequenced' GROUP BY account_id, lane) AS waiting")
		if err != nil {
			return b, s.fault(ctx, err)
		}
		b.Lanes, b.Deepest = int(l.Lanes), int(l.Deepest)
	}
	if b.Queued > 0 {
		none, _, err := one[int64](db, "SELECT COUNT(*) FROM jobs WHERE status = 'queued' AND reason <> 'sequenced' AND destination_id NOT IN "+
			"(SELECT d.id FROM destinations d JOIN workers w ON w.task_queue = d.task_queue WHERE w.status = 'online' AND w.beat_at >= ?)", micros(seen))
		if err != nil {
			return b, s.fault(ctx, err)
		}
		b.WithoutWorker = int(none)
	}
	return b, nil
}

// Clock is the database's clock. SQLite has none but the process's own.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	if s.driver != Postgres {
		return time.Now(), nil
	}
	at, _, err := one[int64](s.background.read.WithContext(ctx), "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)")
	return timeOf(at), s.fault(ctx, err)
}
