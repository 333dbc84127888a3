package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runner"
	"waybill/internal/runtimes"
	"waybill/internal/sandbox"
	"waybill/internal/secret"
	"waybill/workflows/contract"
	"waybill/workflows/starter"
)

// stopSlack is the time a worker gets, after drain and grace, to tell the engine how its last jobs went.
const stopSlack = 5 * time.Second

// work is the worker of this process and what it runs packages with.
type work struct {
	post         *post
	registration *registration // nil when it takes no jobs
	status       worker.Worker // serves the status queue, which programs must not hold up
	runner       *runner.Runner
}

// limits are what the settings say of every job.
func (p *parts) limits() control.Limits {
	return control.Limits{Grace: p.settings.JobGrace, HeartbeatTimeout: p.settings.WorkerLoss}
}

// newWorker makes the worker of this process. It takes the jobs of a destination, with a work folder of its own; with none
// it serves the system's queues only.
func (p *parts) newWorker(box secret.Box, folder string, to *job.Destination) (*work, error) {
	identity, host := newIdentity()
	w := &work{post: &post{parts: p, name: identity, ending: make(chan struct{})}}
	var err error
	if w.post.slots, err = newSlots(p.concurrency()); err != nil {
		return nil, err
	}
	if to != nil {
		if w.runner, err = p.newRunner(folder); err != nil {
			return nil, fmt.Errorf("the worker can not start: %w", err)
		}
		p.onStop("runner", 5*time.Second, func(context.Context) error { return w.runner.Close() })
		w.post.queue = to.TaskQueue
		room := newDisk(w.runner.Work(), p.settings.Outages.MinFreeDisk, p.log)
		observeDisk(room, p.metrics)
		w.registration = &registration{
			disk: room, parts: p, registry: p.store, post: w.post, soon: make(chan struct{}, 1),
			me: job.Worker{
				ID: identity, AccountID: to.AccountID, TaskQueue: to.TaskQueue, Hostname: host, PID: os.Getpid(), Version: Version(),
				Labels: p.settings.Labels, Runners: w.runner.Kinds(), Sandbox: w.runner.InForce(), Concurrency: p.concurrency(),
				StartedAt: p.now().UTC().Truncate(time.Microsecond),
			},
		}
		p.meters.sandbox.WithLabelValues(sandboxLevel(w.runner.Sandbox())).Set(1)
		observeSlots(w.post.slots, to.TaskQueue, p.metrics)
		observePackages(w.runner, p.metrics)
	}
	w.status = worker.New(p.temporal, contract.StatusQueue(contract.SystemQueue), worker.Options{
		Identity: identity, DisableWorkflowWorker: true, WorkerStopTimeout: stopSlack, OnFatalError: w.post.failed,
		MaxHeartbeatThrottleInterval: loopBeat,
	})
	start := starter.New(p.temporal, starter.Config{})
	reconciler := p.newReconciler(box, start)
	config := activities.Config{
		Run: observeRun(p.store, p.metrics), Settlement: p.settlement(), Expiry: p.store, Lanes: p.store,
		LaneEngine: start, Objects: p.objects, Secrets: box, Bell: p.bell, Gone: reconciler,
		Tokens: control.JobTokens{Signer: p.signer(), Now: p.now}, URL: p.programsURL,
		Runner: w.runner, Worker: identity, Drain: p.settings.DrainTimeout, Ending: w.post.ending, Now: p.now, Log: p.log,
		Purger: p.newRetention(), Loop: p.loopOf(reconciler), ObjectPatience: p.settings.Outages.ObjectPatience,
	}
	if w.runner != nil {
		config.Spool = joblog.Spool{Dir: w.runner.Work(), Limit: p.settings.Outages.LogSpool}
	}
	p.addFires(&config, box, start)
	acts := activities.New(config)
	w.post.acts = acts
	acts.Register(w.status)
	deliveries, err := p.newDeliveries(box)
	if err != nil {
		return nil, err
	}
	deliveries.Register(w.status)
	return w, nil
}

// programsURL is where programs call the API. Clients' address of it may lead nowhere from where programs run: in a container,
// localhost is the worker itself.
func (p *parts) programsURL() string {
	if p.settings.JobsURL != "" {
		return p.settings.JobsURL
	}
	return p.url()
}

// newIdentity makes the name under which this process is known to the engine and on jobs. It is new for every process, also
// for the next one with this number on this machine: in a container all have the same.
func newIdentity() (identity, host string) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%d@%s-%s", os.Getpid(), host, strings.ToLower(rand.Text()[:6])), host
}

func (p *parts) newRunner(folder string) (*runner.Runner, error) {
	table, err := runtimes.New(runtimes.Config{Runners: p.settings.Runners})
	if err != nil {
		return nil, err
	}
	return runner.New(context.Background(), runner.Config{
		Work: folder, CacheSize: p.settings.CacheSize, Sandbox: sandbox.Mode(p.settings.Sandbox),
		JobLimits: jobLimits(p.settings.Jobs), NoNetwork: p.settings.Jobs.NoNetwork, OutFiles: p.settings.Outputs.Files,
		OutBytes: p.settings.Outputs.Bytes, OutFileBytes: p.settings.Outputs.FileBytes, LogTime: p.settings.Outages.ObjectPatience,
		Protect: []string{p.settings.Data}, Runtimes: table, Logger: p.log, Now: p.now,
		Environments: runner.Environments{
			Size: p.settings.EnvironmentSize, Max: p.settings.EnvironmentMaxSize, Time: p.settings.EnvironmentBuildTime,
			Variables: p.settings.EnvironmentVariables,
		},
	})
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
	p.keepReconciler()
	if r := w.registration; r != nil {
		// Others see the worker before it takes its first job, and as long as it runs one.
		if err := r.enter(context.Background()); err != nil {
			drain()
			return fmt.Errorf("the worker can not be registered: %w", err)
		}
		p.onStop("registration", 5*time.Second, r.leave)
		p.background("signs of life", r.run)
	}
	p.background("tidying of work folders", p.tidyWorkFolders)
	if err := w.post.start(); err != nil {
		drain()
		return fmt.Errorf("the worker can not start: %w", err)
	}
	if r := w.registration; r != nil {
		p.background("look at the disk", r.watchDisk)
	}
	p.onStop("worker", p.settings.DrainTimeout+p.settings.JobGrace+4*stopSlack, func(ctx context.Context) error {
		drain()
		if w.registration != nil {
			w.registration.ending.Store(true)
			w.registration.tell()
		}
		limited, cancel := context.WithTimeout(ctx, p.settings.DrainTimeout+p.settings.JobGrace+2*stopSlack)
		defer cancel()
		return w.post.end(limited)
	})
	return nil
}

// everyTidy is the pause between two looks for work folders whose worker was killed.
const everyTidy = 10 * time.Second

// tidyWorkFolders ends what workers that were killed left running in the data folder. Their jobs run again elsewhere, and
// must not do so beside the programs of the first time for longer than can be helped.
func (p *parts) tidyWorkFolders(ctx context.Context) {
	ticker := time.NewTicker(everyTidy)
	defer ticker.Stop()
	for {
		folders, _ := filepath.Glob(filepath.Join(p.settings.Data, workFolders, "*", "lock")) // the pattern is well formed
		for _, lock := range folders {
			folder := filepath.Dir(lock)
			switch killed, err := runner.Tidy(ctx, folder); {
			case err != nil:
				p.log.WarnContext(ctx, "a work folder whose worker is gone could not be tidied", "folder", folder, "error", err)
			case killed > 0:
				p.log.WarnContext(ctx, "programs of a worker that is gone were still running and have been ended", "count", killed)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
