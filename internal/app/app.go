package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/password"
	"waybill/internal/secret"
	"waybill/internal/standalone"
	"waybill/internal/standalone/s3gateway"
	"waybill/storage/objectstore"
	"waybill/workflows/contract"
)

// App is a running Waybill: the embedded engine, the REST server and a worker in one process.
type App struct {
	parts
	started time.Time
	info    Info

	folder *datafolder.Folder
	engine *standalone.Engine
	webUI  *webUISignIn
}

// Info is what a person needs to use a running Waybill.
type Info struct {
	URL               string
	Listen            string // host:port of the REST server
	TemporalAddress   string
	TemporalNamespace string
	TemporalUI        string // empty with an external Temporal
	TemporalToken     string // of the embedded one; empty when it asks for none. A secret
	Data              string
	AdminUser         string
	// NewAdminPassword is set at the start that made the user with a random password.
	NewAdminPassword  string
	AdminPasswordFile string
	Sandbox           string // what isolation is in force for jobs
	StartupTime       time.Duration
}

// Start brings everything up and returns when it is ready for calls. What had started is stopped again when a part
// fails.
func Start(ctx context.Context, s settings.Settings, log *slog.Logger) (*App, error) {
	s.Database.Application = "waybill-up"
	a := &App{parts: newParts(s, log), started: processStart(), webUI: newWebUISignIn()}
	a.url = func() string { return a.info.URL }
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *App) start(ctx context.Context) (err error) {
	if _, err := a.engineConfig(); err != nil { // before anything is made
		return err
	}
	if err := a.startTracing(ctx, "waybill"); err != nil {
		return err
	}
	if a.folder, err = datafolder.Open(a.settings.Data); err != nil {
		return err
	}
	a.onStop("data folder", time.Second, func(context.Context) error { return a.folder.Close() })
	if err := a.loadKeys(a.folder.At("master.key"), secret.LoadOrCreate); err != nil {
		return err
	}
	listener, err := listen("--listen", a.settings.Listen)
	if err != nil {
		return err
	}
	a.onStop("listener", time.Second, func(context.Context) error { return ignoreClosed(listener.Close()) })
	if err := a.connect(ctx); err != nil {
		return err
	}
	a.ownEngine = a.settings.Temporal.Address == ""
	a.info = a.describe(listener.Addr())
	if err := a.makeAdmin(ctx); err != nil {
		return err
	}
	to, err := a.ownDestination(ctx)
	if err != nil {
		return err
	}
	work, err := a.serve(serving{role: settings.Up, listener: listener, spool: a.folder.At("spool"), work: a.folder.At("work"), to: to})
	if err != nil {
		return err
	}
	a.info.Sandbox = "no jobs run in this process"
	if work.runner != nil {
		a.info.Sandbox = work.runner.Sandbox()
	}
	a.info.StartupTime = time.Since(a.started)
	return a.announce()
}

// connect starts the engine and the database side by side, and connects to the engine's parts.
func (a *App) connect(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.openEngine(gctx) })
	group.Go(func() error { return a.openStore(gctx, a.folder.At("waybill.db")) })
	err := group.Wait()
	// Both are stopped whatever the other did; the engine last, because workers report through the store and to it.
	a.onStop("database", 5*time.Second, a.closeStore)
	a.onStop("engine", 20*time.Second, func(ctx context.Context) error {
		if a.engine == nil {
			return nil
		}
		return a.engine.Stop(ctx)
	})
	if err != nil {
		return err
	}
	if a.engine.Rebuilt() {
		a.log.Warn("the engine's files were made anew; unfinished jobs are started again")
	}
	a.webUI.open(a.store, a.auditLog(), a.now)
	group, gctx = errgroup.WithContext(ctx)
	group.Go(func() error {
		if a.settings.S3.Endpoint != "" {
			return a.openExternalObjects(gctx)
		}
		return a.openObjects(gctx, gatewayObjects(a.engine.S3()))
	})
	group.Go(func() error {
		if a.settings.Temporal.Address != "" {
			return a.openExternalTemporal(gctx)
		}
		if err := a.openTemporal(gctx, a.embeddedEngine(a.engine.TemporalAddress(), standalone.Namespace, a.engine.Token())); err != nil {
			return err
		}
		return a.claimNamespace(gctx, a.engine.TemporalAddress(), true)
	})
	err = group.Wait()
	a.onStop("object store", time.Second, a.closeObjects)
	a.onStop("Temporal client", 5*time.Second, a.closeTemporal)
	return err
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

func (a *App) openEngine(ctx context.Context) (err error) {
	c, err := a.engineConfig()
	if err != nil {
		return err
	}
	a.engine, err = standalone.Start(ctx, c)
	return err
}

// engineConfig is the engine of the settings. On PostgreSQL it holds its databases by a lock of a session, so it goes around poolers.
func (a *App) engineConfig() (standalone.Config, error) {
	c := standalone.Config{
		Dir: a.settings.Data, TemporalListen: a.settings.EngineListen, UIListen: a.settings.EngineUIListen, Logger: a.log,
		WithoutTemporal: a.settings.Temporal.Address != "", WithoutObjects: a.settings.S3.Endpoint != "",
		Open: a.settings.Engine.Auth == "off", SignIn: a.webUI.check,
	}
	if e := a.settings.Engine; e.Postgres(a.settings.Database) && !c.WithoutTemporal {
		at := a.settings.Database.Session()
		if at == "" {
			return c, job.Errorf(job.Invalid, job.WordMissingField, "with a pooler in between the embedded Temporal needs a URL of PostgreSQL itself: give %s, or %s sqlite",
				settings.Name("database-direct"), settings.Name("engine-store"))
		}
		c.Postgres = &standalone.Postgres{URL: at, Store: e.Database, Visibility: e.Visibility, Conns: e.Connections}
	}
	return c, nil
}

// gatewayObjects is how the embedded object store is used.
func gatewayObjects(s3 s3gateway.Credentials) objectstore.Config {
	return objectstore.Config{
		Endpoint: s3.Endpoint, AccessKey: s3.AccessKey, SecretKey: s3.SecretKey, Region: s3.Region, Bucket: bucket, CreateBucket: true,
		Lookup: objectstore.LookupPath, Checksums: true, Version: Version(),
	}
}

// makeAdmin makes the account and the user of the first start.
func (a *App) makeAdmin(ctx context.Context) error {
	accounts := control.Accounts{Users: a.store, Hasher: password.New(), Now: a.now}
	if has, err := accounts.HasUser(ctx, control.AdminName); has || err != nil {
		return err
	}
	word, made, err := a.folder.AdminPassword(a.settings.AdminPassword, password.Random)
	if err != nil {
		return fmt.Errorf("the admin's password can not be kept: %w", err)
	}
	err = acting(ctx, a.auditLog(), "account.create", "account", func(ctx context.Context) error {
		_, _, err := accounts.Create(ctx, control.DefaultAccount, control.AdminName, word, contract.SystemQueue)
		return err
	})
	if err != nil {
		return fmt.Errorf("the user admin can not be made: %w", err)
	}
	if made {
		a.info.NewAdminPassword, a.info.AdminPasswordFile = word, a.folder.At("admin-password")
	}
	return nil
}

func (a *App) describe(listening net.Addr) Info {
	i := Info{
		URL: baseURL(a.settings, listening), Listen: listening.String(), TemporalAddress: a.settings.Temporal.Address, TemporalNamespace: a.settings.Temporal.Namespace,
		Data: a.settings.Data, AdminUser: control.AdminName,
	}
	if a.settings.Temporal.Address == "" {
		i.TemporalAddress, i.TemporalNamespace = a.engine.TemporalAddress(), standalone.Namespace
		i.TemporalUI, i.TemporalToken = "http://"+a.engine.UIAddress(), a.engine.Token()
	}
	return i
}

// baseURL is by which clients reach what listens there.
func baseURL(s settings.Settings, listening net.Addr) string {
	if s.BaseURL != "" {
		return s.BaseURL
	}
	return "http://" + reachable(listening)
}

// announce writes run.json: from now on others may rely on what is in it.
func (a *App) announce() error {
	a.onStop("run.json", time.Second, func(context.Context) error { return a.folder.RemoveRun() })
	return a.folder.WriteRun(datafolder.RunFile{
		PID: os.Getpid(), URL: a.info.URL, Listen: a.info.Listen, TemporalAddress: a.info.TemporalAddress, TemporalNamespace: a.info.TemporalNamespace,
		TemporalUI: a.info.TemporalUI, TemporalOpen: a.info.TemporalUI != "" && a.info.TemporalToken == "", AdminUser: a.info.AdminUser,
		ExternalDatabase: a.settings.Database.URL != "", ExternalObjects: a.settings.S3.Endpoint != "",
	})
}

// Info tells how to reach the app.
func (a *App) Info() Info { return a.info }

// Wait returns when ctx ends, or with an error when a part broke down by itself.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	case err := <-a.engine.Failed():
		return err
	}
}

// listen binds an address, with an error that names the flag it came from.
func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: another program listens on that address; choose another port, or 0 for a free one", flag, address)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, address, err)
	}
	return l, nil
}

// reachable turns the address of a listener into one that a client on this machine can use.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("localhost", fmt.Sprint(tcp.Port))
}
