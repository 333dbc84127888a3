package activities

import (
	"context"
	"errors"
	"fmt"
	"io"

	"waybill/internal/job"
	"waybill/internal/runner"
	"waybill/workflows/contract"
)

// stopped ends an attempt that was ended from outside. run is nil when no program had been prepared.
func (x *execution) stopped(ctx context.Context, cause error, run *runner.Execution) (contract.JobResult, error) {
	switch {
	case errors.Is(cause, errStopped), isOverTime(cause):
		x.noteCancelling(ctx, cause)
		x.noting.Wait()
		if x.noteErr != nil {
			return contract.JobResult{}, x.writeError(x.noteErr)
		}
		o := job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped}
		if errors.Is(cause, errPastDeadline) {
			o = job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout, Message: pastDeadline}
		}
		if errors.Is(cause, errOverTime) {
			o = job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout, Message: fmt.Sprintf("The job took longer than its timeout of %s", x.in.Timeout)}
		}
		if run == nil {
			return x.finish(ctx, o)
		}
		return x.finishWithOutputs(ctx, run, o)
	case errors.Is(cause, errInterrupted) && x.job.Spec.OnLoss == job.Fail:
		return x.finish(ctx, job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, Message: "The worker was stopped while it ran the job"})
	case errors.Is(cause, errInterrupted):
		return contract.JobResult{}, interrupted("The worker is stopping; the job runs again")
	default:
		return contract.JobResult{}, interrupted("The engine knows the attempt no longer")
	}
}

// ended writes down how a program ended by itself.
func (x *execution) ended(ctx context.Context, run *runner.Execution, result runner.Result) (contract.JobResult, error) {
	code := result.ExitCode
	if code == 0 {
		return x.finishWithOutputs(ctx, run, job.Outcome{Status: job.Completed, ReturnCode: &code})
	}
	o := job.Outcome{Status: job.Failed, Reason: job.ReasonError, ReturnCode: &code, Message: result.Message()}
	if result.Limit != "" {
		o.Reason = job.ReasonTerminated
		_ = run.Notef("%s", o.Message)
	}
	failures := x.job.Failures + 1
	if !x.job.Spec.Retry.Again(failures, code) {
		return x.finishWithOutputs(ctx, run, o)
	}
	pause := x.job.Spec.Retry.Pause(failures)
	if x.pastDeadline(pause) {
		o.Reason, o.Message = job.ReasonTimeout, o.Message+"; another attempt would begin after the job's totalTimeout"
		return x.finishWithOutputs(ctx, run, o)
	}
	x.endLog(ctx)
	o.At = x.a.cfg.Now()
	err := x.a.persist(ctx, func(ctx context.Context, try int) error {
		err := x.a.cfg.Run.Again(ctx, x.in.AccountID, x.in.JobID, x.fence, o, o.At.Add(pause))
		if try > 1 && isStale(err) {
			return nil // perhaps an earlier try had succeeded; if not, the next attempt's Begin finds out
		}
		return err
	})
	if err != nil {
		return contract.JobResult{}, x.writeError(err)
	}
	x.a.ring(x.in.JobID)
	return contract.JobResult{}, attemptFailed(o.Message, pause)
}

// finishWithOutputs stores the files the program left, enters them into the outcome, and writes it. Files that break a
// limit fail a job that would have completed; a job that failed anyway only has it in its log.
func (x *execution) finishWithOutputs(ctx context.Context, run *runner.Execution, o job.Outcome) (contract.JobResult, error) {
	var outputs []job.Output
	err := phase(ctx, "store outputs", func(ctx context.Context) (err error) {
		outputs, err = x.storeOutputs(ctx, run)
		return err
	})
	if err == nil {
		o.Outputs = outputs
		return x.finish(ctx, o)
	}
	if cause := context.Cause(x.watch.ctx); errors.Is(cause, errGone) || errors.Is(cause, errInterrupted) {
		return x.stopped(ctx, cause, run)
	}
	message := "The output files could not be stored"
	if job.CodeOf(err) == job.Invalid {
		message = messageOf(err)
	} else {
		if job.CodeOf(err) == job.Unavailable {
			message = fmt.Sprintf("The output files could not be stored: the object store was away for longer than %s (object-store-patience)", x.a.cfg.ObjectPatience)
		}
		x.a.cfg.Log.ErrorContext(ctx, "outputs not stored", "job", x.in.JobID, "error", err)
	}
	_ = run.Notef("%s", message)
	if o.Status == job.Completed {
		o.Status, o.Reason, o.Message = job.Failed, job.ReasonError, message
	}
	return x.finish(ctx, o)
}

// storeOutputs goes on when the job is cancelled, for the program has ended already; only an attempt that nobody waits for
// is given up.
func (x *execution) storeOutputs(ctx context.Context, run *runner.Execution) (outputs []job.Output, err error) {
	ctx, done := x.untilStored(ctx)
	defer done()
	err = x.a.repeatObjects(ctx, func() (err error) {
		outputs, err = run.Outputs(ctx, func(ctx context.Context, name string, r io.Reader, size int64) error {
			_, err := x.a.cfg.Objects.Put(ctx, job.OutputKey(x.in.AccountID, x.in.JobID, x.fence, name), r, size)
			return err
		})
		return err
	})
	for i := range outputs {
		outputs[i].Object = job.OutputKey(x.in.AccountID, x.in.JobID, x.fence, outputs[i].Name)
	}
	return outputs, err
}

// finish stores the log's end and then writes the outcome, so that whoever sees the job ended finds its whole log.
func (x *execution) finish(ctx context.Context, o job.Outcome) (contract.JobResult, error) {
	x.endLog(ctx)
	o.At = x.a.cfg.Now()
	var j job.Job
	err := x.a.persist(ctx, func(ctx context.Context, try int) (err error) {
		j, err = x.a.cfg.Run.Finish(ctx, x.in.AccountID, x.in.JobID, x.fence, o)
		if try > 1 && isStale(err) && j.Fence == x.fence && j.Status == o.Status {
			return nil // an earlier try had succeeded
		}
		return err
	})
	if err != nil {
		return contract.JobResult{}, x.writeError(err)
	}
	x.a.ring(x.in.JobID)
	return resultOf(j), nil
}

// writeError turns a failed write to the row into what the workflow acts on.
func (x *execution) writeError(err error) error {
	if isStale(err) {
		return fencedError(x.in.JobID)
	}
	return engineError(err)
}
