package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
)

// Expiry ends jobs that no worker takes in time.
type Expiry interface {
	// Expire ends a job as o says if it is Queued and, where untaken is set, no worker ever had it; it fences off every
	// worker whose fence is smaller than fence. Any other job stays as it is. It returns the row as it stands. Idempotent.
	Expire(ctx context.Context, account int64, id job.ID, fence int64, untaken bool, o job.Outcome) (job.Job, error)
}

// CancelBacklog is the cancels that are stored and that the engine has not been seen to take.
type CancelBacklog interface {
	// CancelsDue lists their jobs, of all accounts, final ones included, oldest id first, after the id.
	CancelsDue(ctx context.Context, after job.ID, limit int) ([]job.Job, error)
	// CancelPassedOn takes a job out of the list.
	CancelPassedOn(ctx context.Context, account int64, id job.ID) error
}

// CancelCourier passes stored cancels on to the engine: those of a process that died between the two, those that came while
// the engine was away, and those that overtook the start of their workflow, which would else wait in a lane, or for a worker
// of a destination that has none, while its job is over.
type CancelCourier struct {
	Backlog CancelBacklog
	Starter Starter
	Now     Clock
	Log     *slog.Logger

	after job.ID
}

// Pace of the courier.
const (
	cancelsAtOnce = 100
	// cancelStart is how long after its submission a job's workflow may still be started by whoever accepted it.
	cancelStart = time.Minute
)

// Duty is the courier as a part of the reconciler's loop.
func (k *CancelCourier) Duty() Duty {
	return Duty{Name: "passing on of cancels", Every: tick, Engine: true, Do: k.deliver}
}

func (k *CancelCourier) deliver(ctx context.Context, _ bool) error {
	jobs, err := k.Backlog.CancelsDue(ctx, k.after, cancelsAtOnce)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		known, err := k.pass(ctx, j)
		if err == nil && known {
			err = k.Backlog.CancelPassedOn(ctx, j.AccountID, j.ID)
		}
		if outage(err) != nil {
			return err
		}
		if err != nil { // of this job alone; those behind it must not wait for it
			k.Log.WarnContext(ctx, "cancel not passed on", "job", j.ID, "error", err)
		}
		k.after = j.ID
	}
	if len(jobs) < cancelsAtOnce {
		k.after = ""
	}
	return nil
}

// pass tells the engine of one cancel, and whether that need not be done again.
func (k *CancelCourier) pass(ctx context.Context, j job.Job) (bool, error) {
	state, err := k.Starter.JobState(ctx, j.ID, j.RetryOf != "")
	if err != nil {
		return false, err
	}
	switch state {
	case EngineOpen:
		return true, k.Starter.CancelJob(ctx, j.ID)
	case EngineAbsent:
		return j.Status.Final() && k.Now().Sub(j.ScheduledAt) > cancelStart, nil
	}
	return true, nil
}
