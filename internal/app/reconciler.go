package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/activities"
	"waybill/internal/control"
	"waybill/internal/secret"
	"waybill/workflows/starter"
)

// loopBeat is the pause between signs of life of the reconciler's loop, well within the silence after which it is given to
// another process.
const loopBeat = 1500 * time.Millisecond

// newReconciler makes the reconciler with all its duties: every process can run its loop, whatever else it does, so no process adds one.
func (p *parts) newReconciler(box secret.Box, start *starter.Starter) *control.Reconciler {
	lanes := &control.LaneKeeper{Store: p.store, Engine: start, Log: p.log}
	usher := &control.Usher{Jobs: p.store, Engine: start, Now: p.now, Log: p.log}
	cancels := &control.CancelCourier{Backlog: p.store, Starter: start, Now: p.now, Log: p.log}
	workers := &control.Workers{Registry: p.store, Now: p.now}
	configs, _ := p.newJobs(box, start)
	duties := append(p.deliverer(start).Duties(), lanes.Duty(), usher.Duty(), cancels.Duty(), p.retentionDuty(), p.orphanDuty(start))
	duties = append(duties, p.newSchedules(configs, box).Duties()...)
	return &control.Reconciler{
		Backlog: p.store, Settlement: p.settlement(), Writer: p.store, Users: p.store, Starter: start,
		Bell: p.bell, Limits: p.limits(), Now: p.now, Log: p.log, Lanes: start, Open: starter.NewOpen(p.temporal),
		Duties: append(duties, control.PurgeEvents(p.store, p.settings.EventRetention, p.now), workers.PurgeDuty(),
			control.PurgeAudit(p.store, p.settings.Audit.Retention, p.now), control.FoldCounts(p.store), control.CancelInVain(p.store, p.now)),
	}
}

// keepReconciler sees to it that the reconciler's workflow is there.
func (p *parts) keepReconciler() {
	keeper := control.ReconcilerKeeper{
		Engine: starter.New(p.temporal, starter.Config{}), Alone: p.ownEngine, Seen: observeSilence(p.metrics, p.now), Log: p.log,
	}
	p.background("keeper of the reconciler", keeper.Run)
}

// loopOf is the loop as an activity, with its metrics. The names are part of the interface (docs/metrics.md).
func (p *parts) loopOf(r *control.Reconciler) activities.Loop {
	held := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "waybill_reconciler_held", Help: "1 while this process has the reconciler's loop.",
	})
	passes := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "waybill_reconciler_pass_seconds", Help: "Passes of the reconciler's loop in this process.",
		Buckets: []float64{0.01, 0.05, 0.25, 1, 5, 30, 120},
	})
	faults := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "waybill_reconciler_faults_total", Help: "What the reconciler could not do and tries again.",
	})
	p.metrics.MustRegister(held, passes, faults)
	return activities.Loop{
		Reconciler: r,
		Told: func(pass control.Pass) {
			passes.Observe(pass.Took.Seconds())
			faults.Add(float64(pass.Faults))
		},
		Held: func(mine bool) {
			if mine {
				p.log.InfoContext(context.Background(), "this process has the reconciler's loop")
				held.Set(1)
				return
			}
			held.Set(0)
		},
	}
}

// observeSilence shows, in every process, how long the one that has the loop has not given a sign of life.
func observeSilence(registry prometheus.Registerer, now control.Clock) func(control.ReconcilerState) {
	var last atomic.Int64 // Unix nanoseconds
	last.Store(now().UnixNano())
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "waybill_reconciler_silence_seconds",
		Help: "Time since the process that has the reconciler's loop, whichever it is, gave a sign of life that this one saw.",
	}, func() float64 { return max(now().Sub(time.Unix(0, last.Load())).Seconds(), 0) })) // the engine's clock may be ahead
	return func(s control.ReconcilerState) {
		if !s.Beat.IsZero() {
			last.Store(s.Beat.UnixNano())
		}
	}
}
