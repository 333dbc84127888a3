package controltest

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/secret"
)

// ScheduleEngine is a control.ScheduleEngine in memory, as an operator sees it.
type ScheduleEngine struct {
	mu        sync.Mutex
	down      bool
	have      map[int64]control.EngineSchedule
	fired     []int64
	backfills []job.Backfill
}

func (w *World) schedules(store Store, box secret.Box) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.ScheduleEngine = &ScheduleEngine{have: map[int64]control.EngineSchedule{}}
	w.Schedules = &control.Schedules{
		Configs: w.Configs, Store: store, Fires: store, Backlog: store, Engine: w.ScheduleEngine, Webhooks: w.Deliveries, Sealer: box, Now: w.Now, Log: log,
	}
	w.Configs.Forget = w.Schedules.Forget
	w.Fires = &control.Fires{Schedules: store, Store: store, Configs: store, Users: store, Jobs: w.Jobs, Webhooks: w.Deliveries, Now: w.Now}
}

// SetDown makes the engine unreachable, or reachable again.
func (e *ScheduleEngine) SetDown(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

// Schedule is what the engine has for a config.
func (e *ScheduleEngine) Schedule(config int64) (control.EngineSchedule, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, ok := e.have[config]
	return s, ok
}

// Operate changes the engine's schedules as an operator would, behind our back.
func (e *ScheduleEngine) Operate(f func(have map[int64]control.EngineSchedule)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e.have)
}

// Fired lists the configs whose schedules were asked to fire, and Backfills the stretches.
func (e *ScheduleEngine) Fired() ([]int64, []job.Backfill) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.fired), slices.Clone(e.backfills)
}

func (e *ScheduleEngine) do(f func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "The engine can not be reached")
	}
	return f()
}

func (e *ScheduleEngine) known(config int64, f func()) error {
	return e.do(func() error {
		if _, ok := e.have[config]; !ok {
			return job.Errorf(job.NotFound, job.WordNotFound, "no such schedule")
		}
		f()
		return nil
	})
}

// PutSchedule is control.ScheduleEngine's.
func (e *ScheduleEngine) PutSchedule(_ context.Context, s control.EngineSchedule) error {
	return e.do(func() error { e.have[s.ConfigID] = s; return nil })
}

// DeleteSchedule is control.ScheduleEngine's.
func (e *ScheduleEngine) DeleteSchedule(_ context.Context, config int64) error {
	return e.do(func() error { delete(e.have, config); return nil })
}

// FireNow is control.ScheduleEngine's.
func (e *ScheduleEngine) FireNow(_ context.Context, config int64) error {
	return e.known(config, func() { e.fired = append(e.fired, config) })
}

// Backfill is control.ScheduleEngine's.
func (e *ScheduleEngine) Backfill(_ context.Context, config int64, from, to time.Time, _ job.Overlap) error {
	return e.known(config, func() { e.backfills = append(e.backfills, job.Backfill{From: from, To: to}) })
}

// EngineSchedules is control.ScheduleEngine's.
func (e *ScheduleEngine) EngineSchedules(context.Context) (list []control.EngineScheduleState, err error) {
	err = e.do(func() error {
		for id, s := range e.have {
			list = append(list, control.EngineScheduleState{ConfigID: id, Paused: s.Paused, Note: s.Note})
		}
		return nil
	})
	return list, err
}
