package sqlstore

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"waybill/internal/job"
	"waybill/storage/storagetest"
)

// tables lists "table.column" of everything the migrations made.
func (s *Store) tables(t *testing.T) []string {
	t.Helper()
	query := `SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%'`
	if s.driver == Postgres {
		query = `SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name NOT LIKE 'goose_%'`
	}
	names, err := many[string](s.write.WithContext(t.Context()), query)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func (s *Store) indexes(t *testing.T) []string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
	if s.driver == Postgres {
		query = `SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()
			AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE 'goose_%'
			AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	}
	names, err := many[string](s.write.WithContext(t.Context()), query)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	eachEmptyEngine(t, func(t *testing.T, s *Store) {
		provider, err := s.migrations()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := s.tables(t)
		if len(first) < 100 {
			t.Fatalf("columns = %d, want the whole schema", len(first))
		}
		if _, err := provider.DownTo(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if left := s.tables(t); len(left) != 0 {
			t.Errorf("left after down: %v", left)
		}
		inhabited(t, s) // up again, and usable
		if again := s.tables(t); !slices.Equal(again, first) {
			t.Errorf("columns after up again = %v, want %v", again, first)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Errorf("a migration of what is migrated: %v", err)
		}
	})
}

func TestBothEnginesHaveOneSchema(t *testing.T) {
	t.Parallel()
	pg := opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t)})
	lite := opened(t, Config{Driver: SQLite, Path: t.TempDir() + "/waybill.db"})
	for _, s := range []*Store{pg, lite} {
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if p, l := pg.tables(t), lite.tables(t); !slices.Equal(p, l) {
		t.Errorf("PostgreSQL has %v\nSQLite has %v", p, l)
	}
	if p, l := pg.indexes(t), lite.indexes(t); !slices.Equal(p, l) {
		t.Errorf("PostgreSQL has %v\nSQLite has %v", p, l)
	}
}

func TestSeveralProcessesMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	c := Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 2}
	var group errgroup.Group
	for range 4 {
		s := opened(t, c)
		group.Go(func() error { return s.Migrate(t.Context()) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAStatusOutsideTheMachineIsRefusedByTheSchema(t *testing.T) {
	t.Parallel()
	eachEmptyEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		for _, status := range append([]job.Status{"", "bogus", "QUEUED"}, job.Statuses...) {
			j := job.Job{ID: job.ID("69b9209b00000000000000c1"), AccountID: c.AccountID, ConfigID: c.ID, Status: status}
			err := insert(s.write.WithContext(t.Context()), toJobRow(j))
			if (err == nil) != status.Valid() {
				t.Errorf("status %q: %v, want refused %v", status, err, !status.Valid())
			}
			if _, err := run(s.write.WithContext(t.Context()), "DELETE FROM jobs"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTheUnfinishedIndexFitsTheMachine(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"migrations/sqlite/00001_first.sql", "migrations/postgres/00001_first.sql"} {
		text, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "ON jobs (id) WHERE "+unfinished+";") {
			t.Errorf("%s: no index with the condition %q of the queries", file, unfinished)
		}
	}
}
