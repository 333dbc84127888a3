package app

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/rs/xid"

	"waybill/api"
	"waybill/api/native"
	"waybill/internal/archive"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/password"
	"waybill/storage/sqlstore"
	"waybill/workflows/contract"
	"waybill/workflows/starter"
)

// Every port is satisfied by a real part.
var (
	_ control.ConfigReader  = (*sqlstore.Store)(nil)
	_ control.ConfigWriter  = (*sqlstore.Store)(nil)
	_ control.FileStore     = (*sqlstore.Store)(nil)
	_ control.JobReader     = (*sqlstore.Store)(nil)
	_ control.JobWriter     = (*sqlstore.Store)(nil)
	_ control.Run           = (*sqlstore.Store)(nil)
	_ control.Settlement    = (*sqlstore.Store)(nil)
	_ control.Expiry        = (*sqlstore.Store)(nil)
	_ control.LaneStore     = (*sqlstore.Store)(nil)
	_ control.CancelBacklog = (*sqlstore.Store)(nil)
	_ control.Backlog       = (*sqlstore.Store)(nil)
	_ control.Users         = (*sqlstore.Store)(nil)
	_ control.AccountStore  = (*sqlstore.Store)(nil)
	_ control.Tokens        = (*sqlstore.Store)(nil)
	_ control.Lockouts      = (*sqlstore.Store)(nil)
	_ control.EventReader   = (*sqlstore.Store)(nil)
	_ control.EventPurger   = (*sqlstore.Store)(nil)
	_ control.Starter       = (*starter.Starter)(nil)
	_ control.Logs          = joblog.Reader{}
)

// newID makes job ids and object ids: 24 hex digits, ordered by time.
func newID() string {
	id := xid.New()
	return hex.EncodeToString(id[:])
}

// archives joins internal/archive with its limits.
type archives struct{ limits archive.Limits }

func (archives) Is(key string) bool { return archive.IsArchive(key) }

func (a archives) Inspect(ctx context.Context, r io.ReaderAt, size int64, key string) (job.Archive, error) {
	return archive.Inspect(ctx, r, size, key, a.limits)
}

// ownDestination is the one whose jobs run in this process: the one that every account begins with, on the system queue.
func (a *App) ownDestination(ctx context.Context) (*job.Destination, error) {
	if a.settings.NoWorker {
		return nil, nil
	}
	admin, err := a.store.UserByName(ctx, control.AdminName)
	if err != nil {
		return nil, err
	}
	return &job.Destination{AccountID: admin.AccountID, TaskQueue: contract.SystemQueue}, nil
}

// serve starts the reconciler, the REST server and the worker, in this order: they end in reverse, so that the end of a
// draining job can still be followed.
func (a *App) serve(listener net.Listener) error {
	box := a.keyring.Box()
	a.followKeys()
	start := starter.New(a.temporal, starter.Config{})
	reconciler := a.newReconciler(start)
	to, err := a.ownDestination(context.Background())
	if err != nil {
		return err
	}
	work, err := a.newWorker(box, reconciler, a.folder.At("work"), to)
	if err != nil {
		return err
	}
	a.info.Sandbox = "no jobs run in this process"
	if work.runner != nil {
		a.info.Sandbox = work.runner.Sandbox()
	}
	configs, jobs := a.newJobs(box, start)
	schedules := a.newSchedules(configs, box)
	reconciler.Duties = append(reconciler.Duties, schedules.Duties()...)
	files := &control.Files{
		Configs: configs, Users: a.store, Links: a.store, Store: a.store, Blobs: a.store, Objects: a.objects, Archives: archives{archive.DefaultLimits},
		Spool: a.folder.At("spool"), MaxSize: a.settings.MaxFileSize, Now: time.Now,
	}
	sessions := &control.Sessions{
		Users: a.store, Tokens: a.store, Lockouts: a.store, Jobs: a.store, Passwords: password.New(),
		Signer: a.signer(), Now: time.Now, NewFamily: newID,
	}
	feed := &control.Feed{Events: a.store, Bell: a.bell, Log: a.log}
	reconciler.Duties = append(reconciler.Duties, control.PurgeEvents(a.store, a.settings.EventRetention, time.Now))
	account := &control.AccountSettings{
		Store: a.store, Retention: a.store, Schedule: a.retentionEngine(), Default: a.retentionDefault(), Every: a.settings.RetentionInterval,
	}
	places := &control.Places{Store: a.store, Now: time.Now}
	workers := &control.Workers{Registry: a.store, Places: places, Now: time.Now}
	reconciler.Duties = append(reconciler.Duties, workers.PurgeDuty())
	draining, drain := context.WithCancel(context.Background())
	closing, letGo := context.WithCancel(context.Background())
	handler, err := api.New(api.Config{
		Configs: configs, Files: files, Jobs: jobs, Sessions: sessions, Account: account,
		Destinations: &control.Destinations{Store: a.store, Users: a.store, Places: places, Now: time.Now},
		Workers:      workers, Places: places,
		Feed: feed, Schedules: schedules, EventsKept: a.settings.EventRetention,
		Deliveries:    &control.Deliveries{Store: a.store, Jobs: jobs, Targets: a.guard(), Now: time.Now, NewID: newID},
		Subscriptions: &control.Subscriptions{Store: a.store, Configs: configs, Now: time.Now}, Mail: a.settings.SMTP.Host != "",
		BaseURL:   func() string { return a.info.URL },
		Product:   api.Product{Name: "Waybill", Version: Version(), BuildDate: buildDate(), Copyright: "The Waybill authors"},
		CursorKey: a.keys.Derive("cursor"), RFC3339: a.settings.Dates == "rfc3339",
		Ready: a.checks(start), Metrics: a.metrics, Log: a.log, Draining: draining, Closing: closing,
	})
	if err == nil {
		err = native.Register(handler)
	}
	if err != nil {
		drain()
		letGo()
		return err
	}
	a.background("feed of events", feed.Run)
	a.background("reconciler", reconciler.Run)
	a.startHTTP(listener, handler, letGo)
	return a.startWorker(work, drain)
}

// startHTTP serves. Only the headers have a deadline: uploads, followed logs and held calls may take long.
func (a *App) startHTTP(listener net.Listener, handler http.Handler, letGo func()) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	go func() {
		if err := ignoreClosed(server.Serve(listener)); err != nil {
			a.fail(fmt.Errorf("the REST server failed: %w", err))
		}
	}()
	a.onStop("REST server", 15*time.Second, func(ctx context.Context) error {
		letGo()
		if err := server.Shutdown(ctx); err != nil {
			return ignoreClosed(server.Close()) // calls that would not end in time are cut off
		}
		return nil
	})
}

// checks asks every dependency for readiness.
func (a *App) checks(start *starter.Starter) func(context.Context) []api.CheckResult {
	return func(ctx context.Context) []api.CheckResult {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return []api.CheckResult{
			{Name: "database", Err: a.store.Ping(ctx)},
			{Name: "objects", Err: a.objects.Ping(ctx)},
			{Name: "engine", Err: start.Ping(ctx)},
		}
	}
}
