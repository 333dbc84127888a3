package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestTheTimeIsTheDatabasesWhereTheMachinesIsOff(t *testing.T) {
	truth := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var gone, off, wait time.Duration
	c := &clock{
		wall: func() time.Time { return truth.Add(gone + off) }, gone: func() time.Duration { return gone }, doubt: make(chan struct{}, 1),
	}
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	read := func(ctx context.Context) (time.Time, error) {
		if until, bounded := ctx.Deadline(); !bounded || time.Until(until) > clockWithin {
			t.Error("a silent database is waited for without an end")
		}
		defer func() { gone += wait }()
		return truth.Add(gone + wait/2), nil
	}
	compare := func() time.Duration {
		t.Helper()
		ahead, err := c.compare(t.Context(), read, log)
		if err != nil {
			t.Fatal(err)
		}
		return ahead
	}
	want := func(wrong time.Duration) {
		t.Helper()
		if got := c.now().Sub(truth.Add(gone)); got != wrong {
			t.Errorf("%s after the start, with a machine %s off: the time is %s off, want %s", gone, off, got, wrong)
		}
	}
	off = time.Hour
	want(time.Hour) // nothing else is known yet
	off = 0
	wait = 2 * time.Second
	if ahead := compare(); ahead != 0 {
		t.Errorf("the machine is %s ahead", ahead)
	}
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 48 * time.Hour} {
		gone += 10 * time.Minute
		off = jump
		want(0) // at once: the monotonic clock tells
		gone += time.Minute
		if ahead := compare(); ahead != jump {
			t.Errorf("the machine is %s ahead, not %s", ahead, jump)
		}
		want(0)
	}
	off = 3 * time.Second
	want(3 * time.Second) // what NTP may leave is the machine's own matter
	compare()
	want(3 * time.Second)
	if n := strings.Count(text.String(), "is used instead"); n != 1 {
		t.Errorf("%d warnings, want one:\n%s", n, &text)
	}
	if !strings.Contains(text.String(), "is right again") {
		t.Errorf("the log does not say that the clock is right again:\n%s", &text)
	}
	// A suspended machine has lost time on its monotonic clock.
	truth, off = truth.Add(time.Hour), 0
	compare()
	want(0)
	// An answer that took long says little.
	wait = time.Minute
	truth = truth.Add(10 * time.Second)
	compare()
	if c.last.Load().gone > gone-wait {
		t.Error("an answer that took a minute was believed")
	}
	if _, err := c.compare(t.Context(), func(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") }, log); err == nil {
		t.Error("no error")
	}
}

func TestAReadingIsAskedForOnceWhenTheClocksFirstDisagree(t *testing.T) {
	t.Parallel()
	truth := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var gone, off time.Duration
	c := &clock{
		wall: func() time.Time { return truth.Add(gone + off) }, gone: func() time.Duration { return gone }, doubt: make(chan struct{}, 1),
	}
	away := errors.New("away")
	var fault error
	read := func(context.Context) (time.Time, error) { return truth.Add(gone), fault }
	compare := func() { _, _ = c.compare(t.Context(), read, slog.New(slog.DiscardHandler)) }
	asked := func(what string, want bool) {
		t.Helper()
		c.now()
		c.now()
		got := false
		select {
		case <-c.doubt:
			got = true
		default:
		}
		if got != want {
			t.Errorf("%s: a reading is asked for: %v, want %v", what, got, want)
		}
	}
	asked("before the first reading", false)
	compare()
	asked("while they agree", false)
	truth = truth.Add(time.Hour) // the machine slept, by a clock that does not count that; its own is right
	asked("after a sleep", true)
	fault = away
	compare()
	asked("while the database is away", false)
	fault = nil
	compare()
	asked("once it was read", false)
	if got := c.now().Sub(truth.Add(gone)); got != 0 {
		t.Errorf("after the reading the time is %s off", got)
	}
	off = time.Hour
	asked("after a jump", true)
	compare()
	asked("of a machine that is known to be off", false)
	off = 0
	asked("when it was set right", false)
	compare()
	off = -time.Hour
	asked("after the next jump", true)
}
