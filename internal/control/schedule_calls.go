package control

import (
	"context"
	"slices"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// nextOf is the next time at which a schedule makes a job, as far as it alone decides.
func nextOf(s job.Schedule, times schedule.Times, now time.Time, n int) []time.Time {
	if s.Paused || s.Exhausted() {
		return nil
	}
	if left := s.Rule.MaxRuns - s.Runs; s.Rule.MaxRuns > 0 && int64(n) > left {
		n = int(left)
	}
	after := now
	if first := s.Rule.Start.Add(-time.Second); !s.Rule.Start.IsZero() && first.After(after) {
		after = first
	}
	return times.List(after, s.Rule.End, n)
}

// Run makes the schedule fire now, by its own overlap.
func (s *Schedules) Run(ctx context.Context, a job.Actor, ref string) error {
	v, err := s.forStart(ctx, a, ref)
	if err != nil {
		return err
	}
	return s.engage(ctx, v.Schedule, func() error { return s.Engine.FireNow(ctx, v.ConfigID) })
}

// engage asks the engine for something. When it does not have the schedule, because its files were lost or the schedule was made while it
// was away, it is told of it first.
func (s *Schedules) engage(ctx context.Context, sch job.Schedule, ask func() error) error {
	err := ask()
	if job.CodeOf(err) != job.NotFound {
		return err
	}
	c, err := s.Configs.Reader.Config(ctx, sch.AccountID, sch.ConfigID)
	if err == nil {
		err = s.tell(ctx, c, sch)
	}
	if err == nil {
		err = ask()
	}
	return err
}

// maxBackfill is how many fires one backfill may make.
const maxBackfill = 1000

// Backfill makes the schedule fire for every time it names between from and to.
func (s *Schedules) Backfill(ctx context.Context, a job.Actor, ref string, from, to time.Time, overlap job.Overlap) (int, error) {
	v, err := s.forStart(ctx, a, ref)
	if err != nil {
		return 0, err
	}
	now := s.Now().UTC()
	switch {
	case from.IsZero() || to.IsZero():
		return 0, job.Errorf(job.Invalid, job.WordMissingField, "from and to are required")
	case to.Before(from) || to.After(now):
		return 0, invalidField("from is not after to, and to is not in the future")
	case !validOverlap(overlap):
		return 0, invalidField("overlap is allow, skip, queue_one or cancel_other")
	}
	if overlap == "" {
		overlap = v.Rule.Overlap
	}
	from, to = from.UTC().Truncate(time.Second), to.UTC().Truncate(time.Second)
	due := len(v.Times.List(from.Add(-time.Second), to, maxBackfill+1))
	if due > maxBackfill {
		return 0, invalidField("from and to hold more than %d fires", maxBackfill)
	}
	if due == 0 {
		return 0, nil
	}
	v, err = s.change(ctx, a, ref, job.Execute, func(sch *job.Schedule) (bool, error) {
		sch.Backfills = append(sch.Backfills, job.Backfill{From: from, To: to})
		if over := len(sch.Backfills) - job.MaxBackfills; over > 0 {
			sch.Backfills = slices.Delete(sch.Backfills, 0, over)
		}
		return false, nil
	})
	if err != nil {
		return 0, err
	}
	return due, s.engage(ctx, v.Schedule, func() error { return s.Engine.Backfill(ctx, v.ConfigID, from, to, overlap) })
}

// NextTimes lists the times at which the schedule will fire.
func (s *Schedules) NextTimes(ctx context.Context, a job.Actor, ref string, n int) ([]time.Time, error) {
	v, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	return nextOf(v.Schedule, v.Times, s.Now(), n), nil
}

// LastFires lists what came of the last fires, newest first.
func (s *Schedules) LastFires(ctx context.Context, a job.Actor, ref string, n int) ([]job.Fire, error) {
	v, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	return s.Fires.Fires(ctx, a.AccountID, v.ConfigID, n)
}
