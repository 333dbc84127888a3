package sqlstore

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Destinations is control.DestinationStore's.
func (s *Store) Destinations(ctx context.Context, account int64) ([]job.Destination, error) {
	rows, err := many[destinationRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[destinationRow]("")+" FROM destinations WHERE account_id = ? ORDER BY id", account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list := make([]job.Destination, len(rows))
	for i, r := range rows {
		list[i] = r.destination()
	}
	return list, nil
}

// CreateDestination is control.DestinationStore's.
func (s *Store) CreateDestination(ctx context.Context, d job.Destination, limit int) (job.Destination, error) {
	if err := checkText("name", d.Name, "description", d.Description); err != nil {
		return job.Destination{}, err
	}
	var row destinationRow
	err := s.transact(ctx, func(tx *gorm.DB) error {
		// The account's row is the lock that makes the count hold.
		_, found, err := one[int64](tx, "SELECT id FROM accounts WHERE id = ?"+s.forUpdate(), d.AccountID)
		if err != nil {
			return err
		}
		if !found {
			return noAccount(d.AccountID)
		}
		have, _, err := one[int](tx, "SELECT count(*) FROM destinations WHERE account_id = ?", d.AccountID)
		if err != nil {
			return err
		}
		if have >= limit {
			return job.Errorf(job.Invalid, job.WordInvalidField, "An account has %d destinations at most", limit)
		}
		row = toDestinationRow(d)
		row.ID, row.System = 0, false
		if err := s.nameTaken(ctx, tx.Create(&row).Error, d.Name); err != nil {
			return err
		}
		// The name of the queue needs the id. Nothing a user wrote is in it.
		auditMade(ctx, "destination", row.ID)
		row.TaskQueue = "waybill-" + strconv.FormatInt(row.AccountID, 10) + "-" + strconv.FormatInt(row.ID, 10)
		_, err = run(tx, "UPDATE destinations SET task_queue = ? WHERE id = ?", row.TaskQueue, row.ID)
		return err
	})
	if err != nil {
		return job.Destination{}, err
	}
	return row.destination(), nil
}

func (s *Store) nameTaken(ctx context.Context, err error, name string) error {
	if taken(s.fault(ctx, err)) {
		return job.Wrap(err, job.Conflict, job.WordDuplicateName, "A destination named '%s' already exists", name)
	}
	return err
}

// UpdateDestination is control.DestinationStore's.
func (s *Store) UpdateDestination(ctx context.Context, d job.Destination) (job.Destination, error) {
	if err := checkText("name", d.Name, "description", d.Description); err != nil {
		return job.Destination{}, err
	}
	var row destinationRow
	err := s.transact(ctx, func(tx *gorm.DB) (err error) {
		var found bool
		row, found, err = one[destinationRow](tx, `
			UPDATE destinations SET name = ?, name_key = ?, description = ? WHERE id = ? AND account_id = ?
			RETURNING `+columnsOf[destinationRow](""), d.Name, fold(d.Name), d.Description, d.ID, d.AccountID)
		if err == nil && !found {
			return noDestination(d.ID)
		}
		return s.nameTaken(ctx, err, d.Name)
	})
	if err != nil {
		return job.Destination{}, err
	}
	return row.destination(), nil
}

// inUse are the questions whose answer keeps a destination: each selects something while it is used.
var inUse = []struct{ query, by string }{
	{"SELECT 1 FROM destinations WHERE account_id = ? AND id = ? AND system", "is the one that jobs go to when nothing else is said"},
	{"SELECT 1 FROM accounts WHERE id = ? AND destination_id = ?", "is the account's default"},
	{"SELECT 1 FROM job_configs WHERE account_id = ? AND destination_id = ? LIMIT 1", "is used by a job config"},
	{
		"SELECT 1 FROM jobs WHERE account_id = ? AND destination_id = ? AND status IN ('queued', 'running', 'cancelling') LIMIT 1",
		"has jobs that have not ended",
	},
}

// DeleteDestination is control.DestinationStore's.
func (s *Store) DeleteDestination(ctx context.Context, account, id int64, aliveSince time.Time) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		queue, found, err := one[string](tx, "SELECT task_queue FROM destinations WHERE id = ? AND account_id = ?"+s.forUpdate(), id, account)
		if err != nil {
			return err
		}
		if !found {
			return noDestination(id)
		}
		for _, use := range inUse {
			_, used, err := one[int](tx, use.query, account, id)
			if err != nil {
				return err
			}
			if used {
				return job.Errorf(job.Conflict, job.WordDestinationInUse, "Destination %d %s", id, use.by)
			}
		}
		_, used, err := one[int](tx, "SELECT 1 FROM workers WHERE task_queue = ? AND status <> 'offline' AND beat_at >= ? LIMIT 1", queue, micros(aliveSince))
		if err != nil {
			return err
		}
		if used {
			return job.Errorf(job.Conflict, job.WordDestinationInUse, "Destination %d has a worker", id)
		}
		_, err = run(tx, "DELETE FROM destinations WHERE id = ? AND account_id = ?", id, account)
		return err
	})
}

// keepDestination holds a destination that a row about to be written names, until the transaction ends: the deletion of one
// looks at the rows that name it, and would not see this one. 0, which names none, is always there.
func (s *Store) keepDestination(tx *gorm.DB, account, id int64) error {
	if id == 0 {
		return nil
	}
	query := "SELECT 1 FROM destinations WHERE id = ? AND account_id = ?"
	if s.driver == Postgres {
		query += " FOR KEY SHARE" // any number at once, but no deletion
	}
	_, found, err := one[int](tx, query, id, account)
	if err == nil && !found {
		return noDestination(id)
	}
	return err
}

// SetDefaultDestination is control.DestinationStore's.
func (s *Store) SetDefaultDestination(ctx context.Context, account, id int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		if id != 0 {
			_, found, err := one[int](tx, "SELECT 1 FROM destinations WHERE id = ? AND account_id = ?"+s.forUpdate(), id, account)
			if err != nil {
				return err
			}
			if !found {
				return noDestination(id)
			}
		}
		n, err := run(tx, "UPDATE accounts SET destination_id = ? WHERE id = ?", id, account)
		if err == nil && n == 0 {
			return noAccount(account)
		}
		return err
	})
}

// QueuedJobs is control.Places'. The statuses are written as in the index jobs_unfinished, which SQLite then uses.
func (s *Store) QueuedJobs(ctx context.Context, account int64) (map[int64]int64, error) {
	type count struct{ Destination, Jobs int64 }
	rows, err := many[count](s.read.WithContext(ctx), `
		SELECT destination_id, count(*) FROM jobs
		WHERE status IN ('queued', 'running', 'cancelling') AND status = 'queued' AND account_id = ? GROUP BY destination_id`, account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	counts := map[int64]int64{}
	for _, r := range rows {
		counts[r.Destination] = r.Jobs
	}
	return counts, nil
}

// DestinationNamed is control.Places'.
func (s *Store) DestinationNamed(ctx context.Context, account, name string) (job.Destination, error) {
	missing := job.Errorf(job.NotFound, job.WordNotFound, "Account '%s' has no destination '%s'", account, name)
	if clean(name) != name || clean(account) != account {
		return job.Destination{}, missing
	}
	return s.destinationWhere(ctx, missing, "d.name_key = ? AND d.account_id = (SELECT id FROM accounts WHERE name = ?)", fold(name), fold(account))
}

// AnyDestination is control.Places'.
func (s *Store) AnyDestination(ctx context.Context, id int64) (job.Destination, error) {
	return s.destinationWhere(ctx, noDestination(id), "d.id = ?", id)
}

func (s *Store) destinationWhere(ctx context.Context, missing error, condition string, args ...any) (job.Destination, error) {
	row, found, err := one[destinationRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[destinationRow]("d.")+" FROM destinations d WHERE "+condition, args...)
	if err != nil {
		return job.Destination{}, s.fault(ctx, err)
	}
	if !found {
		return job.Destination{}, missing
	}
	return row.destination(), nil
}

func noDestination(id int64) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Destination %d not found", id)
}
