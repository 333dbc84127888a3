package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Beat is control.WorkerRegistry's. What others want of the worker (drain) is theirs to write and only read here.
func (s *Store) Beat(ctx context.Context, w job.Worker) (drain bool, err error) {
	r := toWorkerRow(w)
	err = s.transact(ctx, func(tx *gorm.DB) (err error) {
		drain, _, err = one[bool](tx, `
			INSERT INTO workers (`+columnsOf[workerRow]("")+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET running = excluded.running, status = excluded.status, beat_at = excluded.beat_at, note = excluded.note
			RETURNING drain`,
			r.ID, r.AccountID, r.TaskQueue, r.Hostname, r.PID, r.Version, r.Labels, r.Runners, r.Sandbox, r.Concurrency, r.Running,
			r.Status, false, r.StartedAt, r.BeatAt, r.Note)
		return err
	})
	return drain, err
}

type seenWorkerRow struct {
	Worker      workerRow
	Destination int64
}

// Workers is control.WorkerRegistry's.
func (s *Store) Workers(ctx context.Context, account int64) ([]job.Worker, error) {
	rows, err := many[seenWorkerRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[workerRow]("w.")+`, d.id FROM workers w JOIN destinations d ON d.task_queue = w.task_queue
		WHERE d.account_id = ? ORDER BY w.started_at, w.id`, account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list := make([]job.Worker, len(rows))
	for i, r := range rows {
		if list[i], err = r.Worker.worker(); err != nil {
			return nil, err
		}
		list[i].Destination = r.Destination
	}
	return list, nil
}

// SetDrain is control.WorkerRegistry's.
func (s *Store) SetDrain(ctx context.Context, account int64, id string, drain bool) error {
	if clean(id) != id {
		return noWorker(id)
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		n, err := run(tx, "UPDATE workers SET drain = ? WHERE id = ? AND account_id = ?", drain, id, account)
		if err != nil || n > 0 {
			return err
		}
		_, seen, err := one[int](tx, `SELECT 1 FROM workers w JOIN destinations d ON d.task_queue = w.task_queue
			WHERE w.id = ? AND d.account_id = ?`, id, account)
		if err == nil && seen {
			return job.Errorf(job.Forbidden, job.WordAccessDenied, "Worker %s serves other accounts too", id)
		}
		if err == nil {
			return noWorker(id)
		}
		return err
	})
}

// PurgeWorkers is control.WorkerRegistry's.
func (s *Store) PurgeWorkers(ctx context.Context, before time.Time) error {
	return s.purge(ctx, "DELETE FROM workers WHERE id IN (SELECT id FROM workers WHERE beat_at < ? LIMIT ?) AND beat_at < ?",
		micros(before), purgeBatch, micros(before))
}

func noWorker(id string) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Worker %s not found", id)
}
