package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/secret"
	"waybill/storage/objectstore"
	"waybill/storage/sqlstore"
)

// bucket is the object store's bucket of the embedded gateway.
const bucket = "waybill"

// parts is what every process of Waybill works with, whichever of its commands it is: the stores, the engine, the master
// key. A field is set once its open method was called without an error.
type parts struct {
	lifecycle
	settings settings.Settings
	log      *slog.Logger
	keys     secret.Keys
	store    *sqlstore.Store
	objects  *objectstore.Store
	temporal client.Client
	metrics  *prometheus.Registry
	bell     *control.Bell
}

func newParts(s settings.Settings, log *slog.Logger) parts {
	return parts{lifecycle: newLifecycle(), settings: s, log: log, metrics: newRegistry(), bell: control.NewBell()}
}

func (p *parts) openStore(ctx context.Context, path string) error {
	store, err := openDatabase(ctx, path)
	p.store = store
	return err
}

func (p *parts) closeStore(context.Context) error {
	if p.store == nil {
		return nil
	}
	return p.store.Close()
}

func (p *parts) openObjects(ctx context.Context, c objectstore.Config) (err error) {
	p.objects, err = objectstore.Open(ctx, c)
	return err
}

func (p *parts) closeObjects(context.Context) error {
	if p.objects != nil {
		p.objects.Close() // the gateway would wait for its connections
	}
	return nil
}

func (p *parts) openTemporal(ctx context.Context, address, namespace string) (err error) {
	p.temporal, err = dialTemporal(ctx, address, namespace, p.log)
	return err
}

func (p *parts) closeTemporal(context.Context) error {
	if p.temporal != nil {
		p.temporal.Close()
	}
	return nil
}

// openDatabase opens and migrates the app's SQLite database.
func openDatabase(ctx context.Context, path string) (*sqlstore.Store, error) {
	store, err := sqlstore.Open(ctx, sqlstore.Config{Driver: sqlstore.SQLite, Path: path})
	if err != nil {
		return nil, fmt.Errorf("the database %s can not be opened: %w", path, err)
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the database %s can not be migrated: %w", path, err), store.Close())
	}
	return store, nil
}
