package settings

import (
	"errors"
	"net/url"
	"time"
)

// Database is where the tables are, and how this process talks to them. All but URL goes for PostgreSQL only.
type Database struct {
	URL         string // of a PostgreSQL database; empty: the SQLite file in the data folder
	Direct      string // URL that reaches PostgreSQL itself, for migrations and the engine, where URL goes through a pooler; empty: see Session
	Application string // how the sessions are named at the server; no setting, each kind of process says its own

	MaxConns          int           // of the pool of requests and jobs
	BackgroundConns   int           // of the pool of everything that nobody waits for
	ConnIdle          time.Duration // after which a connection that nobody uses is closed; 0: never
	ConnLifetime      time.Duration // after which a connection is replaced; 0: never
	ConnectTimeout    time.Duration
	StatementTimeout  time.Duration // of requests and jobs
	BackgroundTimeout time.Duration // of a statement that nobody waits for
	LockTimeout       time.Duration
	IdleTransaction   time.Duration // after which the server ends a session that holds a transaction open and says nothing
	Pooled            bool          // URL goes through a pooler that gives each transaction another session
}

// Session is a URL whose sessions keep what they hold, such as locks: that of the server itself. It is "" where only one through a
// pooler is known.
func (d Database) Session() string {
	if d.Direct != "" || d.Pooled {
		return d.Direct
	}
	return d.URL
}

var databaseSettings = []setting{
	{name: "database", secret: true, bare: noPassword, help: "URL of a PostgreSQL database; with a password by the environment only (default: SQLite, in the data folder)"},
	{name: "database-direct", secret: true, bare: noPassword, help: "URL that reaches PostgreSQL itself, for migrations and the embedded Temporal, where --database goes through a pooler (default: --database)"},
	{name: "database-tls", help: "protection of the connections to PostgreSQL: disable, require, verify-ca or verify-full (default: as the URL says)"},
	{name: "database-ca", help: "file with the certificates that the server's certificate is checked with (default: as the URL says)"},
	{name: "database-cert", help: "file with the client's certificate for PostgreSQL (default: as the URL says)"},
	{name: "database-key", help: "file with the key of the client's certificate (default: as the URL says)"},
	{name: "database-max-conns", value: "20", help: "connections that requests and jobs of this process may have open to PostgreSQL"},
	{name: "database-background-conns", value: "4", help: "connections for retention, purges and counts, besides"},
	{name: "database-conn-idle", value: "5m", help: "time after which a connection that nobody uses is closed; 0s: never"},
	{name: "database-conn-lifetime", value: "30m", help: "time after which a connection is replaced; 0s: never"},
	{name: "database-connect-timeout", value: "5s", help: "time for connecting to one host of the database"},
	{name: "database-statement-timeout", value: "10s", help: "time for a statement of a request or a job"},
	{name: "database-background-timeout", value: "2m", help: "time for a statement of retention, purges and counts"},
	{name: "database-lock-timeout", value: "5s", help: "time for which a statement waits for a lock"},
	{name: "database-idle-transaction-timeout", value: "30s", help: "time after which PostgreSQL ends a transaction whose client says nothing"},
	{name: "database-pooler", value: "none", help: "what --database goes through: none, or transaction (pgbouncer with pool_mode=transaction)"},
}

func (p *parser) database() Database {
	tls := p.databaseTLS()
	return Database{
		URL: p.databaseURL("database", tls), Direct: p.databaseURL("database-direct", tls),
		MaxConns: int(p.number("database-max-conns", 2, 10_000)), BackgroundConns: int(p.number("database-background-conns", 1, 1000)),
		ConnIdle:          p.duration("database-conn-idle", 0, 24*time.Hour),
		ConnLifetime:      p.duration("database-conn-lifetime", 0, 7*24*time.Hour),
		ConnectTimeout:    p.duration("database-connect-timeout", 100*time.Millisecond, time.Minute),
		StatementTimeout:  p.duration("database-statement-timeout", 100*time.Millisecond, time.Hour),
		BackgroundTimeout: p.duration("database-background-timeout", time.Second, 24*time.Hour),
		LockTimeout:       p.duration("database-lock-timeout", 100*time.Millisecond, time.Hour),
		IdleTransaction:   p.duration("database-idle-transaction-timeout", time.Second, 24*time.Hour),
		Pooled:            p.word("database-pooler", "none", "transaction") == "transaction",
	}
}

// noPassword refuses a URL with a password in it.
func noPassword(value string) error {
	u, err := url.Parse(value)
	if err != nil {
		return errors.New("is not a URL")
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return errors.New("holds a password, which every user of the machine could read there")
	}
	return nil
}

// databaseTLS is what the settings say of TLS, as the parameters of a URL.
func (p *parser) databaseTLS() url.Values {
	said := url.Values{}
	if p.k.String("database-tls") != "" {
		said.Set("sslmode", p.word("database-tls", "disable", "require", "verify-ca", "verify-full"))
	}
	for name, parameter := range map[string]string{"database-ca": "sslrootcert", "database-cert": "sslcert", "database-key": "sslkey"} {
		if v := p.path(name); v != "" {
			said.Set(parameter, v)
		}
	}
	if said.Has("sslcert") != said.Has("sslkey") {
		p.fault("database-cert", "and %s go together", Name("database-key"))
	}
	if said.Has("sslrootcert") && said.Get("sslmode") == "" {
		said.Set("sslmode", "verify-full") // whoever names the certificates wants them checked
	}
	return said
}

// databaseURL takes a URL only: what it looks like is never shown, for it may hold a password. Several hosts, with commas
// between them, are tried in turns.
func (p *parser) databaseURL(name string, tls url.Values) string {
	v := p.k.String(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Host == "" && u.Query().Get("host") == "" {
		p.fault(name, "is a URL such as postgres://user:password@host:5432/database")
		return v
	}
	if len(tls) == 0 {
		return v
	}
	query := u.Query()
	for parameter := range tls {
		query.Set(parameter, tls.Get(parameter))
	}
	u.RawQuery = query.Encode()
	return u.String()
}
