package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/workflows"
	"waybill/workflows/contract"
)

// post is what a process does for the engine: it serves the system queue's workflows, always, and takes the jobs of one
// destination unless it was told to drain.
//
// A destination whose queue is the system queue itself has one SDK worker for both, because the SDK and the server start a
// program at once in the worker that decided to (eager execution) only if both are one. It is exchanged for one that serves
// workflows alone to drain.
type post struct {
	parts  *parts
	queue  string // of the destination; empty: takes no jobs at all
	slots  *slots
	acts   *activities.Activities
	name   string        // identity
	ending chan struct{} // closed when the process ends: running programs get the drain time from then on

	mu      sync.Mutex
	system  worker.Worker // serves workflows
	taker   worker.Worker // takes jobs; nil while drained
	over    bool
	leaving sync.WaitGroup // workers that were told to stop and end what they run
}

// forEver is longer than any program may run: a worker that was told to drain waits for its programs. How long they have
// when the process ends is told by post.ending instead.
const forEver = 366 * 24 * time.Hour

// workflowsOnly makes a worker of the system queue that runs no programs.
func (t *post) workflowsOnly() worker.Worker {
	w := worker.New(t.parts.temporal, contract.SystemQueue, worker.Options{
		Identity: t.name, LocalActivityWorkerOnly: true, WorkerStopTimeout: stopSlack, OnFatalError: t.failed,
	})
	workflows.Register(w)
	return w
}

// jobs makes a worker that takes the destination's jobs and, when its queue is the system queue, serves workflows too.
func (t *post) jobs() (worker.Worker, error) {
	tuner, err := t.slots.tuner()
	if err != nil {
		return nil, err
	}
	w := worker.New(t.parts.temporal, t.queue, worker.Options{
		Identity: t.name, Tuner: tuner, DisableWorkflowWorker: t.queue != contract.SystemQueue, WorkerStopTimeout: forEver,
		// Cancels arrive with the answer to a heartbeat; the SDK would send one only every 12 seconds.
		MaxHeartbeatThrottleInterval:     time.Second,
		DefaultHeartbeatThrottleInterval: time.Second,
		OnFatalError:                     t.failed,
	})
	if t.queue == contract.SystemQueue {
		workflows.Register(w)
	}
	t.acts.Register(w)
	return w, nil
}

func (t *post) failed(err error) { t.parts.fail(fmt.Errorf("the worker failed: %w", err)) }

// start begins to serve.
func (t *post) start() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue != contract.SystemQueue {
		t.system = t.workflowsOnly()
		if err := t.system.Start(); err != nil {
			t.system = nil
			return err
		}
	}
	return t.take()
}

// take begins to take jobs. The caller holds the lock.
func (t *post) take() error {
	if t.queue == "" || t.taker != nil || t.over {
		return nil
	}
	w, err := t.jobs()
	if err == nil {
		err = w.Start()
	}
	if err != nil {
		return err
	}
	t.taker = w
	if t.queue == contract.SystemQueue {
		t.leave(t.system)
		t.system = w
	}
	return nil
}

// resume takes jobs again; for one that was not drained it does nothing.
func (t *post) resume() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take()
}

// drain takes no more jobs. Those that run go on; workflows are served on.
func (t *post) drain() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taker == nil {
		return nil
	}
	if t.queue == contract.SystemQueue {
		w := t.workflowsOnly()
		if err := w.Start(); err != nil {
			return err
		}
		t.system = w
	}
	t.release()
	return nil
}

// release lets the worker that takes jobs go. The caller holds the lock.
func (t *post) release() {
	t.leave(t.taker)
	t.taker = nil
}

// leave lets a worker end what it runs and then stop.
func (t *post) leave(w worker.Worker) {
	if w != nil {
		t.leaving.Go(w.Stop)
	}
}

// drained tells whether it takes no jobs.
func (t *post) drained() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taker == nil
}

// reachable tells whether the engine answers soon.
func (t *post) reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := t.parts.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	if err != nil {
		return fmt.Errorf("the engine does not answer: %w", err)
	}
	return nil
}

// end drains for good and gives the programs that run their drain time. Workflows are served until the last one has ended,
// so that its job is settled.
func (t *post) end(ctx context.Context) error {
	close(t.ending)
	var err error
	if away := t.reachable(ctx); away != nil { // a new worker would take long to find that out
		t.parts.log.WarnContext(ctx, "the worker ends without the engine", "error", away)
	} else {
		err = t.drain()
	}
	t.mu.Lock()
	t.over = true
	if t.taker != nil { // the engine is away: nobody serves workflows now anyway
		t.release()
		if t.queue == contract.SystemQueue {
			t.system = nil
		}
	}
	system := t.system
	t.mu.Unlock()
	if stopped(ctx, t.leaving.Wait) != nil {
		err = errors.Join(err, errors.New("jobs did not end in time"))
	}
	if system == nil {
		return err
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopSlack)
	defer cancel()
	return errors.Join(err, stopped(limited, system.Stop))
}
