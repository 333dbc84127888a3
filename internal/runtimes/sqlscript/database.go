package sqlscript

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// open connects to the database of a URL. Its errors do not show the URL, which may hold a password.
func open(ctx context.Context, address string, out io.Writer) (*sql.DB, Dialect, error) {
	scheme, rest, ok := strings.Cut(address, ":")
	if !ok {
		return nil, 0, errForm
	}
	var db *sql.DB
	var d Dialect
	var err error
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql":
		d = PostgreSQL
		db, err = openPostgreSQL(address, out)
	case "mysql", "mariadb":
		d = MySQL
		db, err = openMySQL(address)
	case "sqlite", "sqlite3", "file":
		d = SQLite
		rest = strings.TrimPrefix(rest, "//") // sqlite:///a/path, and sqlite://a/path for a relative one
		if rest == "" {
			return nil, 0, errForm
		}
		if rest != ":memory:" {
			rest = "file:" + rest
		}
		db, err = sql.Open("sqlite", rest)
	default:
		return nil, 0, errForm
	}
	if err != nil {
		return nil, 0, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("the database can not be reached: %w", err), db.Close())
	}
	return db, d, nil
}

var errForm = errors.New("it is no URL of a known database: postgres://user:password@host/database, mysql://user:password@host/database, sqlite:/path")

func openPostgreSQL(address string, out io.Writer) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errForm // pgx's words show parts of the URL
	}
	// Each statement is described when it comes: one before it may have changed what it is about.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	// A server does not see that its client is gone while it works: it has to be told that nobody wants the statement any
	// more, and it says when it has ended it.
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: killTime}
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { fmt.Fprintf(out, "   %s: %s\n", n.Severity, n.Message) }
	return stdlib.OpenDB(*cfg), nil
}

func openMySQL(address string) (*sql.DB, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errForm
	}
	cfg := mysql.NewConfig()
	if q := u.RawQuery; q != "" { // timeouts, tls, charset and what else the driver knows
		if cfg, err = mysql.ParseDSN("/?" + q); err != nil {
			return nil, fmt.Errorf("the parameters of the database's URL are not understood: %w", err)
		}
	}
	cfg.User, cfg.DBName, cfg.Net, cfg.Addr = u.User.Username(), strings.TrimPrefix(u.Path, "/"), "tcp", u.Host
	cfg.Passwd, _ = u.User.Password()
	if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	cfg.MultiStatements, cfg.AllowAllFiles, cfg.ParseTime = false, false, false
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// killTime is how long the database may take to end a statement. It is less than a program is given to end itself.
const killTime = 5 * time.Second

// killer gives a function that ends the connection at the server, where its driver only hangs up and leaves the statement
// running: MySQL.
func killer(ctx context.Context, db *sql.DB, conn *sql.Conn, d Dialect) (func(), error) {
	if d != MySQL {
		return func() {}, nil
	}
	var id int64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
		defer cancel()
		_, _ = db.ExecContext(ctx, "KILL "+strconv.FormatInt(id, 10)) // it may have ended by itself
	}, nil
}

// hideURL takes the URL and the password in it out of a text.
func hideURL(text, address string) string {
	hide := []string{address}
	if u, err := url.Parse(address); err == nil && u.User != nil {
		if p, ok := u.User.Password(); ok {
			hide = append(hide, p)
			if _, encoded, ok := strings.Cut(u.User.String(), ":"); ok {
				hide = append(hide, encoded)
			}
		}
	}
	for _, h := range hide {
		if h != "" {
			text = strings.ReplaceAll(text, h, "***")
		}
	}
	return text
}

// lineOf is where in the script an error lies, as exactly as the database tells.
func lineOf(st Statement, err error) int {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Position > 0 && len(st.params) == 0 {
		runes := []rune(st.Text)
		return st.Line + strings.Count(string(runes[:min(int(pg.Position)-1, len(runes))]), "\n")
	}
	return st.Line
}
