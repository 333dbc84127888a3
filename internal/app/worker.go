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
	"waybill/workflows/starter"
)

// stopSlack is the time a worker gets, after drain and grace, to tell the engine how its last jobs went.
const stopSlack = 5 * time.Second

// work is the worker of this process and what it runs packages with.
type work struct {
	worker worker.Worker
	status worker.Worker // serves the status queue, which programs must not hold up
	runner *runner.Runner
}

// limits are what the settings say of every job.
func (p *parts) limits() control.Limits {
	return control.Limits{Grace: p.settings.JobGrace, HeartbeatTimeout: p.settings.WorkerLoss}
}

func (p *parts) newReconciler(start *starter.Starter) *control.Reconciler {
	lanes := &control.LaneKeeper{Store: p.store, Engine: start, Log: p.log}
	cancels := &control.CancelCourier{Backlog: p.store, Starter: start, Now: time.Now, Log: p.log}
	return &control.Reconciler{
		Backlog: p.store, Settlement: p.store, Writer: p.store, Users: p.store, Starter: start,
		Bell: p.bell, Limits: p.limits(), Now: time.Now, Log: p.log, Lanes: start,
		Duties: []control.Duty{lanes.Duty(), cancels.Duty()},
	}
}

// newWorker makes the worker of this process, with a work folder of its own.
func (p *parts) newWorker(box secret.Box, reconciler *control.Reconciler, folder string) (*work, error) {
	r, err := runner.New(context.Background(), runner.Config{
		Work: folder, CacheSize: p.settings.CacheSize, Sandbox: runner.SandboxMode(p.settings.Sandbox),
		Protect: []string{p.settings.Data}, Logger: p.log,
	})
	if err != nil {
		return nil, fmt.Errorf("the worker can not start: %w", err)
	}
	p.onStop("runner", 5*time.Second, func(context.Context) error { return r.Close() })

	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	identity := fmt.Sprintf("%d@%s", os.Getpid(), host)
	w := worker.New(p.temporal, contract.SystemQueue, worker.Options{
		Identity:                           identity,
		MaxConcurrentActivityExecutionSize: p.concurrency(),
		WorkerStopTimeout:                  p.settings.DrainTimeout + p.settings.JobGrace + stopSlack,
		// Cancels arrive with the answer to a heartbeat; the SDK would send one only every 12 seconds.
		MaxHeartbeatThrottleInterval:     time.Second,
		DefaultHeartbeatThrottleInterval: time.Second,
		OnFatalError:                     func(err error) { p.fail(fmt.Errorf("the worker failed: %w", err)) },
	})
	workflows.Register(w)
	status := worker.New(p.temporal, contract.StatusQueue(contract.SystemQueue), worker.Options{
		Identity: identity, DisableWorkflowWorker: true, WorkerStopTimeout: stopSlack,
		OnFatalError: func(err error) { p.fail(fmt.Errorf("the worker failed: %w", err)) },
	})
	acts := activities.New(activities.Config{
		Run: observeRun(p.store, p.metrics), Settlement: p.store, Expiry: p.store, Lanes: p.store,
		LaneEngine: starter.New(p.temporal, starter.Config{}), Objects: p.objects, Secrets: box, Bell: p.bell, Gone: reconciler,
		Runner: r, Worker: identity, Drain: p.settings.DrainTimeout, Now: time.Now, Log: p.log,
	})
	acts.Register(w)
	acts.Register(status)
	return &work{worker: w, status: status, runner: r}, nil
}

// concurrency is how many jobs run at once. Programs mostly wait for others, so there may be more than cores.
func (p *parts) concurrency() int {
	if p.settings.Workers > 0 {
		return p.settings.Workers
	}
	return 16 * runtime.GOMAXPROCS(0)
}

// startWorker begins to take jobs. At the end readiness goes down first, then the worker takes no more jobs and gives the
// running ones their time.
func (p *parts) startWorker(w *work, drain func()) error {
	if err := w.status.Start(); err != nil {
		drain()
		return fmt.Errorf("the worker can not start: %w", err)
	}
	p.onStop("status worker", 2*stopSlack, func(ctx context.Context) error {
		return stopped(ctx, w.status.Stop)
	})
	if err := w.worker.Start(); err != nil {
		drain()
		return fmt.Errorf("the worker can not start: %w", err)
	}
	p.onStop("worker", p.settings.DrainTimeout+p.settings.JobGrace+2*stopSlack, func(ctx context.Context) error {
		drain()
		if stopped(ctx, w.worker.Stop) != nil {
			return errors.New("jobs did not end in time")
		}
		return nil
	})
	return nil
}
