package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
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

// How a migration waits for locks. A statement that waits for the lock of a whole table makes everybody wait who comes after
// it, so it waits for a moment only, gives up, lets the others through, and is done again.
const (
	migrationLockTimeout = 2 * time.Second
	migrationPause       = time.Second
	migrationPatience    = 15 * time.Minute
)

// Migrate brings the schema to this program's version. Safe to call at every start and from several processes at once.
func (s *Store) Migrate(ctx context.Context) error {
	_, err := s.MigrateUp(ctx)
	return err
}

// migrate lets do work on the schema, again as long as it fails because somebody holds a lock, or the connection was lost: a
// step and the note that it is made are one transaction, or the step can be made twice.
func (s *Store) migrate(ctx context.Context, do func(*goose.Provider) ([]*goose.MigrationResult, error)) (done []Migration, err error) {
	pool := s.pools[0]
	if s.driver == Postgres && !s.closed.Load() {
		own, err := s.migrationPool()
		if err != nil {
			return nil, err
		}
		defer own.Close() //nolint:errcheck // what it did is known by now
		pool = own
	}
	provider, err := s.migrationsOn(pool)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	for over := time.Now().Add(migrationPatience); ; {
		results, err := do(provider)
		done = append(done, made(results, err)...)
		kind := troubleOf(err)
		again := (kind == TroubleLock || kind.passing()) && time.Now().Before(over) && ctx.Err() == nil
		if err != nil && kind != "" && s.observe != nil {
			s.observe(kind, again)
		}
		if err == nil || !again {
			return done, s.fault(ctx, err)
		}
		pause := time.NewTimer(migrationPause + rand.N(migrationPause))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return done, s.fault(ctx, ctx.Err())
		}
	}
}

// migrationPool opens connections for migrations: to the server itself, because the lock under which one process migrates
// belongs to a session, with all the time for a statement and little for a lock.
func (s *Store) migrationPool() (*sql.DB, error) {
	c := s.settings
	if c.Postgres.Pooled && c.Postgres.Direct == c.URL {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "Tables are made under a lock that a pooler does not keep: give the URL of PostgreSQL itself, too")
	}
	c.Postgres.Pooled = false
	settings, err := parsePostgres(c.Postgres.Direct, c)
	if err != nil {
		return nil, err
	}
	settings.RuntimeParams["application_name"] += "-migrate"
	for _, name := range []string{"statement_timeout", "lock_timeout"} {
		delete(settings.RuntimeParams, name) // those of the URL are meant for requests
	}
	session(settings, c, 0, min(c.Postgres.LockTimeout, migrationLockTimeout))
	pool := stdlib.OpenDB(*settings)
	pool.SetMaxOpenConns(2)
	// A session ends when its work does. A step that sets something for its session sets it back behind its last statement, which it does
	// not reach when one before it fails: the next try would wait for locks as long as that step was let.
	pool.SetMaxIdleConns(0)
	return pool, nil
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

func (s *Store) migrations() (*goose.Provider, error) { return s.migrationsOn(s.pools[0]) }

func (s *Store) migrationsOn(pool *sql.DB) (*goose.Provider, error) {
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
	return goose.NewProvider(dialect, pool, files, options...)
}
