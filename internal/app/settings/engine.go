package settings

import "unicode/utf8"

// Engine is how the embedded Temporal server keeps its data and whom it lets in.
type Engine struct {
	Store                string // auto, sqlite, postgres
	Database, Visibility string // names of its PostgreSQL databases; empty: by the name of Waybill's
	Connections          int    // of each of its pools
	Auth                 string // token, off
}

// Postgres tells whether it keeps its data in PostgreSQL.
func (e Engine) Postgres(d Database) bool {
	return e.Store == "postgres" || e.Store == "auto" && d.URL != ""
}

var engineSettings = []setting{
	{name: "engine-store", only: alone, value: "auto", help: "where the embedded Temporal keeps its data: auto (PostgreSQL beside a PostgreSQL database, else SQLite), sqlite, postgres"},
	{name: "engine-database", only: alone, help: "PostgreSQL database of the embedded Temporal (default: the name of Waybill's and _temporal)"},
	{name: "engine-visibility-database", only: alone, help: "PostgreSQL database of its lists (default: the name of Waybill's and _temporal_visibility)"},
	{name: "engine-connections", only: alone, value: "5", help: "connections of each of the up to nine pools to these databases"},
	{name: "engine-auth", only: alone, value: "token", help: "sign-in to the embedded Temporal: token (file engine-token of the data folder; admins to the Web UI) or off"},
}

func (p *parser) engine() Engine {
	e := Engine{
		Store: p.word("engine-store", "auto", "sqlite", "postgres"), Database: p.databaseName("engine-database"),
		Visibility: p.databaseName("engine-visibility-database"), Connections: int(p.number("engine-connections", 2, 200)),
		Auth: p.word("engine-auth", "token", "off"),
	}
	if e.Store == "postgres" && p.k.String("database") == "" {
		p.fault("engine-store", "can be postgres with a PostgreSQL database only: give %s", Name("database"))
	}
	return e
}

// databaseName takes what PostgreSQL takes for a name; "" stays.
func (p *parser) databaseName(name string) string {
	v := p.k.String(name)
	if len(v) > 63 || !utf8.ValidString(v) {
		p.fault(name, "is the name of a database, of 63 bytes at most, not %q", v)
	}
	return v
}
