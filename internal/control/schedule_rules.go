package control

import (
	"context"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// TimesOf is when a schedule fires. A stored one can be read: it was when it was stored.
func TimesOf(r job.ScheduleRule) (schedule.Times, error) {
	zone, err := schedule.Zone(r.Zone)
	if err != nil {
		return schedule.Times{}, err
	}
	var times schedule.Times
	if r.Kind == job.IntervalSchedule {
		times, err = schedule.Interval(r.Interval, r.Start)
	} else {
		times, err = schedule.Cron(r.Cron, zone)
	}
	if err != nil || r.Calendar == nil {
		return times, err
	}
	return times.Narrowed(*r.Calendar, zone)
}

// maxNote is the length of a note in characters.
const maxNote = 1000

func validOverlap(o job.Overlap) bool {
	switch o {
	case "", job.OverlapAllow, job.OverlapSkip, job.OverlapQueueOne, job.OverlapCancelOther:
		return true
	}
	return false
}

// Limits of a schedule.
const (
	minCatchUp = 10 * time.Second // the engine takes none shorter
	maxCatchUp = 366 * 24 * time.Hour
	maxJitter  = 24 * time.Hour
)

// fill lays the input over a schedule and checks it.
func (s *Schedules) fill(sch *job.Schedule, in ScheduleInput) error {
	r := in.Rule
	switch {
	case !printable(r.Name, maxName):
		return invalidField("name has at most %d characters and no control characters", maxName)
	case len([]rune(r.Description)) > maxDescription || strings.ContainsRune(r.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	case in.Note != nil && !printable(*in.Note, maxNote):
		return invalidField("note has at most %d characters and no control characters", maxNote)
	case !validOverlap(r.Overlap):
		return invalidField("overlap is allow, skip, queue_one or cancel_other")
	case r.CatchUp != 0 && (r.CatchUp < minCatchUp || r.CatchUp > maxCatchUp):
		return invalidField("catchUpWindow is between 10 seconds and a year")
	case r.Jitter < 0 || r.Jitter > maxJitter:
		return invalidField("jitter is between 0 and a day")
	case r.MaxRuns < 0:
		return invalidField("maxRuns is 1 or more, or 0 for no limit")
	case !r.Start.IsZero() && !r.End.IsZero() && r.End.Before(r.Start):
		return invalidField("endDate is not before startDate")
	}
	if fireAlike(sch.Rule, r) { // sent back as it was read: what narrows it is not shown
		r.Calendar = sch.Rule.Calendar
	}
	if err := s.checkTimes(&r); err != nil {
		return err
	}
	if err := s.fillWebhook(&r, sch.Rule.Webhook, in.Headers); err != nil {
		return err
	}
	sch.Rule, sch.Shared = r, 0 // from now on it is the config's own
	if in.Paused != nil {
		sch.Paused = *in.Paused
	}
	if in.Note != nil {
		sch.Note = *in.Note
	}
	return nil
}

// fireAlike tells whether what is asked for has the kind, the pattern or interval, and the zone that are stored.
func fireAlike(stored, asked job.ScheduleRule) bool {
	if asked.Kind == "" && asked.Interval == "" {
		asked.Kind = job.CronSchedule
	} else if asked.Kind == "" {
		asked.Kind = job.IntervalSchedule
	}
	was, err := schedule.Zone(stored.Zone)
	now, bad := schedule.Zone(asked.Zone)
	if err != nil || bad != nil || asked.Kind != stored.Kind || now.String() != was.String() {
		return false
	}
	if asked.Kind == job.IntervalSchedule {
		return asked.Interval == stored.Interval
	}
	return asked.Cron == stored.Cron
}

func (s *Schedules) checkTimes(r *job.ScheduleRule) error {
	if _, err := schedule.Zone(r.Zone); err != nil {
		return err
	}
	if r.Kind == "" && r.Interval == "" {
		r.Kind = job.CronSchedule
	}
	switch r.Kind {
	case job.CronSchedule:
		if r.Cron == "" {
			return job.Errorf(job.Invalid, job.WordMissingField, "cronSchedule is required")
		}
		r.Interval = ""
	case job.IntervalSchedule, "":
		if r.Interval == "" {
			return job.Errorf(job.Invalid, job.WordMissingField, "intervalFrequency is required")
		}
		r.Kind, r.Cron = job.IntervalSchedule, ""
	default:
		return invalidField("type is cron or interval")
	}
	r.Start, r.End = r.Start.UTC().Truncate(time.Second), r.End.UTC().Truncate(time.Second)
	times, err := TimesOf(*r)
	if err != nil {
		return err
	}
	if times.SubMinute() && !s.SubMinute {
		return job.Errorf(job.Invalid, job.WordInvalidCron, "cronSchedule fires more than once a minute")
	}
	if r.Kind == job.CronSchedule && times.Next(s.Now()).IsZero() {
		return job.Errorf(job.Invalid, job.WordInvalidCron, "cronSchedule never fires")
	}
	return nil
}

// CheckCron tells whether a pattern may be a schedule in UTC.
func (s *Schedules) CheckCron(cron string) error {
	r := job.ScheduleRule{Kind: job.CronSchedule, Cron: cron}
	return s.checkTimes(&r)
}

// MaySetCron tells beforehand what SetCron would refuse for want of a right, so that a request that does more does nothing of it.
func (s *Schedules) MaySetCron(ctx context.Context, a job.Actor, ref, cron string) error {
	if cron == "" {
		return nil
	}
	v, err := s.viewFor(ctx, a, ref, job.Edit)
	if err == nil && v.Rule.Kind == job.CronSchedule && v.Rule.Cron == cron {
		return nil
	}
	if err != nil && job.CodeOf(err) != job.NotFound {
		return err
	}
	return s.mayFire(ctx, a, ref)
}

// SetCron gives a config a schedule in UTC by its pattern alone, or changes the pattern of the one it has; "" takes it away. A pattern that
// is the schedule's already changes nothing, so that a client may send back what it read.
func (s *Schedules) SetCron(ctx context.Context, a job.Actor, ref, cron string) error {
	v, err := s.viewFor(ctx, a, ref, job.Edit)
	switch {
	case job.CodeOf(err) == job.NotFound && cron == "":
		return nil
	case job.CodeOf(err) == job.NotFound:
		_, err = s.Create(ctx, a, ref, ScheduleInput{Rule: job.ScheduleRule{Kind: job.CronSchedule, Cron: cron}})
		return err
	case err != nil:
		return err
	case cron == "":
		return s.Delete(ctx, a, ref)
	case v.Rule.Kind == job.CronSchedule && v.Rule.Cron == cron:
		return nil
	}
	if err := s.mayFire(ctx, a, ref); err != nil {
		return err
	}
	_, err = s.change(ctx, a, ref, job.Edit, func(sch *job.Schedule) (bool, error) {
		r := sch.Rule
		r.Kind, r.Cron, r.Interval, r.Zone, r.Calendar = job.CronSchedule, cron, "", "", nil
		sch.Shared = 0
		err := s.checkTimes(&r)
		sch.Rule = r
		return false, err
	})
	return err
}
