package activities

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"waybill/internal/control"
	"waybill/workflows/contract"
)

// reconciler plays the loop: run may do anything until ctx ends.
type reconciler struct {
	run   func(ctx context.Context, told func(control.Pass))
	moved atomic.Int64 // Unix nanoseconds; 0: now
}

func (r *reconciler) Run(ctx context.Context, told func(control.Pass)) { r.run(ctx, told) }

func (r *reconciler) Moved() time.Time {
	if at := r.moved.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Now()
}

// passing is a loop that tells of passes until it is to end.
func passing(ctx context.Context, told func(control.Pass)) {
	for n := int64(1); ctx.Err() == nil; n++ {
		told(control.Pass{Number: n, Engine: true, Faults: 1})
		time.Sleep(time.Millisecond)
	}
}

// loopEnv makes an environment for the activity.
func loopEnv(l Loop) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	New(Config{Loop: l, Worker: "w1", Beat: time.Millisecond}).Register(env)
	return env
}

func wantEnd(t *testing.T, err error, kind string) *temporal.ApplicationError {
	t.Helper()
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || failed.Type() != kind || failed.NonRetryable() {
		t.Fatalf("ended with %v, want %s", err, kind)
	}
	return failed
}

func TestTheLoopEndsWithItsTurnAndGivesSignsOfLife(t *testing.T) {
	t.Parallel()
	var held, passes, faults atomic.Int64
	env := loopEnv(Loop{
		Reconciler: &reconciler{run: passing},
		Told:       func(p control.Pass) { passes.Add(1); faults.Add(p.Faults) },
		Held: func(mine bool) {
			if mine {
				held.Add(1)
			} else {
				held.Add(-1)
			}
		},
	})
	var last atomic.Pointer[contract.ReconcileProgress]
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var p contract.ReconcileProgress
		if details.Get(&p) == nil {
			last.Store(&p)
		}
	})
	value, err := env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var result contract.ReconcileResult
	if err := value.Get(&result); err != nil || result.Passes == 0 {
		t.Errorf("result %+v, %v", result, err)
	}
	told := last.Load()
	if told == nil || told.Worker != "w1" || told.Since.IsZero() { // the environment lets only the first one through
		t.Errorf("sign of life %+v", told)
	}
	if passes.Load() < result.Passes || faults.Load() != passes.Load() || held.Load() != 0 {
		t.Errorf("%d passes, %d faults, held %d", passes.Load(), faults.Load(), held.Load())
	}
}

func TestAProcessThatStopsHandsTheLoopOver(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	env := loopEnv(Loop{Reconciler: &reconciler{run: func(ctx context.Context, _ func(control.Pass)) {
		close(stop)
		<-ctx.Done()
	}}})
	env.SetWorkerStopChannel(stop)
	_, err := env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: time.Hour})
	failed := wantEnd(t, err, contract.ErrHandedOver)
	if failed.NextRetryDelay() <= 0 || failed.NextRetryDelay() > time.Second || failed.Category() != temporal.ApplicationErrorCategoryBenign {
		t.Errorf("handed over with a pause of %s as %v", failed.NextRetryDelay(), failed.Category())
	}
}

func TestALoopThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	free := make(chan struct{})
	r := &reconciler{run: func(ctx context.Context, told func(control.Pass)) {
		<-free
		passing(ctx, told)
	}}
	r.moved.Store(time.Now().Add(-time.Hour).UnixNano())
	env := loopEnv(Loop{Reconciler: r, Patience: 20 * time.Millisecond})
	_, err := env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: time.Hour})
	wantEnd(t, err, contract.ErrInterrupted)
	// It hangs on; the next one in this process lets others have it.
	_, err = env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: time.Hour})
	wantEnd(t, err, contract.ErrInterrupted)
	close(free)
	r.moved.Store(0)
	if _, err := env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: 10 * time.Millisecond}); err != nil {
		t.Errorf("once it is free: %v", err)
	}
}

func TestALoopThatIsTakenOverGetsTimeToComeOn(t *testing.T) {
	t.Parallel()
	r := &reconciler{run: passing}
	r.moved.Store(time.Now().Add(-2 * time.Hour).UnixNano()) // when this process had the loop last
	env := loopEnv(Loop{Reconciler: r, Patience: time.Hour})
	if _, err := env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: 50 * time.Millisecond}); err != nil {
		t.Errorf("given up at once: %v", err)
	}
}

func TestAPanicOfTheLoopEndsItAlone(t *testing.T) {
	t.Parallel()
	env := loopEnv(Loop{Reconciler: &reconciler{run: func(context.Context, func(control.Pass)) { panic("a defect") }}})
	_, err := env.ExecuteActivity(contract.Reconcile, contract.ReconcileInput{Turn: time.Hour})
	wantEnd(t, err, contract.ErrInterrupted)
}
