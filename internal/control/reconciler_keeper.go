package control

import (
	"context"
	"log/slog"
	"time"
)

// ReconcilerState is what the engine says of the reconciler.
type ReconcilerState struct {
	Started bool      // just now, by this call: it was not there
	Worker  string    // the process that has the loop; empty: none yet
	Beat    time.Time // its last sign of life; zero: none yet
}

// ReconcilerEngine is the engine as the keeper of hands for the reconciler.
type ReconcilerEngine interface {
	// EnsureReconciler starts the reconciler's workflow if it is not there. With alone set, no other process can have the loop:
	// one that is said to have it died, and is not waited for.
	EnsureReconciler(ctx context.Context, alone bool) (ReconcilerState, error)
}

// ReconcilerKeeper sees to it that the reconciler's workflow is there: after the first start, after an operator ended it, and
// when the engine came back without its data. Every process has one; which of them runs the loop is the engine's business.
type ReconcilerKeeper struct {
	Engine ReconcilerEngine
	Alone  bool                  // at the start of this process no other one can have the loop
	Seen   func(ReconcilerState) // told after every look; may be nil
	Log    *slog.Logger
}

// Pace of the keeper.
const (
	KeeperEvery     = 10 * time.Second
	keeperWhileAway = time.Second
)

// Run looks until ctx ends.
func (k *ReconcilerKeeper) Run(ctx context.Context) {
	alone, away := k.Alone, false
	for {
		pause := KeeperEvery
		state, err := k.Engine.EnsureReconciler(ctx, alone)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !away {
				k.Log.WarnContext(ctx, "can not look after the reconciler's workflow", "error", err)
			}
			away, pause = true, keeperWhileAway
		default:
			if state.Started {
				k.Log.InfoContext(ctx, "started the reconciler's workflow")
			}
			alone, away = false, false
			if k.Seen != nil {
				k.Seen(state)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
