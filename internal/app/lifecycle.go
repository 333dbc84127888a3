package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// lifecycle remembers what has started, so that it is ended in reverse.
type lifecycle struct {
	stops  []stop     // in the order of starting
	failed chan error // a part broke down by itself
}

// stop ends one part within its deadline.
type stop struct {
	name     string
	deadline time.Duration
	end      func(ctx context.Context) error
}

func newLifecycle() lifecycle { return lifecycle{failed: make(chan error, 4)} }

func (l *lifecycle) onStop(name string, deadline time.Duration, end func(context.Context) error) {
	l.stops = append(l.stops, stop{name, deadline, end})
}

// fail tells that a part broke down. Only the first few are kept: one is enough to end the program.
func (l *lifecycle) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// Stop ends all parts in reverse order of starting, each within its deadline.
func (l *lifecycle) Stop(ctx context.Context) error {
	var faults []error
	for len(l.stops) > 0 {
		s := l.stops[len(l.stops)-1]
		l.stops = l.stops[:len(l.stops)-1]
		limited, cancel := context.WithTimeout(ctx, s.deadline)
		if err := s.end(limited); err != nil {
			faults = append(faults, fmt.Errorf("stop %s: %w", s.name, err))
		}
		cancel()
	}
	return errors.Join(faults...)
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopped runs a call that ends something and knows no context, and waits for it as long as ctx allows.
func stopped(ctx context.Context, end func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		end()
	}()
	return waitFor(ctx, done)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// background runs a loop until the program stops.
func (l *lifecycle) background(name string, run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	l.onStop(name, 10*time.Second, func(limit context.Context) error {
		cancel()
		return waitFor(limit, done)
	})
}
