package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"waybill/internal/job"
)

// retryAfter is what a caller is told to wait when the database is down.
const retryAfter = time.Second

// fault is the one place where an error of the database becomes the domain's: by driver codes, never by text. Errors that
// are the domain's already pass. The cause stays inside, for the log.
func (s *Store) fault(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var own *job.Error
	if errors.As(err, &own) {
		return own
	}
	switch code := s.class(ctx, err); code {
	case job.Canceled:
		return job.Wrap(err, code, "", "The request was cancelled")
	case job.Conflict:
		return job.Wrap(err, code, job.WordDuplicateName, "The name or id is taken")
	case job.Invalid:
		return job.Wrap(err, code, job.WordInvalidField, "A text holds a character that can not be stored")
	case job.TooLarge:
		return job.Wrap(err, code, job.WordTooLarge, "A text is too long to be stored")
	case job.Unavailable:
		e := job.Wrap(err, code, job.WordDependencyDown, "The database is not available")
		e.RetryAfter = retryAfter
		return e
	default:
		return job.Wrap(err, job.Internal, job.WordInternal, "Internal error in the database")
	}
}

func (s *Store) class(ctx context.Context, err error) job.Code {
	// A context that ended shows in many guises (an interrupted statement, a closed transaction); it comes first.
	if errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled) {
		return job.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || s.closed.Load() {
		return job.Unavailable
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return sqliteClass(lite.Code())
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresClass(pg.Code)
	}
	if unreached(err) {
		return job.Unavailable
	}
	return job.Internal
}

// sqliteClass reads an extended result code (https://www.sqlite.org/rescode.html): the low byte is the primary code.
func sqliteClass(code int) job.Code {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return job.Conflict
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT:
		return job.Unavailable
	case sqlite3.SQLITE_TOOBIG:
		return job.TooLarge
	}
	return job.Internal
}

// SQLSTATE codes (PostgreSQL documentation, appendix A) that mean something to a caller.
const (
	pgUniqueViolation      = "23505"
	pgBadCharacter         = "22021"
	pgUntranslatable       = "22P05"
	pgProgramLimit         = "54000"
	pgReadOnly             = "25006" // a standby after a fail-over
	pgSerializationFailure = "40001"
	pgDeadlock             = "40P01"
	pgLockNotAvailable     = "55P03"
	pgIdleInTransaction    = "25P03"
	pgQueryCanceled        = "57014" // by statement_timeout
	pgAdminShutdown        = "57P01"
	pgCrashShutdown        = "57P02"
	pgCannotConnectNow     = "57P03"
	pgDatabaseDropped      = "57P04"
)

func postgresClass(code string) job.Code {
	switch code {
	case pgUniqueViolation:
		return job.Conflict
	case pgBadCharacter, pgUntranslatable:
		return job.Invalid
	case pgProgramLimit:
		return job.TooLarge
	case pgReadOnly, pgSerializationFailure, pgDeadlock, pgLockNotAvailable, pgIdleInTransaction, pgCannotConnectNow, pgDatabaseDropped:
		return job.Unavailable
	}
	switch code[:min(2, len(code))] {
	// Connection, insufficient resources (too many connections, disk full), operator (shutdown, cancel), system.
	case "08", "53", "57", "58":
		return job.Unavailable
	}
	return job.Internal
}

// taken tells whether a *job.Error says that something unique is there already.
func taken(err error) bool {
	return job.CodeOf(err) == job.Conflict && job.WordOf(err) == job.WordDuplicateName
}

func noJob(id job.ID) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Job %s not found", id)
}

func noConfig(id any) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Job config %v not found", id)
}

func noFile(key string, e job.EntityType, entity int64) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "File '%s' not found on %s %d", key, e.Noun(), entity)
}

func noEntity(e job.EntityType, id int64) error {
	if e == job.EntityJobConfig {
		return noConfig(id)
	}
	return job.Errorf(job.NotFound, job.WordNotFound, "No %s %d", e.Noun(), id)
}

func stale(what string, id any) error {
	return job.Errorf(job.Conflict, job.WordStale, "%s %v was changed meanwhile", what, id)
}
