package sqlstore

import (
	"path/filepath"
	"testing"

	"waybill/internal/job"
	"waybill/storage/storagetest"
)

// eachEngine runs a test of the package's inside on SQLite and, where there is one, on PostgreSQL. The schema is not made.
func eachEngine(t *testing.T, check func(t *testing.T, s *Store)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		check(t, opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		check(t, opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 4}))
	})
}

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
