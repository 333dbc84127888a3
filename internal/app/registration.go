package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// Every port is satisfied by a real part.
var (
	_ control.DestinationStore = (*sqlstore.Store)(nil)
	_ control.PlaceStore       = (*sqlstore.Store)(nil)
	_ control.WorkerRegistry   = (*sqlstore.Store)(nil)
)

// registration is this process's entry in the registry of workers: it gives signs of life and hears whether somebody wants
// the process to drain.
type registration struct {
	parts    *parts
	registry control.WorkerRegistry
	me       job.Worker
	post     *post
	disk     *disk
	ending   atomic.Bool
	asked    atomic.Bool // to drain
	applying sync.Mutex
	soon     chan struct{} // something changed that others should see before the next beat
}

// enter makes the entry, before the process takes jobs.
func (r *registration) enter(ctx context.Context) error {
	_, err := r.store(ctx, job.WorkerOnline)
	return err
}

// leave says that the process ends. When the database is away just then, others see it by the entry's age soon enough.
func (r *registration) leave(ctx context.Context) error {
	if _, err := r.store(ctx, job.WorkerOffline); err != nil {
		r.parts.log.WarnContext(ctx, "the worker's end is not told; its entry grows old instead", "error", err)
	}
	return nil
}

func (r *registration) store(ctx context.Context, status job.WorkerStatus) (drain bool, err error) {
	me := r.me
	me.Note = r.disk.note()
	me.Status, me.Running, me.BeatAt = status, r.post.slots.running(), r.parts.now().UTC().Truncate(time.Microsecond)
	return r.registry.Beat(ctx, me)
}

// beat gives a sign of life and does what is wanted.
func (r *registration) beat(ctx context.Context) error {
	drain, err := r.store(ctx, r.status())
	if err != nil || r.asked.Swap(drain) == drain {
		return err
	}
	if drain {
		r.parts.log.InfoContext(ctx, "the worker was asked to drain: it takes no more jobs", "running", r.post.slots.running())
	} else {
		r.parts.log.InfoContext(ctx, "the worker was asked to take jobs again")
	}
	err = r.apply()
	r.tell()
	return err
}

// apply drains or resumes, as is wanted and as there is room on the disk.
func (r *registration) apply() error {
	r.applying.Lock()
	defer r.applying.Unlock()
	switch want := r.asked.Load() || r.disk.full.Load(); {
	case r.ending.Load() || want == r.post.drained():
		return nil
	case want:
		return r.post.drain()
	default:
		return r.post.resume()
	}
}

// tell makes the next beat come at once.
func (r *registration) tell() {
	select {
	case r.soon <- struct{}{}:
	default:
	}
}

func (r *registration) status() job.WorkerStatus {
	if r.ending.Load() || r.post.drained() {
		return job.WorkerDraining
	}
	return job.WorkerOnline
}

// run beats until ctx ends.
func (r *registration) run(ctx context.Context) {
	ticker := time.NewTicker(job.WorkerBeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.soon:
		}
		limited, cancel := context.WithTimeout(ctx, job.WorkerBeat)
		if err := r.beat(limited); err != nil && ctx.Err() == nil {
			r.parts.log.WarnContext(ctx, "the worker's sign of life was not stored", "error", err)
		}
		cancel()
	}
}
