package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/engine"
	"waybill/internal/job"
	"waybill/internal/secret"
	"waybill/internal/telemetry"
	"waybill/internal/token"
	"waybill/storage/objectstore"
	"waybill/storage/sqlstore"
)

// bucket is the object store's bucket of the embedded gateway.
const bucket = "waybill"

// parts is what every process of Waybill works with, whichever of its commands it is: the stores, the engine, the master
// key. A field is set once its open method was called without an error.
type parts struct {
	lifecycle
	settings  settings.Settings
	log       *slog.Logger
	masters   func() (secret.Masters, error)
	keyring   *control.Keyring
	keys      secret.Keys // the root: of what must stay the same when others are replaced
	store     *sqlstore.Store
	objects   *objectstore.Store
	temporal  client.Client
	namespace string // of temporal
	ownEngine bool   // it began with this process, and no other one has worked with it since
	metrics   *prometheus.Registry
	// sdkMetrics puts what the SDK measures into metrics.
	sdkMetrics client.MetricsHandler
	meters     *meters
	clock      *clock
	bell       *control.Bell
	url        func() string      // by which clients reach the REST API
	traces     *telemetry.Tracing // nil: none
	audit      *control.Audit     // see auditLog
}

func newParts(s settings.Settings, log *slog.Logger) parts {
	registry := newRegistry()
	return parts{
		lifecycle: newLifecycle(), settings: s, log: log, metrics: registry, sdkMetrics: engine.NewMetrics(registry), meters: newMeters(registry), clock: newClock(), bell: control.NewBell(),
		url: func() string { return s.BaseURL },
	}
}

// auditLog is the one of this process, which counts refused calls together whatever they knock at. The store must be open.
func (p *parts) auditLog() *control.Audit {
	if p.audit == nil {
		p.audit = &control.Audit{Store: p.store, Log: p.log, Now: p.now}
	}
	return p.audit
}

// loadKeys takes the master keys of the settings, else those of the file.
func (p *parts) loadKeys(file string, load func(string) (secret.Masters, error)) error {
	masters, err := load(file)
	p.masters = func() (secret.Masters, error) { return secret.Load(file) } // it may be given a new one while we run
	if p.settings.MasterKey != "" {
		masters, err = secret.ParseMasters(p.settings.MasterKey)
		p.masters = func() (secret.Masters, error) { return masters, err }
	}
	if err != nil {
		return fmt.Errorf("the master key can not be read or made: %w", err)
	}
	return nil
}

// openStore opens and migrates the database: an external one, or the SQLite file.
func (p *parts) openStore(ctx context.Context, file string) error {
	store, err := openDatabase(ctx, p.settings, p.log, file, p.watchStore)
	p.store = store
	if err != nil {
		return err
	}
	p.warnOfStore(ctx)
	return p.checkKey(ctx)
}

// openMigratedStore opens a database that somebody else migrates, and waits until it is migrated. An absent file is not made.
func (p *parts) openMigratedStore(ctx context.Context, file string) error {
	c, what := databaseConfig(p.settings, file)
	p.watchStore(&c)
	p.onStop("database", 5*time.Second, p.closeStore)
	err := await(ctx, p.log, what, func(ctx context.Context) error {
		if c.Driver == sqlstore.SQLite {
			if _, err := os.Stat(c.Path); errors.Is(err, fs.ErrNotExist) {
				return job.Errorf(job.Invalid, job.WordInvalidField, "the file does not exist")
			}
		}
		store, err := sqlstore.Open(ctx, c)
		if err != nil {
			return err
		}
		if err := store.CheckSchema(ctx); err != nil {
			return errors.Join(err, store.Close())
		}
		p.store = store
		return nil
	})
	if err != nil {
		return err
	}
	p.warnOfStore(ctx)
	return p.checkKey(ctx)
}

// checkKey opens the keys that secrets are sealed with. They are sealed with the master key, so a process with a wrong one is
// found out here.
func (p *parts) checkKey(ctx context.Context) (err error) {
	p.compareClocks(ctx)
	p.keyring = &control.Keyring{Store: p.store, Marks: p.store, Masters: p.masters, Ring: secret.NewRing(), Now: p.now}
	p.keys, err = p.keyring.Open(ctx)
	return p.namedKey(err)
}

func (p *parts) namedKey(err error) error {
	if job.CodeOf(err) == job.Invalid {
		return fmt.Errorf("the master key (%s, else master.key in the data folder): %w; give the installation's", settings.Name("master-key"), err)
	}
	return err
}

// followKeys takes notice of keys that are made or dropped while this process runs.
func (p *parts) followKeys() {
	p.background("keys", func(ctx context.Context) {
		if err := p.keyring.Run(ctx, p.log); err != nil {
			err = p.namedKey(err)
			p.log.ErrorContext(ctx, "this process ends", "error", err)
			p.fail(err)
		}
	})
}

// signer makes and checks access tokens.
func (p *parts) signer() *token.Signer {
	return token.NewRingSigner(p.keyring.Ring.Derived("access-token-ed25519"), p.keyring.Ring.Derived("access-token"), p.now)
}

func (p *parts) closeStore(context.Context) error {
	if p.store == nil {
		return nil
	}
	return p.store.Close()
}

func (p *parts) openObjects(ctx context.Context, c objectstore.Config) (err error) {
	c.Around = func(next http.RoundTripper) http.RoundTripper {
		return objectTransport{tracedTransport{next, "s3"}, p.meters}
	}
	p.objects, err = objectstore.Open(ctx, c)
	return err
}

func (p *parts) closeObjects(context.Context) error {
	if p.objects != nil {
		p.objects.Close() // the gateway would wait for its connections
	}
	return nil
}

func (p *parts) openTemporal(ctx context.Context, o engine.Options) (err error) {
	p.namespace, o.Interceptors = o.Namespace, p.traces.Interceptors()
	if err := p.markSealing(ctx); err != nil {
		return err
	}
	p.temporal, err = dialTemporal(ctx, p.sealing(o))
	return err
}

func (p *parts) closeTemporal(context.Context) error {
	if p.temporal != nil {
		p.temporal.Close()
	}
	return nil
}
