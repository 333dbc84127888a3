package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/user"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/password"
	"waybill/storage/sqlstore"
)

// Operator is what whoever has the database may do beside the processes that run. Each act is in the audit log, as that of "cli:" and
// the name of the user of the machine.
type Operator struct {
	Users *control.UserAdmin
	audit *control.Audit
	store *sqlstore.Store
}

// OpenOperator opens the database of the settings, which must be there and migrated. Close it.
func OpenOperator(ctx context.Context, s settings.Settings) (*Operator, error) {
	p := newParts(s, slog.Default())
	if err := p.openUnsealedStore(ctx); err != nil {
		return nil, err
	}
	return &Operator{
		Users: &control.UserAdmin{Store: p.store, Users: p.store, Hasher: password.New(), Now: p.now},
		audit: &control.Audit{Store: p.store, Log: slog.Default(), Now: p.now}, store: p.store,
	}, nil
}

// openUnsealedStore opens the database without its keys, and goes by its clock.
func (p *parts) openUnsealedStore(ctx context.Context) (err error) {
	err = p.openPresentStore(ctx, func(c *sqlstore.Config) { c.Now = p.now })
	if err == nil {
		p.compareClocks(ctx)
	}
	return err
}

// openPresentStore opens the database for a command beside the processes that run. It makes none, and leaves the tables as they are:
// to bring them up to date is an act of its own, which has its place in an upgrade and its entry in the audit log.
func (p *parts) openPresentStore(ctx context.Context, change func(*sqlstore.Config)) error {
	schema, err := OpenSchema(ctx, p.settings, SchemaLook, change)
	if err != nil {
		return err
	}
	if err := schema.checkVersion(ctx); err != nil {
		return errors.Join(err, schema.Close())
	}
	p.store = schema.store
	return nil
}

// Close gives the database back.
func (o *Operator) Close() error { return o.store.Close() }

// Act runs an act of the operator with its entry in the audit log.
func (o *Operator) Act(ctx context.Context, action, kind string, do func(ctx context.Context) error) error {
	return acting(ctx, o.audit, action, kind, do)
}

func acting(ctx context.Context, audit *control.Audit, action, kind string, do func(ctx context.Context) error) error {
	trail := control.NewTrail(job.AuditEntry{Action: action, Actor: "cli:" + machineUser()})
	trail.About(kind)
	err := do(control.WithTrail(ctx, trail))
	audit.End(ctx, trail, err)
	return err
}

// machineUser is who runs the command, as far as the machine knows.
func machineUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "unknown"
}

// ExportAudit writes the audit log of all accounts between two times; a zero one is no limit.
func (o *Operator) ExportAudit(ctx context.Context, from, to time.Time, f control.AuditFormat, w io.Writer) error {
	var where job.And
	if !from.IsZero() {
		where = append(where, job.Compare{Property: "timestamp", Op: job.Gte, Values: []any{from}})
	}
	if !to.IsZero() {
		where = append(where, job.Compare{Property: "timestamp", Op: job.Lt, Values: []any{to}})
	}
	return o.audit.ExportAll(ctx, where, f, w)
}

// Act runs an act on the keys with its entry in the audit log.
func (k *Keyring) Act(ctx context.Context, action string, do func(ctx context.Context) error) error {
	return acting(ctx, &control.Audit{Store: k.store, Log: k.log, Now: k.now}, action, "keys", do)
}

var _ control.UserStore = (*sqlstore.Store)(nil)
