package control

import (
	"context"
	"sync"

	"waybill/internal/job"
)

// Bell wakes those who wait for a job to change, within this process. It is a short cut, never the truth: whoever waits
// also polls. Feed rings it for what other processes change.
type Bell struct {
	mu      sync.Mutex
	waiting map[job.ID]map[chan struct{}]struct{}
	all     map[chan struct{}]struct{} // wait for any job
	first   chan struct{}              // receives when somebody listens after a time in which nobody did
}

// NewBell makes a Bell.
func NewBell() *Bell {
	return &Bell{
		waiting: map[job.ID]map[chan struct{}]struct{}{}, all: map[chan struct{}]struct{}{}, first: make(chan struct{}, 1),
	}
}

// Ring says that the job's row or log has changed.
func (b *Bell) Ring(id job.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wake(b.waiting[id])
	wake(b.all)
}

// ringAll wakes everybody.
func (b *Bell) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, listeners := range b.waiting {
		wake(listeners)
	}
	wake(b.all)
}

func wake(listeners map[chan struct{}]struct{}) {
	for ch := range listeners {
		select {
		case ch <- struct{}{}:
		default: // it has not looked since the last ring
		}
	}
}

// Listen gives a channel that receives after every Ring, several rings at once perhaps as one. stop must be called.
func (b *Bell) Listen(id job.ID) (rings <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[id] == nil {
		b.waiting[id] = map[chan struct{}]struct{}{}
	}
	b.waiting[id][ch] = struct{}{}
	wake(map[chan struct{}]struct{}{b.first: {}})
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting[id], ch)
		if len(b.waiting[id]) == 0 {
			delete(b.waiting, id)
		}
	}
}

// ListenAll is Listen for every job there is.
func (b *Bell) ListenAll() (rings <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[ch] = struct{}{}
	wake(map[chan struct{}]struct{}{b.first: {}})
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all, ch)
	}
}

// heard tells whether anybody listens.
func (b *Bell) heard() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0 || len(b.all) > 0
}

// wanted waits until somebody listens; false is the end of ctx.
func (b *Bell) wanted(ctx context.Context) bool {
	for !b.heard() {
		select {
		case <-b.first:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}
