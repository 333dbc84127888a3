package sqlstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"waybill/internal/job"
)

const (
	postgresConns        = 20
	postgresConnLifetime = 30 * time.Minute // so that a fail-over or a new server behind a balancer is found
	postgresDialTimeout  = 5 * time.Second
)

// openPostgres opens one pool. pgx caches prepared statements per connection by itself.
func (s *Store) openPostgres(ctx context.Context, c Config) error {
	settings, err := pgx.ParseConfig(c.URL)
	if c.URL == "" || err != nil {
		// The cause redacts the password; the message must not show the URL at all.
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The database URL is not one that PostgreSQL takes")
	}
	if settings.RuntimeParams["application_name"] == "" {
		settings.RuntimeParams["application_name"] = "waybill"
	}
	if settings.ConnectTimeout == 0 {
		settings.ConnectTimeout = postgresDialTimeout
	}
	conns := c.MaxConns
	if conns <= 0 {
		conns = postgresConns
	}
	pool := stdlib.OpenDB(*settings)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxLifetime(postgresConnLifetime)
	s.pools = append(s.pools, pool)
	s.write, err = gorm.Open(postgres.New(postgres.Config{Conn: pool}), gormConfig())
	s.read = s.write
	return s.fault(ctx, err)
}
