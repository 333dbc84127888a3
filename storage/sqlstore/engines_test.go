package sqlstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"waybill/internal/job"
	"waybill/storage/storagetest"
)

// eachEngine runs a test of the package's inside on SQLite and, where there is one, on PostgreSQL. The schema is made on SQLite alone.
func eachEngine(t *testing.T, check func(t *testing.T, s *Store)) {
	file, err := migratedFile()
	if err != nil {
		t.Fatal(err)
	}
	eachEngineOf(t, file, check)
}

// eachEmptyEngine is eachEngine with no schema.
func eachEmptyEngine(t *testing.T, check func(t *testing.T, s *Store)) { eachEngineOf(t, nil, check) }

func eachEngineOf(t *testing.T, file []byte, check func(t *testing.T, s *Store)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "waybill.db")
		if file != nil {
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		check(t, opened(t, Config{Driver: SQLite, Path: path}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		check(t, opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 4}))
	})
}

// migratedFile is an empty, migrated database. Each store begins with a copy: to migrate each of them takes longer than the tests under the
// race detector.
var migratedFile = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "empty.db")
	s, err := Open(context.Background(), Config{Driver: SQLite, Path: path})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Migrate(context.Background()), s.Close()); err != nil { // the last to close writes the log into the file
		return nil, err
	}
	return os.ReadFile(path)
})

func opened(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// inhabited migrates and makes an account with a config.
func inhabited(t *testing.T, s *Store) job.Config {
	t.Helper()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	a, _, err := s.CreateAccount(t.Context(), job.Account{Name: "main"}, "default", job.User{Name: "admin"})
	if err != nil {
		t.Fatalf("CreateAccount: %v", err)
	}
	c, err := s.CreateConfig(t.Context(), job.Config{AccountID: a.ID, Name: "sample", ObjectID: "69b9207100000000000000a4"})
	if err != nil {
		t.Fatalf("CreateConfig: %v", err)
	}
	return c
}
