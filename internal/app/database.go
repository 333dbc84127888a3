package app

import (
	"cmp"
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/app/settings"
	"waybill/storage/sqlstore"
)

// postgresConfig is the external database of the settings.
func postgresConfig(d settings.Database) sqlstore.Config {
	return sqlstore.Config{
		Driver: sqlstore.Postgres, URL: d.URL, MaxConns: d.MaxConns,
		Postgres: sqlstore.PostgresConfig{
			Direct: d.Direct, Application: cmp.Or(d.Application, "waybill"), Pooled: d.Pooled, BackgroundConns: d.BackgroundConns,
			ConnIdle: d.ConnIdle, ConnLifetime: d.ConnLifetime, ConnectTimeout: d.ConnectTimeout,
			StatementTimeout: d.StatementTimeout, BackgroundTimeout: d.BackgroundTimeout, LockTimeout: d.LockTimeout,
			IdleTransaction: d.IdleTransaction,
		},
	}
}

// watchStore shows what goes wrong with the database, and how its connections are used. The names are part of the interface
// (docs/metrics.md).
func (p *parts) watchStore(c *sqlstore.Config) {
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_database_errors_total", Help: "Errors of the database, by kind, and whether what failed was done again.",
	}, []string{"kind", "repeated"})
	p.metrics.MustRegister(failed, poolCollector{p})
	troublesFrom(failed)
	c.Now = p.now
	c.Observe = func(kind sqlstore.Trouble, again bool) {
		failed.WithLabelValues(string(kind), repeated(again)).Inc()
	}
}

// warnOfStore logs what is wrong with the connection though it works.
func (p *parts) warnOfStore(ctx context.Context) {
	for _, warning := range p.store.Warnings() {
		p.log.WarnContext(ctx, warning)
	}
}

// poolCollector shows the connections of the store, once it is open.
type poolCollector struct{ parts *parts }

var (
	poolOpen = prometheus.NewDesc("waybill_database_connections", "Connections to the database, by pool and whether they are in use.", []string{"pool", "state"}, nil)
	poolMax  = prometheus.NewDesc("waybill_database_connections_max", "Connections to the database that a pool may have.", []string{"pool"}, nil)
	poolWait = prometheus.NewDesc("waybill_database_waits_total", "Times that work waited for a connection to the database.", []string{"pool"}, nil)
	poolTime = prometheus.NewDesc("waybill_database_wait_seconds_total", "Time that work waited for a connection to the database.", []string{"pool"}, nil)
)

func (c poolCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolOpen, poolMax, poolWait, poolTime} {
		to <- d
	}
}

func (c poolCollector) Collect(to chan<- prometheus.Metric) {
	if c.parts.store == nil {
		return
	}
	for pool, s := range c.parts.store.PoolStats() {
		to <- prometheus.MustNewConstMetric(poolOpen, prometheus.GaugeValue, float64(s.InUse), pool, "used")
		to <- prometheus.MustNewConstMetric(poolOpen, prometheus.GaugeValue, float64(s.Idle), pool, "idle")
		to <- prometheus.MustNewConstMetric(poolMax, prometheus.GaugeValue, float64(s.MaxOpenConnections), pool)
		to <- prometheus.MustNewConstMetric(poolWait, prometheus.CounterValue, float64(s.WaitCount), pool)
		to <- prometheus.MustNewConstMetric(poolTime, prometheus.CounterValue, s.WaitDuration.Seconds(), pool)
	}
}

// Database is the one of the settings for a command that measures: of PostgreSQL its server, else a file that is not named yet.
func Database(s settings.Settings) sqlstore.Config {
	c, _ := databaseConfig(s, "")
	return c
}
