package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Two processes share a database; only the feed brings one the changes that the other makes.
func TestAFeedRingsForWhatAnotherProcessChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here := control.NewBell() // nothing rings it but the feed
	ages := make(chan time.Duration, 100)
	feed := &control.Feed{Events: w.store, Bell: here, Log: w.jobs.Log, Now: w.Now, Observe: func(age time.Duration) { ages <- age }}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		feed.Run(ctx)
	}()
	defer func() {
		stop()
		<-done
	}()
	config := w.runnable(w.admin, "sample config")
	id := w.submit(config).ID
	for range 2 { // the second time the tailer may have rested, because nobody listened
		rings, unlisten := here.Listen(id)
		fence := w.Take(t, 1, id)
		<-rings // that the tailer begins, or of the change
		w.Finish(t, 1, id, fence, job.Outcome{Status: job.Failed})
		<-rings
		unlisten()
		id = w.submit(config).ID
	}
	select {
	case age := <-ages: // the World's clock stands still
		if age != 0 {
			t.Errorf("an event was %s old when it was read, by the clock that it was written by", age)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody was told how old events were")
	}
}

func TestFollowGivesEveryEventOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	feed := &control.Feed{Events: w.store, Bell: w.jobs.Bell, Log: w.jobs.Log}
	config := w.runnable(w.admin, "sample config")
	enough := errors.New("enough")
	var want, got []job.ID
	for range 3 {
		want = append(want, w.submit(config).ID)
	}
	err := feed.Follow(t.Context(), w.admin, control.EventQuery{}, func(events []job.Event, upTo job.EventMark) error {
		for _, e := range events {
			got = append(got, e.JobID)
			if e.At != upTo && e == events[len(events)-1] {
				t.Errorf("the mark is %v behind the event at %v", upTo, e.At)
			}
		}
		if len(want) < 6 {
			j := w.submit(config)
			want = append(want, j.ID)
			w.jobs.Bell.Ring(j.ID)
		}
		if len(got) == 6 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = feed.Follow(ctx, w.admin, control.EventQuery{}, func([]job.Event, job.EventMark) error {
		time.AfterFunc(time.Millisecond, cancel)
		return nil
	})
	if job.CodeOf(err) != job.Canceled {
		t.Errorf("a caller who goes away: %v", err)
	}
}
