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
	c := &clock{wall: func() time.Time { return truth.Add(gone + off) }, gone: func() time.Duration { return gone }}
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	read := func(context.Context) (time.Time, error) {
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
