package control

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/macro"
)

// LaneStore moves jobs through lanes. The table is the truth: a job holds a place from the moment it is submitted at a free
// one, or admitted, until it is final; one that is Queued with ReasonSequenced waits.
type LaneStore interface {
	// AdvanceLane admits jobs that wait, in their order, while the lane has free places, and tells how it stands then. What
	// it costs does not grow with the number of jobs that wait. Idempotent.
	AdvanceLane(ctx context.Context, l job.LaneRef, at time.Time) (job.LaneState, error)
	// LaneMoves tells whether jobs wait in the lane while it has a free place.
	LaneMoves(ctx context.Context, l job.LaneRef) (bool, error)
	// LanesWaiting lists lanes in which jobs wait, of all accounts, in their order after the one given.
	LanesWaiting(ctx context.Context, after job.LaneRef, limit int) ([]job.Lane, error)
	// PurgeLanes forgets lanes that no unfinished job goes through, at most limit of them.
	PurgeLanes(ctx context.Context, limit int) (int, error)
}

// LaneEngine is the workflows of lanes; workflows/starter has the real ones.
type LaneEngine interface {
	// EnsureLane starts the lane's workflow unless it runs. One that runs is left alone.
	EnsureLane(ctx context.Context, l job.LaneRef) error
	// PokeLane makes the lane's workflow look at once, and starts it if it does not run.
	PokeLane(ctx context.Context, l job.LaneRef) error
}

// Limits of a lane.
const (
	maxPlaces  = 1000 // jobs of one key at once
	maxKeyText = 1000 // bytes of a key before its macros are resolved
	maxLaneKey = 200  // bytes of a key afterwards: the engine's search attributes have 255
)

// checkRules checks what a config asks of the engine beyond one attempt.
func checkRules(r job.Rules) error {
	switch {
	case r.QueueTimeout < 0 || r.QueueTimeout > maxTimeout:
		return invalidField("queueTimeout is between 0 and %d minutes", int(maxTimeout.Minutes()))
	case r.TotalTimeout < 0 || r.TotalTimeout > maxTimeout:
		return invalidField("totalTimeout is between 0 and %d minutes", int(maxTimeout.Minutes()))
	}
	if err := CheckResources(r.Resources); err != nil {
		return err
	}
	return checkConcurrency(r)
}

func checkConcurrency(r job.Rules) error {
	c := r.Concurrency
	switch {
	case c == job.Concurrency{}:
		return nil
	case r.Blocking:
		return invalidField("blocking and concurrency exclude each other: blocking is {limit 1, onLimit queue}")
	case c.Limit < 1 || c.Limit > maxPlaces:
		return invalidField("concurrency.limit is between 1 and %d", maxPlaces)
	case len(c.Key) > maxKeyText || !printable(c.Key, maxKeyText):
		return invalidField("concurrency.key has at most %d bytes and no control characters", maxKeyText)
	case c.OnLimit != "" && c.OnLimit != job.OnLimitQueue && c.OnLimit != job.OnLimitSkip && c.OnLimit != job.OnLimitFail:
		return invalidField("concurrency.onLimit is queue, skip or fail")
	}
	return nil
}

// concurrencyOf is the limit a start of the config goes by. ordered makes it a place in a queue for this one job.
func concurrencyOf(r job.Rules, ordered bool) job.Concurrency {
	c := r.Concurrency
	if r.Blocking {
		c = job.Concurrency{Limit: 1, OnLimit: job.OnLimitQueue}
	}
	if ordered {
		c.Limit, c.OnLimit = max(c.Limit, 1), job.OnLimitQueue
	}
	if c.Limit > 0 && c.OnLimit == "" {
		c.OnLimit = job.OnLimitQueue
	}
	return c
}

// laneKey stands for the key among the macros it is resolved with; no macro of a user can be called so.
const laneKey = "(concurrency.key)"

// laneOf names the lane of a job with the spec, "" for none. The key is taken apart with the job's own macros; a secure one
// in it would be shown with the lane's name, so it is refused, and so is one that is not set: jobs that have nothing to do
// with each other would share its lane.
func laneOf(config int64, spec job.Spec) (string, error) {
	c := spec.Concurrency
	if c.Limit == 0 || c.Key == "" {
		if c.Limit == 0 {
			return "", nil
		}
		return job.LaneOf(config, ""), nil
	}
	macros := append(append([]job.Macro(nil), spec.Macros...), job.Macro{Key: laneKey, Value: c.Key})
	resolved, err := macro.Resolve(macros, nil, func(string) (string, error) { return "", nil })
	if err != nil {
		return "", err
	}
	key := resolved[len(resolved)-1]
	_, rest, open := strings.Cut(key.Value, "$(")
	switch {
	case key.Secret:
		return "", invalidField("concurrency.key must not use a secure macro")
	case open && strings.Contains(rest, ")"):
		return "", invalidField("concurrency.key uses a macro that is not set: '%s'", short(key.Value))
	case key.Value == "" || len(key.Value) > maxLaneKey || !printable(key.Value, maxLaneKey):
		return "", invalidField("concurrency.key, with its macros resolved, has 1 to %d bytes and no control characters", maxLaneKey)
	}
	return job.LaneOf(config, key.Value), nil
}

// ref is the lane of a job that has one.
func laneRef(j job.Job) job.LaneRef { return job.LaneRef{AccountID: j.AccountID, Lane: j.Lane} }

// LaneKeeper sees to it that lanes move: that each in which jobs wait has its workflow, whatever became of it, and that
// one with a free place is poked, whatever became of the poke that was due.
type LaneKeeper struct {
	Store  LaneStore
	Engine LaneEngine
	Log    *slog.Logger

	after job.LaneRef
	runs  int
}

// Pace of the keeper.
const (
	lanesEvery    = 5 * time.Second
	lanesAtOnce   = 200 // looked after in one run; the next run goes on behind them
	lanePurgeRuns = 120 // runs between two purges
	lanePurgeSize = 500
)

// Duty is the keeper as a part of the reconciler's loop.
func (k *LaneKeeper) Duty() Duty {
	return Duty{Name: "keeping of lanes", Every: lanesEvery, Engine: true, Do: k.keep}
}

func (k *LaneKeeper) keep(ctx context.Context, back bool) error {
	if back {
		k.after = job.LaneRef{}
	}
	for {
		lanes, err := k.Store.LanesWaiting(ctx, k.after, lanesAtOnce)
		if err != nil {
			return err
		}
		for _, l := range lanes {
			if err := k.tend(ctx, l); err != nil {
				return err
			}
			k.after = l.LaneRef
		}
		if len(lanes) < lanesAtOnce {
			k.after = job.LaneRef{}
			break
		}
		if !back {
			break
		}
	}
	k.runs++
	if k.runs%lanePurgeRuns != 1 {
		return nil
	}
	_, err := k.Store.PurgeLanes(ctx, lanePurgeSize)
	return err
}

func (k *LaneKeeper) tend(ctx context.Context, l job.Lane) error {
	if l.Free {
		return k.Engine.PokeLane(ctx, l.LaneRef)
	}
	return k.Engine.EnsureLane(ctx, l.LaneRef)
}
