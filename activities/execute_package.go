package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sys/unix"

	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runner"
	"waybill/internal/sandbox"
	"waybill/internal/tracing"
	"waybill/workflows/contract"
)

// endPatience is how long the end of a log and the outputs may take to be stored once somebody wants the attempt to end.
const endPatience = 30 * time.Second

func isWorkerShutdown(err error) bool {
	return errors.Is(err, worker.ErrWorkerShutdown) || errors.Is(err, context.Canceled)
}

// ExecutePackage runs one attempt of a job: it takes the job over, fetches the package, runs the program, stores log and
// outputs, and writes the outcome to the row.
//
// The idempotency key is the fencing token made of the workflow run and the attempt: a second attempt takes the row over
// with a larger one, after which nothing this one writes has an effect. The program itself may have run before; that is
// what "at least once" means, and configs that can not bear it say onWorkerLoss fail.
func (a *Activities) ExecutePackage(ctx context.Context, in contract.ExecuteInput) (contract.JobResult, error) {
	x := &execution{a: a, in: in, info: activity.GetInfo(ctx)}
	x.fence = fenceOf(in, x.info)
	ctx = x.known(ctx)
	x.watch = a.newWatch(ctx, x.progress)
	defer x.watch.close()
	result, err := x.do(ctx)
	if errors.Is(context.Cause(x.watch.ctx), errGone) && a.cfg.Gone != nil {
		a.cfg.Gone.Check(context.WithoutCancel(ctx), in.AccountID, in.JobID)
	}
	return result, err
}

// fenceOf makes the fencing token of an attempt. A run that `temporal workflow reset` made may go on with an activity that
// the run before it scheduled: RunStarted is then that one's, and attempts count from 1 again. The attempt's own start, by
// the engine's clock, is later than all that began in the run before.
func fenceOf(in contract.ExecuteInput, info activity.Info) int64 {
	since := in.RunStarted
	if in.RunID != "" && in.RunID != info.WorkflowExecution.RunID && info.StartedTime.After(since) {
		since = info.StartedTime
	}
	return job.Fence(since, info.Attempt)
}

// execution is one call of ExecutePackage.
type execution struct {
	a     *Activities
	in    contract.ExecuteInput
	info  activity.Info
	fence int64
	watch *watch
	job   job.Job

	mu  sync.Mutex
	log *joblog.Writer // nil before there is one

	noting   sync.WaitGroup // the write of Cancelling
	noteOnce sync.Once
	noteErr  error
}

func (x *execution) progress() contract.Progress {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := contract.Progress{Fence: x.fence}
	if x.log != nil {
		p.LogBytes = x.log.Bytes()
	}
	return p
}

func (x *execution) do(ctx context.Context) (contract.JobResult, error) {
	lost, err := x.begin(ctx)
	switch {
	case isStale(err):
		return contract.JobResult{}, fencedError(x.in.JobID)
	case err != nil:
		return contract.JobResult{}, engineError(err)
	case lost && x.job.Spec.OnLoss == job.Fail:
		return x.finish(ctx, job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, Message: "The worker that ran the job was lost"})
	case x.pastDeadline(0):
		return x.finish(ctx, job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout, Message: pastDeadline})
	}
	defer x.endAtDeadline()()
	if err := x.openLog(ctx); err != nil {
		return x.unprepared(ctx, err)
	}
	defer func() { _ = x.closeLog(ctx) }() // where nobody did: the log of an attempt that is given up
	if fault := x.job.Spec.Fault; fault != "" {
		return x.refuse(ctx, job.ReasonError, fault)
	}

	var lease *runner.Lease
	err = phase(x.watch.ctx, "fetch package", func(ctx context.Context) (err error) {
		lease, err = x.fetch(ctx)
		return err
	})
	if err != nil {
		return x.unprepared(ctx, err)
	}
	defer lease.Release()
	inputs, release, err := x.inputs(x.watch.ctx)
	if err != nil {
		return x.unprepared(ctx, err)
	}
	defer release()
	request := runner.Request{
		Job: x.job, Package: lease, Inputs: inputs, Open: x.a.cfg.Secrets.Open, Log: x.log, Grace: x.in.Grace, Records: x.records(),
	}
	if request.Session, request.URL, err = x.session(); err != nil {
		return x.unprepared(ctx, err)
	}
	run, err := x.a.cfg.Runner.Prepare(request)
	if job.WordOf(err) == job.WordInternal {
		// A value sealed with another key: no attempt here will ever open it.
		return x.refuse(ctx, job.ReasonError, messageOf(err))
	}
	if err != nil {
		return x.unprepared(ctx, err)
	}
	defer func() {
		if err := run.Close(); err != nil {
			x.a.cfg.Log.ErrorContext(ctx, "job folder not removed", "job", x.in.JobID, "error", err)
		}
	}()
	if err := phase(x.watch.ctx, "prepare environment", run.Furnish); err != nil {
		return x.unprepared(ctx, err)
	}
	err = phase(ctx, "note start", func(ctx context.Context) error {
		return x.a.persist(ctx, func(ctx context.Context, _ int) error {
			return x.a.cfg.Run.Started(ctx, x.in.AccountID, x.in.JobID, x.fence, run.Sandbox(), x.a.cfg.Now())
		})
	})
	if err != nil {
		return contract.JobResult{}, x.writeError(err)
	}
	x.a.ring(x.in.JobID)
	return x.run(ctx, run)
}

// begin takes the job over.
func (x *execution) begin(ctx context.Context) (lost bool, err error) {
	err = x.a.persist(ctx, func(ctx context.Context, try int) (err error) {
		x.job, lost, err = x.a.cfg.Run.Begin(ctx, x.in.AccountID, x.in.JobID, x.fence, x.a.cfg.Worker, x.a.cfg.Now())
		if try > 1 && isStale(err) && x.job.Fence == x.fence && x.job.Status == job.Running {
			// An earlier try had succeeded and its answer was lost, and with it the word of a lost worker. Of attempts that
			// ended, those of failed programs are counted; one more than that has begun besides this one if it was lost.
			lost = x.job.Attempt > x.job.Failures+1
			return nil
		}
		return err
	})
	if err == nil {
		x.a.ring(x.in.JobID)
	}
	return lost, err
}

// pastDeadline is why a job fails that is over its total time.
const pastDeadline = "The job was not over within its totalTimeout"

// pastDeadline tells whether the job is over its total time, or would be after the pause.
func (x *execution) pastDeadline(pause time.Duration) bool {
	return !x.in.Deadline.IsZero() && !x.a.cfg.Now().Add(pause).Before(x.in.Deadline)
}

// endAtDeadline ends the attempt when the total time is over, whatever it is doing then. The caller calls what it returns.
func (x *execution) endAtDeadline() (stop func()) {
	if x.in.Deadline.IsZero() {
		return func() {}
	}
	timer := time.AfterFunc(x.in.Deadline.Sub(x.a.cfg.Now()), func() { x.watch.end(errPastDeadline) })
	return func() { timer.Stop() }
}

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

func (x *execution) fetch(ctx context.Context) (*runner.Lease, error) {
	spec := x.job.Spec
	return x.use(ctx, runner.Package{Name: spec.PackageName, SHA256: spec.PackageSHA256, Size: spec.PackageSize})
}

// inputs fetches the other files the job gets. The caller calls release.
func (x *execution) inputs(ctx context.Context) (inputs []runner.Input, release func(), err error) {
	release = func() {
		for _, in := range inputs {
			in.File.Release()
		}
	}
	for _, f := range x.job.Spec.Inputs {
		lease, err := x.use(ctx, runner.Package{Name: f.Name, SHA256: f.SHA256, Size: f.Size, Plain: true})
		if err != nil {
			release()
			return nil, nil, err
		}
		inputs = append(inputs, runner.Input{Name: f.Name, File: lease})
	}
	return inputs, release, nil
}

func (x *execution) use(ctx context.Context, p runner.Package) (lease *runner.Lease, err error) {
	err = x.a.repeatObjects(ctx, func() error {
		lease, err = x.a.cfg.Runner.Cache().Use(ctx, p, func(ctx context.Context) (io.ReadCloser, error) {
			return x.a.cfg.Objects.Get(ctx, job.BlobKey(x.in.AccountID, p.SHA256), 0, -1)
		})
		return err
	})
	return lease, err
}

// unprepared ends an attempt whose program was not started.
func (x *execution) unprepared(ctx context.Context, err error) (contract.JobResult, error) {
	if cause := context.Cause(x.watch.ctx); cause != nil {
		return x.stopped(ctx, cause, nil)
	}
	switch {
	case job.CodeOf(err) == job.NotFound:
		return x.refuse(ctx, job.ReasonInvalidPackage, "The package is no longer in the object store")
	case job.WordOf(err) == job.WordCorruptObject:
		return x.refuse(ctx, job.ReasonInvalidPackage, "The package is damaged in the object store")
	case job.CodeOf(err) == job.Invalid && (job.WordOf(err) == job.WordInvalidField || job.WordOf(err) == job.WordEnvironmentFailed):
		return x.refuse(ctx, job.ReasonError, messageOf(err))
	case job.CodeOf(err) == job.Invalid:
		return x.refuse(ctx, job.ReasonInvalidPackage, messageOf(err))
	}
	x.a.cfg.Log.WarnContext(ctx, "job not prepared", "job", x.in.JobID, "attempt", x.info.Attempt, "error", err)
	if x.job.Spec.OnLoss == job.Fail && errors.Is(err, sandbox.ErrRoom) { // it may have run
		return x.refuse(ctx, job.ReasonWorkerLost, "The program was lost with the room it ran in")
	}
	if isFull(err) {
		return x.noRoom(ctx)
	}
	if x.job.Spec.OnLoss == job.Fail {
		// Another attempt would take this one for lost. Its program did not run, so say what happened.
		return x.refuse(ctx, job.ReasonError, "The job could not be prepared: the package could not be fetched or unpacked")
	}
	return contract.JobResult{}, engineError(err)
}

// noRoom ends an attempt for which the worker's disk had no room. It is another worker's, or this one's when there is room.
func (x *execution) noRoom(ctx context.Context) (contract.JobResult, error) {
	message := "The disk of worker " + x.a.cfg.Worker + " is full"
	if x.job.Spec.OnLoss == job.Fail {
		return x.refuse(ctx, job.ReasonError, message+": the job could not be prepared, its program did not run")
	}
	x.note("%s; the job runs again", message)
	return contract.JobResult{}, temporal.NewApplicationErrorWithOptions(message, errDiskFull, temporal.ApplicationErrorOptions{NextRetryDelay: fullPause})
}

// fullPause is longer than a worker takes to notice that its disk is full, and to take no more jobs.
const fullPause = 5 * time.Second

const errDiskFull = "DiskFull"

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// refuse fails a job whose program can not be run at all. The log says why, as it does for jobs that ran.
func (x *execution) refuse(ctx context.Context, reason job.Reason, message string) (contract.JobResult, error) {
	x.note("%s", message)
	return x.finish(ctx, job.Outcome{Status: job.Failed, Reason: reason, Message: message})
}

// note puts a line into the log of an attempt that has no program.
func (x *execution) note(format string, args ...any) {
	if x.log != nil {
		_ = joblog.NewLines(x.log, 0, x.a.cfg.Now).Notef(format, args...) // a log that fails does so again when it is closed
	}
}

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

// endLog stores the rest of the log; a job is not held up for ever by a log that can not be stored.
func (x *execution) endLog(ctx context.Context) {
	if err := x.closeLog(ctx); err != nil {
		x.a.cfg.Log.ErrorContext(ctx, "end of log not stored", "job", x.in.JobID, "error", err)
	}
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
