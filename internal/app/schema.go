package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// Schema is the tables of an installation for a command that looks after them, whether or not Waybill runs.
type Schema struct {
	store  *sqlstore.Store
	folder *datafolder.Folder // held while a file's tables are taken back
}

// SchemaUse is what a command wants of the tables.
type SchemaUse int

// The uses.
const (
	SchemaLook SchemaUse = iota // changes nothing
	SchemaUp                    // also before the first start
	SchemaDown                  // on a file only while no Waybill runs on it
)

// OpenSchema opens the database of the settings without touching it; a PostgreSQL that does not answer yet is waited for. Close it.
func OpenSchema(ctx context.Context, s settings.Settings, use SchemaUse, change ...func(*sqlstore.Config)) (_ *Schema, err error) {
	c, what := databaseConfig(s, filepath.Join(s.Data, "waybill.db"))
	for _, f := range change {
		f(&c)
	}
	schema := &Schema{}
	if c.Driver == sqlstore.SQLite {
		if err := schema.prepareFile(s.Data, c.Path, use); err != nil {
			return nil, named(what, err)
		}
	}
	err = await(ctx, slog.Default(), what, func(ctx context.Context) (err error) {
		schema.store, err = sqlstore.Open(ctx, c)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, schema.Close())
	}
	return schema, nil
}

func (s *Schema) prepareFile(folder, file string, use SchemaUse) error {
	if use == SchemaUp {
		return os.MkdirAll(folder, 0o700)
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return job.Errorf(job.Invalid, job.WordInvalidField, "the file does not exist; name a PostgreSQL database in %s", settings.Name("database"))
	}
	if use == SchemaLook {
		return nil
	}
	held, err := datafolder.Open(folder) // refuses while waybill up runs on it
	s.folder = held
	return err
}

// Close gives the database back.
func (s *Schema) Close() (err error) {
	if s.store != nil {
		err = s.store.Close()
	}
	if s.folder != nil {
		err = errors.Join(err, s.folder.Close())
	}
	return err
}

// Status lists the migrations, known ones and those of newer programs.
func (s *Schema) Status(ctx context.Context) ([]sqlstore.Migration, error) {
	return s.store.Schema(ctx)
}

// checkVersion refuses tables that are older than this program. Newer ones will do.
func (s *Schema) checkVersion(ctx context.Context) error {
	list, err := s.Status(ctx)
	if err != nil {
		return fmt.Errorf("the version of the tables can not be read: %w", err)
	}
	pending := 0
	for _, m := range list {
		if m.Applied.IsZero() {
			pending++
		}
	}
	switch {
	case pending == len(list):
		return job.Errorf(job.Conflict, job.WordStale, "The database has no tables yet: start waybill up on it, or make them with waybill admin setup or waybill migrate up")
	case pending > 0:
		return job.Errorf(job.Conflict, job.WordStale,
			"The database's tables are older than this program, %d steps are missing: upgrade as docs/upgrade.md says (waybill migrate up), or use the program that runs on them", pending)
	}
	return nil
}

// Up brings the tables to this program's version and tells what was done.
func (s *Schema) Up(ctx context.Context) ([]sqlstore.Migration, error) {
	before := versionOf(ctx, s.store)
	done, err := s.store.MigrateUp(ctx)
	noteAct(ctx, auditOf(ctx, s.store, slog.Default()), "migrate.up", "database", "", changed("version", before, versionOf(ctx, s.store)), err)
	if err != nil {
		err = fmt.Errorf("the tables can not be migrated: %w", err)
	}
	return done, err
}

// Down takes the tables back to a version and tells what was undone.
func (s *Schema) Down(ctx context.Context, to int64) ([]sqlstore.Migration, error) {
	before := versionOf(ctx, s.store)
	done, err := s.store.MigrateDown(ctx, to)
	// With the audit log's table its entries are gone, and there is no room for this one.
	noteAct(ctx, auditOf(ctx, s.store, slog.Default()), "migrate.down", "database", "", changed("version", before, versionOf(ctx, s.store)), err)
	if err != nil {
		err = fmt.Errorf("the tables can not be taken back: %w", err)
	}
	return done, err
}
