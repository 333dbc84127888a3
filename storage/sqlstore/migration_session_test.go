package sqlstore

import (
	"errors"
	"testing"

	"github.com/pressly/goose/v3"

	"waybill/storage/storagetest"
)

// Steps that make indexes beside writers let themselves wait for locks for a quarter of an hour and take that back at their end. One
// that fails in between leaves it to nobody: not to the next try, and not to the steps after it.
func TestAStepThatFailsLeavesItsSessionToNobody(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 4})
	inhabited(t, s)
	if _, err := s.MigrateDown(t.Context(), 14); err != nil {
		t.Fatal(err)
	}
	// The step drops the index jobs_ended, if there is one, after it let itself wait: a table of that name is none.
	if _, err := s.pools[0].ExecContext(t.Context(), "CREATE TABLE jobs_ended (id bigint)"); err != nil {
		t.Fatal(err)
	}
	pool, err := s.migrationPool()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // all it did is known
	var before, after string
	if err := pool.QueryRowContext(t.Context(), "SHOW lock_timeout").Scan(&before); err != nil {
		t.Fatal(err)
	}
	provider, err := s.migrationsOn(pool)
	if err != nil {
		t.Fatal(err)
	}
	var partial *goose.PartialError
	if _, err := provider.Up(t.Context()); !errors.As(err, &partial) || partial.Failed.Source.Version != 15 {
		t.Fatalf("step 15 should fail: %v", err)
	}
	for range 4 { // whichever session it is
		if err := pool.QueryRowContext(t.Context(), "SHOW lock_timeout").Scan(&after); err != nil {
			t.Fatal(err)
		}
		if before != "2s" || after != before {
			t.Fatalf("a lock is waited for %s before the step, %s after it", before, after)
		}
	}
	if _, err := s.pools[0].ExecContext(t.Context(), "DROP TABLE jobs_ended"); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}
