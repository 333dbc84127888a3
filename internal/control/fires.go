package control

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
	"waybill/workflows/contract"
)

// Fires turns fires of schedules into jobs; the activity behind the workflow Fire calls it.
type Fires struct {
	Schedules ScheduleStore
	Store     FireStore
	Configs   ConfigReader
	Users     Users
	Jobs      *Jobs
	Webhooks  Webhooks
	Now       Clock
	// Late is told how long after its time a fire that was due was taken up. May be nil.
	Late func(time.Duration)
}

// late is after how long a fire that was not taken up counts as missed: jitter apart, one comes within a moment.
const late = 30 * time.Second

// Take takes a fire up: it finds out whether a job is to be made, makes it as the config's owner, and answers what came of
// it. The job is stored but not started: that is the caller's. Idempotent by config and time, which is why a repeat after
// a crash at any point makes no second job: the fire is noted first, and the job is stored under a key made of the same two.
func (f *Fires) Take(ctx context.Context, in contract.TakeFireInput) (contract.Fired, error) {
	none := contract.Fired{Outcome: contract.FireNotDue}
	sch, err := f.Schedules.Schedule(ctx, in.AccountID, in.ConfigID)
	if job.CodeOf(err) == job.NotFound {
		none.Message = "The job config has no schedule any more"
		return none, nil
	}
	if err != nil {
		return none, err
	}
	times, err := TimesOf(sch.Rule)
	if err != nil {
		return none, err
	}
	fire := job.Fire{
		ConfigID: in.ConfigID, AccountID: in.AccountID, At: in.At.UTC().Truncate(time.Second), FiredAt: f.Now().UTC(), Begun: in.Started.UTC().Truncate(time.Microsecond),
		Outcome: job.FirePending,
	}
	fire.Kind = kindOf(sch, times, fire.At, in)
	if fire.Kind == job.FireAsked { // the engine tells times by the second, and runs may be asked for faster than that
		fire.At = fire.Begun
	}
	if fire.Kind == job.FireDue && !times.Matches(fire.At) {
		none.Message = "The engine's calendars name more times than the pattern; this is one of those"
		return none, nil
	}
	c, owner, err := f.judge(ctx, sch, times, &fire)
	if job.CodeOf(err) == job.NotFound { // deleted since, and its schedule with it
		return none, nil
	}
	if err != nil {
		return none, err
	}
	alone := fire.Kind == job.FireDue && fire.FiredAt.Sub(fire.At) > late+sch.Rule.Jitter
	if alone && sch.Rule.Overlap == job.OverlapQueueOne {
		alone, err = f.wasMissed(ctx, fire)
		if err != nil {
			return none, err
		}
	}
	if fire, err = f.Store.ClaimFire(ctx, fire, alone); err != nil {
		if job.CodeOf(err) == job.NotFound { // deleted since
			return none, nil
		}
		return none, err
	}
	if f.Late != nil && fire.Kind == job.FireDue {
		f.Late(fire.FiredAt.Sub(fire.At))
	}
	return f.submit(ctx, sch, c, owner, fire)
}

// kindOf tells whether the engine fired by itself. A time that no calendar of the plan names was asked for, and so was one at which
// the engine had the schedule paused or ended. A time that a backfill names was asked for, too, or one that lies so far before the
// workflow's start that the engine would not have made it up by itself; but a fire that waited for another one's end (queue_one) began
// late and was due.
func kindOf(s job.Schedule, times schedule.Times, at time.Time, in contract.TakeFireInput) job.FireKind {
	switch {
	case s.Asked(at):
		return job.FireBackfill
	case !times.Plan().Covers(at), !in.End.IsZero() && at.After(in.End):
		return job.FireAsked
	case in.Paused && at.After(s.ModifiedAt): // one that came due before the pause may have waited until now
		return job.FireAsked
	case in.Started.Sub(at) > s.Rule.CatchUpWindow()+s.Rule.Jitter+time.Minute && s.Rule.Overlap != job.OverlapQueueOne:
		return job.FireBackfill
	}
	return job.FireDue
}

// judge looks for reasons to make no job, and writes the first one down in the fire.
func (f *Fires) judge(ctx context.Context, s job.Schedule, times schedule.Times, fire *job.Fire) (job.Config, job.User, error) {
	refuse := func(o job.FireOutcome, format string, args ...any) {
		fire.Outcome, fire.Message = o, fmt.Sprintf(format, args...)
	}
	c, err := f.Configs.Config(ctx, s.AccountID, s.ConfigID)
	if err != nil {
		return c, job.User{}, err
	}
	owner, err := f.Users.User(ctx, s.AccountID, c.Owner.ID)
	if err != nil && job.CodeOf(err) != job.NotFound {
		return c, owner, err
	}
	age := fire.FiredAt.Sub(fire.At)
	window := s.Rule.CatchUpWindow() + s.Rule.Jitter
	switch {
	case err != nil:
		refuse(job.FireRefused, "The owner of the job config is gone")
	case !owner.Active:
		refuse(job.FireRefused, "The owner of the job config, %s, is not active", owner.Name)
	case !c.Active:
		refuse(job.FireRefused, "Job config %d is not active", c.ID)
	case fire.Kind != job.FireDue:
	case s.Paused:
		refuse(job.FireSkipped, "The schedule is paused")
	case !s.Rule.End.IsZero() && fire.At.After(s.Rule.End):
		refuse(job.FireRefused, "The schedule has ended")
	case s.Rule.Overlap == job.OverlapQueueOne && age > window:
		if missed, err := f.wasMissed(ctx, *fire); err != nil {
			return c, owner, err
		} else if missed {
			refuse(job.FireMissed, "Taken up more than %s late", window)
		}
	case s.Rule.Overlap != job.OverlapQueueOne && age > window:
		refuse(job.FireMissed, "Taken up more than %s late", window)
	case newerFollows(s.Rule) && age > late+s.Rule.Jitter && newerDue(times, *fire):
		refuse(job.FireMissed, "A newer fire is due and made in its place")
	}
	return c, owner, nil
}

// newerFollows tells whether each time of the schedule brings a workflow of its own, so that a missed fire may leave it to a newer one. With
// the other overlaps the engine has let the newer ones go already.
func newerFollows(r job.ScheduleRule) bool {
	return r.Overlap == "" || r.Overlap == job.OverlapAllow || r.Overlap == job.OverlapCancelOther
}

func newerDue(times schedule.Times, fire job.Fire) bool {
	next := times.Next(fire.At)
	return !next.IsZero() && !next.After(fire.FiredAt)
}

// wasMissed tells, for a fire of a schedule whose fires wait for each other, whether it is late because nobody took it up, and not
// because the job before it was at work: such a job was made before the fire came due, and ended after it.
func (f *Fires) wasMissed(ctx context.Context, fire job.Fire) (bool, error) {
	list, err := f.Store.Fires(ctx, fire.AccountID, fire.ConfigID, job.KeptFires)
	if err != nil {
		return false, err
	}
	for _, earlier := range list {
		if earlier.Outcome != job.FireStarted || earlier.FiredAt.After(fire.At) {
			continue
		}
		j, err := f.Jobs.Reader.Job(ctx, fire.AccountID, earlier.JobID)
		if job.CodeOf(err) == job.NotFound {
			return true, nil
		}
		return err == nil && j.Status.Final() && j.FinishedAt.Before(fire.At), err
	}
	return true, nil
}

// submit makes the job of a claimed fire, and has the schedule's webhook called.
func (f *Fires) submit(ctx context.Context, s job.Schedule, c job.Config, owner job.User, fire job.Fire) (contract.Fired, error) {
	var (
		out = contract.Fired{At: fire.At}
		j   job.Job
		err error
	)
	switch fire.Outcome {
	case job.FirePending:
		if fire, j, err = f.makeJob(ctx, s, c, owner, fire); err != nil {
			return out, err
		}
	case job.FireStarted: // this call is a repeat
		j, err = f.Jobs.Reader.Job(ctx, s.AccountID, fire.JobID)
		if job.CodeOf(err) == job.NotFound { // retention has deleted it, and what was told of it
			out.Outcome, out.JobID = string(fire.Outcome), fire.JobID
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
	if err := f.tell(ctx, s, fire); err != nil {
		return out, err
	}
	out.Outcome, out.JobID, out.Message = string(fire.Outcome), fire.JobID, fire.Message
	if fire.JobID == "" || j.Status.Final() {
		return out, nil
	}
	input, err := f.Jobs.InputFor(ctx, j)
	out.Job = &input
	return out, err
}

// makeJob makes the job of a fire and notes what came of it.
func (f *Fires) makeJob(ctx context.Context, s job.Schedule, c job.Config, owner job.User, fire job.Fire) (job.Fire, job.Job, error) {
	actor := job.Actor{AccountID: s.AccountID, User: owner.Ref(), Admin: owner.Admin}
	made, err := f.Jobs.SubmitHeld(ctx, actor, c, s.Rule.Name, fire.At)
	switch code := job.CodeOf(err); {
	case err == nil && made.Skipped:
		fire.Outcome, fire.Message = job.FireSkipped, fmt.Sprintf("Job %s holds the config's place", made.Job.ID)
	case err == nil:
		fire.Outcome, fire.JobID = job.FireStarted, made.Job.ID
	case code == job.Invalid || code == job.NotFound || code == job.Conflict || code == job.Forbidden || code == job.TooLarge:
		fire.Outcome, fire.Message = job.FireRefused, messageOf(err)
	default:
		return fire, job.Job{}, err
	}
	return fire, made.Job, f.Store.EndFire(ctx, fire)
}

func messageOf(err error) string {
	if known, ok := err.(*job.Error); ok { //nolint:errorlint // what is shown is the outermost message
		return known.Message
	}
	return "Internal error"
}
