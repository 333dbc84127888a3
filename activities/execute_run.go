package activities

import (
	"context"
	"errors"
	"time"

	"waybill/internal/job"
	"waybill/internal/runner"
	"waybill/internal/sandbox"
	"waybill/internal/tracing"
	"waybill/workflows/contract"
)

// run runs the program and writes down how it ended.
func (x *execution) run(ctx context.Context, run *runner.Execution) (contract.JobResult, error) {
	programCtx, end := context.WithCancelCause(context.WithoutCancel(ctx)) // ended by onEnd, with a cause the runner knows
	defer end(nil)
	overTime := func() {}
	if x.in.Timeout > 0 {
		timer := time.AfterFunc(x.in.Timeout, func() { x.watch.end(errOverTime) })
		overTime = func() { timer.Stop() }
	}
	started := time.AfterFunc(x.a.cfg.NoteStarted, func() { x.tellStarted(programCtx) })
	defer started.Stop()
	unhook := context.AfterFunc(x.watch.ctx, func() { x.onEnd(ctx, run, end) })
	reports := x.startReports(tracing.Quiet(ctx), run)
	result, err := x.runProgram(ctx, programCtx, run)
	unhook()
	started.Stop()
	overTime()
	if err := reports.end(x.wantsReports(result.Stopped)); err != nil {
		return contract.JobResult{}, x.writeError(err)
	}

	if result.Stopped {
		return x.stopped(ctx, context.Cause(x.watch.ctx), run)
	}
	switch {
	case job.CodeOf(err) == job.Invalid: // could not be started
		return x.unprepared(ctx, err)
	case err != nil && result.Duration == 0:
		return x.unprepared(ctx, err)
	case err != nil: // it ran; only its log did not get through
		x.a.cfg.Log.WarnContext(ctx, "log not complete", "job", x.in.JobID, "error", err)
	}
	return x.ended(ctx, run, result)
}

// onEnd makes a program end: it notes on the row that the job is ending, lets the runner stop it, and says why in the log.
func (x *execution) onEnd(ctx context.Context, run *runner.Execution, end context.CancelCauseFunc) {
	cause := context.Cause(x.watch.ctx)
	if errors.Is(cause, errGone) {
		end(sandbox.ErrKill) // nobody waits for it, and another attempt may begin
		return
	}
	if errors.Is(cause, errStopped) || isOverTime(cause) {
		x.noteCancelling(ctx, cause)
	}
	end(x.withGrace(ctx, cause))
	_ = run.Notef("%s; the program is asked to end", cause)
}

// graceLook is how long the program is not asked to end while it is looked up how long it may take to.
const graceLook = 3 * time.Second

// withGrace is a stop as whoever asked for it wants it: the job's row knows how much time it leaves the program. When that can not be
// read, it is the usual time.
func (x *execution) withGrace(ctx context.Context, cause error) error {
	if !errors.Is(cause, errStopped) || x.a.cfg.Jobs == nil {
		return cause
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), graceLook)
	defer done()
	j, err := x.a.cfg.Jobs.Job(ctx, x.in.AccountID, x.in.JobID)
	if err != nil || j.StopGrace <= 0 {
		return cause
	}
	return sandbox.WithGrace(cause, j.StopGrace)
}

// noteCancelling records that the job is ending. The program is not kept waiting for it; the outcome is.
func (x *execution) noteCancelling(ctx context.Context, cause error) {
	x.noteOnce.Do(func() {
		reason := job.ReasonStopped
		if isOverTime(cause) {
			reason = job.ReasonTimeout
		}
		x.noting.Go(func() {
			x.noteErr = x.a.persist(ctx, func(ctx context.Context, _ int) error {
				return x.a.cfg.Run.Cancelling(ctx, x.in.AccountID, x.in.JobID, x.fence, reason)
			})
			x.a.ring(x.in.JobID)
		})
	})
}

func (x *execution) tellStarted(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	err := x.watch.engine.SignalWorkflow(ctx, x.info.WorkflowExecution.ID, x.info.WorkflowExecution.RunID,
		contract.SignalStarted, contract.Started{Worker: x.a.cfg.Worker, Attempt: x.job.Attempt})
	if err != nil && ctx.Err() == nil {
		// Only what the engine shows suffers; the row is the truth.
		x.a.cfg.Log.WarnContext(ctx, "workflow not told of its start", "job", x.in.JobID, "error", err)
	}
}
