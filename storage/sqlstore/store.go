package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"waybill/internal/job"
)

// Driver names an engine.
type Driver string

// The engines.
const (
	SQLite   Driver = "sqlite"
	Postgres Driver = "postgres"
)

// Config says which database to open. The zero value of a field takes its default.
type Config struct {
	Driver Driver
	// Path of the SQLite file, made with mode 0600 when it is absent. Its folder must exist.
	Path string
	// URL of the PostgreSQL database, as libpq takes it. It may hold a password: never log it.
	URL string
	// MaxConns limits the PostgreSQL pool (default 20), or SQLite's pool of readers (default 4).
	MaxConns int
	// Postgres is the rest of what can be said of PostgreSQL.
	Postgres PostgresConfig
	// Observe is told of errors of the database (default: nobody is).
	Observe Observer
	// Now is the clock for the few writes whose caller gives no time (default time.Now).
	Now func() time.Time
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	driver Driver
	now    func() time.Time
	write  *gorm.DB // transactions; on SQLite one connection, so that writers queue in Go and never see "busy"
	read   *gorm.DB // on SQLite connections that can not write, and do not wait for the writer; else the same as write
	// What nobody waits for goes here: on PostgreSQL a small pool of its own, whose statements may take longer.
	background struct{ write, read *gorm.DB }
	pools      []*sql.DB
	settings   Config // of PostgreSQL, with its defaults
	observe    Observer
	warnings   []string
	closed     atomic.Bool
}

// Open connects. It does not touch the schema: call Migrate once before first use.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{driver: c.Driver, now: c.Now, observe: c.Observe}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	switch c.Driver {
	case SQLite:
		err = s.openSQLite(ctx, c)
	case Postgres:
		err = s.openPostgres(ctx, c)
	default:
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "Unknown database driver '%s'", c.Driver)
	}
	if err == nil {
		err = s.Ping(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// gormConfig is the same for both engines. Errors are returned, so gorm logs none (its log would show values);
// transactions are ours; prepared statements are cached per connection by the drivers, because gorm's own cache prepares
// anew in each transaction.
func gormConfig() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
		Plugins:                map[string]gorm.Plugin{tracePlugin{}.Name(): tracePlugin{}},
	}
}

// Ping tells whether the database answers, for reading and for writing.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := keeperOf(s.write).bounded(ctx)
	defer cancel()
	for _, pool := range s.pools {
		if err := pool.PingContext(ctx); err != nil {
			return s.fault(ctx, err)
		}
	}
	return nil
}

// Close waits for the queries that run and closes all connections. Later calls answer Unavailable.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var errs []error
	for _, pool := range slices.Backward(s.pools) { // SQLite's writer last: it leaves one file, without a log beside it
		errs = append(errs, pool.Close())
	}
	return errors.Join(errs...)
}

// forUpdate is the clause that locks the rows a transaction reads before it writes. SQLite needs none: its write
// transactions begin with the lock on the whole file.
func (s *Store) forUpdate() string {
	if s.driver == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// forNoKeyUpdate is forUpdate where the row is a lock for what hangs on it: transactions that insert rows which refer to it go on meanwhile, so that
// they and this one do not wait for each other in a ring.
func (s *Store) forNoKeyUpdate() string {
	if s.driver == Postgres {
		return " FOR NO KEY UPDATE"
	}
	return ""
}

// one reads one row of the query; found is false when there is none. The query selects the fields of R in their order (see
// columnsOf): gorm's own Scan looks every column up by name, which costs more than SQLite needs to find the row.
func one[R any](tx *gorm.DB, query string, args ...any) (row R, found bool, err error) {
	err = scan(tx, query, args, func(rows *sql.Rows) (bool, error) {
		found = true
		return false, rows.Scan(addresses(reflect.ValueOf(&row).Elem(), nil)...)
	})
	return row, found && err == nil, err
}

// many reads all rows of the query, as one does.
func many[R any](tx *gorm.DB, query string, args ...any) ([]R, error) {
	var found []R
	err := scan(tx, query, args, func(rows *sql.Rows) (bool, error) {
		var row R
		err := rows.Scan(addresses(reflect.ValueOf(&row).Elem(), nil)...)
		found = append(found, row)
		return true, err
	})
	return found, err
}

// scan calls each for the rows of the query until it returns false. Outside a transaction it is bounded in time, and what
// fails for a passing reason before it has given a row is done again.
func scan(tx *gorm.DB, query string, args []any, each func(*sql.Rows) (more bool, err error)) error {
	k := keeperOf(tx)
	if _, inside := tx.Statement.ConnPool.(gorm.TxCommitter); k == nil || inside {
		return scanOnce(tx, query, args, each)
	}
	ctx, cancel := k.bounded(tx.Statement.Context)
	defer cancel()
	for try := 1; ; try++ {
		given := false
		err := scanOnce(tx.WithContext(ctx), query, args, func(rows *sql.Rows) (bool, error) {
			given = true
			return each(rows)
		})
		if err == nil || given || !k.again(ctx, err, try) {
			return err
		}
	}
}

func scanOnce(tx *gorm.DB, query string, args []any, each func(*sql.Rows) (more bool, err error)) error {
	rows, err := tx.Raw(query, args...).Rows()
	if err != nil {
		return err
	}
	for more := true; more && err == nil && rows.Next(); {
		more, err = each(rows)
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// addresses lists pointers to v or, of a struct, to its fields and theirs.
func addresses(v reflect.Value, to []any) []any {
	if v.Kind() != reflect.Struct {
		return append(to, v.Addr().Interface())
	}
	if to == nil {
		to = make([]any, 0, v.NumField())
	}
	for i := range v.NumField() {
		to = addresses(v.Field(i), to)
	}
	return to
}

// run executes a statement and tells how many rows it changed.
func run(tx *gorm.DB, statement string, args ...any) (int64, error) {
	result := tx.Exec(statement, args...)
	return result.RowsAffected, result.Error
}

// insert stores a row whose id is known. Rows that the database numbers go through gorm's Create.
func insert[R interface{ TableName() string }](tx *gorm.DB, row R) error {
	return insertOr(tx, row, "")
}

// insertOr is insert with a clause for rows that are there already, such as "ON CONFLICT DO NOTHING".
func insertOr[R interface{ TableName() string }](tx *gorm.DB, row R, clause string) error {
	columns := columnsOf[R]("")
	fields := addresses(reflect.ValueOf(&row).Elem(), nil)
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(fields)), ", ")
	_, err := run(tx, "INSERT INTO "+row.TableName()+" ("+columns+") VALUES ("+marks+") "+clause, fields...)
	return err
}
