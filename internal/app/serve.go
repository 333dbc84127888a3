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
	"waybill/api/diem"
	"waybill/api/informatica"
	"waybill/api/native"
	"waybill/internal/app/settings"
	"waybill/internal/archive"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/password"
	"waybill/internal/token"
	"waybill/storage/sqlstore"
	"waybill/workflows/starter"
)

// Every port is satisfied by a real part.
var (
	_ control.ConfigReader     = (*sqlstore.Store)(nil)
	_ control.ConfigWriter     = (*sqlstore.Store)(nil)
	_ control.FileStore        = (*sqlstore.Store)(nil)
	_ control.JobReader        = (*sqlstore.Store)(nil)
	_ control.JobWriter        = (*sqlstore.Store)(nil)
	_ control.Run              = (*sqlstore.Store)(nil)
	_ control.Settlement       = (*sqlstore.Store)(nil)
	_ control.Expiry           = (*sqlstore.Store)(nil)
	_ control.LaneStore        = (*sqlstore.Store)(nil)
	_ control.CancelBacklog    = (*sqlstore.Store)(nil)
	_ control.Backlog          = (*sqlstore.Store)(nil)
	_ control.Users            = (*sqlstore.Store)(nil)
	_ control.AccountStore     = (*sqlstore.Store)(nil)
	_ control.Tokens           = (*sqlstore.Store)(nil)
	_ control.Lockouts         = (*sqlstore.Store)(nil)
	_ control.DoorSessionStore = (*sqlstore.Store)(nil)
	_ control.EventReader      = (*sqlstore.Store)(nil)
	_ control.EventPurger      = (*sqlstore.Store)(nil)
	_ control.AuditStore       = (*sqlstore.Store)(nil)
	_ control.Starter          = (*starter.Starter)(nil)
	_ control.Logs             = joblog.Reader{}
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

// serving is what a process that serves REST has of its own.
type serving struct {
	role     settings.Role
	listener net.Listener
	spool    string           // folder for uploads on their way
	work     string           // folder for packages and running jobs
	to       *job.Destination // whose jobs run in this process; nil: none do
}

// serve starts the REST server and the worker, in this order: they end in reverse, so that the end of a draining job can still
// be followed.
func (p *parts) serve(s serving) (*work, error) {
	box := p.keyring.Box()
	p.followKeys()
	start := starter.New(p.temporal, starter.Config{})
	work, err := p.newWorker(box, s.work, s.to)
	if err != nil {
		return nil, err
	}
	configs, jobs := p.newJobs(box, start)
	schedules := p.newSchedules(configs, box)
	files := &control.Files{
		Configs: configs, Users: p.store, Links: p.store, Store: p.store, Blobs: p.store, Objects: p.objects, Archives: archives{archive.DefaultLimits},
		Spool: s.spool, MaxSize: p.settings.MaxFileSize, Now: p.now,
	}
	hasher := password.New()
	sessions := &control.Sessions{
		History: p.store,
		Users:   p.store, Tokens: p.store, Lockouts: p.store, Grants: p.store, Jobs: p.store, Passwords: hasher,
		Signer: p.signer(), Refresher: token.NewRefresher(p.keyring.Ring.Derived("refresh-token")), Now: p.now, NewFamily: newID,
	}
	keys := &control.APIKeys{
		Store: p.store, Sessions: sessions, Configs: configs, Signer: token.NewKeySigner(p.keyring.Ring.Derived("api-key"), p.now), Now: p.now, NewID: newID, Log: p.log,
	}
	feed := &control.Feed{Events: p.store, Bell: p.bell, Log: p.log, Observe: p.meters.fed, Now: p.now}
	account := &control.AccountSettings{
		Store: p.store, Retention: p.store, Schedule: p.retentionEngine(), Default: p.retentionDefault(), Every: p.settings.RetentionInterval,
	}
	audit := p.auditLog()
	places := &control.Places{Store: p.store, Now: p.now}
	workers := &control.Workers{Registry: p.store, Places: places, Now: p.now}
	draining, drain := context.WithCancel(context.Background())
	closing, letGo := context.WithCancel(context.Background())
	handler, err := api.New(api.Config{
		Configs: configs, Files: files, Jobs: jobs, Sessions: sessions, Keys: keys, Account: account,
		People: p.newPeople(sessions, hasher),
		SSO:    p.newSignOn(sessions), SealSignOn: p.signOnBox().Seal, OpenSignOn: p.signOnBox().Open,
		Runs:         &control.Runs{Jobs: jobs, Documents: p.store, Users: p.store},
		Calls:        &control.Calls{Jobs: jobs, Places: places, Limit: p.settings.DIEMServicesTimeout},
		DoorSessions: &control.DoorSessions{Sessions: sessions, Store: p.store, Now: p.now},
		Destinations: &control.Destinations{Store: p.store, Users: p.store, Places: places, Now: p.now},
		Workers:      workers, Places: places,
		SharedSchedules: &control.SharedSchedules{Store: p.store, Use: p.store, Schedules: schedules, Accounts: p.store, Now: p.now},
		Policies:        &control.Policies{Store: p.store, Users: p.store, Configs: p.store, Jobs: p.store, Now: p.now},
		Now:             p.now, Audit: audit, TrustedProxies: p.settings.Audit.TrustedProxies, Limits: p.callLimits(),
		Feed: feed, Schedules: schedules, EventsKept: p.settings.EventRetention,
		Deliveries:    &control.Deliveries{Store: p.store, Jobs: jobs, Targets: p.guard(), Now: p.now, NewID: newID},
		Subscriptions: &control.Subscriptions{Store: p.store, Configs: configs, Now: p.now}, Mail: p.settings.SMTP.Host != "",
		BaseURL:   p.url,
		Product:   api.Product{Name: "Waybill", Version: Version(), BuildDate: buildDate(), Copyright: "The Waybill authors", Role: string(s.role)},
		CursorKey: p.keys.Derive("cursor"), RFC3339: p.settings.Dates == "rfc3339",
		Presigner: p.presigner(),
		Ready:     p.checks(start), Metrics: p.metrics, Log: p.log, AccessLog: p.accessLog(), Tracer: p.traces.Tracer(), Draining: draining, Closing: closing,
	})
	if err == nil {
		err = native.Register(handler)
	}
	if err == nil {
		err = diem.Register(handler)
	}
	if err == nil {
		err = informatica.Register(handler)
	}
	if err != nil {
		drain()
		letGo()
		return nil, err
	}
	p.mountCodec(handler, sessions)
	p.showBacklog()
	p.background("audit log", audit.Run)
	p.background("uses of API keys", keys.Run)
	p.background("feed of events", feed.Run)
	p.startHTTP(s.listener, endsConnections(handler, draining), letGo)
	p.watchDependencies(start)
	err = p.startWorker(work, drain)
	if s.role == settings.API {
		p.holdOn(drain, p.settings.ShutdownDelay)
	}
	return work, err
}

// startHTTP serves. Only the headers have a deadline: uploads, followed logs and held calls may take long.
func (p *parts) startHTTP(listener net.Listener, handler http.Handler, letGo func()) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	go func() {
		if err := ignoreClosed(server.Serve(listener)); err != nil {
			p.fail(fmt.Errorf("the REST server failed: %w", err))
		}
	}()
	p.onStop("REST server", p.endingCalls(), func(ctx context.Context) error {
		letGo()
		if err := server.Shutdown(ctx); err != nil {
			return ignoreClosed(server.Close()) // calls that would not end in time are cut off
		}
		return nil
	})
}

// checks asks every dependency for readiness.
func (p *parts) checks(start *starter.Starter) func(context.Context) []api.CheckResult {
	return func(ctx context.Context) []api.CheckResult {
		return askAll(ctx, pingWithin, dependency{"database", p.store.Ping}, dependency{"objects", p.objects.Ping}, dependency{"engine", start.Ping})
	}
}
