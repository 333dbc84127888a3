package storagetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waybill/internal/limit"
)

var callCases = map[string]func(t *testing.T, n *tenant){
	"a bucket leaks": func(t *testing.T, n *tenant) {
		rule := limit.Leaking("leaks", 10, 2)
		charge := n.charges(t, rule, "a")
		charge(at(0), 0, true, 1)
		charge(at(0), 8, true, 10)
		charge(at(0), 0, false, 10)
		charge(at(0).Add(400*time.Millisecond), 0, false, 9.2)
		charge(at(0).Add(500*time.Millisecond), 0, true, 10)
		charge(at(2), 0, true, 8)
		charge(at(2), 100, false, 10) // more than it holds is not held against the caller
		charge(at(1), 0, false, 10)   // another process's clock is behind
		charge(at(100), 0, true, 1)
		n.charges(t, rule, "b")(at(0), 0, true, 1)
		n.charges(t, limit.Leaking("others", 10, 2), "a")(at(0), 0, true, 1)
	},
	"a bucket is emptied at once": func(t *testing.T, n *tenant) {
		charge := n.charges(t, limit.Windows("windows", 3, time.Minute), "a")
		charge(at(0), 0, true, 1)
		charge(at(30), 1, true, 3)
		charge(at(59), 0, false, 3)
		charge(at(60), 0, true, 1)
		charge(at(119), 5, false, 3)
		charge(at(120), 2, true, 3)
	},
	"what is owed may be more than a new bucket holds": func(t *testing.T, n *tenant) {
		n.charges(t, limit.Windows("owing", 3, time.Minute), "a")(at(0), 7, false, 3)
	},
	"processes share a bucket": func(t *testing.T, n *tenant) {
		var all sync.WaitGroup
		var let atomic.Int64
		for range 4 {
			all.Go(func() {
				for range 10 {
					fits, _, err := n.ChargeCalls(t.Context(), limit.Charge{Rule: limit.Leaking("many", 25, 1), Caller: "a", Now: at(0)})
					if err != nil {
						t.Error(err)
					}
					if fits {
						let.Add(1)
					}
				}
			})
		}
		if all.Wait(); let.Load() != 25 {
			t.Errorf("%d calls were let through, want 25", let.Load())
		}
	},
	"empty buckets are purged": func(t *testing.T, n *tenant) {
		charge := n.charges(t, limit.Windows("purged", 3, time.Minute), "a")
		charge(at(0), 0, true, 1)
		for _, purge := range []struct {
			at   int
			then float64
		}{{59, 2}, {60, 1}} {
			if err := n.PurgeExpired(t.Context(), at(purge.at)); err != nil {
				t.Fatal(err)
			}
			charge(at(1), 0, true, purge.then)
		}
	},
}

// charges charges a bucket and checks what that tells.
func (n *tenant) charges(t *testing.T, r limit.Rule, caller string) func(now time.Time, owed int, fits bool, calls float64) {
	return func(now time.Time, owed int, fits bool, calls float64) {
		t.Helper()
		got, level, err := n.ChargeCalls(t.Context(), limit.Charge{Rule: r, Caller: caller, Owed: owed, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if d := level.Calls - calls; got != fits || d > 1e-6 || d < -1e-6 {
			t.Errorf("at %s: fits %v with %v in the bucket, want %v with %v", now, got, level.Calls, fits, calls)
		}
	}
}
