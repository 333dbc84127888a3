// Package sqltest gives tests of the layers above a migrated SQLite store each. It imports storage/sqlstore and no other
// package of Waybill.
//
// The migrations run once in a process; every store is a copy of what they made. To run them for each of the hundreds of
// tests would take longer than the tests.
package sqltest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"waybill/storage/sqlstore"
)

// Open opens an empty, migrated store of the test's own, closed at its end. now may be nil.
func Open(t testing.TB, now func() time.Time) *sqlstore.Store {
	t.Helper()
	empty, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Driver: sqlstore.SQLite, Path: path, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// migrated is the file of an empty, migrated database.
var migrated = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "sqltest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, ctx := filepath.Join(dir, "empty.db"), context.Background()
	store, err := sqlstore.Open(ctx, sqlstore.Config{Driver: sqlstore.SQLite, Path: path})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(store.Migrate(ctx), store.Close()); err != nil { // the last to close writes the log into the file
		return nil, err
	}
	return os.ReadFile(path)
})
