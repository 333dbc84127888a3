package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// WorkerRegistry is where worker processes give signs of life, and hear what is wanted of them.
type WorkerRegistry interface {
	// Beat stores the worker as it describes itself and tells whether somebody wants it to drain.
	Beat(ctx context.Context, w job.Worker) (drain bool, err error)
	// Workers lists those that serve a destination of the account, the oldest first, also those that are offline.
	Workers(ctx context.Context, account int64) ([]job.Worker, error)
	// SetDrain writes down what is wanted of a worker of the account. One that the account may see but does not own is
	// Forbidden.
	SetDrain(ctx context.Context, account int64, id string, drain bool) error
	// PurgeWorkers forgets those whose last sign of life is older.
	PurgeWorkers(ctx context.Context, before time.Time) error
}

// Workers is what people can do with workers.
type Workers struct {
	Registry WorkerRegistry
	Places   *Places
	Now      Clock
}

// List lists the workers that serve the actor's account.
func (s *Workers) List(ctx context.Context, a job.Actor) ([]job.Worker, error) {
	return s.Registry.Workers(ctx, a.AccountID)
}

// Drain asks a worker to take no more jobs and to end those it runs; Resume takes that back. The worker hears of it at its
// next sign of life.
func (s *Workers) Drain(ctx context.Context, a job.Actor, id string) (job.Worker, error) {
	return s.setDrain(ctx, a, id, true)
}

// Resume lets a drained worker take jobs again.
func (s *Workers) Resume(ctx context.Context, a job.Actor, id string) (job.Worker, error) {
	return s.setDrain(ctx, a, id, false)
}

func (s *Workers) setDrain(ctx context.Context, a job.Actor, id string, drain bool) (job.Worker, error) {
	if err := adminOnly(a, "A worker"); err != nil {
		return job.Worker{}, err
	}
	if err := s.Registry.SetDrain(ctx, a.AccountID, id, drain); err != nil {
		return job.Worker{}, err
	}
	s.Places.Forget(a.AccountID)
	list, err := s.Registry.Workers(ctx, a.AccountID)
	if err != nil {
		return job.Worker{}, err
	}
	for _, w := range list {
		if w.ID == id {
			return w, nil
		}
	}
	return job.Worker{}, job.Errorf(job.NotFound, job.WordNotFound, "Worker %s not found", short(id))
}

// workersKept is how long a worker that gives no signs of life stays in the list.
const workersKept = 24 * time.Hour

// PurgeDuty forgets workers that went away long ago.
func (s *Workers) PurgeDuty() Duty {
	return Duty{
		Name: "forgetting of workers", Every: time.Hour,
		Do: func(ctx context.Context, _ bool) error {
			return s.Registry.PurgeWorkers(ctx, s.Now().Add(-workersKept))
		},
	}
}
