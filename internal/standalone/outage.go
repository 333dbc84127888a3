package standalone

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/log/tag"
)

// outage folds what the server writes while it does not reach its database, which are hundreds of lines a minute, each with its stack: one
// line when it begins, and their number when it is over.
type outage struct {
	quiet time.Duration // without such a line: it is over

	mu    sync.Mutex
	since time.Time // zero: there is none
	last  time.Time
	lines int
	timer *time.Timer
}

// outageOver is longer than the server's own pauses between two tries.
const outageOver = 10 * time.Second

// unreached is the error among tags that tells that a part of the server, or its database, does not answer; nil when there is none.
func unreached(lists ...[]tag.Tag) error {
	for _, tags := range lists {
		for _, t := range tags {
			err, ok := value(t).(error)
			if !ok {
				continue
			}
			var away *serviceerror.Unavailable
			var late *serviceerror.DeadlineExceeded
			if errors.As(err, &away) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded) {
				return err
			}
		}
	}
	return nil
}

// fold notes a line of an outage, and writes it if it is the first.
func (o *outage) fold(to *slog.Logger, stopped func() bool, msg string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
	o.lines++
	if !o.since.IsZero() {
		return
	}
	o.since, o.lines = o.last, 1
	to.Error("Temporal does not reach its database, or a part of itself: what it writes of that is counted until it is over", "first", msg, "error", err)
	o.timer = time.AfterFunc(o.quiet, func() { o.look(to, stopped) })
}

// look tells that the outage is over, or looks again later.
func (o *outage) look(to *slog.Logger, stopped func() bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if stopped() {
		return
	}
	if rest := o.quiet - time.Since(o.last); rest > 0 {
		o.timer.Reset(rest)
		return
	}
	to.Warn("Temporal has had nothing to complain of for a while: the outage is over", "lines", o.lines, "took", o.last.Sub(o.since).Round(time.Millisecond))
	o.since = time.Time{}
}

// end lets nothing be looked at any more.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil {
		o.timer.Stop()
	}
}
