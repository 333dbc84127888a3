// Package password hashes and checks passwords with argon2id. It bounds how many run at once and how many wait, because each costs
// memory and tens of milliseconds of CPU and anybody may ask for one. It imports the argon2id library and the domain's errors only.
package password

import (
	"context"
	"crypto/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"

	"waybill/internal/job"
)

// params follow OWASP's password storage cheat sheet for argon2id (m = 46 MiB, t = 1 class), with two passes.
var params = argon2id.Params{Memory: 46 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// maxWaiting is how many may wait for each slot: the last of them waits for about two seconds, longer than which nobody should be
// left in doubt.
const maxWaiting = 24

// Hasher hashes and checks. The zero value is not usable.
type Hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	dummy   func() string
}

// New makes a Hasher that leaves one core for the other work.
func New() *Hasher {
	h := &Hasher{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))}
	h.dummy = sync.OnceValue(func() string {
		hash, err := argon2id.CreateHash("nobody's password", &params)
		if err != nil { // only when the system has no randomness
			panic(err)
		}
		return hash
	})
	return h
}

// Hash makes a PHC string. It waits for a slot, or for ctx; when too many wait already it is RateLimited at once.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return argon2id.CreateHash(password, &params)
}

// Matches compares in constant time. An empty hash (an unknown user) costs as much as a real one and never matches, so
// that timing does not tell which user names exist. It waits as Hash does.
func (h *Hasher) Matches(ctx context.Context, password, hash string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	if hash == "" {
		_, err := argon2id.ComparePasswordAndHash(password, h.dummy())
		return false, err
	}
	return argon2id.ComparePasswordAndHash(password, hash)
}

func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(maxWaiting*cap(h.slots)) {
		e := job.Errorf(job.RateLimited, job.WordRateLimited, "Too many passwords are being checked; try again in a moment")
		e.RetryAfter = 2 * time.Second
		return e
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h *Hasher) leave() { <-h.slots }

// Random makes a password of 24 letters and digits, about 130 bits.
func Random() string { return rand.Text()[:24] }
