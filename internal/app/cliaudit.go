package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// auditStep is the migration that makes the audit log's table.
const auditStep = 16

// auditOf is the audit log of a database, nil while it has no table for one.
func auditOf(ctx context.Context, store *sqlstore.Store, log *slog.Logger) *control.Audit {
	if store == nil {
		return nil
	}
	steps, err := store.Schema(ctx)
	if err != nil {
		log.WarnContext(ctx, "the act is not in the audit log: its table can not be looked for", "error", err)
		return nil
	}
	for _, m := range steps {
		if m.Version == auditStep && !m.Applied.IsZero() {
			return &control.Audit{Store: store, Log: log, Now: clockOf(ctx, store, log)}
		}
	}
	return nil
}

// clockOf is the time by the database, for a command that is over soon. Of SQLite it is this machine's.
func clockOf(ctx context.Context, store *sqlstore.Store, log *slog.Logger) control.Clock {
	c := newClock()
	if _, err := c.compare(ctx, store.Clock, log); err != nil {
		log.DebugContext(ctx, "the clock of the database is not read; this machine's is used", "error", err)
	}
	return c.now
}

// noteAct writes the entry of an act on the command line that is over and had no transaction of its own to be part of.
func noteAct(ctx context.Context, audit *control.Audit, action, kind, id string, changes []job.AuditChange, err error) {
	if audit == nil {
		return
	}
	trail := control.NewTrail(job.AuditEntry{Action: action, Actor: "cli:" + machineUser()})
	if id == "" {
		trail.About(kind)
	} else {
		trail.About(kind, id)
	}
	trail.Changed(changes)
	audit.End(context.WithoutCancel(ctx), trail, err)
}

// noteMigrated writes the entry of a process that brought the tables to its version because it works on them. One that found them so did
// nothing.
func noteMigrated(ctx context.Context, store *sqlstore.Store, log *slog.Logger, done []sqlstore.Migration, err error) {
	if len(done) == 0 {
		return
	}
	before := ""
	if n := done[0].Version - 1; n > 0 { // steps have consecutive numbers
		before = strconv.FormatInt(n, 10)
	}
	noteAct(ctx, auditOf(ctx, store, log), "migrate.up", "database", "", changed("version", before, versionOf(ctx, store)), err)
}

// auditBeside opens the audit log of the settings' database for an act that is on something else. A database that is not there is no
// reason to fail the act.
func auditBeside(ctx context.Context, s settings.Settings, log *slog.Logger) (audit *control.Audit, closed func() error) {
	closed = func() error { return nil }
	c, what := databaseConfig(s, filepath.Join(s.Data, "waybill.db"))
	if c.Driver == sqlstore.SQLite {
		if _, err := os.Stat(c.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, closed
		}
	}
	store, err := sqlstore.Open(ctx, c)
	if err != nil {
		log.WarnContext(ctx, "the act is not in the audit log", "error", named(what, err))
		return nil, closed
	}
	return auditOf(ctx, store, log), store.Close
}

// versionOf is the newest step that a database has, as text; "" for a database without any.
func versionOf(ctx context.Context, store *sqlstore.Store) string {
	steps, err := store.Schema(ctx)
	newest := int64(0)
	for _, m := range steps {
		if err == nil && !m.Applied.IsZero() {
			newest = max(newest, m.Version)
		}
	}
	if newest == 0 {
		return ""
	}
	return strconv.FormatInt(newest, 10)
}

// changed is a list of one change, or of none where nothing did.
func changed(field, before, after string) []job.AuditChange {
	if before == after {
		return nil
	}
	return []job.AuditChange{{Field: field, Before: before, After: after}}
}
