package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// EventReader reads the stream of what happened to jobs.
type EventReader interface {
	// Events lists the events the query asks for, in the order of the stream, and the mark up to which the stream was
	// looked through: whoever asks again after it misses nothing and sees nothing twice. What a transaction that is still
	// open wrote is not in the stream yet, and nothing behind it either.
	Events(ctx context.Context, q EventQuery) (events []job.Event, upTo job.EventMark, err error)
	// LatestEvent is the mark of the end of the stream as it may be read now. It never goes back, whatever is deleted: a mark
	// behind it is not of this stream.
	LatestEvent(ctx context.Context) (job.EventMark, error)
	// LastStatus is the newest readable EventStatus of a job; found is false when it has none any more.
	LastStatus(ctx context.Context, account int64, id job.ID) (e job.Event, found bool, err error)
}

// EventQuery says which events of the stream.
type EventQuery struct {
	// Scope is whose. Without an account it gives nothing, unless All is set.
	Scope job.Scope
	All   bool          // every account's: for the process itself, never for a caller
	Job   job.ID        // of one job
	Of    int64         // of the jobs of one config
	After job.EventMark // behind this one
	Limit int           // 0: 500
}

// EventPurger deletes what nobody will ask for any more.
type EventPurger interface {
	// PurgeEvents deletes the events from before the time that lead the stream, and tells how many.
	PurgeEvents(ctx context.Context, before time.Time) (int64, error)
}

// PurgeEvents is the duty that keeps the stream as long as asked for.
func PurgeEvents(p EventPurger, keep time.Duration, now Clock) Duty {
	return Duty{Name: "old events", Every: everyPurge, Do: func(ctx context.Context, _ bool) error {
		_, err := p.PurgeEvents(ctx, now().Add(-keep))
		return err
	}}
}
