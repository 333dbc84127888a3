package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// clock tells the time that all processes of an installation share. It is this machine's, unless that is off the database's: then
// it is the database's, as it was read last and has gone on since by a clock that does not jump. Ages are told by times
// that different processes wrote, and what is done by age can not be undone: a job over its time ends, an object that no row names is
// deleted, a workflow that has outlived its job is terminated.
type clock struct {
	wall func() time.Time
	gone func() time.Duration // since some moment, by a clock that nobody sets
	last atomic.Pointer[reading]
	off  atomic.Bool // was told to be off
	odd  atomic.Bool // the two were seen to disagree, and a reading was asked for

	doubt chan struct{} // asks for a reading: it tells which of the two is wrong
}

// reading is what the database's clock said.
type reading struct {
	at   time.Time
	gone time.Duration
}

func newClock() *clock {
	return &clock{wall: time.Now, gone: elapsed(), doubt: make(chan struct{}, 1)}
}

// awake tells how much time has gone, without that in which the machine slept.
func awake() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

func (c *clock) now() time.Time {
	mine, last := c.wall(), c.last.Load()
	if last == nil {
		return mine
	}
	shared := last.at.Add(c.gone() - last.gone)
	if shared.Sub(mine).Abs() <= maxSkew {
		if c.odd.Load() {
			c.odd.Store(false)
		}
		return mine
	}
	if !c.off.Load() && !c.odd.Swap(true) { // once: a database that does not answer now is asked again anyway
		select {
		case c.doubt <- struct{}{}:
		default:
		}
	}
	return shared
}

// compare reads the database's clock, and tells how far this machine's is ahead of it.
func (c *clock) compare(ctx context.Context, read func(context.Context) (time.Time, error), log *slog.Logger) (time.Duration, error) {
	limited, cancel := context.WithTimeout(ctx, clockWithin)
	defer cancel()
	asked := c.gone()
	at, err := read(limited)
	if err != nil {
		return 0, err
	}
	mine, answered := c.wall(), c.gone()
	between := asked + (answered-asked)/2
	ahead := mine.Add(between - answered).Round(0).Sub(at)
	if answered-asked > maxSkew { // it waited for its turn, so it says little
		return ahead, nil
	}
	c.last.Store(&reading{at: at, gone: between})
	switch off := ahead.Abs() > maxSkew; {
	case off && !c.off.Swap(true):
		log.WarnContext(ctx, "this machine's clock is not the database's, which is used instead: have both set by NTP", "ahead", ahead.Round(time.Millisecond))
	case !off && c.off.Swap(false):
		log.InfoContext(ctx, "this machine's clock is right again", "ahead", ahead.Round(time.Millisecond))
	}
	return ahead, nil
}

// now is the time for all that is written down or decided by age.
func (p *parts) now() time.Time { return p.clock.now() }

// compareClocks is for a database that several machines share; SQLite has this machine's clock.
func (p *parts) compareClocks(ctx context.Context) {
	if p.settings.Database.URL == "" {
		return
	}
	if ahead, err := p.clock.compare(ctx, p.store.Clock, p.log); err == nil {
		p.meters.skew.Set(ahead.Seconds())
	}
}

const (
	everyClock  = 15 * time.Second // the pause between two readings
	clockWithin = 5 * time.Second  // what takes longer says little
)

// watchClock reads the database's clock again and again, and at once when this machine's is first seen to disagree.
func (p *parts) watchClock(ctx context.Context) {
	ticker := time.NewTicker(everyClock)
	defer ticker.Stop()
	for {
		p.compareClocks(ctx)
		select {
		case <-ctx.Done():
			return
		case <-p.clock.doubt:
		case <-ticker.C:
		}
	}
}
