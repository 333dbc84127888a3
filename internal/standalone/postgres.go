package standalone

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/iancoleman/strcase"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
)

// Postgres is where the engine keeps its data when not in an SQLite file.
type Postgres struct {
	// URL is that of Waybill's own database. The engine's are on the same server, reached the same way.
	URL string
	// Store and Visibility are the names of the engine's two databases. Default: the name of Waybill's with _temporal and
	// _temporal_visibility behind it.
	Store, Visibility string
	// Conns bounds each of the pools of the server's services, of which there are up to five for Store and four for
	// Visibility. Default 5.
	Conns int
	// shards is for measurements; 0 is postgresShards.
	shards int32
}

// The settings that errors name.
const (
	storeFlag      = "--engine-database"
	visibilityFlag = "--engine-visibility-database"
)

const (
	storeSuffix      = "_temporal"
	visibilitySuffix = "_temporal_visibility"
	longestName      = 63 // bytes; PostgreSQL cuts longer ones off
	postgresConns    = 5
	// postgresShards is fixed at the creation of the database. docs/adr/0012-single-node.md has the measurement.
	postgresShards = 4

	connLifetime = 30 * time.Minute // so that a fail-over is found
	dialTimeout  = 5 * time.Second
	// databasePatience is how long a server that is not there yet is waited for.
	databasePatience = time.Minute
)

// postgresStore is the engine's two databases on a PostgreSQL server.
type postgresStore struct {
	own                      *pgx.ConnConfig // of Waybill's database
	store, visibility, owner string
	conns                    int
	shards                   int32
	log                      *slog.Logger
}

func newPostgresStore(p Postgres, log *slog.Logger) (*postgresStore, error) {
	own, err := pgx.ParseConfig(p.URL)
	if err != nil {
		return nil, errors.New("the database URL is not one that PostgreSQL takes") // the cause may show parts of it
	}
	if own.ConnectTimeout == 0 {
		own.ConnectTimeout = dialTimeout
	}
	s := &postgresStore{own: own, store: p.Store, visibility: p.Visibility, owner: own.User, conns: p.Conns, shards: p.shards, log: log}
	if s.store == "" {
		s.store = own.Database + storeSuffix
	}
	if s.visibility == "" {
		s.visibility = own.Database + visibilitySuffix
	}
	if s.conns <= 0 {
		s.conns = postgresConns
	}
	if s.shards <= 0 {
		s.shards = postgresShards
	}
	for _, name := range []struct{ flag, value string }{{storeFlag, s.store}, {visibilityFlag, s.visibility}} {
		if len(name.value) > longestName {
			return nil, fmt.Errorf("the database name %q has more than the %d bytes that PostgreSQL takes: give a shorter one with %s", name.value, longestName, name.flag)
		}
	}
	if s.store == s.visibility || s.store == own.Database || s.visibility == own.Database {
		return nil, fmt.Errorf("%s %s and %s %s must be two databases of their own, beside Waybill's %s", storeFlag, s.store, visibilityFlag, s.visibility, own.Database)
	}
	return s, nil
}

// at is how one of the databases is reached.
func (s *postgresStore) at(database, application string) *pgx.ConnConfig {
	c := s.own.Copy()
	c.Database = database
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = application
	}
	return c
}

// sqlConfigs is the server's view of the databases.
func (s *postgresStore) sqlConfigs() (store, visibility *config.SQL) {
	view := func(database string) *config.SQL {
		return &config.SQL{
			PluginName: postgresql.PluginNamePGX, DatabaseName: database, ConnectAddr: "as Connect says",
			Connect: func(*config.SQL) (*sqlx.DB, error) { return s.pool(database) },
		}
	}
	return view(s.store), view(s.visibility)
}

// pool opens a pool for one of the server's services. The server's own way of opening one knows less of a URL than the
// driver does: TLS, several hosts, a file of passwords.
func (s *postgresStore) pool(database string) (*sqlx.DB, error) {
	c := s.at(database, "waybill engine")
	if c.RuntimeParams["synchronous_commit"] == "" {
		// What a crash of the database server may take back are the engine's last writes, in order, and none of Waybill's own:
		// its job table is the truth, and starts again what the engine forgot. Set it in the URL to have it otherwise.
		c.RuntimeParams["synchronous_commit"] = "off"
	}
	db := sqlx.NewDb(sql.OpenDB(stdlib.GetConnector(*c, stdlib.OptionAfterConnect(durationsAreNumbers))), "pgx")
	if err := db.Ping(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.SetMaxOpenConns(s.conns)
	db.SetMaxIdleConns(s.conns)
	db.SetConnMaxLifetime(connLifetime)
	db.MapperFunc(strcase.ToSnake) // as the server's plugin does
	return db, nil
}

// durationsAreNumbers makes the driver write durations as the server's plugin does: in nanoseconds.
func durationsAreNumbers(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterDefaultPgType(time.Duration(0), "int8")
	conn.TypeMap().RegisterDefaultPgType((*time.Duration)(nil), "int8")
	return nil
}

// prepare makes the databases where they are missing, and brings their tables up to this server.
func (s *postgresStore) prepare(ctx context.Context) error {
	for _, kind := range s.kinds() {
		if err := s.upgrade(ctx, kind); err != nil {
			return err
		}
	}
	store, _ := s.sqlConfigs()
	_, err := createNamespace(store)
	return err
}

// makeDatabases makes those of the two databases that are missing.
func (s *postgresStore) makeDatabases(ctx context.Context) error {
	conn, err := s.connect(ctx, s.at(s.own.Database, "waybill engine set-up"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing depends on it
	var missing []string
	for _, name := range []string{s.store, s.visibility} {
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
			return fmt.Errorf("look for the database %s: %w", name, err)
		}
		if there {
			continue
		}
		switch _, err := conn.Exec(ctx, "CREATE DATABASE "+quoted(name)); {
		case err == nil, hasState(err, "42P04", "23505"): // another start was faster
		case hasState(err, "42501"):
			missing = append(missing, "CREATE DATABASE "+quoted(name)+" OWNER "+quoted(s.owner)+";")
		default:
			return fmt.Errorf("make the database %s: %w", name, err)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the engine's databases are missing, and the user %q may not make databases. Let an administrator of the server run: %s", s.owner, strings.Join(missing, " "))
	}
	return nil
}

// connect opens one connection, and waits for a server that is not there yet.
func (s *postgresStore) connect(ctx context.Context, c *pgx.ConnConfig) (*pgx.Conn, error) {
	over := time.Now().Add(databasePatience)
	for told := false; ; told = true {
		conn, err := pgx.ConnectConfig(ctx, c)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil || !passing(err) || time.Now().After(over) {
			return nil, fmt.Errorf("reach the engine's database %s: %w", c.Database, err)
		}
		if !told {
			s.log.WarnContext(ctx, "waiting for the engine's database", "database", c.Database, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// passing tells whether waiting may mend it: the server is not there, starts, ends, or has no connection to spare.
func passing(err error) bool {
	var told *pgconn.PgError
	if !errors.As(err, &told) {
		return true
	}
	return hasState(err, "57P01", "57P02", "57P03", "53300")
}

// hasState tells whether PostgreSQL answered with one of the SQLSTATEs.
func hasState(err error, states ...string) bool {
	var told *pgconn.PgError
	if !errors.As(err, &told) {
		return false
	}
	for _, state := range states {
		if told.Code == state {
			return true
		}
	}
	return false
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
