package sqlstore

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/migrator"
	"gorm.io/gorm/schema"

	"waybill/internal/job"
)

// How both pools use the file. WAL lets readers work while the writer writes; with synchronous NORMAL a power cut may lose
// the last transactions but never damages the file, and a crash of the process loses nothing. A lock held by another
// process (a backup, the sqlite3 shell) is waited for.
var sqlitePragmas = []string{
	"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "temp_store(MEMORY)",
	"cache_size(-16000)",
}

const sqliteReaders = 4

// openSQLite opens one connection that writes and a few that only read. Transactions of the writer begin IMMEDIATE: one
// that begins by reading can then not be refused when it comes to write.
func (s *Store) openSQLite(ctx context.Context, c Config) error {
	path, err := filepath.Abs(c.Path)
	if err == nil {
		err = makePrivateFile(path)
	}
	if c.Path == "" || err != nil {
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The database file '%s' can not be opened for writing", c.Path)
	}
	writer, err := s.sqlitePool(path, url.Values{"_txlock": {"immediate"}}, 1)
	if err != nil {
		return err
	}
	// The writer comes first: it turns the file to WAL, which a read-only connection could not.
	if err := writer.PingContext(ctx); err != nil {
		return s.fault(ctx, err)
	}
	readers := c.MaxConns
	if readers <= 0 {
		readers = sqliteReaders
	}
	reader, err := s.sqlitePool(path, url.Values{"_query_only": {"1"}}, readers)
	if err != nil {
		return err
	}
	if s.write, err = gorm.Open(sqliteDialect{pool: writer}, gormConfig()); err == nil {
		s.read, err = gorm.Open(sqliteDialect{pool: reader}, gormConfig())
	}
	s.background.write, s.background.read = s.write, s.read
	return s.fault(ctx, err)
}

func (s *Store) sqlitePool(path string, options url.Values, conns int) (*sql.DB, error) {
	connector, err := newCachingConnector(sqliteDSN(path, options))
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	s.pools = append(s.pools, pool)
	return pool, nil
}

// makePrivateFile sees to it that the file is there and that nobody else can read it. SQLite gives its -wal and -shm
// files the mode of the main file.
func makePrivateFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chmod(0o600)
}

// sqliteDSN makes a file: URI, in which a path may hold any character.
func sqliteDSN(path string, query url.Values) string {
	query["_pragma"] = sqlitePragmas
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// sqliteDialect tells gorm how to speak to SQLite through modernc.org/sqlite. The ready-made pure-Go dialects bring a
// second driver that registers itself under the name "sqlite" too, and the process that also holds the embedded Temporal
// server would not start. It knows only what this package uses: no migrator, no data types.
type sqliteDialect struct{ pool gorm.ConnPool }

func (sqliteDialect) Name() string { return "sqlite" }

func (d sqliteDialect) Initialize(db *gorm.DB) error {
	db.ConnPool = d.pool
	callbacks.RegisterDefaultCallbacks(db, &callbacks.Config{
		CreateClauses: []string{"INSERT", "VALUES", "ON CONFLICT", "RETURNING"},
		UpdateClauses: []string{"UPDATE", "SET", "FROM", "WHERE", "RETURNING"},
		DeleteClauses: []string{"DELETE", "FROM", "WHERE", "RETURNING"},
	})
	return nil
}

func (d sqliteDialect) Migrator(db *gorm.DB) gorm.Migrator {
	return migrator.Migrator{Config: migrator.Config{DB: db, Dialector: d}}
}

func (sqliteDialect) DataTypeOf(f *schema.Field) string { return string(f.DataType) }

// DefaultValueOf makes SQLite number the row when the id is not given.
func (sqliteDialect) DefaultValueOf(*schema.Field) clause.Expression { return clause.Expr{SQL: "NULL"} }

func (sqliteDialect) BindVarTo(w clause.Writer, _ *gorm.Statement, _ any) { _ = w.WriteByte('?') }

// QuoteTo quotes a name of ours; none of them holds a quote or a dot.
func (sqliteDialect) QuoteTo(w clause.Writer, name string) {
	_, _ = w.WriteString(`"` + name + `"`)
}

func (sqliteDialect) Explain(query string, vars ...any) string {
	return logger.ExplainSQL(query, nil, `'`, vars...)
}
