package control

import (
	"context"
	"time"
)

// InactiveJobs is the jobs that wait for a worker while who submitted them is no longer active (native.md, 2).
type InactiveJobs interface {
	// CancelInVain cancels some of them, at most limit, in one transaction, and tells how many it found. Those that a worker has go on.
	CancelInVain(ctx context.Context, at time.Time, limit int) (int, error)
}

// inVainAtOnce bounds a transaction, so that none is cut off for its length, and inVainBatches a turn of the duty: others wait for it.
const (
	inVainAtOnce  = 100
	inVainBatches = 10
)

// CancelInVain is the duty that cancels the waiting jobs of users who are not active: those that a deactivation left, because there were
// many or its process died, and those that were submitted while it was stored.
func CancelInVain(store InactiveJobs, now Clock) Duty {
	return Duty{Name: "cancelling the waiting jobs of users who are not active", Every: 5 * time.Second, Do: func(ctx context.Context, _ bool) error {
		for range inVainBatches {
			if n, err := store.CancelInVain(ctx, stamp(now), inVainAtOnce); err != nil || n < inVainAtOnce {
				return err
			}
		}
		return nil
	}}
}
