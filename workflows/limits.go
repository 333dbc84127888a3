package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/workflows/contract"
)

// limit is a limit on a job's time with its timer. A timer can only say that the time has come: whether a worker has the
// job, and with it whether the limit is broken, stands in the row, so ExpireJob looks there.
type limit struct {
	name    contract.Limit
	verdict verdict
	timer   workflow.Future // nil once it has fired
	late    bool            // the worker has had its overtime, too
}

// overtime is what a worker gets beyond a job's deadline, its grace and its heartbeat timeout, to end the program and write
// that down. After that nobody is expected to do it any more.
const overtime = 30 * time.Second

// setLimits starts the timers of the limits the job has. A limit that is over already has a timer that has fired.
func (j *jobRun) setLimits(ctx workflow.Context) {
	for _, l := range []struct {
		limit
		at   time.Time
		text string
	}{
		{limit{name: contract.LimitQueue, verdict: wasNotTaken}, j.in.QueueUntil, "queue timeout"},
		{limit{name: contract.LimitTotal, verdict: wasPastDeadline}, j.in.Deadline, "total timeout"},
	} {
		if l.at.IsZero() {
			continue
		}
		set := l.limit
		set.timer = workflow.NewTimerWithOptions(ctx, l.at.Sub(workflow.Now(ctx)), workflow.TimerOptions{Summary: l.text})
		j.limits = append(j.limits, &set)
	}
}

// watchLimits makes the selector take the timers in that have not fired yet. giveUp ends what the job waits for.
func (j *jobRun) watchLimits(ctx workflow.Context, news workflow.Selector, giveUp func()) {
	for _, l := range j.limits {
		j.watchLimit(ctx, news, l, giveUp)
	}
}

func (j *jobRun) watchLimit(ctx workflow.Context, news workflow.Selector, l *limit, giveUp func()) {
	if l.timer == nil {
		return
	}
	news.AddFuture(l.timer, func(f workflow.Future) {
		l.timer = nil
		if f.Get(ctx, nil) != nil || ctx.Err() != nil {
			return // the job is being cancelled, which is the end of it anyway
		}
		ended := j.expire(ctx, l)
		switch {
		case ended:
			giveUp()
		case l.late:
			j.over = l.verdict
			giveUp()
		case l.name == contract.LimitTotal:
			// A worker that was lost, with none to follow, would else keep the job for ever.
			l.late = true
			l.timer = workflow.NewTimerWithOptions(ctx, j.in.Grace+j.in.HeartbeatTimeout+overtime, workflow.TimerOptions{Summary: "the worker ends the job"})
			j.watchLimit(ctx, news, l, giveUp)
		}
	})
}

// expire asks the row whether the limit is broken, and tells whether the job is over. It does not fail: the activity is
// repeated until it gets an answer, and a job that is not there any more is over, too.
func (j *jobRun) expire(ctx workflow.Context, l *limit) bool {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	var r contract.ExpireResult
	err := workflow.ExecuteActivity(statusWrite(ctx, "", "end the job if no worker has it"), contract.ExpireJob,
		contract.ExpireInput{JobID: j.in.JobID, AccountID: j.in.AccountID, RunStarted: j.started, Limit: l.name}).Get(ctx, &r)
	if err != nil {
		j.over = l.verdict
		return true
	}
	if r.Ended {
		j.ended = r.Job
	}
	return r.Ended
}
