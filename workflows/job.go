package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Job takes one job to its terminal status. On the usual way it is a single activity, ExecutePackage, which runs the
// program and writes the outcome to the row itself; when that ends without an outcome, the settle step writes one. The
// row is the truth either way, and the workflow closes as the row says:
//
//   - completed: Completed, with a contract.JobResult.
//   - failed: Failed, with a non-retryable ApplicationError of type contract.ErrJobFailed that carries the JobResult, so
//     that `temporal workflow list` shows failed jobs as Failed.
//   - cancelled: Canceled, with the JobResult in the details, whoever cancelled: a user over REST or an operator here.
//
// A cancel that comes too late changes nothing: the workflow then closes as the job ended.
func Job(ctx workflow.Context, in contract.JobInput) (contract.JobResult, error) {
	j := newJobRun(ctx, in)
	if err := j.setup(ctx); err != nil {
		return contract.JobResult{}, err
	}
	return j.run(ctx)
}

// jobRun is one run of Job.
type jobRun struct {
	in contract.JobInput
	// started makes the fencing tokens. It is the time of the first workflow task and not the start of the workflow, so
	// that a run that `temporal workflow reset` made from that task on holds larger tokens than the one it replaces. One
	// made from a later task has this time in its history and goes on with the activity; see ExecuteInput.RunID.
	started time.Time
	status  contract.JobStatus
}

func newJobRun(ctx workflow.Context, in contract.JobInput) *jobRun {
	return &jobRun{
		in:      in,
		started: workflow.Now(ctx).UTC(),
		status:  contract.JobStatus{JobID: in.JobID, Status: job.Queued},
	}
}

// setup answers `temporal workflow query --type status`.
func (j *jobRun) setup(ctx workflow.Context) error {
	return workflow.SetQueryHandlerWithOptions(ctx, contract.QueryStatus,
		func() (contract.JobStatus, error) { return j.status, nil },
		workflow.QueryHandlerOptions{Description: "Status of the job, as far as the workflow knows"})
}

func (j *jobRun) run(ctx workflow.Context) (contract.JobResult, error) {
	result, err := j.execute(ctx)
	if err != nil || !result.Status.Final() {
		if result, err = settle(ctx, j.in, j.started, verdictOf(ctx, j.in, err)); err != nil {
			return contract.JobResult{}, err
		}
	}
	j.ended(result)
	return closeAs(ctx, result)
}

// execute runs the program, and notes meanwhile that it started if the worker says so.
func (j *jobRun) execute(ctx workflow.Context) (contract.JobResult, error) {
	var result contract.JobResult
	var err error
	attempt := workflow.ExecuteActivity(longRun(ctx, j.in), contract.ExecutePackage, contract.ExecuteInput{
		JobID: j.in.JobID, AccountID: j.in.AccountID, RunStarted: j.started, RunID: workflow.GetInfo(ctx).WorkflowExecution.RunID,
		Timeout: j.in.Timeout, Grace: j.in.Grace,
	})

	news := workflow.NewNamedSelector(ctx, "attempt or signal")
	news.AddFuture(attempt, func(f workflow.Future) { err = f.Get(ctx, &result) })
	signals := workflow.GetSignalChannel(ctx, contract.SignalStarted)
	news.AddReceive(signals, func(c workflow.ReceiveChannel, _ bool) {
		var s contract.Started
		c.Receive(ctx, &s)
		j.programStarted(ctx, s)
	})
	for !attempt.IsReady() {
		news.Select(ctx)
	}
	for signals.ReceiveAsync(nil) {
		// Came with the attempt's end, or after it: of no use any more, but the SDK warns of signals that nobody took.
	}
	return result, err
}

// programStarted notes a Started signal. Only a worker of the present attempt sends one.
func (j *jobRun) programStarted(ctx workflow.Context, s contract.Started) {
	j.status.Worker, j.status.Attempt = s.Worker, s.Attempt
	if j.status.Status == job.Running {
		return // a later attempt: the attribute says so already
	}
	j.status.Status = job.Running
	show(ctx, job.Running)
}

// ended makes the query answer as the row stands.
func (j *jobRun) ended(r contract.JobResult) {
	j.status.Status, j.status.Reason, j.status.ExitCode = r.Status, r.Reason, r.ReturnCode
}
