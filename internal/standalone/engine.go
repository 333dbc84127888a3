package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"go.temporal.io/server/common/config"
	"golang.org/x/sync/errgroup"

	"waybill/internal/standalone/s3gateway"
)

const (
	// stopDeadline bounds the end of each part when the caller's context sets no earlier one.
	stopDeadline = 10 * time.Second
	// startTries bounds new attempts: a port we chose may turn out taken between choosing and binding it, and the server
	// may find damage in its database that we did not.
	startTries = 5
)

// Engine is a running embedded engine.
type Engine struct {
	temporal *temporalServer
	ui       *webUI
	hold     *hold // on PostgreSQL
	token    string
	s3       *s3gateway.Gateway
	rebuilt  bool
	failed   chan error
	stopped  chan struct{}
}

// Start boots all parts at once and returns when they answer. What had started is stopped again when a part fails. A taken
// port is an error that wraps syscall.EADDRINUSE and names flag and address.
func Start(ctx context.Context, c Config) (*Engine, error) {
	c = c.withDefaults()
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	c.Dir = dir

	last := lastEndpoints(dir)
	e := &Engine{failed: make(chan error, 1), stopped: make(chan struct{})}
	group, gctx := errgroup.WithContext(ctx)
	var uiListener *net.TCPListener
	if !c.WithoutTemporal {
		// Listen first: the two addresses a person chose are checked before the engine makes or changes a file.
		var p ports
		if uiListener, p, err = listenFirst(c, sameAsLast(c.TemporalListen, last.Temporal)); err != nil {
			return nil, err
		}
		if !c.Open {
			if e.token, err = loadToken(dir); err != nil {
				_ = uiListener.Close()
				return nil, err
			}
		}
		group.Go(func() error { return e.startTemporal(gctx, c, p, uiListener) })
	}
	if !c.WithoutObjects {
		group.Go(func() (err error) {
			e.s3, err = s3gateway.Start(gctx, s3gateway.Config{
				Dir: c.objectsDir(), SidecarDir: c.metadataDir(), Address: last.S3.Endpoint, SecretKey: last.S3.SecretKey, Logger: c.Logger,
			})
			return err
		})
	}
	if err = group.Wait(); err == nil {
		err = e.keepEndpoints(dir)
	}
	if err != nil {
		if uiListener != nil && e.ui == nil {
			_ = uiListener.Close()
		}
		return nil, errors.Join(err, e.Stop(context.WithoutCancel(ctx)))
	}
	if e.temporal != nil {
		go e.watch()
	}
	return e, nil
}

// listenFirst binds the Web UI's address and looks for ports of the server.
func listenFirst(c Config, temporalListen string) (*net.TCPListener, ports, error) {
	uiListener, err := bind(uiFlag, c.UIListen)
	if err != nil {
		return nil, ports{}, err
	}
	if ip := uiListener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		_ = uiListener.Close()
		return nil, ports{}, fmt.Errorf("%s %s: the Temporal Web UI listens on loopback only", uiFlag, c.UIListen)
	}
	p, err := choosePorts(temporalListen)
	if err != nil {
		_ = uiListener.Close()
		return nil, ports{}, err
	}
	if !p.frontend.IP.IsLoopback() {
		c.Logger.Warn("The Temporal frontend speaks no TLS and is open to the network", "address", p.frontend.String())
	}
	return uiListener, p, nil
}

// startTemporal brings up the server and the UI in front of it.
func (e *Engine) startTemporal(ctx context.Context, c Config, p ports, uiListener net.Listener) error {
	for try := 1; ; try++ {
		stores, err := e.prepare(ctx, c)
		if err != nil {
			return err
		}
		e.temporal, err = startTemporal(ctx, c, stores, p, e.token)
		if err == nil {
			break
		}
		portTaken := errors.Is(err, syscall.EADDRINUSE)
		if try == startTries || ctx.Err() != nil || !portTaken && (c.Postgres != nil || !condemn(ctx, c.engineDir())) {
			return err
		}
		if p, err = choosePorts(c.TemporalListen); err != nil {
			return err
		}
	}
	var err error
	e.ui, err = startUI(uiListener, e.temporal.address, e.token, c)
	return err
}

// stores is where the server keeps workflows, and what lists of them are made from.
type stores struct {
	main, visibility *config.SQL
	shards           int32
}

// prepare leaves a usable store: the SQLite file, or the PostgreSQL databases, which it takes for this process.
func (e *Engine) prepare(ctx context.Context, c Config) (stores, error) {
	if c.Postgres == nil {
		db, rebuilt, err := prepare(ctx, c.engineDir(), c.ServerDefaults)
		e.rebuilt = e.rebuilt || rebuilt
		return stores{main: db, visibility: db, shards: historyShards}, err
	}
	s, err := newPostgresStore(*c.Postgres, c.Logger)
	if err != nil {
		return stores{}, err
	}
	if e.hold == nil {
		if err := s.makeDatabases(ctx); err != nil {
			return stores{}, err
		}
		if e.hold, err = s.take(ctx); err != nil {
			return stores{}, err
		}
	}
	// A file from before knows nothing of what comes now, and must not be used again when somebody goes back to it.
	left, err := leave(c.engineDir())
	e.rebuilt = e.rebuilt || left
	if err == nil {
		err = s.prepare(ctx)
	}
	main, visibility := s.sqlConfigs()
	return stores{main: main, visibility: visibility, shards: s.shards}, err
}

// watch passes on the server's own failure, and the loss of its database to another process.
func (e *Engine) watch() {
	var lost chan error
	if e.hold != nil {
		lost = e.hold.lost
	}
	select {
	case err := <-e.temporal.run.failed:
		e.failed <- fmt.Errorf("the Temporal server failed: %w", err)
	case err := <-lost:
		e.failed <- fmt.Errorf("the engine's database was away, and is another's now: %w", err)
	case <-e.stopped:
	}
}

// Failed yields an error when the engine broke down by itself and can not go on. The program should then stop.
func (e *Engine) Failed() <-chan error { return e.failed }

// TemporalAddress is the host:port of Temporal's gRPC frontend. Not without one.
func (e *Engine) TemporalAddress() string { return e.temporal.address }

// Token is what a client must show to the frontend, as a bearer token; "" when it lets everybody in.
func (e *Engine) Token() string { return e.token }

// UIAddress is the host:port of the Temporal Web UI.
func (e *Engine) UIAddress() string { return e.ui.address }

// S3 tells how to reach the object store. Not without one.
func (e *Engine) S3() s3gateway.Credentials { return e.s3.Credentials() }

// Rebuilt tells that the engine's files were unusable (another server version, damage) or are not used any more (it keeps
// its data in PostgreSQL now), and were put aside: it knows no workflow of them, and unfinished jobs must be started again.
func (e *Engine) Rebuilt() bool { return e.rebuilt }

// Stop ends the parts in reverse order, each within ten seconds or until ctx ends. Stopping twice is fine.
func (e *Engine) Stop(ctx context.Context) error {
	select {
	case <-e.stopped:
		return nil
	default:
		close(e.stopped)
	}
	var errs []error
	end := func(stop func(context.Context) error) {
		limited, cancel := context.WithTimeout(ctx, stopDeadline)
		defer cancel()
		errs = append(errs, stop(limited))
	}
	if e.ui != nil {
		end(e.ui.stop)
	}
	if e.temporal != nil {
		end(e.temporal.stop)
	}
	if e.hold != nil {
		end(e.hold.letGo)
	}
	if e.s3 != nil {
		end(e.s3.Stop)
	}
	return errors.Join(errs...)
}
