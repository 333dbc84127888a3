package control_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// keptEngine plays the engine's side of the reconciler: it notes with what it was asked.
type keptEngine struct {
	asked []bool
	fail  func(call int) bool
}

func (e *keptEngine) EnsureReconciler(_ context.Context, alone bool) (control.ReconcilerState, error) {
	e.asked = append(e.asked, alone)
	if e.fail != nil && e.fail(len(e.asked)) {
		return control.ReconcilerState{}, job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	}
	return control.ReconcilerState{Worker: "w1"}, nil
}

func TestTheKeeperLooksAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &keptEngine{fail: func(call int) bool { return call == 1 || call == 2 || call == 5 }}
		seen := 0
		k := control.ReconcilerKeeper{
			Engine: e, Alone: true, Log: slog.New(slog.DiscardHandler), Seen: func(s control.ReconcilerState) {
				if s.Worker == "w1" {
					seen++
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
			if len(e.asked) != asked || seen != want {
				t.Errorf("asked %d times, seen %d times, want %d and %d", len(e.asked), seen, asked, want)
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
		for i, alone := range e.asked {
			if alone != (i < 3) {
				t.Errorf("call %d was asked with alone %v", i+1, alone)
			}
		}
	})
}
