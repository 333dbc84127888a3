package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"modernc.org/sqlite"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// Trouble is an error of the database as metrics count it.
type Trouble string

// The kinds of trouble. Each says what its name does; what is none of them is no trouble of the database.
const (
	TroubleSerialization Trouble = "serialization" // rolled back for another transaction's sake
	TroubleDeadlock      Trouble = "deadlock"
	TroubleConnection    Trouble = "connection" // refused, reset, closed
	TroubleShutdown      Trouble = "shutdown"   // the server ends, starts or recovers
	TroubleReadOnly      Trouble = "read_only"  // the server is a standby: another one took over
	TroubleTimeout       Trouble = "timeout"    // of a statement, or no answer at all
	TroubleLock          Trouble = "lock"       // waited too long for a lock
	TroubleResources     Trouble = "resources"  // too many connections, disk full
	TroubleCommit        Trouble = "commit"     // no answer to a COMMIT
	TroubleOther         Trouble = "other"
)

// Observer is told of every trouble, and whether what failed is done again.
type Observer func(kind Trouble, again bool)

// How often what failed through no fault of its own is done again, and after which pause: the whole takes less than a second,
// so a request outlives the restart of a connection pooler or a fail-over that is quick, and else ends soon.
const (
	transactionTries = 5
	transactionPause = 5 * time.Millisecond  // after a conflict
	connectionPause  = 50 * time.Millisecond // after a lost connection; doubled each time
)

// keeper looks after the connections of a pool.
type keeper struct {
	pool     *sql.DB
	conns    int
	patience time.Duration // for a read or a transaction as a whole, with the wait for a connection; 0: any
	observe  Observer
}

// bounded limits the time of a read or a transaction, so that a server that is silent holds nobody for long.
func (k *keeper) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if k == nil || k.patience <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, k.patience)
}

// again tells whether to repeat what failed for the try-th time, and waits for the right moment.
func (k *keeper) again(ctx context.Context, err error, try int) bool {
	kind := troubleOf(err)
	repeat := kind.passing() && try < transactionTries && ctx.Err() == nil
	if k != nil && kind != "" {
		if k.observe != nil {
			k.observe(kind, repeat)
		}
		if kind == TroubleReadOnly && k.pool != nil { // the others lead to the same server
			k.pool.SetMaxIdleConns(0)
			k.pool.SetMaxIdleConns(k.conns)
		}
	}
	if !repeat {
		return false
	}
	wait := time.Duration(try)*transactionPause + rand.N(transactionPause)
	if kind != TroubleSerialization && kind != TroubleDeadlock {
		wait = connectionPause<<(try-1) + rand.N(connectionPause)
	}
	pause := time.NewTimer(wait)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing tells whether the same may go well soon.
func (t Trouble) passing() bool {
	switch t {
	case TroubleSerialization, TroubleDeadlock, TroubleConnection, TroubleShutdown, TroubleReadOnly:
		return true
	}
	return false
}

// troubleOf is the kind of an error; "" for one that is no trouble of the database.
func troubleOf(err error) Trouble {
	var own *job.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return ""
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresTrouble(pg.Code)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return TroubleTimeout
	}
	if unreached(err) {
		return TroubleConnection
	}
	return TroubleOther
}

func postgresTrouble(code string) Trouble {
	switch code {
	case pgSerializationFailure:
		return TroubleSerialization
	case pgDeadlock:
		return TroubleDeadlock
	case pgAdminShutdown, pgCrashShutdown, pgCannotConnectNow:
		return TroubleShutdown
	case pgReadOnly:
		return TroubleReadOnly
	case pgQueryCanceled, pgIdleInTransaction:
		return TroubleTimeout
	case pgLockNotAvailable:
		return TroubleLock
	case pgUniqueViolation, pgBadCharacter, pgUntranslatable, pgProgramLimit:
		return "" // the caller's fault
	}
	switch code[:min(2, len(code))] {
	case "08":
		return TroubleConnection
	case "53", "58":
		return TroubleResources
	}
	return TroubleOther
}

// unreached tells whether the server was not reached, or the connection to it broke.
func unreached(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// errOutcomeUnknown is the cause where a COMMIT got no answer: the transaction may be stored, may not be, and may even be
// under way still.
var errOutcomeUnknown = errors.New("no answer to the commit")

// transact runs fn in one transaction and answers with a *job.Error. fn may run several times and must not keep anything
// of a try that failed. A transaction is repeated only when it is certain that nothing of it is stored; where it is not
// (errOutcomeUnknown), the answer is Unavailable. The entry of the audit log that belongs to the act is stored with it.
func (s *Store) transact(ctx context.Context, fn func(tx *gorm.DB) error) error {
	fn, done := s.audited(ctx, fn)
	err := s.transactOn(ctx, s.write, fn)
	if err == nil {
		done()
	}
	return err
}

// transactLater is transact for work that nobody waits for.
func (s *Store) transactLater(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.transactOn(ctx, s.background.write, fn)
}

// purge repeats a statement that deletes purgeBatch rows until it finds fewer: nobody waits for it, and it keeps nobody waiting. What
// makes a row old must be said outside of the selection of the batch, too: somebody may write to the row in between.
func (s *Store) purge(ctx context.Context, statement string, args ...any) error {
	for gone := int64(purgeBatch); gone == purgeBatch; {
		err := s.transactLater(ctx, func(tx *gorm.DB) (err error) {
			gone, err = run(tx, statement, args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) transactOn(ctx context.Context, db *gorm.DB, fn func(tx *gorm.DB) error) (err error) {
	ctx, span := s.traced(ctx)
	defer func() { tracing.End(span, err) }()
	k := keeperOf(db)
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	for try := 1; ; try++ {
		committing, err := once(db.WithContext(ctx), fn)
		if err == nil {
			return nil
		}
		if committing && !rolledBack(ctx, err) && !errors.Is(ctx.Err(), context.Canceled) {
			if k != nil && k.observe != nil {
				k.observe(TroubleCommit, false)
			}
			return s.unknown(err)
		}
		if !k.again(ctx, err, try) {
			return s.fault(ctx, err)
		}
	}
}

// once runs fn in a transaction and tells whether the COMMIT was on its way when it failed.
func once(db *gorm.DB, fn func(tx *gorm.DB) error) (committing bool, err error) {
	tx := db.Begin()
	if tx.Error != nil {
		return false, tx.Error
	}
	done := false
	defer func() {
		if !done { // fn failed or panicked
			tx.Rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return false, err
	}
	done = true
	return true, tx.Commit().Error
}

// rolledBack tells of a COMMIT that failed whether it is certain that nothing is stored.
func rolledBack(ctx context.Context, err error) bool {
	if err == sql.ErrTxDone || err == ctx.Err() || errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, pgx.ErrTxClosed) { //nolint:errorlint // as they are: database/sql gave up before it sent anything
		return true
	}
	var lite *sqlite.Error // SQLite has no COMMIT of which it does not know what came of it
	if errors.As(err, &lite) {
		return true
	}
	// pgconn.SafeToRetry is not asked: where the connection breaks after a COMMIT was sent, pgx answers with the error of its
	// next look at the connection, which is closed by then, and "safe to retry".
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch postgresTrouble(pg.Code) {
	case TroubleShutdown, TroubleConnection:
		return false // the server may have gone away between storing it and saying so
	}
	return true
}

func (s *Store) unknown(err error) error {
	e := job.Wrap(errors.Join(errOutcomeUnknown, err), job.Unavailable, job.WordDependencyDown,
		"The database did not say whether the change is stored")
	e.RetryAfter = retryAfter
	return e
}
