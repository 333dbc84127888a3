package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/objectstore"
	"waybill/storage/sqlstore"
)

// Components that somebody else runs are often started together with Waybill, so they are waited for.
const (
	externalPatience = time.Minute
	firstPause       = 200 * time.Millisecond
	longestPause     = 2 * time.Second
	tellEvery        = 10 * time.Second
)

// await calls try until it succeeds, fails for a reason that waiting does not mend, or patience is over. what names the
// component with its setting, never with its value.
func await(ctx context.Context, log *slog.Logger, what string, try func(context.Context) error) error {
	over := time.Now().Add(externalPatience)
	var told time.Time
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try(ctx)
		if err == nil || job.CodeOf(err) != job.Unavailable || ctx.Err() != nil || time.Now().After(over) {
			return named(what, err)
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			log.WarnContext(ctx, "waiting for "+what, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// named tells which component failed. Of what is wrong with a setting only our own words are shown: the library's may
// quote the value.
func named(what string, err error) error {
	var own *job.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own) && own.Code == job.Invalid:
		return fmt.Errorf("%s: %s", what, own.Message)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// databaseConfig is the database of the settings: an external one, or the file.
func databaseConfig(s settings.Settings, file string) (c sqlstore.Config, what string) {
	if s.Database.URL != "" {
		return postgresConfig(s.Database), "the database of " + settings.Name("database")
	}
	return sqlstore.Config{Driver: sqlstore.SQLite, Path: file}, "the database " + file
}

// openDatabase opens and migrates the database.
func openDatabase(ctx context.Context, s settings.Settings, log *slog.Logger, file string, change ...func(*sqlstore.Config)) (*sqlstore.Store, error) {
	c, what := databaseConfig(s, file)
	for _, f := range change {
		f(&c)
	}
	if c.Driver == sqlstore.SQLite {
		store, err := openAndMigrate(ctx, c, log)
		return store, named(what, err)
	}
	var store *sqlstore.Store
	err := await(ctx, log, what, func(ctx context.Context) (err error) {
		store, err = openAndMigrate(ctx, c, log)
		return err
	})
	return store, err
}

func openAndMigrate(ctx context.Context, c sqlstore.Config, log *slog.Logger) (*sqlstore.Store, error) {
	store, err := sqlstore.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("can not be opened: %w", err)
	}
	done, err := store.MigrateUp(ctx)
	noteMigrated(ctx, store, log, done, err)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("can not be migrated: %w", err), store.Close())
	}
	return store, nil
}

// externalObjects is the object store of the settings.
func externalObjects(s settings.Settings) objectstore.Config {
	c := s.S3
	encryption := objectstore.Encryption(c.Encryption)
	if c.Encryption == "none" {
		encryption = ""
	}
	return objectstore.Config{
		Endpoint: c.Endpoint, Bucket: c.Bucket, Region: c.Region, Prefix: c.Prefix, Lookup: objectstore.Lookup(c.Lookup),
		AccessKey: c.AccessKey, SecretKey: c.SecretKey, SessionToken: c.SessionToken, CreateBucket: c.CreateBucket,
		Secure: c.TLS, CAFile: c.CAFile, TLS13: c.MinTLS == "1.3", Timeout: c.Timeout, Version: Version(),
		Encryption: encryption, EncryptionKey: c.EncryptionKey, Checksums: c.Checksums,
		PublicEndpoint: c.PublicEndpoint, PublicExpiry: c.PublicExpiry,
	}
}

func (p *parts) openExternalObjects(ctx context.Context) error {
	err := await(ctx, p.log, "the object store of "+settings.Name("s3-endpoint"), func(ctx context.Context) error {
		return p.openObjects(ctx, externalObjects(p.settings))
	})
	if err == nil && p.settings.S3.Lifecycle == "manage" {
		limited, cancel := context.WithTimeout(ctx, tellEvery)
		defer cancel()
		if done, why := p.objects.ManageLifecycle(limited); !done {
			p.log.DebugContext(ctx, "the bucket has no rule of ours that ends broken uploads; the retention ends them", "reason", why)
		}
	}
	return err
}

func (p *parts) openExternalTemporal(ctx context.Context) error {
	engine := p.externalEngine() // once: what it remembers of one try explains the next
	return await(ctx, p.log, "Temporal of "+settings.Name("temporal"), func(ctx context.Context) error {
		if err := p.openTemporal(ctx, engine); err != nil {
			return err
		}
		err := p.claimNamespace(ctx, p.settings.Temporal.Address, false)
		if err != nil {
			p.temporal.Close()
			p.temporal = nil
		}
		return err
	})
}

// presigner is what makes addresses for clients; nil where they can not reach the object store.
func (p *parts) presigner() control.Presigner {
	if !p.objects.Presigns() {
		return nil
	}
	return p.objects
}
