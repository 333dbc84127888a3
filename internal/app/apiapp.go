package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/job"
	"waybill/internal/secret"
)

// API is a process that serves REST and, as every process, the system's queues. It runs no programs. Database, object store
// and Temporal are those of the settings, so any number of these processes may serve one installation.
type API struct {
	parts
	info APIInfo
}

// APIInfo is what a person wants to know of a running API process.
type APIInfo struct {
	ID     string
	URL    string
	Listen string // host:port
}

// StartAPI connects to the components and begins to serve. The tables must be migrated already, or be about to.
func StartAPI(ctx context.Context, s settings.Settings, log *slog.Logger) (*API, error) {
	s.Database.Application = "waybill-api"
	a := &API{parts: newParts(s, log)}
	a.url = func() string { return a.info.URL }
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *API) start(ctx context.Context) error {
	if err := a.startTracing(ctx, "waybill-api"); err != nil {
		return err
	}
	if err := a.external(); err != nil {
		return err
	}
	if err := a.loadKeys(filepath.Join(a.settings.Data, "master.key"), secret.Load); err != nil {
		return fmt.Errorf("%w; it is the one of the installation: in the data folder, or %s", err, settings.Name("master-key"))
	}
	listener, err := listen("--listen", a.settings.Listen)
	if err != nil {
		return err
	}
	a.onStop("listener", time.Second, func(context.Context) error { return ignoreClosed(listener.Close()) })
	if err := a.openMigratedStore(ctx, ""); err != nil {
		return err
	}
	a.onStop("object store", time.Second, a.closeObjects)
	if err := a.openExternalObjects(ctx); err != nil {
		return err
	}
	a.onStop("Temporal client", 5*time.Second, a.closeTemporal)
	if err := a.openExternalTemporal(ctx); err != nil {
		return err
	}
	spool, err := a.makeSpool()
	if err != nil {
		return err
	}
	a.info = APIInfo{URL: baseURL(a.settings, listener.Addr()), Listen: listener.Addr().String()}
	work, err := a.serve(serving{role: settings.API, listener: listener, spool: spool})
	if err != nil {
		return err
	}
	a.info.ID = work.post.name
	return nil
}

// external checks that the settings name every component.
func (a *API) external() error {
	var faults []error
	need := func(value, name string) {
		if value == "" {
			faults = append(faults, job.Errorf(job.Invalid, job.WordMissingField, "%s must be given: this process has no component of its own", settings.Name(name)))
		}
	}
	need(a.settings.Database.URL, "database")
	need(a.settings.S3.Endpoint, "s3-endpoint")
	need(a.settings.Temporal.Address, "temporal")
	a.warnOfBaseURL()
	return errors.Join(faults...)
}

// warnOfBaseURL tells that other processes of the installation call the API by other addresses than this one, or by none.
func (p *parts) warnOfBaseURL() {
	if p.settings.BaseURL == "" {
		p.log.Warn(settings.Name("base-url") + " is not set: links in answers, callbacks and mails depend on the process that makes them. Set it, the same for all processes")
	}
}

// Info tells how to reach the process.
func (a *API) Info() APIInfo { return a.info }

// Wait returns when ctx ends, or with an error when a part broke down by itself.
func (a *API) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}
