package api

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter is a leaky bucket for each address. It remembers the most recent addresses only, so that a flood from many of
// them costs a fixed amount of memory.
type limiter struct {
	perMinute int
	mu        sync.Mutex
	recent    *list.List // of *bucket, most recently seen first
	byAddress map[string]*list.Element
}

type bucket struct {
	address string
	limit   *rate.Limiter
}

// maxAddresses is how many addresses a limiter remembers.
const maxAddresses = 10_000

func newLimiter(perMinute int) *limiter {
	return &limiter{perMinute: perMinute, recent: list.New(), byAddress: map[string]*list.Element{}}
}

// allow takes one from the address's bucket, or tells how long it takes until there is one again.
func (l *limiter) allow(address string, now time.Time) (time.Duration, bool) {
	if l.perMinute < 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.bucket(network(address)).limit.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}

func (l *limiter) bucket(address string) *bucket {
	if e, ok := l.byAddress[address]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if l.recent.Len() >= maxAddresses {
		oldest := l.recent.Back()
		l.recent.Remove(oldest)
		delete(l.byAddress, oldest.Value.(*bucket).address)
	}
	b := &bucket{address, rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)}
	l.byAddress[address] = l.recent.PushFront(b)
	return b
}

// network is what counts as one address: an IPv6 host has a whole /64 to pick from.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
