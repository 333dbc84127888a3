package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// PendingDeliveries is control.Outbox's.
func (s *Store) PendingDeliveries(ctx context.Context, after string, limit int) ([]job.Delivery, error) {
	return s.outbox(ctx, "SELECT "+deliveryColumns+" FROM deliveries WHERE status = 'pending' AND id > ? ORDER BY id LIMIT ?", after, limit)
}

// UnderwayDeliveries is control.Outbox's.
func (s *Store) UnderwayDeliveries(ctx context.Context, before time.Time, after string, limit int) ([]job.Delivery, error) {
	return s.outbox(ctx, "SELECT "+deliveryColumns+` FROM deliveries
		WHERE status = 'delivering' AND id > ? AND written_at < ? ORDER BY id LIMIT ?`, after, micros(before), limit)
}

func (s *Store) outbox(ctx context.Context, query string, args ...any) ([]job.Delivery, error) {
	rows, err := many[deliveryRow](s.background.read.WithContext(ctx), query, args...)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list, err := all(rows, deliveryRow.delivery)
	return list, s.fault(ctx, err)
}

// MarkDelivering is control.Outbox's. The workflow may have come to its end already, so no match is no error.
func (s *Store) MarkDelivering(ctx context.Context, id string, round int, at time.Time) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "UPDATE deliveries SET status = 'delivering', written_at = ? WHERE id = ? AND round = ? AND status = 'pending'",
			micros(at), id, round)
		return err
	})
}

// KeepBody is control.DeliveryRun's.
func (s *Store) KeepBody(ctx context.Context, account int64, id, body string) (kept string, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		row, found, err := one[string](tx, `
			UPDATE deliveries SET body = CASE WHEN body = '' THEN ? ELSE body END WHERE id = ? AND account_id = ? RETURNING body`,
			clean(body), id, account)
		if err == nil && !found {
			err = noDelivery(id)
		}
		kept = row
		return err
	})
	return kept, err
}

// RecordAttempt is control.DeliveryRun's.
func (s *Store) RecordAttempt(
	ctx context.Context, account int64, id string, a job.DeliveryAttempt, status job.DeliveryStatus, next time.Time,
) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		end := a.At.Add(a.Duration)
		var finished *int64
		if status.Final() {
			finished = microsOrNull(end)
		}
		changed, err := run(tx, `
			UPDATE deliveries SET status = ?, attempts = ?, round_attempts = round_attempts + 1, round_at = coalesce(round_at, ?),
				next_at = ?, code = ?, error = ?, finished_at = ?, written_at = ?
			WHERE id = ? AND account_id = ? AND round = ? AND attempts = ? AND status IN ('pending', 'delivering')`,
			string(status), a.Number, micros(a.At), microsOrNull(next), a.Code, clean(a.Error), finished, micros(end),
			id, account, a.Round, a.Number-1)
		if err != nil {
			return err
		}
		if changed == 0 {
			return stale("Delivery", job.ID(id))
		}
		_, err = run(tx, `
			INSERT INTO delivery_attempts (delivery_id, number, round, at, duration, code, error, reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			id, a.Number, a.Round, micros(a.At), int64(a.Duration), a.Code, clean(a.Error), clean(a.Reply))
		return err
	})
}

// EndDelivery is control.DeliveryRun's.
func (s *Store) EndDelivery(ctx context.Context, id string, round int, why string, at time.Time) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, `
			UPDATE deliveries SET status = 'failed', error = ?, next_at = NULL, finished_at = ?, written_at = ?
			WHERE id = ? AND round = ? AND status IN ('pending', 'delivering')`, clean(why), micros(at), micros(at), id, round)
		return err
	})
}

// PurgeDeliveries is control.Outbox's.
func (s *Store) PurgeDeliveries(ctx context.Context, before time.Time) error {
	const old = "job_id IS NULL AND finished_at IS NOT NULL AND finished_at < ?"
	return s.purge(ctx, "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE "+old+" ORDER BY finished_at LIMIT ?) AND "+old,
		micros(before), purgeBatch, micros(before))
}
