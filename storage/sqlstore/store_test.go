package sqlstore_test

import (
	"testing"

	"waybill/internal/control"
	"waybill/storage/sqlstore"
	"waybill/storage/sqlstore/sqltest"
	"waybill/storage/storagetest"
)

// The proof that the store fits the ports.
var (
	_ storagetest.Store    = (*sqlstore.Store)(nil)
	_ control.ConfigReader = (*sqlstore.Store)(nil)
	_ control.ConfigWriter = (*sqlstore.Store)(nil)
	_ control.FileStore    = (*sqlstore.Store)(nil)
	_ control.JobWriter    = (*sqlstore.Store)(nil)
	_ control.JobReader    = (*sqlstore.Store)(nil)
	_ control.Run          = (*sqlstore.Store)(nil)
	_ control.Settlement   = (*sqlstore.Store)(nil)
	_ control.Backlog      = (*sqlstore.Store)(nil)
	_ control.Users        = (*sqlstore.Store)(nil)
	_ control.Tokens       = (*sqlstore.Store)(nil)
	_ control.Lockouts     = (*sqlstore.Store)(nil)
)

func open(t testing.TB, c sqlstore.Config) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func openPostgres(t testing.TB) *sqlstore.Store {
	t.Helper()
	return open(t, sqlstore.Config{Driver: sqlstore.Postgres, URL: storagetest.PostgresURL(t), MaxConns: 8})
}

func migrated(t testing.TB, s *sqlstore.Store) *sqlstore.Store {
	t.Helper()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return s
}

func TestSQLiteConforms(t *testing.T) {
	storagetest.RunStore(t, func(t *testing.T) storagetest.Store { return sqltest.Open(t, nil) })
}

func TestPostgresConforms(t *testing.T) {
	storagetest.PostgresURL(t) // skips as a whole
	storagetest.RunStore(t, func(t *testing.T) storagetest.Store { return migrated(t, openPostgres(t)) })
}
