package sqlstore

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"waybill/storage/storagetest"
)

// migrateVariable makes this test binary a process that migrates the database it names, and nothing else.
const migrateVariable = "WAYBILL_TEST_MIGRATES"

func TestMain(m *testing.M) {
	url := os.Getenv(migrateVariable)
	if url == "" {
		os.Exit(m.Run())
	}
	s, err := Open(context.Background(), Config{Driver: Postgres, URL: url})
	if err == nil {
		err = s.Migrate(context.Background())
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// A process that is killed while it migrates leaves the next one free to go on from where it was.
func TestAKilledMigrationFreesTheNext(t *testing.T) {
	t.Parallel()
	url := storagetest.PostgresURL(t)
	s := opened(t, Config{Driver: Postgres, URL: url, MaxConns: 4})
	inhabited(t, s)
	provider, err := s.migrations()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), 14); err != nil {
		t.Fatal(err)
	}
	// The migration can not get at jobs, and stays within its lock.
	held, err := s.pools[0].BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback() //nolint:errcheck // ends below when all goes well
	if _, err := held.ExecContext(t.Context(), "LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), migrateVariable+"="+url)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	const locked = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) + objid::bigint = ?
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	for over := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		n, _, err := one[int](s.read.WithContext(t.Context()), locked, migrationLock)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			break
		}
		if time.Now().After(over) {
			t.Fatal("the other process does not migrate")
		}
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err == nil {
		t.Fatal("the other process had done with migrating before it was killed")
	}
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
}
