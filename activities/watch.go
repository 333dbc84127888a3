package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"waybill/workflows/contract"
)

// Why a run is ended from outside: the causes of a watch's context.
var (
	errStopped      = errors.New("a stop was requested")
	errOverTime     = errors.New("the job is over its time")
	errPastDeadline = errors.New("the job is over its total time")
	errInterrupted  = errors.New("the worker is stopping")                 // the job runs again elsewhere
	errGone         = errors.New("the engine knows the attempt no longer") // nobody waits for its result
)

func isOverTime(cause error) bool {
	return errors.Is(cause, errOverTime) || errors.Is(cause, errPastDeadline)
}

// watch keeps the engine informed and turns all that may end a run into one context with one of the causes above.
//
// The SDK cancels an activity's context for a user's cancel, a worker's end, a lost activity, and also as soon as one
// heartbeat could not be delivered, which a restart of the engine is enough for. The last is no reason to kill a program:
// the watch then sends the heartbeats itself until one gets through or the engine must have given the attempt up.
type watch struct {
	ctx    context.Context
	end    context.CancelCauseFunc
	engine Engine
	beat   time.Duration
	drain  time.Duration
	ending <-chan struct{}
	info   activity.Info
	report func() contract.Progress
	done   chan struct{}
	ended  sync.WaitGroup
}

func (a *Activities) newWatch(ctx context.Context, report func() contract.Progress) *watch {
	w := &watch{
		engine: a.cfg.Engine, beat: a.cfg.Beat, drain: a.cfg.Drain, ending: a.cfg.Ending, info: activity.GetInfo(ctx),
		report: report, done: make(chan struct{}),
	}
	if w.ending == nil {
		w.ending = activity.GetWorkerStopChannel(ctx)
	}
	if w.engine == nil {
		w.engine = activity.GetClient(ctx)
	}
	w.ctx, w.end = context.WithCancelCause(context.WithoutCancel(ctx))
	w.ended.Go(func() { w.look(ctx) })
	return w
}

// close ends the watch; no heartbeat is sent afterwards.
func (w *watch) close() {
	close(w.done)
	w.ended.Wait()
	w.end(nil)
}

func (w *watch) look(sdk context.Context) {
	ticker := time.NewTicker(w.beat)
	defer ticker.Stop()
	stopping := w.ending
	var drained <-chan time.Time
	for {
		select {
		case <-w.done:
			return
		case <-ticker.C:
			activity.RecordHeartbeat(sdk, w.report())
		case <-stopping:
			stopping = nil
			timer := time.NewTimer(w.drain)
			defer timer.Stop()
			drained = timer.C
		case <-drained:
			w.end(errInterrupted)
			drained = nil
		case <-sdk.Done():
			if cause := causeOf(sdk); cause != nil {
				w.end(cause)
				w.keepBeating(ticker)
				return
			}
			w.onOurOwn(ticker, stopping, drained)
			return
		}
	}
}

// causeOf tells why the SDK ended the activity's context; nil for heartbeats that did not get through.
func causeOf(sdk context.Context) error {
	cause := context.Cause(sdk)
	var notFound *serviceerror.NotFound
	var notActive *serviceerror.NamespaceNotActive
	var noNamespace *serviceerror.NamespaceNotFound
	switch {
	case temporal.IsCanceledError(cause):
		return errStopped
	case errors.Is(cause, activity.ErrActivityPaused), errors.Is(cause, activity.ErrActivityReset):
		return errInterrupted // an operator wants the attempt to end; when it goes on, it is as a new one
	case errors.As(cause, &notFound), errors.As(cause, &notActive), errors.As(cause, &noNamespace):
		return errGone
	case errors.Is(sdk.Err(), context.DeadlineExceeded):
		return errGone // the activity's own time is over, so the engine has closed it
	case isWorkerShutdown(cause):
		return errInterrupted
	default:
		return nil
	}
}

// onOurOwn replaces the SDK's heartbeats, whose context has ended for good.
func (w *watch) onOurOwn(ticker *time.Ticker, stopping <-chan struct{}, drained <-chan time.Time) {
	last := time.Now()
	for {
		select {
		case <-w.done:
			return
		case <-stopping:
			stopping = nil
			timer := time.NewTimer(w.drain)
			defer timer.Stop()
			drained = timer.C
			continue
		case <-drained:
			w.end(errInterrupted)
			drained = nil
			continue
		case <-ticker.C:
		}
		err := w.beatOnce()
		var notFound *serviceerror.NotFound
		switch {
		case err == nil:
			last = time.Now()
		case temporal.IsCanceledError(err):
			w.end(errStopped)
			last = time.Now()
		case errors.As(err, &notFound):
			w.end(errGone)
			return
		case w.info.HeartbeatTimeout > 0 && time.Since(last) > w.info.HeartbeatTimeout:
			w.end(errGone)
			return
		}
	}
}

// keepBeating goes on after the end was announced: stopping a program takes as long as its grace, and the engine must not
// take the worker for lost meanwhile.
func (w *watch) keepBeating(ticker *time.Ticker) {
	if errors.Is(context.Cause(w.ctx), errGone) {
		return
	}
	for {
		select {
		case <-w.done:
			return
		case <-ticker.C:
			_ = w.beatOnce() // what it answers is known already
		}
	}
}

func (w *watch) beatOnce() error {
	ctx, done := context.WithTimeout(context.WithoutCancel(w.ctx), max(w.beat, time.Second))
	defer done()
	return w.engine.RecordActivityHeartbeat(ctx, w.info.TaskToken, w.report())
}
