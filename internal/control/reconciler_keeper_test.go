package control_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// keptEngine plays the engine's side of the reconciler: it notes with what it was asked.
type keptEngine struct {
	mu    sync.Mutex
	asked []bool
	fail  func(call int) bool
}

func (e *keptEngine) EnsureReconciler(_ context.Context, alone bool) (control.ReconcilerState, error) {
	e.mu.Lock()
	e.asked = append(e.asked, alone)
	asked := len(e.asked)
	e.mu.Unlock()
	if e.fail != nil && e.fail(asked) {
		return control.ReconcilerState{}, job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	}
	return control.ReconcilerState{Worker: "w1"}, nil
}

// calls are what it was asked until now.
func (e *keptEngine) calls() []bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func TestTheKeeperLooksAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &keptEngine{fail: func(call int) bool { return call == 1 || call == 2 || call == 5 }}
		var seen atomic.Int64
		k := control.ReconcilerKeeper{
			Engine: e, Alone: true, Log: slog.New(slog.DiscardHandler), Seen: func(s control.ReconcilerState) {
				if s.Worker == "w1" {
					seen.Add(1)
				}
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		go k.Run(ctx)
		synctest.Wait()
		at := func(pass time.Duration, asked, want int) {
			t.Helper()
			time.Sleep(pass)
			synctest.Wait()
			if n := len(e.calls()); n != asked || int(seen.Load()) != want {
				t.Errorf("asked %d times, seen %d times, want %d and %d", n, seen.Load(), asked, want)
			}
		}
		at(0, 1, 0)                     // away
		at(time.Second, 2, 0)           // away
		at(time.Second, 3, 1)           // there
		at(9*time.Second, 3, 1)         // in no hurry
		at(time.Second, 4, 2)           // and again
		at(control.KeeperEvery, 5, 2)   // away once more
		at(time.Second, 6, 3)           // back
		at(2*control.KeeperEvery, 8, 5) // and so on
		cancel()
		// Only until it was there for the first time could nobody else have it.
		for i, alone := range e.calls() {
			if alone != (i < 3) {
				t.Errorf("call %d was asked with alone %v", i+1, alone)
			}
		}
	})
}
