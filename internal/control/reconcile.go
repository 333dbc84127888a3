package control

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// Reconciler brings the engine and the job table back together: it starts what is stored but was never started, ends what
// the engine ended from outside, and makes roll-ups that were missed. The job table is the truth. The engine sees to it that one
// process runs it at a time (activities.Reconcile); two at once do no harm, because everything it does is idempotent.
type Reconciler struct {
	Backlog    Backlog
	Settlement Settlement
	Writer     JobWriter
	Users      Users
	Starter    Starter
	Lanes      LaneEngine
	Open       OpenWorkflows // makes passes cheap; nil: every job is looked up
	Bell       *Bell
	Limits     Limits
	Now        Clock
	Log        *slog.Logger
	// Duties are what other parts of the product want looked after in the same loop.
	Duties []Duty

	open   map[job.ID]struct{}       // jobs whose workflow was open when the present round of steps began
	moved  atomic.Pointer[time.Time] // when the loop last came on, with its monotonic clock: the other one may jump
	faults atomic.Int64              // what could not be done so far
}

// Pass is one pass of the loop.
type Pass struct {
	Number int64         // counted from 1 since the loop began
	Engine bool          // it answered, and was compared with the table
	Took   time.Duration // the sweep that the first pass is may take long
	Faults int64         // what could not be done in it, and is tried again
}

// Duty is a piece of reconciling that belongs to one feature: it compares the tables with the engine, or with the world,
// and mends what differs. It must be idempotent, for a process that has it may be taken for dead, and short, for the others
// wait for it. What it remembers from run to run is worth nothing any more when back is set.
type Duty struct {
	Name  string
	Every time.Duration // pause between two runs; less than a tick: at every tick
	// Engine: only while the engine answers, and at once whenever it comes back, as the first run after a start is.
	Engine bool
	// Do mends. back tells that the engine was away, or that the process has just started: nothing can be taken for known.
	Do func(ctx context.Context, back bool) error
}

// Pace of the reconciler.
const (
	tick        = time.Second
	terminated  = 10 * time.Second // how far back the engine's list of terminated workflows is read: it lags a little
	settledFor  = 10 * time.Second // jobs written more recently are left to those who are at work on them
	perTick     = 100              // unreached jobs started at every tick
	perPage     = 500              // unfinished jobs looked at at every tick
	everySweep  = 30 * time.Second // pause between two passes over the unfinished jobs
	everyPurge  = time.Hour
	rollUpLimit = 100
)

// Run works until ctx ends, and tells of every pass. The first one looks at every unfinished job at once: after a crash, or
// when the engine's files were rebuilt, all of them may need a start. Whenever the engine comes back after an outage it does so
// again. One call at a time: the next one begins as if nothing were known.
func (r *Reconciler) Run(ctx context.Context, told func(Pass)) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	l := &loop{r: r, since: r.Now().Add(-terminated), rounds: newRounds(r.Duties)}
	for n := int64(1); ; n++ {
		began, before := time.Now(), r.faults.Load()
		l.pass(ctx)
		if ctx.Err() != nil {
			return
		}
		told(Pass{Number: n, Engine: l.reachable, Took: time.Since(began), Faults: r.faults.Load() - before})
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// loop is how far a Run has come.
type loop struct {
	r                    *Reconciler
	reachable            bool
	cursor               job.ID
	nextSweep, nextPurge time.Time
	since                time.Time
	rolledUp             RollUpMark
	rounds               *rounds
}

func (l *loop) pass(ctx context.Context) {
	r, now := l.r, l.r.Now()
	r.comeOn()
	switch up := r.Starter.Ping(ctx) == nil; {
	case up && !l.reachable:
		l.cursor = ""
		l.reachable = r.Sweep(ctx, now) == nil
		l.nextSweep = now.Add(everySweep)
	case !up:
		l.reachable = false
	default:
		l.since = r.settleTerminated(ctx, l.since)
		r.startUnreached(ctx)
		if l.cursor != "" || now.After(l.nextSweep) {
			l.cursor = r.step(ctx, now.Add(-settledFor), l.cursor)
			l.nextSweep = now.Add(everySweep)
		}
	}
	l.rolledUp = r.rollUps(ctx, now.Add(-settledFor), l.rolledUp)
	l.rounds.run(ctx, now, l.reachable, r.comeOn, r.complain)
	if now.After(l.nextPurge) {
		if err := r.Backlog.PurgeExpired(ctx, now); err != nil {
			r.complain(ctx, "expired rows not deleted", err)
		}
		l.nextPurge = now.Add(everyPurge)
	}
}

// comeOn notes that the loop does not hang.
func (r *Reconciler) comeOn() {
	now := time.Now()
	r.moved.Store(&now)
}

// Moved is when the loop last came on: one that has not for minutes hangs.
func (r *Reconciler) Moved() time.Time {
	if at := r.moved.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Sweep looks at every unfinished job last written before the time. It stops at the first sign that the engine or the
// database is down.
func (r *Reconciler) Sweep(ctx context.Context, before time.Time) error {
	var after job.ID
	began, looked := time.Now(), 0
	open := r.listOpen(ctx)
	for {
		r.comeOn()
		jobs, err := r.Backlog.Unfinished(ctx, before, after, perPage)
		if err == nil && len(jobs) == 0 && looked > 0 {
			r.Log.InfoContext(ctx, "compared the unfinished jobs with the engine", "jobs", looked, "open", len(open), "took", time.Since(began))
		}
		if err != nil || len(jobs) == 0 {
			return err
		}
		looked += len(jobs)
		if err := r.mendAll(ctx, jobs, open); err != nil {
			return err
		}
		after = jobs[len(jobs)-1].ID
	}
}

// step is a slice of a Sweep; it returns where the next one begins, "" at the end.
func (r *Reconciler) step(ctx context.Context, before time.Time, after job.ID) job.ID {
	if after == "" {
		r.open = r.listOpen(ctx)
	}
	jobs, err := r.Backlog.Unfinished(ctx, before, after, perPage)
	if err != nil {
		r.complain(ctx, "unfinished jobs not read", err)
		return after
	}
	if err := r.mendAll(ctx, jobs, r.open); err != nil {
		return after
	}
	if len(jobs) < perPage {
		r.open = nil
		return ""
	}
	return jobs[len(jobs)-1].ID
}

// Check looks at one job now: the activity calls it when its workflow is gone.
func (r *Reconciler) Check(ctx context.Context, account int64, id job.ID) {
	j, err := r.Backlog.AnyJob(ctx, id)
	if err == nil && j.AccountID == account && !j.Status.Final() {
		_ = r.mend(ctx, j) // an outage: the sweep after it looks again
	}
}

// mend compares one unfinished job with the engine and does what is to be done. An error means that the engine or the
// database is down. What is wrong with this job alone is told in the log and is none: it must not keep the reconciler
// from the jobs behind it.
func (r *Reconciler) mend(ctx context.Context, j job.Job) error {
	err := r.compare(ctx, j)
	if err != nil {
		r.complain(ctx, "job not reconciled", err, "job", j.ID)
	}
	return outage(err)
}

// outage is err when it may be over later, whatever the job, and nil for what concerns one job only.
func outage(err error) error {
	if code := job.CodeOf(err); code == job.Unavailable || code == job.Canceled {
		return err
	}
	return nil
}

func (r *Reconciler) compare(ctx context.Context, j job.Job) error {
	state, err := r.Starter.JobState(ctx, j.ID, j.RetryOf != "")
	if err != nil {
		return err
	}
	switch state {
	case EngineAbsent:
		if j.Status == job.Cancelling {
			return r.settle(ctx, j, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped})
		}
		return r.dispatch(ctx, j)
	case EngineOpen:
		if j.Unreachable {
			return r.Writer.MarkUnreachable(ctx, j.AccountID, j.ID, false)
		}
		if j.Status == job.Cancelling && j.Reason == job.ReasonStopped {
			return r.Starter.CancelJob(ctx, j.ID)
		}
		return nil
	case EngineTerminated:
		return r.settle(ctx, j, TerminatedOutcome(j))
	default: // closed by itself: it settled the row first, so this only finds what is already final
		return r.settle(ctx, j, job.Outcome{
			Status: job.Failed, Reason: job.ReasonTerminated, Message: "The workflow ended without a result",
		})
	}
}

// TerminatedOutcome is how a job ends whose workflow was terminated: one that is queued was never at work and counts as
// cancelled (native.md, 6.1).
func TerminatedOutcome(j job.Job) job.Outcome {
	o := job.Outcome{Status: job.Failed, Reason: job.ReasonTerminated, Message: "The workflow was terminated"}
	if j.Status == job.Queued {
		o.Status = job.Cancelled
	}
	return o
}

func (r *Reconciler) dispatch(ctx context.Context, j job.Job) error {
	d, err := r.Users.Destination(ctx, j.AccountID, j.Destination)
	if err != nil {
		return err
	}
	if err := r.Starter.StartJob(tracing.Into(ctx, j.Spec.Trace), InputOf(j, d.TaskQueue, r.Limits)); err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "started a job that was stored but not running", "job", j.ID, "status", j.Status)
	if j.Unreachable {
		return r.Writer.MarkUnreachable(ctx, j.AccountID, j.ID, false)
	}
	return nil
}

func (r *Reconciler) settle(ctx context.Context, j job.Job, o job.Outcome) error {
	now := r.Now().UTC().Truncate(time.Microsecond)
	o.At = now
	settled, err := r.Settlement.Settle(ctx, j.AccountID, j.ID, job.SettleFence(now), o)
	if err != nil {
		return err
	}
	r.Bell.Ring(j.ID)
	if j.Lane != "" {
		// Its workflow could not do this. The keeper of lanes would, a little later.
		if err := r.Lanes.PokeLane(ctx, laneRef(j)); err != nil {
			r.complain(ctx, "lane not poked", err, "job", j.ID, "lane", j.Lane)
		}
	}
	r.Log.InfoContext(ctx, "settled a job that the engine does not run any more",
		"job", j.ID, "status", settled.Status, "reason", settled.Reason)
	return nil
}

// settleTerminated ends jobs whose workflow was terminated from outside, and returns from when to look next.
func (r *Reconciler) settleTerminated(ctx context.Context, since time.Time) time.Time {
	now := r.Now()
	ids, err := r.Starter.Terminated(ctx, since)
	if err != nil {
		r.complain(ctx, "terminated workflows not listed", err)
		return since
	}
	for _, id := range ids {
		j, err := r.Backlog.AnyJob(ctx, id)
		if job.CodeOf(err) == job.NotFound || err == nil && j.Status.Final() {
			continue
		}
		if err == nil {
			err = r.mend(ctx, j)
		} else {
			r.complain(ctx, "terminated job not read", err, "job", id)
		}
		if outage(err) != nil {
			return since
		}
	}
	return now.Add(-terminated) // visibility may lag, so look at the last seconds again
}

// startUnreached starts jobs whose start the engine did not answer, as soon as it answers again.
func (r *Reconciler) startUnreached(ctx context.Context) {
	jobs, err := r.Backlog.Unreached(ctx, perTick)
	if err != nil {
		r.complain(ctx, "jobs to start not read", err)
		return
	}
	for _, j := range jobs {
		if r.mend(ctx, j) != nil {
			return
		}
	}
}

// rollUps makes some of the roll-ups that were missed, and returns behind which to go on: those that fail again and again must
// not keep it from the ones behind them.
func (r *Reconciler) rollUps(ctx context.Context, before time.Time, after RollUpMark) RollUpMark {
	jobs, err := r.Backlog.NotRolledUp(ctx, before, after, rollUpLimit)
	if err != nil {
		r.complain(ctx, "missed roll-ups not read", err)
		return after
	}
	for _, j := range jobs {
		if err := r.Settlement.RollUp(ctx, j.AccountID, j.ID, r.Now().UTC().Truncate(time.Microsecond)); err != nil {
			r.complain(ctx, "roll-up not made", err, "job", j.ID)
			if outage(err) != nil {
				return after
			}
		}
		after = RollUpMark{Ended: j.FinishedAt, ID: j.ID}
	}
	if len(jobs) < rollUpLimit {
		return RollUpMark{}
	}
	return after
}

// complain logs what the next pass will try again; not while shutting down.
func (r *Reconciler) complain(ctx context.Context, what string, err error, about ...any) {
	if ctx.Err() == nil {
		r.faults.Add(1)
		r.Log.WarnContext(ctx, "reconciler: "+what, append(about, "error", err)...)
	}
}
