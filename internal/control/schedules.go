package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// Schedules is what can be done with the schedule of a job config. The row comes first: a change is stored, and told to the
// engine then or, when that does not answer, by the keeper later.
type Schedules struct {
	Configs  *Configs
	Store    ScheduleStore
	Fires    FireStore
	Backlog  ScheduleBacklog
	Engine   ScheduleEngine
	Webhooks Webhooks
	Sealer   Sealer
	Now      Clock
	Log      *slog.Logger
	// SubMinute lets cron patterns fire more than once a minute.
	SubMinute bool

	toldLast int64 // the config whose schedule the keeper told the engine of last; 0 where its next run begins with the first
}

// ScheduleInput is a whole schedule as a caller gives it.
type ScheduleInput struct {
	Rule    job.ScheduleRule
	Headers map[string]string // of the webhook, in clear; one without a value keeps the stored one
	Paused  *bool             // nil leaves a schedule paused or not, as it is
	Note    *string
}

// ScheduleView is a schedule with what is reckoned from it.
type ScheduleView struct {
	job.Schedule
	Times       schedule.Times
	Next        time.Time // zero: never again, or not while it is paused
	LastFire    job.Fire
	LastCall    *job.Delivery // of the webhook; nil: none was tried
	Unreachable bool          // the engine has not been told of the last change
}

// WarnUnreachable is the warning of a change that the engine has not been told of.
const WarnUnreachable = "engine_unreachable"

func (s *Schedules) view(sch job.Schedule) (ScheduleView, error) {
	v := ScheduleView{Schedule: sch, Unreachable: sch.Synced != sch.Version}
	var err error
	if v.Times, err = TimesOf(sch.Rule); err != nil {
		return v, err
	}
	if next := nextOf(sch, v.Times, s.Now(), 1); len(next) > 0 {
		v.Next = next[0]
	}
	return v, nil
}

// Get finds the schedule of a config.
func (s *Schedules) Get(ctx context.Context, a job.Actor, ref string) (ScheduleView, error) {
	return s.viewFor(ctx, a, ref, job.View)
}

// forStart is Get, for somebody who wants it to fire.
func (s *Schedules) forStart(ctx context.Context, a job.Actor, ref string) (ScheduleView, error) {
	return s.viewFor(ctx, a, ref, job.Execute)
}

func (s *Schedules) viewFor(ctx context.Context, a job.Actor, ref string, v job.Verb) (ScheduleView, error) {
	c, err := s.Configs.For(ctx, a, ref, v)
	if err != nil {
		return ScheduleView{}, err
	}
	sch, err := s.Store.Schedule(ctx, a.AccountID, c.ID)
	if err != nil {
		return ScheduleView{}, err
	}
	view, err := s.look(ctx, sch)
	view.Unreachable = false // it is the answer to a change that warns
	return view, err
}

// look adds to a view what came of the last fire.
func (s *Schedules) look(ctx context.Context, sch job.Schedule) (ScheduleView, error) {
	v, err := s.view(sch)
	if err != nil {
		return v, err
	}
	last, err := s.Fires.Fires(ctx, sch.AccountID, sch.ConfigID, 1)
	if err != nil {
		return v, err
	}
	if len(last) > 0 {
		v.LastFire = last[0]
	}
	v.LastCall, err = s.lastCall(ctx, sch)
	return v, err
}

// mayFire holds that who has a schedule fire may start jobs, with what they showed: a schedule starts them.
func (s *Schedules) mayFire(ctx context.Context, a job.Actor, ref string) error {
	if _, err := s.Configs.For(ctx, a, ref, job.Execute); err != nil {
		return err
	}
	return keyMayRun(a)
}

func keyMayRun(a job.Actor) error {
	if a.Key.Allows(job.ScopeRun) {
		return nil
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "The API key has not the scope %s, which schedules that start jobs need as well", job.ScopeRun)
}

// Create gives a config its schedule.
func (s *Schedules) Create(ctx context.Context, a job.Actor, ref string, in ScheduleInput) (ScheduleView, error) {
	c, err := s.Configs.For(ctx, a, ref, job.Edit)
	if err == nil {
		err = s.mayFire(ctx, a, ref)
	}
	if err != nil {
		return ScheduleView{}, err
	}
	if _, err := s.Store.Schedule(ctx, a.AccountID, c.ID); err == nil {
		return ScheduleView{}, job.Errorf(job.Conflict, job.WordScheduleExists, "Job config %d already has a schedule", c.ID)
	} else if job.CodeOf(err) != job.NotFound {
		return ScheduleView{}, err
	}
	now := s.stamp()
	sch := job.Schedule{ConfigID: c.ID, AccountID: a.AccountID, CreatedAt: now, ModifiedAt: now}
	if err := s.fill(&sch, in); err != nil {
		return ScheduleView{}, err
	}
	TrailOf(ctx).About("schedule", decimal(c.ID))
	TrailOf(ctx).Changed(scheduleChanges(job.Schedule{}, sch))
	if sch, err = s.Store.CreateSchedule(ctx, sch); err != nil {
		return ScheduleView{}, err
	}
	return s.told(ctx, c, sch)
}

// Replace sets all of a schedule.
func (s *Schedules) Replace(ctx context.Context, a job.Actor, ref string, in ScheduleInput) (ScheduleView, error) {
	if err := s.mayFire(ctx, a, ref); err != nil {
		return ScheduleView{}, err
	}
	return s.change(ctx, a, ref, job.Edit, func(sch *job.Schedule) (bool, error) {
		limit := sch.Rule.MaxRuns
		err := s.fill(sch, in)
		// A new limit is counted from now on; the same one goes on being counted.
		return limit != sch.Rule.MaxRuns, err
	})
}

// Pause keeps a schedule from firing until Resume.
func (s *Schedules) Pause(ctx context.Context, a job.Actor, ref, note string) (ScheduleView, error) {
	return s.setPaused(ctx, a, ref, true, note)
}

// Resume lets a paused schedule fire again. What came due meanwhile is not made up for.
func (s *Schedules) Resume(ctx context.Context, a job.Actor, ref, note string) (ScheduleView, error) {
	return s.setPaused(ctx, a, ref, false, note)
}

func (s *Schedules) setPaused(ctx context.Context, a job.Actor, ref string, paused bool, note string) (ScheduleView, error) {
	if !printable(note, maxNote) {
		return ScheduleView{}, invalidField("note has at most %d characters and no control characters", maxNote)
	}
	if !paused {
		if err := s.mayFire(ctx, a, ref); err != nil {
			return ScheduleView{}, err
		}
	}
	return s.change(ctx, a, ref, job.Edit, func(sch *job.Schedule) (bool, error) {
		sch.Paused, sch.Note = paused, note
		return false, nil
	})
}

// change edits the stored schedule, again when somebody else was faster, and tells the engine.
func (s *Schedules) change(ctx context.Context, a job.Actor, ref string, v job.Verb, edit func(*job.Schedule) (reset bool, err error)) (ScheduleView, error) {
	c, err := s.Configs.For(ctx, a, ref, v)
	if err != nil {
		return ScheduleView{}, err
	}
	const tries = 5
	for try := 1; ; try++ {
		sch, err := s.Store.Schedule(ctx, a.AccountID, c.ID)
		if err != nil {
			return ScheduleView{}, err
		}
		before := sch
		reset, err := edit(&sch)
		if err != nil {
			return ScheduleView{}, err
		}
		sch.ModifiedAt = s.stamp()
		TrailOf(ctx).About("schedule", decimal(c.ID))
		TrailOf(ctx).Changed(scheduleChanges(before, sch))
		sch, err = s.Store.UpdateSchedule(ctx, sch, reset)
		if err == nil {
			return s.told(ctx, c, sch)
		}
		if job.WordOf(err) != job.WordStale || try == tries {
			return ScheduleView{}, err
		}
	}
}

// Delete takes a config's schedule away. Jobs it made stay.
func (s *Schedules) Delete(ctx context.Context, a job.Actor, ref string) error {
	c, err := s.Configs.For(ctx, a, ref, job.Edit)
	if err != nil {
		return err
	}
	TrailOf(ctx).About("schedule", decimal(c.ID))
	if err := s.Store.DeleteSchedule(ctx, a.AccountID, c.ID); err != nil {
		return err
	}
	s.Forget(ctx, []int64{c.ID})
	return nil
}

// Forget tells the engine of configs that have no schedule any more. What it can not be told now the keeper finds.
func (s *Schedules) Forget(ctx context.Context, configs []int64) {
	for _, id := range configs {
		if err := s.Engine.DeleteSchedule(context.WithoutCancel(ctx), id); err != nil {
			s.Log.WarnContext(ctx, "the engine still has the schedule of a job config that has none", "config", id, "error", err)
			return
		}
	}
}

// NextOf tells, for those of the configs that have a schedule which fires again, when.
func (s *Schedules) NextOf(ctx context.Context, account int64, configs []int64) (map[int64]ScheduleView, error) {
	list, err := s.Store.SchedulesOf(ctx, account, configs)
	if err != nil {
		return nil, err
	}
	views := make(map[int64]ScheduleView, len(list))
	for _, sch := range list {
		v, err := s.view(sch)
		if err != nil {
			return nil, err
		}
		views[sch.ConfigID] = v
	}
	return views, nil
}

// told tells the engine of a change that is stored.
func (s *Schedules) told(ctx context.Context, c job.Config, sch job.Schedule) (ScheduleView, error) {
	if err := s.tell(ctx, c, sch); err != nil {
		s.Log.WarnContext(ctx, "a schedule is stored but the engine has not been told", "config", c.ID, "error", err)
	} else {
		sch.Synced = sch.Version
	}
	return s.look(ctx, sch)
}

func (s *Schedules) tell(ctx context.Context, c job.Config, sch job.Schedule) error {
	times, err := TimesOf(sch.Rule)
	if err != nil {
		return err
	}
	if err := s.Engine.PutSchedule(ctx, engineSchedule(c, sch, times)); err != nil {
		return err
	}
	return s.Backlog.MarkSynced(context.WithoutCancel(ctx), sch.ConfigID, sch.Version)
}

func (s *Schedules) stamp() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
