package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runner"
	"waybill/workflows/contract"
)

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
