package sqlstore

import (
	"context"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"waybill/internal/job"
)

//go:embed migrations
var migrations embed.FS

// migrationLock is the PostgreSQL advisory lock under which one process at a time migrates ("waybill" in ASCII). The
// others wait for it, then find nothing left to do.
const migrationLock int64 = 0x77617962696c6c

// Migrate brings the schema to this program's version. Safe to call at every start and from several processes at once.
func (s *Store) Migrate(ctx context.Context) error {
	provider, err := s.migrations()
	if err == nil {
		_, err = provider.Up(ctx)
	}
	return s.fault(ctx, err)
}

// CheckSchema tells whether the schema is this program's version or a later one, without changing it: Unavailable while it
// is older, for whoever migrates may be about to.
func (s *Store) CheckSchema(ctx context.Context) error {
	provider, err := s.migrations()
	if err != nil {
		return s.fault(ctx, err)
	}
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return s.fault(ctx, err)
	}
	if pending {
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "The database's tables are older than this program: run waybill migrate up on it")
	}
	return nil
}

func (s *Store) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+string(s.driver))
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	dialect := database.DialectSQLite3
	if s.driver == Postgres {
		dialect = database.DialectPostgres
		// Every second, for five minutes.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, s.pools[0], files, options...)
}
