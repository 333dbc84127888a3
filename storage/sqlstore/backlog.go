package sqlstore

import (
	"context"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// AnyJob is control.Backlog's.
func (s *Store) AnyJob(ctx context.Context, id job.ID) (job.Job, error) {
	if !job.ValidID(string(id)) {
		return job.Job{}, noJob(id)
	}
	jobs, err := s.backlog(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id = ?", string(id))
	if err != nil {
		return job.Job{}, err
	}
	if len(jobs) == 0 {
		return job.Job{}, noJob(id)
	}
	return jobs[0], nil
}

// Unfinished is control.Backlog's. Like all lists, it leaves out the macros and files of a job's Spec.
func (s *Store) Unfinished(ctx context.Context, before time.Time, after job.ID, limit int) ([]job.Job, error) {
	return s.backlog(ctx, "SELECT "+jobColumns+" FROM jobs WHERE "+unfinished+
		" AND written_at < ? AND id > ? ORDER BY id LIMIT ?", micros(before), string(after), limit)
}

// Unreached is control.Backlog's.
func (s *Store) Unreached(ctx context.Context, limit int) ([]job.Job, error) {
	return s.backlog(ctx, "SELECT "+jobColumns+" FROM jobs WHERE unreachable AND "+unfinished+" ORDER BY id LIMIT ?", limit)
}

// NotRolledUp is control.Backlog's.
func (s *Store) NotRolledUp(ctx context.Context, before time.Time, after control.RollUpMark, limit int) ([]job.Job, error) {
	ended := micros(after.Ended)
	return s.backlog(ctx, "SELECT "+jobColumns+" FROM jobs WHERE retry_of <> '' AND NOT rolled_up "+
		"AND finished_at IS NOT NULL AND finished_at < ? AND finished_at >= ? AND (finished_at > ? OR id > ?) ORDER BY finished_at, id LIMIT ?",
		micros(before), ended, ended, string(after.ID), limit)
}

func (s *Store) backlog(ctx context.Context, query string, args ...any) ([]job.Job, error) {
	rows, err := many[jobRow](s.background.read.WithContext(ctx), query, args...)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	jobs, err := all(rows, jobRow.job)
	return jobs, s.fault(ctx, err)
}

// PurgeExpired is control.Backlog's. A token family ends with its refresh token, which outlives every access token that
// came with it.
func (s *Store) PurgeExpired(ctx context.Context, now time.Time) error {
	at := micros(now)
	for _, statement := range []string{
		"DELETE FROM idempotency_keys WHERE expires_at <= @at",
		"DELETE FROM token_families WHERE expires_at <= @at",
		"DELETE FROM login_failures WHERE window_ends_at <= @at AND coalesce(locked_until, 0) <= @at",
		"DELETE FROM login_attempts WHERE at <= @old",
		"DELETE FROM door_sessions WHERE ended_at IS NOT NULL OR used_at <= @idle OR created_at <= @day",
		"DELETE FROM api_keys WHERE expires_at <= @expired",
		"DELETE FROM call_buckets WHERE empty_at <= @at",
		"DELETE FROM login_places WHERE seen_at <= @at - " + strconv.FormatInt(loginPlaceLife.Microseconds(), 10),
	} {
		// One transaction each: they have nothing to do with one another, and short ones keep nobody waiting.
		err := s.transactLater(ctx, func(tx *gorm.DB) error {
			_, err := run(tx, statement, map[string]any{
				"at": at, "old": micros(now.Add(-job.LoginsKept)), "expired": micros(now.Add(-job.ExpiredKeysKept)),
				"idle": micros(now.Add(-control.DoorSessionIdle - control.DoorSessionGrace)), "day": micros(now.Add(-control.DoorSessionLife)),
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// all converts rows; the first fault ends it.
func all[R, T any](rows []R, convert func(R) (T, error)) ([]T, error) {
	items := make([]T, 0, len(rows))
	for _, row := range rows {
		item, err := convert(row)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

type knownRow struct {
	ID       string `gorm:"column:id"`
	Finished *int64 `gorm:"column:finished_at"`
}

// KnownJobs is control.KnownJobs'.
func (s *Store) KnownJobs(ctx context.Context, ids []job.ID) (map[job.ID]control.KnownJob, error) {
	known := make(map[job.ID]control.KnownJob, len(ids))
	for some := range slices.Chunk(ids, configsAtOnce) {
		list := make([]string, len(some))
		for i, id := range some {
			list[i] = string(id)
		}
		rows, err := many[knownRow](s.background.read.WithContext(ctx), "SELECT id, finished_at FROM jobs WHERE id IN ?", list)
		if err != nil {
			return nil, s.fault(ctx, err)
		}
		for _, r := range rows {
			known[job.ID(r.ID)] = control.KnownJob{FinishedAt: timeOrZero(r.Finished)}
		}
	}
	return known, nil
}
