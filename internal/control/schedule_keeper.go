package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// Pace of the keeper of schedules.
const (
	syncsAtOnce    = 100
	compareEvery   = time.Minute
	compareAtOnce  = 500
	comparedBefore = 10 * time.Second // schedules changed more recently are left to those who are at work on them
)

// Duties are what the reconciler does for schedules: it tells the engine of changes that it has not been told of, and from time to time, and
// whenever the engine comes back, compares what both have. The table is the truth: a schedule the engine lost is made again, one
// that no config has is removed, one that an operator paused or resumed over there is paused or resumed here.
func (s *Schedules) Duties() []Duty {
	return []Duty{
		{Name: "telling of schedules", Every: tick, Engine: true, Do: s.tellAll},
		{Name: "comparing of schedules", Every: compareEvery, Engine: true, Do: s.compare},
	}
}

func (s *Schedules) tellAll(ctx context.Context, back bool) error {
	if back {
		s.toldLast = 0
	}
	list, err := s.Backlog.Unsynced(ctx, s.toldLast, syncsAtOnce)
	if err != nil {
		return err
	}
	for _, sch := range list {
		c, err := s.Configs.Reader.Config(ctx, sch.AccountID, sch.ConfigID)
		if err == nil {
			err = s.tell(ctx, c, sch)
		}
		if outage(err) != nil {
			return err
		}
		if err != nil { // of this schedule alone; those behind it must not wait for it
			s.Log.WarnContext(ctx, "the engine does not take a schedule", "config", sch.ConfigID, "error", err)
		}
		s.toldLast = sch.ConfigID
	}
	if len(list) < syncsAtOnce {
		s.toldLast = 0
	}
	return nil
}

func (s *Schedules) compare(ctx context.Context, _ bool) error {
	have, err := s.Engine.EngineSchedules(ctx)
	if err != nil {
		return err
	}
	there := make(map[int64]EngineScheduleState, len(have))
	for _, e := range have {
		there[e.ConfigID] = e
	}
	var after int64
	for {
		rows, err := s.Backlog.AllSchedules(ctx, after, compareAtOnce)
		if err != nil {
			return err
		}
		for _, sch := range rows {
			e, found := there[sch.ConfigID]
			delete(there, sch.ConfigID)
			if err := s.mendSchedule(ctx, sch, e, found); err != nil {
				return err
			}
			after = sch.ConfigID
		}
		if len(rows) < compareAtOnce {
			break
		}
	}
	return s.removeOrphans(ctx, there)
}

func (s *Schedules) mendSchedule(ctx context.Context, sch job.Schedule, e EngineScheduleState, found bool) error {
	switch {
	case sch.Version != sch.Synced: // it will be told anyway
		return nil
	case !found:
		return s.Backlog.MarkUnsynced(ctx, sch.ConfigID)
	case e.Paused == (sch.Paused || sch.Exhausted()) || s.Now().Sub(sch.ModifiedAt) < comparedBefore:
		return nil
	case sch.Exhausted():
		return s.Backlog.MarkUnsynced(ctx, sch.ConfigID) // there are no runs left to resume
	}
	sch.Paused, sch.Note, sch.ModifiedAt = e.Paused, e.Note, s.stamp()
	_, err := s.Store.UpdateSchedule(ctx, sch, false)
	if err == nil {
		s.Log.InfoContext(ctx, "a schedule was paused or resumed in the engine", "config", sch.ConfigID, "paused", e.Paused)
	}
	if code := job.CodeOf(err); code == job.Conflict || code == job.NotFound {
		return nil // a user was at it, too
	}
	return err
}

// removeOrphans removes what the engine has and no config. A schedule that was made since the rows were read is put back by its being told
// anew.
func (s *Schedules) removeOrphans(ctx context.Context, orphans map[int64]EngineScheduleState) error {
	ids := make([]int64, 0, len(orphans))
	for id := range orphans {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		rows, err := s.Backlog.AllSchedules(ctx, id-1, 1)
		if err != nil {
			return err
		}
		if len(rows) > 0 && rows[0].ConfigID == id {
			continue // made since
		}
		if err := s.Engine.DeleteSchedule(ctx, id); err != nil {
			return err
		}
		if err := s.Backlog.MarkUnsynced(ctx, id); err != nil {
			return err
		}
		s.Log.InfoContext(ctx, "removed a schedule from the engine that no job config has", "config", id)
	}
	return nil
}

func engineSchedule(c job.Config, sch job.Schedule, times schedule.Times) EngineSchedule {
	r := sch.Rule
	e := EngineSchedule{
		ConfigID: sch.ConfigID, AccountID: sch.AccountID, ConfigName: c.Name, Plan: times.Plan(), Overlap: r.Overlap, CatchUp: r.CatchUpWindow(),
		Jitter: r.Jitter, Start: r.Start, End: r.End, Paused: sch.Paused, Note: sch.Note,
	}
	if e.Summary = r.Interval; r.Kind == job.CronSchedule {
		e.Summary = strings.TrimSpace(r.Cron + " " + r.Zone)
	}
	if !sch.Paused && sch.Exhausted() {
		e.Paused, e.Note = true, exhaustedNote
	}
	return e
}

// exhaustedNote is the engine's note on a schedule that has made all its runs.
const exhaustedNote = "All runs of the schedule have been made"
