package sqlstore

import (
	"context"
	"math"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// note enters a change of a job's status or reason into the stream of events. Every transaction that makes one calls it
// with the row as it stands afterwards.
func note(tx *gorm.DB, row jobRow) error {
	change := job.StatusChange{
		Status: job.Status(row.Status), Reason: job.Reason(row.Reason), Taken: row.Taken, Attempt: row.Attempt,
		ReturnCode: row.ReturnCode, Worker: row.Worker, ConfigID: row.ConfigID,
	}
	if row.StartAfter != nil {
		change.StartAfter = *row.StartAfter
	}
	if err := noteEvent(tx, row, job.EventStatus, toJSON(change)); err != nil {
		return err
	}
	return announce(tx, row, change)
}

func noteEvent(tx *gorm.DB, row jobRow, kind job.EventKind, data string) error {
	_, err := run(tx, "INSERT INTO job_events (account_id, job_id, kind, data, at) VALUES (?, ?, ?, ?, ?)",
		row.AccountID, row.ID, string(kind), data, row.WrittenAt)
	return err
}

type eventRow struct {
	Tx        int64  `gorm:"column:tx"`
	Seq       int64  `gorm:"column:seq"`
	AccountID int64  `gorm:"column:account_id"`
	JobID     string `gorm:"column:job_id"`
	Kind      string `gorm:"column:kind"`
	Data      string `gorm:"column:data"`
	At        int64  `gorm:"column:at"`
}

var eventColumns = columnsOf[eventRow]("e.")

func (r eventRow) event() job.Event {
	return job.Event{
		At: job.EventMark{Tx: r.Tx, Seq: r.Seq}, AccountID: r.AccountID, JobID: job.ID(r.JobID), Kind: job.EventKind(r.Kind),
		Data: r.Data, Time: timeOf(r.At),
	}
}

// defaultEvents is how many events a query gives that names no limit.
const defaultEvents = 500

// LatestEvent is control.EventReader's. On PostgreSQL numbers are given out before the commit, so that an event may
// appear behind one that was read before. Transaction ids are given out in order too, though, and the oldest one that is
// open is known: all events of older transactions are there, and no more will come. That the id is the cluster's means
// that a transaction of another database that stays open for long holds the stream up, no more.
func (s *Store) LatestEvent(ctx context.Context) (job.EventMark, error) {
	if s.driver == Postgres {
		tx, _, err := one[int64](s.read.WithContext(ctx), "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1")
		return job.EventMark{Tx: tx, Seq: math.MaxInt64}, s.fault(ctx, err)
	}
	// Not the largest number in the table: the end does not go back when the newest events are deleted.
	seq, _, err := one[int64](s.read.WithContext(ctx), "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'job_events'")
	return job.EventMark{Seq: seq}, s.fault(ctx, err)
}

// Events is control.EventReader's.
func (s *Store) Events(ctx context.Context, q control.EventQuery) ([]job.Event, job.EventMark, error) {
	upTo, err := s.LatestEvent(ctx)
	if err != nil || (q.Scope.AccountID == 0 && !q.All) {
		return nil, q.After, err
	}
	if q.After.Behind(upTo) {
		upTo = q.After // a mark never goes back
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultEvents
	}
	query, args := s.eventsQuery(q, upTo, limit)
	rows, err := many[eventRow](s.read.WithContext(ctx), query, args...)
	if err != nil {
		return nil, q.After, s.fault(ctx, err)
	}
	events := make([]job.Event, len(rows))
	for i, row := range rows {
		events[i] = row.event()
	}
	if len(events) == limit {
		upTo = events[limit-1].At
	}
	return events, upTo, nil
}

func (s *Store) eventsQuery(q control.EventQuery, upTo job.EventMark, limit int) (string, []any) {
	from, where, args := "job_events e", "", []any(nil)
	add := func(condition string, values ...any) {
		where += " AND " + condition
		args = append(args, values...)
	}
	if s.driver == Postgres {
		add("(e.tx, e.seq) > (?, ?)", q.After.Tx, q.After.Seq)
		add("e.tx <= ?", upTo.Tx)
	} else {
		add("e.tx = 0 AND e.seq > ? AND e.seq <= ?", q.After.Seq, upTo.Seq)
	}
	switch {
	case q.Job != "": // the plus keeps the account's index, which has far more rows, out of it
		add("e.job_id = ?", string(q.Job))
		add("+e.account_id = ?", q.Scope.AccountID)
	case q.Scope.AccountID != 0:
		add("e.account_id = ?", q.Scope.AccountID)
	}
	if narrow(q.Scope) || q.Of != 0 {
		from += " JOIN jobs ON jobs.id = e.job_id"
	}
	if narrow(q.Scope) {
		own := sight{Scope: q.Scope}.jobs("jobs.")
		add(own.sql, own.args...)
	}
	if q.Of != 0 {
		add("jobs.config_id = ?", q.Of)
	}
	return "SELECT " + eventColumns + " FROM " + from + " WHERE" + where[len(" AND"):] + " ORDER BY e.tx, e.seq LIMIT ?",
		append(args, limit)
}

// LastStatus is control.EventReader's.
func (s *Store) LastStatus(ctx context.Context, account int64, id job.ID) (job.Event, bool, error) {
	if !job.ValidID(string(id)) {
		return job.Event{}, false, nil
	}
	upTo, err := s.LatestEvent(ctx)
	if err != nil {
		return job.Event{}, false, err
	}
	row, found, err := one[eventRow](s.read.WithContext(ctx), "SELECT "+eventColumns+` FROM job_events e
		WHERE e.job_id = ? AND e.tx <= ? AND e.seq <= ? AND +e.account_id = ? AND e.kind = ?
		ORDER BY e.tx DESC, e.seq DESC LIMIT 1`, string(id), upTo.Tx, upTo.Seq, account, string(job.EventStatus))
	return row.event(), found, s.fault(ctx, err)
}

// purgeBatch is how many events one transaction deletes.
const purgeBatch = 1000

// PurgeEvents is control.EventPurger's. It works from the stream's beginning and ends at the first event that is young
// enough, so it needs no index of its own and reads nothing that stays.
func (s *Store) PurgeEvents(ctx context.Context, before time.Time) (total int64, err error) {
	for {
		var oldest, gone int64
		err := s.transactLater(ctx, func(tx *gorm.DB) (err error) {
			oldest, gone = 0, 0
			rows, err := many[eventRow](tx, "SELECT "+eventColumns+" FROM job_events e ORDER BY e.tx, e.seq LIMIT ?", purgeBatch)
			if err != nil {
				return err
			}
			var old []any
			for _, row := range rows {
				if row.At >= micros(before) {
					break
				}
				old = append(old, row.Seq)
			}
			oldest = int64(len(old))
			if len(old) == 0 {
				return nil
			}
			gone, err = run(tx, "DELETE FROM job_events WHERE seq IN ?", old)
			return err
		})
		total += gone
		if err != nil || oldest < purgeBatch {
			return total, err
		}
	}
}
