package activities

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/control"
	"waybill/workflows/contract"
)

// Reconciler is the loop that Reconcile runs (control.Reconciler).
type Reconciler interface {
	// Run works until ctx ends and tells of every pass.
	Run(ctx context.Context, told func(control.Pass))
	// Moved is when it last came on.
	Moved() time.Time
}

// Loop is what Reconcile works with.
type Loop struct {
	Reconciler Reconciler
	// Told hears of every pass, Held that this process has the loop, or lost it. Both may be nil.
	Told func(control.Pass)
	Held func(bool)
	// Patience is how long the loop may stand still before the process gives it up. A sweep over many jobs comes on with every
	// page. 0: five minutes.
	Patience time.Duration
}

// Times of the loop.
const (
	// loopEnding is how long an end of the loop is waited for. One that hangs goes on hanging, and the next one in this process
	// waits for it.
	loopEnding = 3 * time.Second
	// handOver is the pause before another process takes the loop: the shortest there is.
	handOver = time.Millisecond
)

// Why the loop ends, besides what Temporal wants.
var (
	errTurnOver = errors.New("the turn is over")
	errStopping = errors.New("the process stops")
	errHangs    = errors.New("the loop hangs")
)

// Reconcile runs the reconciler's loop until its turn is over, or its process stops, or Temporal wants it to end. It needs no
// idempotency key: what is to be done is in the tables, and doing it twice is as doing it once.
func (a *Activities) Reconcile(ctx context.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	stopping := activity.GetWorkerStopChannel(ctx)
	select {
	case a.loop <- struct{}{}:
	case <-ctx.Done(): // Temporal took the one before for dead, and this process still has it
		return contract.ReconcileResult{}, loopEnd(ctx)
	case <-stopping:
		return contract.ReconcileResult{}, handedOver()
	case <-time.After(loopEnding):
		return contract.ReconcileResult{}, loopBroken("the loop before has not ended in this process")
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	turn := time.AfterFunc(in.Turn, func() { end(errTurnOver) })
	defer turn.Stop()
	passes := make(chan control.Pass, 1)
	done := make(chan struct{})
	go func() {
		defer func() { <-a.loop }()
		defer close(done)
		defer func() {
			if p := recover(); p != nil { // as the SDK does for the goroutine of an activity
				a.cfg.Log.ErrorContext(ctx, "the reconciler's loop panicked", "panic", p, "stack", string(debug.Stack()))
				end(fmt.Errorf("the loop panicked: %v", p))
			}
		}()
		a.cfg.Loop.run(ctx, passes)
	}()
	var result contract.ReconcileResult
	a.watchLoop(ctx, end, stopping, passes, &result)
	select {
	case <-done:
	case <-time.After(loopEnding):
	}
	return result, loopEnd(ctx)
}

// run is the loop, whatever becomes of those who watch it.
func (l Loop) run(ctx context.Context, passes chan control.Pass) {
	if l.Held != nil {
		l.Held(true)
		defer l.Held(false)
	}
	l.Reconciler.Run(ctx, func(p control.Pass) {
		if l.Told != nil {
			l.Told(p)
		}
		select {
		case <-passes: // nobody has looked at it yet
		default:
		}
		passes <- p
	})
}

// watchLoop gives signs of life until the loop is to end, and ends it when the process stops or the loop hangs.
func (a *Activities) watchLoop(ctx context.Context, end func(error), stopping <-chan struct{}, passes <-chan control.Pass, result *contract.ReconcileResult) {
	beat := time.NewTicker(a.cfg.Beat)
	defer beat.Stop()
	began, patience := time.Now(), a.cfg.Loop.Patience // by this machine's clock, as Moved: no other one has a say here
	progress := contract.ReconcileProgress{Worker: a.cfg.Worker, Since: a.cfg.Now().UTC()}
	for {
		activity.RecordHeartbeat(ctx, progress)
		select {
		case <-ctx.Done():
			return
		case <-stopping:
			end(errStopping)
			return
		case p := <-passes:
			progress.Passes, progress.Last, progress.Faults = p.Number, a.cfg.Now().UTC(), progress.Faults+p.Faults
			result.Passes = p.Number
		case now := <-beat.C:
			if now.Sub(a.cfg.Loop.Reconciler.Moved()) > patience && now.Sub(began) > patience {
				end(errHangs)
				return
			}
		}
	}
}

// loopEnd is how the activity ends for the reason its context ended for.
func loopEnd(ctx context.Context) error {
	cause := context.Cause(ctx)
	var wanted *temporal.CanceledError
	switch {
	case errors.Is(cause, errTurnOver):
		return nil
	case errors.Is(cause, errStopping):
		return handedOver()
	case errors.As(cause, &wanted):
		return temporal.NewCanceledError()
	case cause == nil: // the loop ended by itself, which it never does
		return loopBroken("the loop ended")
	}
	return loopBroken(cause.Error())
}

// handedOver makes another process take the loop at once. It needs no workflow task, so it works while the last process that
// serves workflows stops, too: the next one that starts finds the loop waiting.
func handedOver() error {
	return temporal.NewApplicationErrorWithOptions("the process stops, another one takes over", contract.ErrHandedOver,
		temporal.ApplicationErrorOptions{NextRetryDelay: handOver, Category: temporal.ApplicationErrorCategoryBenign})
}

func loopBroken(why string) error {
	return temporal.NewApplicationErrorWithOptions(why, contract.ErrInterrupted,
		temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
}
