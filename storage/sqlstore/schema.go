package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"waybill/internal/job"
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string        // of its file; empty: this program does not know it, a newer one applied it
	Applied time.Time     // zero: it is pending, or was just undone
	Took    time.Duration // of the steps that were just made
}

// Schema lists the steps that this program knows or that the database has, by version. It waits for nobody and changes
// nothing: while another process migrates it tells how far that one is.
func (s *Store) Schema(ctx context.Context) ([]Migration, error) {
	names, err := s.migrationNames()
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	steps := make(map[int64]Migration, len(names))
	for version, name := range names {
		steps[version] = Migration{Version: version, Name: name}
	}
	applied, err := s.appliedMigrations(ctx)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	for version, at := range applied {
		steps[version] = Migration{Version: version, Name: names[version], Applied: at}
	}
	return slices.SortedFunc(maps.Values(steps), func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) }), nil
}

// MigrateUp brings the schema to this program's version, as Migrate does, and tells what it did.
func (s *Store) MigrateUp(ctx context.Context) ([]Migration, error) {
	return s.migrate(ctx, func(p *goose.Provider) ([]*goose.MigrationResult, error) { return p.Up(ctx) })
}

// MigrateDown undoes all steps above the version; what only they had room for is lost. Steps that this program does not know
// it can not undo: then nothing is done.
func (s *Store) MigrateDown(ctx context.Context, to int64) ([]Migration, error) {
	steps, err := s.Schema(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range steps {
		if m.Version > to && m.Name == "" {
			return nil, job.Errorf(job.Conflict, job.WordStale,
				"The database has version %d, which this program does not know: undo it with the newer program that made it", m.Version)
		}
	}
	return s.migrate(ctx, func(p *goose.Provider) ([]*goose.MigrationResult, error) { return p.DownTo(ctx, to) })
}

// made tells what was done, also before a step that failed.
func made(results []*goose.MigrationResult, err error) []Migration {
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	var list []Migration
	for _, r := range results {
		list = append(list, Migration{Version: r.Source.Version, Name: path.Base(r.Source.Path), Took: r.Duration})
	}
	return list
}

// migrationNames are the steps this program knows.
func (s *Store) migrationNames() (map[int64]string, error) {
	entries, err := fs.ReadDir(migrations, "migrations/"+string(s.driver))
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, e := range entries {
		digits, _, _ := strings.Cut(e.Name(), "_")
		version, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return nil, err
		}
		names[version] = e.Name()
	}
	return names, nil
}

// appliedMigrations are those the database has, with when it got them. A database nobody has migrated has none.
func (s *Store) appliedMigrations(ctx context.Context) (map[int64]time.Time, error) {
	there, err := s.hasVersionTable(ctx)
	if err != nil || !there {
		return nil, err
	}
	dialect := database.DialectSQLite3
	if s.driver == Postgres {
		dialect = database.DialectPostgres
	}
	book, err := database.NewStore(dialect, goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	list, err := book.ListMigrations(ctx, s.pools[0])
	if err != nil {
		return nil, err
	}
	applied := map[int64]time.Time{}
	for _, m := range list {
		if m.Version == 0 || !m.IsApplied {
			continue
		}
		entry, err := book.GetMigration(ctx, s.pools[0], m.Version)
		if errors.Is(err, database.ErrVersionNotFound) { // undone meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		applied[m.Version] = entry.Timestamp
	}
	return applied, nil
}

func (s *Store) hasVersionTable(ctx context.Context) (bool, error) {
	query := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
	if s.driver == Postgres {
		query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = ?"
	}
	n, _, err := one[int64](s.write.WithContext(ctx), query, goose.DefaultTablename)
	return n > 0, err
}
