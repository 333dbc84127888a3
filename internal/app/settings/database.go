package settings

import "net/url"

// Database is where the tables are.
type Database struct {
	URL string // of a PostgreSQL database; empty: the SQLite file in the data folder
}

var databaseSettings = []setting{
	{name: "database", secret: true, help: "URL of a PostgreSQL database (default: SQLite, in the data folder)"},
}

func (p *parser) database() Database {
	return Database{URL: p.databaseURL("database")}
}

// databaseURL takes a URL only: what it looks like is never shown, for it may hold a password.
func (p *parser) databaseURL(name string) string {
	v := p.k.String(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Host == "" {
		p.fault(name, "is a URL such as postgres://user:password@host:5432/database")
	}
	return v
}
