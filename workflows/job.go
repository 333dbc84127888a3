package workflows

import (
	"fmt"
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
// A job of a lane first waits for its place if it has none yet, and at its end makes the lane look for the next one. A job
// with limits on its time has timers for them (limits.go). Jobs without either pay nothing for them.
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
	phase   string
	since   time.Time
	waiting bool

	limits []*limit
	over   verdict            // set when a limit ended what the workflow waited for
	ended  contract.JobResult // what the row says, once a limit found it final
}

// Phases, as JobProgress names them.
const (
	phaseLane     = "lane"
	phaseWorker   = "worker"
	phaseProgram  = "program"
	phaseSettling = "settling"
	phaseLeaving  = "leaving"
	phaseEnded    = "ended"
)

func newJobRun(ctx workflow.Context, in contract.JobInput) *jobRun {
	j := &jobRun{
		in:      in,
		started: workflow.Now(ctx).UTC(),
		status:  contract.JobStatus{JobID: in.JobID, Status: job.Queued},
	}
	j.enter(ctx, phaseWorker)
	return j
}

// setup answers `temporal workflow query`.
func (j *jobRun) setup(ctx workflow.Context) error {
	if err := answer(ctx, contract.QueryStatus, "Status of the job, as far as the workflow knows",
		func() (contract.JobStatus, error) { return j.status, nil }); err != nil {
		return err
	}
	if err := answer(ctx, contract.QueryProgress, "What the workflow waits for, since when, and until when it may",
		func() (contract.JobProgress, error) { return j.progress(), nil }); err != nil {
		return err
	}
	return answer(ctx, contract.QueryPosition, "The job's place in its lane; the lane's own query tells how many are before it",
		func() (contract.Place, error) { return j.place(), nil })
}

func answer(ctx workflow.Context, name, description string, handler any) error {
	return workflow.SetQueryHandlerWithOptions(ctx, name, handler, workflow.QueryHandlerOptions{Description: description})
}

func (j *jobRun) progress() contract.JobProgress {
	return contract.JobProgress{
		JobID: j.in.JobID, Phase: j.phase, Since: j.since, Attempt: j.status.Attempt, Worker: j.status.Worker,
		QueueUntil: j.in.QueueUntil, Deadline: j.in.Deadline,
	}
}

func (j *jobRun) place() contract.Place {
	if j.in.Lane == "" {
		return contract.Place{}
	}
	return contract.Place{
		Lane: j.in.Lane, LaneWorkflow: contract.LaneWorkflowID(j.in.AccountID, j.in.Lane), Waiting: j.waiting, Seq: j.in.LaneSeq,
	}
}

// enter notes what the workflow waits for now. It costs no event.
func (j *jobRun) enter(ctx workflow.Context, phase string) {
	j.phase, j.since = phase, workflow.Now(ctx).UTC()
}

func (j *jobRun) run(ctx workflow.Context) (contract.JobResult, error) {
	result, err := j.course(ctx)
	if err != nil || !result.Status.Final() {
		j.enter(ctx, phaseSettling)
		v := j.over
		if v == (verdict{}) {
			v = verdictOf(ctx, j.in, err)
		}
		result, err = settle(ctx, j.in, j.started, v)
	}
	j.leaveLane(ctx)
	for _, name := range []string{contract.SignalStarted, contract.SignalAdmitted} {
		for c := workflow.GetSignalChannel(ctx, name); c.ReceiveAsync(nil); {
			// Came with the end, or after it: of no use any more, but the SDK warns of signals that nobody took.
		}
	}
	if err != nil {
		return contract.JobResult{}, err
	}
	j.end(ctx, result)
	return closeAs(ctx, result)
}

// course takes the job through its lane and its program, within its limits.
func (j *jobRun) course(ctx workflow.Context) (contract.JobResult, error) {
	limited, done := workflow.WithCancel(ctx)
	defer done() // timers that have not fired
	j.setLimits(limited)
	if j.in.Waiting {
		if err := j.waitInLane(ctx); err != nil || j.ended.Status.Final() {
			return j.ended, err
		}
	}
	return j.execute(ctx)
}

// execute runs the program, and notes meanwhile that it started if the worker says so.
func (j *jobRun) execute(ctx workflow.Context) (contract.JobResult, error) {
	j.enter(ctx, phaseWorker)
	var result contract.JobResult
	var err error
	running, giveUp := workflow.WithCancel(ctx)
	defer giveUp()
	attempt := workflow.ExecuteActivity(longRun(running, j.in), contract.ExecutePackage, contract.ExecuteInput{
		JobID: j.in.JobID, AccountID: j.in.AccountID, RunStarted: j.started, RunID: workflow.GetInfo(ctx).WorkflowExecution.RunID,
		Timeout: j.in.Timeout, Grace: j.in.Grace, Deadline: j.in.Deadline,
	})

	news := workflow.NewNamedSelector(ctx, "attempt or signal")
	news.AddFuture(attempt, func(f workflow.Future) { err = f.Get(ctx, &result) })
	signals := workflow.GetSignalChannel(ctx, contract.SignalStarted)
	news.AddReceive(signals, func(c workflow.ReceiveChannel, _ bool) {
		var s contract.Started
		c.Receive(ctx, &s)
		j.programStarted(ctx, s)
	})
	j.watchLimits(ctx, news, giveUp)
	for !attempt.IsReady() {
		news.Select(ctx)
	}
	if j.ended.Status.Final() && !result.Status.Final() {
		return j.ended, nil
	}
	return result, err
}

// programStarted notes a Started signal. Only a worker of the present attempt sends one.
func (j *jobRun) programStarted(ctx workflow.Context, s contract.Started) {
	j.status.Worker, j.status.Attempt = s.Worker, s.Attempt
	j.enter(ctx, phaseProgram)
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Attempt %d on %s", s.Attempt, plain(s.Worker, 100)))
	if j.status.Status == job.Running {
		return // a later attempt: the attribute says so already
	}
	j.status.Status = job.Running
	show(ctx, job.Running)
}

// end makes the queries answer as the row stands.
func (j *jobRun) end(ctx workflow.Context, r contract.JobResult) {
	j.enter(ctx, phaseEnded)
	j.status.Status, j.status.Reason, j.status.ExitCode = r.Status, r.Reason, r.ReturnCode
	workflow.SetCurrentDetails(ctx, endText(r))
}
