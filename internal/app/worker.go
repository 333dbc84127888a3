package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/internal/control"
	"waybill/internal/runner"
	"waybill/internal/secret"
	"waybill/workflows"
	"waybill/workflows/contract"
)

// stopSlack is the time a worker gets, after drain and grace, to tell the engine how its last jobs went.
const stopSlack = 5 * time.Second

// work is the worker of this process and what it runs packages with.
type work struct {
	worker worker.Worker
	status worker.Worker // serves the status queue, which programs must not hold up
	runner *runner.Runner
}

func (a *App) newWorker(box secret.Box, reconciler *control.Reconciler) (*work, error) {
	r, err := runner.New(context.Background(), runner.Config{
		Work: a.folder.At("work"), CacheSize: a.settings.CacheSize, Sandbox: runner.SandboxMode(a.settings.Sandbox),
		Protect: []string{a.settings.Data}, Logger: a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("the worker can not start: %w", err)
	}
	a.info.Sandbox = r.Sandbox()
	a.onStop("runner", 5*time.Second, func(context.Context) error { return r.Close() })

	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	identity := fmt.Sprintf("%d@%s", os.Getpid(), host)
	w := worker.New(a.temporal, contract.SystemQueue, worker.Options{
		Identity:                           identity,
		MaxConcurrentActivityExecutionSize: a.concurrency(),
		WorkerStopTimeout:                  a.settings.DrainTimeout + a.settings.JobGrace + stopSlack,
		// Cancels arrive with the answer to a heartbeat; the SDK would send one only every 12 seconds.
		MaxHeartbeatThrottleInterval:     time.Second,
		DefaultHeartbeatThrottleInterval: time.Second,
		OnFatalError:                     func(err error) { a.failed <- fmt.Errorf("the worker failed: %w", err) },
	})
	workflows.Register(w)
	status := worker.New(a.temporal, contract.StatusQueue(contract.SystemQueue), worker.Options{
		Identity: identity, DisableWorkflowWorker: true, WorkerStopTimeout: stopSlack,
		OnFatalError: func(err error) { a.failed <- fmt.Errorf("the worker failed: %w", err) },
	})
	acts := activities.New(activities.Config{
		Run: observeRun(a.store, a.metrics), Settlement: a.store, Objects: a.objects, Secrets: box, Bell: a.bell, Gone: reconciler,
		Runner: r, Worker: identity, Drain: a.settings.DrainTimeout, Now: time.Now, Log: a.log,
	})
	acts.Register(w)
	acts.Register(status)
	return &work{worker: w, status: status, runner: r}, nil
}

// concurrency is how many jobs run at once. Programs mostly wait for others, so there may be more than cores.
func (a *App) concurrency() int {
	if a.settings.Workers > 0 {
		return a.settings.Workers
	}
	return 16 * runtime.GOMAXPROCS(0)
}

// startWorker begins to take jobs. At the end readiness goes down first, then the worker takes no more jobs and gives the
// running ones their time.
func (a *App) startWorker(w *work, drain func()) error {
	if err := w.status.Start(); err != nil {
		drain()
		return fmt.Errorf("the worker can not start: %w", err)
	}
	a.onStop("status worker", 2*stopSlack, func(ctx context.Context) error {
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.status.Stop()
		}()
		return waitFor(ctx, done)
	})
	if err := w.worker.Start(); err != nil {
		drain()
		return fmt.Errorf("the worker can not start: %w", err)
	}
	a.onStop("worker", a.settings.DrainTimeout+a.settings.JobGrace+2*stopSlack, func(ctx context.Context) error {
		drain()
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.worker.Stop()
		}()
		if err := waitFor(ctx, done); err != nil {
			return errors.New("jobs did not end in time")
		}
		return nil
	})
	return nil
}
