package control

import (
	"sync"
	"time"

	"waybill/internal/job"
)

// crowd bounds how many passwords of one network are checked, or wait to be, at once: what a flood from one place can take of the
// processor and of others' places in the queue. Its memory is bounded by the queue.
type crowd struct {
	mu sync.Mutex
	in map[string]int
}

// maxCrowd is half of the places there are for each processor (internal/password).
const maxCrowd = 12

func (c *crowd) enter(network string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in[network] >= maxCrowd {
		e := job.Errorf(job.RateLimited, job.WordRateLimited, "Too many logins from this address at once")
		e.RetryAfter = time.Second
		return e
	}
	if c.in == nil {
		c.in = map[string]int{}
	}
	c.in[network]++
	return nil
}

func (c *crowd) leave(network string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in[network]--; c.in[network] <= 0 {
		delete(c.in, network)
	}
}
