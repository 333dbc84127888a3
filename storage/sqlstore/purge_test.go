package sqlstore

import (
	"testing"
	"time"

	"gorm.io/gorm"
)

// Work that nobody waits for goes in batches, and over connections of its own where there are some: a big table would else take longer
// than a statement of a call may, each time.
func TestPurgesTakeBatchesOverConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		old := time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC)
		const numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
		err := s.transact(t.Context(), func(tx *gorm.DB) error {
			_, err := run(tx, numbers+`INSERT INTO deliveries (id, account_id, config_id, kind, event, target, method, headers, sealed, change, body,
					attach_log, source, source_key, status, round, attempts, round_attempts, code, error, created_at, finished_at, written_at)
				SELECT 'd' || i, CAST(? AS bigint), CAST(? AS bigint), 'webhook', 'e', 't', 'POST', '', '', '', '', false, 's', 'd' || i, 'delivered', 1, 1, 1, 200, '', 0,
					CASE i WHEN 0 THEN NULL ELSE CAST(? AS bigint) END, 0 FROM n`, purgeBatch+1, c.AccountID, c.ID, micros(old))
			if err == nil {
				_, err = run(tx, numbers+`INSERT INTO workers (id, account_id, task_queue, hostname, pid, version, labels, runners, sandbox, concurrency,
						running, status, drain, started_at, beat_at)
					SELECT 'w' || i, CAST(? AS bigint), 'q', 'h', 1, 'v', '', '', '', 1, 0, 'offline', false, 0, CASE i WHEN 0 THEN CAST(? AS bigint) ELSE CAST(? AS bigint) END FROM n`,
					purgeBatch+1, c.AccountID, micros(old.Add(time.Hour)), micros(old))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if s.driver == Postgres {
			if err := keeperOf(s.write).pool.Close(); err != nil { // of calls
				t.Fatal(err)
			}
		}
		if err := s.PurgeDeliveries(t.Context(), old.Add(time.Minute)); err != nil {
			t.Error(err)
		}
		if err := s.PurgeWorkers(t.Context(), old.Add(time.Minute)); err != nil {
			t.Error(err)
		}
		if err := s.EachSealed(t.Context(), func(_, text string) (string, error) { return text, nil }); err != nil {
			t.Error(err)
		}
		if _, err := s.UnderwayDeliveries(t.Context(), old, "", 10); err != nil {
			t.Error(err)
		}
		for table, want := range map[string]string{"deliveries": "d0", "workers": "w0"} {
			left, err := many[string](s.background.read.WithContext(t.Context()), "SELECT id FROM "+table)
			if err != nil || len(left) != 1 || left[0] != want {
				t.Errorf("left of %s: %d, %v, want %s alone", table, len(left), err, want)
			}
		}
	})
}
