package control

import (
	"sync"

	"waybill/internal/job"
)

// Bell wakes those who wait for a job to change, within this process. It is a short cut, never the truth: whoever waits
// also polls, because the worker that changes the job may be another process.
type Bell struct {
	mu      sync.Mutex
	waiting map[job.ID]map[chan struct{}]struct{}
}

// NewBell makes a Bell.
func NewBell() *Bell { return &Bell{waiting: map[job.ID]map[chan struct{}]struct{}{}} }

// Ring says that the job's row or log has changed.
func (b *Bell) Ring(id job.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.waiting[id] {
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
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting[id], ch)
		if len(b.waiting[id]) == 0 {
			delete(b.waiting, id)
		}
	}
}
