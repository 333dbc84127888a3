package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"waybill/internal/joblog"
	"waybill/internal/tracing"
)

// endPatience is how long the end of a log and the outputs may take to be stored once somebody wants the attempt to end.
const endPatience = 30 * time.Second

func (x *execution) openLog(ctx context.Context) error {
	err := x.a.repeatObjects(x.watch.ctx, func() error {
		w, err := joblog.NewWriter(tracing.Quiet(context.WithoutCancel(ctx)), x.a.cfg.Objects, joblog.Target{
			Account: x.in.AccountID, Job: x.in.JobID, Fence: x.fence, First: x.job.Attempt == 1,
			Stored: func() { x.a.ring(x.in.JobID) }, Spool: x.a.cfg.Spool,
		})
		if err != nil {
			return err
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.log = w
		return nil
	})
	if err == nil && x.job.Attempt > 1 { // its section of the log begins with who it is
		x.note("attempt %d begins on %s", x.job.Attempt, x.a.cfg.Worker)
	}
	return err
}

// closeLog stores the rest of the log. While the object store is away, that may take as long as it is waited for.
func (x *execution) closeLog(ctx context.Context) error {
	if x.log == nil {
		return nil
	}
	ctx, done := x.untilStored(ctx)
	defer done()
	return x.log.Close(ctx)
}

// untilStored gives the time in which what a program left is stored: as long as the object store is waited for, but not much
// longer than somebody wants the attempt to end, and no longer than somebody waits for it.
func (x *execution) untilStored(ctx context.Context) (context.Context, func()) {
	ctx, giveUp := context.WithTimeout(context.WithoutCancel(ctx), x.a.cfg.ObjectPatience)
	var mu sync.Mutex
	var late *time.Timer
	unhook := context.AfterFunc(x.watch.ctx, func() {
		if errors.Is(context.Cause(x.watch.ctx), errGone) {
			giveUp()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(endPatience, giveUp)
	})
	return ctx, func() {
		unhook()
		giveUp()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
	}
}

// note puts a line into the log of an attempt that has no program.
func (x *execution) note(format string, args ...any) {
	if x.log != nil {
		_ = joblog.NewLines(x.log, 0, x.a.cfg.Now).Notef(format, args...) // a log that fails does so again when it is closed
	}
}

// endLog stores the rest of the log; a job is not held up for ever by a log that can not be stored.
func (x *execution) endLog(ctx context.Context) {
	if err := x.closeLog(ctx); err != nil {
		x.a.cfg.Log.ErrorContext(ctx, "end of log not stored", "job", x.in.JobID, "error", err)
	}
}
