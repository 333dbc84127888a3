package app

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waybill/activities"
	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
	"waybill/workflows/starter"
)

// everyCheck is the pause between two looks at the dependencies.
const everyCheck = 15 * time.Second

// Settle counts those that this call ended: a job that was final before keeps its time.
func (o observedSettlement) Settle(ctx context.Context, account int64, id job.ID, fence int64, out job.Outcome) (job.Job, error) {
	j, err := o.Settlement.Settle(ctx, account, id, fence, out)
	if err == nil && j.FinishedAt.Equal(out.At.UTC().Truncate(time.Microsecond)) {
		o.settled.WithLabelValues(string(j.Status), string(j.Reason)).Inc()
	}
	return j, err
}

// settlement is the store's, counted.
func (p *parts) settlement() control.Settlement { return observedSettlement{p.store, p.meters.settled} }

// observedFires counts fires of schedules.
type observedFires struct {
	next activities.Fires
	m    *meters
}

// Take is activities.Fires'.
func (o observedFires) Take(ctx context.Context, in contract.TakeFireInput) (contract.Fired, error) {
	fired, err := o.next.Take(ctx, in)
	if err == nil {
		o.m.fires.WithLabelValues(string(fired.Outcome)).Inc()
	}
	return fired, err
}

// watchDependencies asks the dependencies again and again, so that an outage shows in the metrics of each process it concerns; and
// lets the jobs that have not ended be counted.
func (p *parts) watchDependencies(start *starter.Starter) {
	p.meters.backlog.from(p.store.CountBacklog, p.now)
	check := p.checks(start)
	look := func(ctx context.Context) {
		for _, one := range check(ctx) {
			up := 1.0
			if one.Err != nil {
				up = 0
			}
			if ctx.Err() == nil {
				p.meters.up.WithLabelValues(one.Name).Set(up)
				p.meters.upTime.WithLabelValues(one.Name).SetToCurrentTime()
			}
		}
	}
	p.background("look at the database's clock", p.watchClock)
	p.watchClaim()
	p.background("look at the dependencies", func(ctx context.Context) {
		ticker := time.NewTicker(everyCheck)
		defer ticker.Stop()
		for look(ctx); ; look(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
}

// serveMetrics serves /metrics, /healthz and /readyz of a process that has no REST API, where its settings say so.
func (p *parts) serveMetrics(start *starter.Starter, room *disk, ready func() bool) error {
	if p.settings.Observe.MetricsListen == "" {
		return nil
	}
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	listener, err := listen("--metrics-listen", p.settings.Observe.MetricsListen)
	if err != nil {
		return err
	}
	check := p.checks(start)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { probe(w, http.StatusOK, "up", nil) })
	mux.HandleFunc("GET /readyz", readiness(check, room, ready))
	p.startHTTP(listener, mux, func() {})
	p.log.Info("metrics and probes are served", "address", listener.Addr().String())
	return nil
}

// readiness answers whether a process without a REST API does its work: it reaches what it needs, its disk has room, and it does not
// drain.
func readiness(check func(context.Context) []api.CheckResult, room *disk, ready func() bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, word, found := http.StatusOK, "up", map[string]string{}
		if check != nil {
			for _, one := range check(r.Context()) {
				found[one.Name] = "up"
				if one.Err != nil {
					found[one.Name], status, word = "down", http.StatusServiceUnavailable, "down"
				}
			}
		}
		if room != nil {
			found["disk"] = "up"
			if room.full.Load() {
				found["disk"], status, word = "full", http.StatusServiceUnavailable, "down"
			}
		}
		if !ready() {
			status, word = http.StatusServiceUnavailable, "draining"
		}
		probe(w, status, word, found)
	}
}

func probe(w http.ResponseWriter, status int, word string, checks map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // whoever asks may be gone
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{word, checks})
}
