package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/runner"
	"waybill/internal/secret"
	"waybill/internal/standalone"
	"waybill/internal/standalone/s3gateway"
	"waybill/workflows/starter"
)

// Worker is a process that runs the jobs of one destination and, as every worker process, serves the system's queues.
//
// It finds database, object store and Temporal by the settings, or in the data folder of a Waybill that runs on the same
// machine; each by itself. It needs the installation's master key, too: from the settings or from that folder.
type Worker struct {
	parts
	info WorkerInfo
	uses endpoints
}

// WorkerInfo is what a person wants to know of a running worker.
type WorkerInfo struct {
	ID          string
	Destination job.Destination
	Concurrency int
	Sandbox     string
}

// endpoints is where the components of a data folder are reached.
type endpoints struct {
	temporal, namespace string
	token               string // of the embedded Temporal
	s3                  s3gateway.Credentials
}

// ErrMoved is how a worker ends whose data folder's components are reached at other addresses than before: it should be
// started again.
var ErrMoved = errors.New("the components of the data folder have other addresses now")

// StartWorker connects to the components and begins to take jobs.
func StartWorker(ctx context.Context, s settings.Settings, log *slog.Logger) (*Worker, error) {
	s.Workers = s.Concurrency
	s.Database.Application = "waybill-worker"
	w := &Worker{parts: newParts(s, log)}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.Stop(context.WithoutCancel(ctx)))
	}
	return w, nil
}

func (w *Worker) start(ctx context.Context) error {
	if err := w.startTracing(ctx, "waybill-worker"); err != nil {
		return err
	}
	if err := w.find(ctx); err != nil {
		return err
	}
	if err := w.loadKeys(filepath.Join(w.settings.Data, "master.key"), secret.Load); err != nil {
		return fmt.Errorf("%w; it is the one of the installation: in its data folder, or %s", err, settings.Name("master-key"))
	}
	if err := w.connect(ctx); err != nil {
		return err
	}
	places := &control.Places{Store: w.store, Now: w.now}
	to, err := places.Find(ctx, w.settings.Destination)
	if err != nil {
		return named("the destination of "+settings.Name("destination"), err)
	}
	box := w.keyring.Box()
	w.followKeys()
	work, err := w.newWorkerIn(box, &to)
	if err != nil {
		return err
	}
	w.info = WorkerInfo{ID: work.post.name, Destination: to, Concurrency: w.concurrency(), Sandbox: work.runner.Sandbox()}
	if w.uses != (endpoints{}) {
		w.background("look-out for moved components", w.watchMoves)
	}
	start := starter.New(w.temporal, starter.Config{})
	var draining atomic.Bool
	if err := w.serveMetrics(start, work.registration.disk, func() bool { return !draining.Load() }); err != nil {
		return err
	}
	w.watchDependencies(start)
	return w.startWorker(work, func() { draining.Store(true) })
}

// find looks up the components that the settings do not name.
func (w *Worker) find(ctx context.Context) error {
	s := w.settings
	if s.Database.URL != "" && s.S3.Endpoint != "" && s.Temporal.Address != "" {
		w.warnOfBaseURL()
		return nil
	}
	if s.BaseURL == "" { // as that Waybill says it is reached
		w.url = func() string {
			run, _ := datafolder.ReadRun(s.Data) // of one that does not run now, nothing
			return run.URL
		}
	}
	return await(ctx, w.log, "the data folder "+s.Data, func(context.Context) error {
		run, err := datafolder.ReadRun(s.Data)
		switch {
		case errors.Is(err, fs.ErrPermission): // waiting does not mend it
			return job.Errorf(job.Invalid, job.WordInvalidField, "it can not be read: permission denied. Run the worker as the user of waybill up")
		case err != nil:
			return job.Errorf(job.Unavailable, job.WordDependencyDown, "no Waybill runs on it. Start waybill up there, or name components by %s, %s and %s",
				settings.Name("database"), settings.Name("s3-endpoint"), settings.Name("temporal"))
		case run.ExternalDatabase && s.Database.URL == "":
			return job.Errorf(job.Invalid, job.WordMissingField, "its Waybill uses a database of somebody else's: give %s", settings.Name("database"))
		case run.ExternalObjects && s.S3.Endpoint == "":
			return job.Errorf(job.Invalid, job.WordMissingField, "its Waybill uses an object store of somebody else's: give %s", settings.Name("s3-endpoint"))
		}
		w.uses, err = w.endpointsNow(run)
		return err
	})
}

// endpointsNow reads where the components are that the settings do not name.
func (w *Worker) endpointsNow(run datafolder.RunFile) (e endpoints, err error) {
	if w.settings.Temporal.Address == "" {
		e.temporal, e.namespace = run.TemporalAddress, run.TemporalNamespace
		if run.TemporalUI != "" && !run.TemporalOpen { // the embedded one, with sign-in
			if e.token, err = standalone.ReadToken(w.settings.Data); err != nil {
				return e, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "its Temporal's token can not be read")
			}
		}
	}
	if w.settings.S3.Endpoint == "" {
		kept, err := standalone.ReadEndpoints(w.settings.Data)
		if err != nil {
			return e, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "its object store's address can not be read")
		}
		e.s3 = kept.S3
	}
	return e, nil
}

// connect opens database, object store and Temporal, one after the other: a worker is in no hurry.
func (w *Worker) connect(ctx context.Context) error {
	if err := w.openMigratedStore(ctx, filepath.Join(w.settings.Data, "waybill.db")); err != nil {
		return err
	}
	var err error
	w.onStop("object store", time.Second, w.closeObjects)
	if w.settings.S3.Endpoint != "" {
		err = w.openExternalObjects(ctx)
	} else {
		err = await(ctx, w.log, "the object store of the data folder", func(ctx context.Context) error {
			return w.openObjects(ctx, gatewayObjects(w.uses.s3))
		})
	}
	if err != nil {
		return err
	}
	w.onStop("Temporal client", 5*time.Second, w.closeTemporal)
	if w.settings.Temporal.Address != "" {
		return w.openExternalTemporal(ctx)
	}
	return await(ctx, w.log, "Temporal of the data folder", func(ctx context.Context) error {
		return w.openTemporal(ctx, w.embeddedEngine(w.uses.temporal, w.uses.namespace, w.uses.token))
	})
}

// workFolders is the folder of the data folder that holds the workers' work folders.
const workFolders = "workers"

// maxWorkFolders is how many workers may share a data folder.
const maxWorkFolders = 1000

// newWorkerIn makes the worker in the folder of the settings, or in the first one of the data folder that no other process
// has: so a worker finds the packages of the one before it and ends what that one left running.
func (w *Worker) newWorkerIn(box secret.Box, to *job.Destination) (*work, error) {
	if w.settings.Work != "" {
		return w.newWorker(box, w.settings.Work, to)
	}
	for n := 1; ; n++ {
		folder := filepath.Join(w.settings.Data, workFolders, strconv.Itoa(n))
		work, err := w.newWorker(box, folder, to)
		if !errors.Is(err, runner.ErrWorkFolderInUse) || n == maxWorkFolders {
			return work, err
		}
	}
}

// watchMoves ends the worker when the Waybill of the data folder came back at other addresses.
func (w *Worker) watchMoves(ctx context.Context) {
	ticker := time.NewTicker(job.WorkerBeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		run, err := datafolder.ReadRun(w.settings.Data)
		if err != nil {
			continue // it does not run now
		}
		if now, err := w.endpointsNow(run); err == nil && now != w.uses {
			w.fail(ErrMoved)
			return
		}
	}
}

// Info tells what the worker serves.
func (w *Worker) Info() WorkerInfo { return w.info }

// Wait returns when ctx ends, or with an error when the worker broke down by itself.
func (w *Worker) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.parts.failed:
		return err
	}
}
