package control

import (
	"context"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// ScheduleStore keeps schedules.
type ScheduleStore interface {
	// Schedule finds the one of a config. NotFound when it has none.
	Schedule(ctx context.Context, account, config int64) (job.Schedule, error)
	// SchedulesOf finds those of configs, in no order; configs without one are left out.
	SchedulesOf(ctx context.Context, account int64, configs []int64) ([]job.Schedule, error)
	// CreateSchedule stores s as version 1. A config that has one is Conflict, WordScheduleExists.
	CreateSchedule(ctx context.Context, s job.Schedule) (job.Schedule, error)
	// UpdateSchedule stores Rule, Paused, Note, Backfills and ModifiedAt as the next version, if the stored one is still
	// s.Version; otherwise Conflict, WordStale. Runs starts again from 0 when reset is set.
	UpdateSchedule(ctx context.Context, s job.Schedule, reset bool) (job.Schedule, error)
	// DeleteSchedule deletes the one of a config and what is known of its fires. NotFound when it has none.
	DeleteSchedule(ctx context.Context, account, config int64) error
}

// FireStore remembers what came of fires.
type FireStore interface {
	// ClaimFire notes a fire once: a second call for the same time gives the first one back, unless that made no job and f, which
	// began later, was asked for. With FirePending as its outcome it
	// is counted as a run; it becomes FireRefused when all runs are used up, and FireMissed when alone is set and a fire that was
	// due or missed was taken up after f.At. NotFound when the schedule is gone.
	ClaimFire(ctx context.Context, f job.Fire, alone bool) (job.Fire, error)
	// EndFire stores what came of a pending fire; one that made no job is no run. Another outcome stays as it is.
	EndFire(ctx context.Context, f job.Fire) error
	// Fires lists the last ones, newest first, at most KeptFires.
	Fires(ctx context.Context, account, config int64, limit int) ([]job.Fire, error)
}

// ScheduleBacklog is what the schedule keeper looks after: it spans accounts.
type ScheduleBacklog interface {
	// Unsynced lists schedules of which the engine does not know the newest version, of configs after the given one, in their order.
	Unsynced(ctx context.Context, after int64, limit int) ([]job.Schedule, error)
	// MarkSynced notes that the engine has been told of a version.
	MarkSynced(ctx context.Context, config, version int64) error
	// MarkUnsynced has the engine told anew. A config without a schedule is not an error.
	MarkUnsynced(ctx context.Context, config int64) error
	// AllSchedules lists those of configs after the given one, in their order.
	AllSchedules(ctx context.Context, after int64, limit int) ([]job.Schedule, error)
}

// EngineSchedule is a schedule as the engine is told of it.
type EngineSchedule struct {
	ConfigID, AccountID int64
	ConfigName          string
	Plan                schedule.Plan
	Overlap             job.Overlap
	CatchUp, Jitter     time.Duration
	Start, End          time.Time
	Paused              bool
	Note                string
	Summary             string // what people read in the engine's own pages
}

// EngineScheduleState is what the engine says of one.
type EngineScheduleState struct {
	ConfigID int64
	Paused   bool
	Note     string
}

// ScheduleEngine is the engine's schedules; workflows/starter has the real ones. Unavailable when it can not be reached.
type ScheduleEngine interface {
	// PutSchedule makes the engine's schedule be s, whether it was there or not.
	PutSchedule(ctx context.Context, s EngineSchedule) error
	// DeleteSchedule removes it. One that is not there is not an error.
	DeleteSchedule(ctx context.Context, config int64) error
	// FireNow makes it fire. NotFound when the engine does not have it.
	FireNow(ctx context.Context, config int64) error
	// Backfill makes it fire for every time between from and to, both included. NotFound when the engine does not have it.
	Backfill(ctx context.Context, config int64, from, to time.Time, overlap job.Overlap) error
	// EngineSchedules lists all of them. The list may lag a little.
	EngineSchedules(ctx context.Context) ([]EngineScheduleState, error)
}
