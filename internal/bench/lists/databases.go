package lists

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"waybill/internal/job"
	"waybill/storage/sqlstore"
	"waybill/storage/sqlstore/seed"
)

// set is a database with so many jobs.
type set struct {
	jobs    int
	store   *sqlstore.Store
	account int64
	close   func() error
}

// open makes a database of its own, with so many jobs in it. An existing one is never touched: on PostgreSQL a new one is
// created beside that of the URL, which is only asked to do so.
func (o Options) open(ctx context.Context, folder string, jobs int) (_ *set, err error) {
	s := &set{jobs: jobs}
	defer func() {
		if err != nil && s.close != nil {
			err = errors.Join(err, s.close())
		}
	}()
	c, driver := o.Database, "sqlite"
	drop := func() error { return nil }
	if c.Driver == sqlstore.Postgres {
		driver = "pgx"
		name := fmt.Sprintf("waybill_bench_%d_%d_%d", os.Getpid(), time.Now().UnixNano(), jobs)
		to, err := url.Parse(c.URL)
		if err != nil {
			return nil, errors.New("the database is not named by a URL")
		}
		if err := at(ctx, c.URL, "CREATE DATABASE "+name); err != nil {
			return nil, fmt.Errorf("make a database beside that of the URL: %w", err)
		}
		drop = func() error {
			return at(context.WithoutCancel(ctx), o.Database.URL, "DROP DATABASE "+name+" WITH (FORCE)")
		}
		to.Path = "/" + name
		c.URL, c.Postgres.Direct = to.String(), ""
	} else {
		c.Path = filepath.Join(folder, strconv.Itoa(jobs)+".db")
	}
	s.close = drop
	if s.store, err = sqlstore.Open(ctx, c); err != nil {
		return nil, err
	}
	s.close = func() error { return errors.Join(s.store.Close(), drop()) }
	return s, s.fill(ctx, driver, c)
}

func (s *set) fill(ctx context.Context, driver string, c sqlstore.Config) (err error) {
	if err := s.store.Migrate(ctx); err != nil {
		return err
	}
	a, _, err := s.store.CreateAccount(ctx, job.Account{Name: "bench"}, "default", job.User{Name: "admin", Active: true})
	if err != nil {
		return err
	}
	s.account = a.ID
	source := c.URL
	if driver == "sqlite" {
		source = "file:" + (&url.URL{Path: c.Path}).EscapedPath() + "?_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_pragma=cache_size(-200000)"
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	err = seed.Jobs(ctx, pool, driver == "pgx", [3]int64{a.ID, a.ID + 1, a.ID + 2}, s.jobs)
	if err == nil {
		err = s.store.FoldCounts(ctx)
	}
	if err == nil && driver == "pgx" {
		// As autovacuum does where jobs end one by one: so many changes at once leave a table that is empty and large.
		_, err = pool.ExecContext(ctx, "VACUUM ANALYZE job_counts, job_count_changes, job_tag_counts, job_tag_count_changes, job_tagged")
	}
	if err == nil && driver == "sqlite" {
		_, err = pool.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // a log as large as the file is what no installation has
	}
	return errors.Join(err, pool.Close())
}

// at does a statement on a connection of its own.
func at(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}
