package sqlstore

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"waybill/internal/job"
)

// PostgresConfig is how to work with PostgreSQL. The zero value of a field takes its default.
type PostgresConfig struct {
	// Direct is a URL that reaches the server itself, for migrations, where URL goes through a pooler (default: URL).
	Direct string
	// Application is the name of the sessions at the server (default "waybill"), unless the URL has one.
	Application string
	// Pooled says that the URL goes through a pooler that gives each transaction another session. Nothing is kept in the
	// session then: no prepared statements and no timeouts, which are the role's to set.
	Pooled bool

	BackgroundConns   int           // of the pool for work that nobody waits for (default 4)
	ConnIdle          time.Duration // a connection idle for longer is closed (default: never)
	ConnLifetime      time.Duration // an older connection is replaced (default: never)
	ConnectTimeout    time.Duration // for one host (default 5 s)
	StatementTimeout  time.Duration // default 10 s
	BackgroundTimeout time.Duration // of statements that nobody waits for (default 2 min)
	LockTimeout       time.Duration // default 5 s
	IdleTransaction   time.Duration // default 30 s
}

const postgresConns = 20

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	p := &c.Postgres
	set(&p.ConnectTimeout, 5*time.Second)
	set(&p.StatementTimeout, 10*time.Second)
	set(&p.BackgroundTimeout, 2*time.Minute)
	set(&p.LockTimeout, 5*time.Second)
	set(&p.IdleTransaction, 30*time.Second)
	if p.Application == "" {
		p.Application = "waybill"
	}
	if p.Direct == "" {
		p.Direct = c.URL
	}
	if p.BackgroundConns <= 0 {
		p.BackgroundConns = 4
	}
	if c.MaxConns <= 0 {
		c.MaxConns = postgresConns
	}
	return c
}

// openPostgres opens two pools: what somebody waits for must not wait behind what nobody does. pgx caches prepared statements
// per connection by itself.
func (s *Store) openPostgres(ctx context.Context, c Config) (err error) {
	c = c.withDefaults()
	s.settings = c
	settings, err := parsePostgres(c.URL, c)
	if err != nil {
		return err
	}
	if _, err := parsePostgres(c.Postgres.Direct, c); err != nil {
		return err
	}
	s.warnings = plainHosts(settings)
	if s.write, err = s.postgresPool(ctx, settings, c.MaxConns, c.Postgres.StatementTimeout); err != nil {
		return err
	}
	s.read = s.write
	s.background.write, err = s.postgresPool(ctx, settings, c.Postgres.BackgroundConns, c.Postgres.BackgroundTimeout)
	s.background.read = s.background.write
	return err
}

// parsePostgres reads a URL and lays below it what holds unless it says otherwise.
func parsePostgres(url string, c Config) (*pgx.ConnConfig, error) {
	settings, err := pgx.ParseConfig(url)
	if url == "" || err != nil {
		// The cause redacts the password; the message must not show the URL at all.
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "The database URL is not one that PostgreSQL takes")
	}
	if settings.ConnectTimeout == 0 || !strings.Contains(url, "connect_timeout") {
		settings.ConnectTimeout = c.Postgres.ConnectTimeout
	}
	settings.DialFunc = dialer(c.Postgres.ConnectTimeout)
	if settings.RuntimeParams["application_name"] == "" {
		settings.RuntimeParams["application_name"] = c.Postgres.Application
	}
	if c.Postgres.Pooled && settings.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		settings.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return settings, nil
}

// session lays the parameters of a session below those of the URL.
func session(settings *pgx.ConnConfig, c Config, statement, lock time.Duration) {
	if c.Postgres.Pooled {
		return // a pooler refuses a session with parameters it does not know
	}
	set := func(name, value string) {
		if settings.RuntimeParams[name] == "" {
			settings.RuntimeParams[name] = value
		}
	}
	set("statement_timeout", millis(statement))
	set("lock_timeout", millis(lock))
	set("idle_in_transaction_session_timeout", millis(c.Postgres.IdleTransaction))
	// The server gives up a session whose client went away without a word, and with it the locks of its transaction.
	set("tcp_keepalives_idle", "15")
	set("tcp_keepalives_interval", "5")
	set("tcp_keepalives_count", "3")
	set("tcp_user_timeout", "30000")
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// dialer makes connections that are found dead when nothing answers any more, also while they wait for a statement to end.
func dialer(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return d.DialContext
}

// postgresPool opens a pool whose statements take no longer than the time given: the server ends them, and where it does not
// answer at all, patience does.
func (s *Store) postgresPool(ctx context.Context, settings *pgx.ConnConfig, conns int, statement time.Duration) (*gorm.DB, error) {
	settings = settings.Copy()
	p := s.settings.Postgres
	session(settings, s.settings, statement, min(p.LockTimeout, statement))
	pool := stdlib.OpenDB(*settings)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(p.ConnIdle)
	pool.SetConnMaxLifetime(p.ConnLifetime)
	s.pools = append(s.pools, pool)
	dialect := postgresDialect{
		Dialector: postgres.Dialector{Config: &postgres.Config{Conn: pool}},
		keeper:    &keeper{pool: pool, conns: conns, patience: statement + p.ConnectTimeout, observe: s.observe},
	}
	db, err := gorm.Open(dialect, gormConfig())
	return db, s.fault(ctx, err)
}

// postgresDialect is gorm's, with what reads need to know of their pool.
type postgresDialect struct {
	postgres.Dialector
	keeper *keeper
}

// keeperOf is the keeper of the pool that db works with; nil on SQLite.
func keeperOf(db *gorm.DB) *keeper {
	if d, ok := db.Dialector.(postgresDialect); ok {
		return d.keeper
	}
	return nil
}

// plainHosts tells of hosts that are reached over a network without TLS, or without a check whose certificate it is.
func plainHosts(settings *pgx.ConnConfig) []string {
	type attempt struct {
		host string
		tls  *tls.Config
	}
	attempts := []attempt{{settings.Host, settings.TLSConfig}}
	for _, f := range settings.Fallbacks { // other hosts, and of "prefer" and "allow" each host's other attempt
		attempts = append(attempts, attempt{f.Host, f.TLSConfig})
	}
	var warnings []string
	seen := map[string]bool{}
	tell := func(bad func(*tls.Config) bool, warning string) {
		for _, a := range attempts {
			if bad(a.tls) && !seen[a.host] && !local(a.host) {
				seen[a.host] = true
				warnings = append(warnings, fmt.Sprintf(warning, a.host))
			}
		}
	}
	tell(func(c *tls.Config) bool { return c == nil }, "connections to PostgreSQL at %s are or may be without TLS: set sslmode=verify-full")
	tell(unchecked, "the certificate of PostgreSQL at %s is not checked: set sslmode=verify-full")
	return warnings
}

// unchecked tells whether a connection takes any certificate.
func unchecked(c *tls.Config) bool {
	return c != nil && c.InsecureSkipVerify && c.VerifyPeerCertificate == nil && c.VerifyConnection == nil
}

// local tells whether a host is this machine: a socket's path or a loopback address.
func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Warnings tells what is wrong with the connection, though it works.
func (s *Store) Warnings() []string { return s.warnings }

// PoolStats tells how the pools are used, by name.
func (s *Store) PoolStats() map[string]sql.DBStats {
	names := []string{"requests", "background"}
	if s.driver == SQLite {
		names = []string{"writer", "readers"}
	}
	stats := make(map[string]sql.DBStats, len(s.pools))
	for i, pool := range s.pools {
		stats[names[i]] = pool.Stats()
	}
	return stats
}
