package sqlstore

import (
	"context"
	"time"
)

// Inspection is what a database says of itself.
type Inspection struct {
	Version, Encoding, Zone string
	TLS                     bool
	Clock                   time.Time
	MaxConns, Conns         int
	MayCreate, MayTemp      bool // tables, and temporary ones
	ReadOnly                bool
}

type inspectionRow struct {
	Version, Encoding, Zone string
	TLS                     bool
	Clock                   int64
	MaxConns, Conns         int
	MayCreate, MayTemp      bool
	ReadOnly                bool
}

// Inspect asks PostgreSQL what an operator should know. Of SQLite it tells the version and the clock, which is this machine's.
func (s *Store) Inspect(ctx context.Context) (Inspection, error) {
	if s.driver == SQLite {
		version, _, err := one[string](s.read.WithContext(ctx), "SELECT sqlite_version()")
		return Inspection{Version: version, Encoding: "UTF8", Clock: time.Now(), MayCreate: true, MayTemp: true}, s.fault(ctx, err)
	}
	r, _, err := one[inspectionRow](s.read.WithContext(ctx), `
		SELECT current_setting('server_version'), current_setting('server_encoding'), current_setting('TimeZone'),
			coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
			(extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
			current_setting('max_connections')::integer, (SELECT count(*) FROM pg_stat_activity)::integer,
			coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), has_database_privilege(current_database(), 'TEMPORARY'),
			pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'`)
	return Inspection{
		Version: r.Version, Encoding: r.Encoding, Zone: r.Zone, TLS: r.TLS, Clock: timeOf(r.Clock), MaxConns: r.MaxConns, Conns: r.Conns,
		MayCreate: r.MayCreate, MayTemp: r.MayTemp, ReadOnly: r.ReadOnly,
	}, s.fault(ctx, err)
}
