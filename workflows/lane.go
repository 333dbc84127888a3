package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Lane lets the jobs of one lane through, as many at once as it has places. It lives while jobs wait: a job that finds no
// place makes sure that it runs, and every job of the lane that ends pokes it. The order and the places are in the job
// table; Lane only decides when to look there, and AdvanceLane does the rest in one transaction. So a Lane that was
// terminated has lost nothing: the next poke, or the reconciler, starts another.
func Lane(ctx workflow.Context, in contract.LaneInput) error {
	l := newLaneRun(in)
	if err := l.setup(ctx); err != nil {
		return err
	}
	return l.run(ctx)
}

// Pace of a lane that nobody pokes. Nudges are for admitted jobs whose workflows had not started when they were to be
// told; the slow pace is for pokes that were lost.
const (
	nudgeFirst = time.Second
	nudgeMax   = 30 * time.Second
	idleFirst  = 30 * time.Second
	idleMax    = 5 * time.Minute
)

// laneRun is one run of Lane.
type laneRun struct {
	in     contract.LaneInput
	status contract.LaneStatus
	pause  time.Duration
}

func newLaneRun(in contract.LaneInput) *laneRun {
	return &laneRun{in: in, status: contract.LaneStatus{Lane: in.Lane, Told: in.Told}}
}

func (l *laneRun) setup(ctx workflow.Context) error {
	if err := answer(ctx, contract.QueryStatus, "Places of the lane, jobs that hold one, and the first that wait",
		func() (contract.LaneStatus, error) { return l.status, nil }); err != nil {
		return err
	}
	return answer(ctx, contract.QueryPosition, "Where the job with the given id stands; 0 beyond the first hundred", l.position)
}

func (l *laneRun) position(id job.ID) (contract.Place, error) {
	p := contract.Place{Lane: l.in.Lane, Position: slices.Index(l.status.Head, id) + 1}
	p.Waiting = p.Position > 0
	return p, nil
}

func (l *laneRun) run(ctx workflow.Context) error {
	pokes := workflow.GetSignalChannel(ctx, contract.SignalPoke)
	for {
		drain(pokes)
		if err := l.advance(ctx); err != nil {
			return err
		}
		poked := pokes.Len() > 0 // meanwhile
		switch {
		case !poked && l.status.Waiting == 0 && l.status.Untold == 0:
			return nil
		case workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			// Before the pokes that have come: the next run begins with a look, which answers them, and a lane that is
			// poked without a pause would else never come to this.
			drain(pokes)
			return workflow.NewContinueAsNewError(ctx, contract.LaneWorkflow, contract.LaneInput{
				AccountID: l.in.AccountID, Lane: l.in.Lane, Told: l.status.Told,
			})
		case !poked:
			if err := l.rest(ctx, pokes); err != nil {
				return err
			}
		}
	}
}

// drain takes all pokes at once: one look answers them all.
func drain(pokes workflow.ReceiveChannel) {
	for pokes.ReceiveAsync(nil) {
	}
}

func (l *laneRun) advance(ctx workflow.Context) error {
	before := l.status
	l.status = contract.LaneStatus{}
	err := workflow.ExecuteActivity(statusWrite(ctx, "", "admit jobs"), contract.AdvanceLane, contract.AdvanceInput{
		AccountID: l.in.AccountID, Lane: l.in.Lane, Told: before.Told,
	}).Get(ctx, &l.status)
	if err != nil {
		return err
	}
	workflow.SetCurrentDetails(ctx, laneText(l.status))
	switch {
	case l.status.Untold > 0 && before.Untold > 0:
		l.pause = min(2*l.pause, nudgeMax)
	case l.status.Untold > 0:
		l.pause = nudgeFirst
	case before.Untold == 0 && slices.Equal(before.Head, l.status.Head):
		l.pause = min(max(2*l.pause, idleFirst), idleMax)
	default:
		l.pause = idleFirst
	}
	return nil
}

// rest waits for a poke, or for the time after which it looks without one.
func (l *laneRun) rest(ctx workflow.Context, pokes workflow.ReceiveChannel) error {
	timed, done := workflow.WithCancel(ctx)
	defer done()
	news := workflow.NewNamedSelector(ctx, "poke or pause")
	news.AddReceive(pokes, func(c workflow.ReceiveChannel, _ bool) { drain(c) })
	news.AddFuture(workflow.NewTimerWithOptions(timed, l.pause, workflow.TimerOptions{Summary: "look without a poke"}), func(workflow.Future) {})
	news.Select(ctx)
	return ctx.Err() // a cancel of a lane ends this workflow and no job: it is started again when it is needed
}

func laneText(s contract.LaneStatus) string {
	more := ""
	if s.More {
		more = " and more"
	}
	return fmt.Sprintf("%d of %d places are held, %d%s wait", s.Active, s.Places, s.Waiting, more)
}

// waitInLane waits until the job has a place. It ends with an error when the job is cancelled, and with j.ended set when a
// limit on its time is broken first.
func (j *jobRun) waitInLane(ctx workflow.Context) error {
	j.waiting = true
	j.status.Reason = job.ReasonSequenced
	j.enter(ctx, phaseLane)
	workflow.SetCurrentDetails(ctx, "Waits in lane "+plain(j.in.Lane, 200))
	news := workflow.NewNamedSelector(ctx, "place or limit")
	news.AddReceive(workflow.GetSignalChannel(ctx, contract.SignalAdmitted), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, nil)
		j.waiting = false
	})
	cancelled := false
	news.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) { cancelled = true })
	over := false
	j.watchLimits(ctx, news, func() { over = true })
	for j.waiting && !cancelled && !over {
		news.Select(ctx)
	}
	j.waiting = false
	j.status.Reason = ""
	workflow.SetCurrentDetails(ctx, "")
	if over && !j.ended.Status.Final() {
		return errOver
	}
	return ctx.Err()
}

// leaveLane makes the lane look for the next job. It happens whatever became of this one: an admission may have met its
// cancel on the way. A poke that can not be made is made up for by the reconciler.
func (j *jobRun) leaveLane(ctx workflow.Context) {
	if j.in.Lane == "" {
		return
	}
	j.enter(ctx, phaseLeaving)
	leaveLane(ctx, j.in)
}

func leaveLane(ctx workflow.Context, in contract.JobInput) {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	err := workflow.ExecuteActivity(statusWrite(ctx, "leave-lane", "let the next job in"), contract.PokeLane,
		contract.PokeInput{AccountID: in.AccountID, Lane: in.Lane}).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Error("lane not poked", "lane", in.Lane, "error", err)
	}
}
