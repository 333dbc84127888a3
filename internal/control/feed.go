package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
)

// Feed brings the stream of events to those in this process who listen. While there are any, one tailer reads the
// stream and rings the Bell for every job in it, so that they hear of changes that other processes make, too.
type Feed struct {
	Events EventReader
	Bell   *Bell
	Log    *slog.Logger
	// Observe is told how old events were by Now when they were read. Without both nobody is.
	Observe func(age time.Duration)
	Now     Clock
}

// Pace of the tailer and of those who follow.
const (
	feedQuick = 100 * time.Millisecond // pause between two looks while things happen
	feedSlow  = 400 * time.Millisecond // while nothing does
	feedAway  = time.Second            // while the database is away
	feedBatch = 500                    // events read at once
	// followPause keeps one follower of a busy account from asking the database for every single event.
	followPause = 50 * time.Millisecond
)

// Run tails until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	for f.Bell.wanted(ctx) {
		mark, err := f.Events.LatestEvent(ctx)
		if err != nil {
			f.complain(ctx, err)
			rest(ctx, feedAway)
			continue
		}
		f.Bell.ringAll() // whoever began to listen may have looked before the mark was taken
		f.tail(ctx, mark)
	}
}

// tail rings for what comes behind the mark, until nobody listens any more.
func (f *Feed) tail(ctx context.Context, mark job.EventMark) {
	pause := feedQuick
	for ctx.Err() == nil && f.Bell.heard() {
		events, upTo, err := f.Events.Events(ctx, EventQuery{All: true, After: mark, Limit: feedBatch})
		switch {
		case err != nil:
			f.complain(ctx, err)
			pause = feedAway
		case len(events) == 0:
			mark, pause = upTo, min(pause*3/2, feedSlow)
		default:
			mark, pause = upTo, feedQuick
			f.observe(events)
			f.ring(events)
			if len(events) == feedBatch {
				continue
			}
		}
		rest(ctx, pause)
	}
}

// observe tells of the oldest of the events, which waited longest.
func (f *Feed) observe(events []job.Event) {
	if f.Observe != nil && f.Now != nil {
		f.Observe(f.Now().Sub(events[0].Time))
	}
}

// ring rings once for each job, however many events it has.
func (f *Feed) ring(events []job.Event) {
	seen := make(map[job.ID]bool, len(events))
	for _, e := range events {
		if !seen[e.JobID] {
			seen[e.JobID] = true
			f.Bell.Ring(e.JobID)
		}
	}
}

func (f *Feed) complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		f.Log.WarnContext(ctx, "events not read; those who follow look for themselves once a second", "error", err)
	}
}

// Follow calls see with what lies behind the mark, then whenever there is more, and at least about every second with
// nothing, until see returns an error or ctx ends. upTo is how far the stream has been looked through. The query's scope
// is the actor's, whatever it says.
func (f *Feed) Follow(
	ctx context.Context, a job.Actor, q EventQuery, see func(events []job.Event, upTo job.EventMark) error,
) error {
	if err := allowed(a, job.View); err != nil {
		return err
	}
	rings, stop := f.Bell.ListenAll() // before the first look, so that nothing falls in between
	defer stop()
	q.Scope, q.All, q.Limit = a.Scope(), false, feedBatch
	for {
		events, upTo, err := f.Events.Events(ctx, q)
		if err != nil {
			return err
		}
		if err := see(events, upTo); err != nil {
			return err
		}
		q.After = upTo
		if len(events) == feedBatch {
			continue
		}
		if rest(ctx, followPause) {
			await(ctx, rings, pollMax-followPause)
		}
		if ctx.Err() != nil {
			return job.Wrap(context.Cause(ctx), job.Canceled, "", "The caller went away")
		}
	}
}

// rest waits, and tells whether it was to the end.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// await waits for a ring, the time or the end of ctx, whichever comes first.
func await(ctx context.Context, rings <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-rings:
	case <-timer.C:
	case <-ctx.Done():
	}
}
