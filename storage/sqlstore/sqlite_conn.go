package sqlstore

import (
	"context"
	"database/sql/driver"
	"fmt"

	"modernc.org/sqlite"
)

// cachedStatements is how many prepared statements a connection keeps. The fixed statements of this package are about a
// hundred; the rest is for the shapes that list queries come in.
const cachedStatements = 200

// cachingConnector opens SQLite connections that keep their prepared statements. Compiling a statement costs SQLite more
// than running it, and neither database/sql (which forgets a statement with its transaction) nor gorm (the same) keeps
// them where it counts: in transactions.
type cachingConnector struct{ inner driver.Connector }

func newCachingConnector(dsn string) (driver.Connector, error) {
	inner, err := sqlite.NewConnector(dsn)
	return cachingConnector{inner: inner}, err
}

func (c cachingConnector) Driver() driver.Driver { return c.inner.Driver() }

func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := inner.(sqliteConn)
	if !ok {
		_ = inner.Close()
		return nil, fmt.Errorf("sqlstore: the SQLite driver's connection %T lacks a context method", inner)
	}
	return &cachingConn{sqliteConn: conn, idle: map[string]*cachedStmt{}}, nil
}

// sqliteConn is what modernc.org/sqlite's connection can do and database/sql asks for. Deliberately without
// QueryerContext and ExecerContext: database/sql then prepares each statement, which finds the cache.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// cachingConn is used by one goroutine at a time, as every driver.Conn.
type cachingConn struct {
	sqliteConn
	idle  map[string]*cachedStmt
	clock uint64
}

// PrepareContext takes the statement out of the cache, so that a second use of the same text while the first is open gets
// one of its own.
func (c *cachingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if stmt, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return stmt, nil
	}
	inner, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := inner.(sqliteStmt)
	if !ok {
		return inner, nil
	}
	return &cachedStmt{sqliteStmt: stmt, conn: c, query: query}, nil
}

func (c *cachingConn) Close() error {
	for _, stmt := range c.idle {
		_ = stmt.sqliteStmt.Close()
	}
	c.idle = nil
	return c.sqliteConn.Close()
}

// keep takes a statement back, and drops the one that was not used for longest when there are too many.
func (c *cachingConn) keep(stmt *cachedStmt) error {
	if _, taken := c.idle[stmt.query]; taken || c.idle == nil {
		return stmt.sqliteStmt.Close()
	}
	c.clock++
	stmt.used = c.clock
	c.idle[stmt.query] = stmt
	if len(c.idle) <= cachedStatements {
		return nil
	}
	oldest := stmt
	for _, other := range c.idle {
		if other.used < oldest.used {
			oldest = other
		}
	}
	delete(c.idle, oldest.query)
	return oldest.sqliteStmt.Close()
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type cachedStmt struct {
	sqliteStmt
	conn  *cachingConn
	query string
	used  uint64
}

func (s *cachedStmt) Close() error { return s.conn.keep(s) }
