package app

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/control"
	"waybill/internal/job"
)

// meters are what every process of Waybill measures, whichever of its parts run in it. The names are part of the interface
// (docs/metrics.md). No label holds what users make up, so the number of series is bounded.
type meters struct {
	submissions *prometheus.CounterVec
	settled     *prometheus.CounterVec
	objectTime  *prometheus.HistogramVec
	objectFault *prometheus.CounterVec
	up          *prometheus.GaugeVec
	upTime      *prometheus.GaugeVec
	fires       *prometheus.CounterVec
	fireDelay   prometheus.Histogram
	feedLag     prometheus.Histogram
	skew        prometheus.Gauge
	sandbox     *prometheus.GaugeVec
	backlog     *backlogMeter
}

func newMeters(registry prometheus.Registerer) *meters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &meters{
		submissions: counter("waybill_submissions_total", "Starts and retries of jobs, by what made them and what came of them.", "trigger", "outcome", "word"),
		settled:     counter("waybill_jobs_settled_total", "Jobs ended by the workflow or the reconciler in place of a worker, by status and reason.", "status", "reason"),
		objectTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "waybill_object_store_request_seconds", Help: "Time from a request to the object store to the beginning of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"method"}),
		objectFault: counter("waybill_object_store_errors_total", "Requests to the object store that failed, by kind.", "kind"),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_dependency_up", Help: "1 while this process reaches the dependency: database, objects or engine.",
		}, []string{"dependency"}),
		upTime: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_dependency_checked_timestamp_seconds", Help: "When this process last asked the dependency.",
		}, []string{"dependency"}),
		fires: counter("waybill_schedule_fires_total", "Fires of schedules taken up by this process, by outcome.", "outcome"),
		fireDelay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_schedule_fire_delay_seconds", Help: "How long after the time that a schedule names its job was made; without runs that were asked for.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
		}),
		feedLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_event_feed_lag_seconds", Help: "Age of events when this process read them for those who listen.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
		skew: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_clock_skew_seconds", Help: "This process's clock less the database's.",
		}),
		sandbox: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_worker_sandbox_info", Help: "1 for what holds the programs of this worker back.",
		}, []string{"level"}),
		backlog: newBacklogMeter(),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_build_info", Help: "1 for the version of this process."}, []string{"version", "goversion"})
	build.WithLabelValues(Version(), runtime.Version()).Set(1)
	registry.MustRegister(m.submissions, m.settled, m.objectTime, m.objectFault, m.up, m.upTime, m.fires, m.fireDelay, m.feedLag, m.skew, m.sandbox,
		m.backlog, build)
	m.begin()
	return m
}

// submitted counts a start or a retry. The word is one of the domain's, of which there are some dozens.
func (m *meters) submitted(trigger job.Trigger, outcome string, word job.Word) {
	m.submissions.WithLabelValues(string(trigger), outcome, string(word)).Inc()
}

// fed notes how old events were when they were read.
func (m *meters) fed(age time.Duration) { m.feedLag.Observe(max(0, age.Seconds())) }

// observedSettlement counts the jobs that are ended in place of a worker.
type observedSettlement struct {
	control.Settlement
	settled *prometheus.CounterVec
}

// objectTransport times requests to the object store and counts those that fail.
type objectTransport struct {
	next http.RoundTripper
	m    *meters
}

// How requests to the object store fail.
const (
	faultConnection = "connection"
	faultBusy       = "busy"
	faultFull       = "full"
	faultServer     = "server"
	faultAccess     = "access"
)

// RoundTrip is http.RoundTripper's.
func (t objectTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := t.next.RoundTrip(r)
	observeIn(t.m.objectTime.WithLabelValues(r.Method), time.Since(began).Seconds(), trace.SpanContextFromContext(r.Context()))
	switch {
	case err != nil && r.Context().Err() != nil: // whoever asked went away
	case err != nil:
		t.m.objectFault.WithLabelValues(faultConnection).Inc()
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusServiceUnavailable:
		t.m.objectFault.WithLabelValues(faultBusy).Inc()
	case answer.StatusCode == http.StatusInsufficientStorage:
		t.m.objectFault.WithLabelValues(faultFull).Inc()
	case answer.StatusCode >= http.StatusInternalServerError:
		t.m.objectFault.WithLabelValues(faultServer).Inc()
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		t.m.objectFault.WithLabelValues(faultAccess).Inc()
	}
	return answer, err
}

// observeIn notes a value, with the trace it was seen in where that is kept.
func observeIn(o prometheus.Observer, value float64, at trace.SpanContext) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && at.IsSampled() {
		e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": at.TraceID().String()})
		return
	}
	o.Observe(value)
}

// backlogMeter shows what waits in the whole installation. Every process that is asked for its metrics counts for itself, so that
// nobody depends on who has the reconciler; and not more often than is of use, however often it is asked.
type backlogMeter struct {
	mu    sync.Mutex // held while it counts: others who ask wait for the same answer
	count func(ctx context.Context, seen time.Time) (job.Backlog, error)
	clock control.Clock    // that the rows are written by
	now   func() time.Time // when to count again is this machine's own matter
	tried time.Time        // when it counted last, whatever came of it
	at    time.Time        // when last was counted
	age   time.Duration    // of the oldest job that waited for a worker then
	last  job.Backlog

	open, oldest, lanes, deepest, orphaned *prometheus.Desc
}

const (
	everyBacklog  = 10 * time.Second // at most
	backlogWithin = 3 * time.Second  // a scraper waits for ten
	backlogLives  = 45 * time.Second // what is older is not shown
)

func newBacklogMeter() *backlogMeter {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &backlogMeter{
		now:      time.Now,
		open:     desc("waybill_jobs_open", "Jobs that have not ended, by status; waiting ones wait in a lane.", "status"),
		oldest:   desc("waybill_jobs_oldest_queued_seconds", "How long the oldest job that waits for a worker has been accepted."),
		lanes:    desc("waybill_lanes_waiting", "Lanes in which jobs wait."),
		deepest:  desc("waybill_lane_depth_max", "Jobs that wait in the lane in which most do."),
		orphaned: desc("waybill_jobs_without_worker", "Queued jobs whose destination has no worker online."),
	}
}

// from says who counts, once the store is open, and by which clock workers give signs of life and jobs are accepted.
func (b *backlogMeter) from(count func(ctx context.Context, seen time.Time) (job.Backlog, error), clock control.Clock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count, b.clock = count, clock
}

// look is what was counted last, counted anew when it is due.
func (b *backlogMeter) look() (last job.Backlog, age time.Duration, shown bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.count != nil && now.Sub(b.tried) >= everyBacklog {
		b.tried = now
		ctx, cancel := context.WithTimeout(context.Background(), backlogWithin)
		defer cancel()
		// What fails is shown as it was, for a while; that the database fails shows by itself.
		shared := b.clock()
		if counted, err := b.count(ctx, shared.Add(-job.WorkerSilence)); err == nil {
			b.at, b.last, b.age = now, counted, 0
			if !counted.Oldest.IsZero() {
				b.age = max(0, shared.Sub(counted.Oldest))
			}
		}
	}
	return b.last, b.age, !b.at.IsZero() && now.Sub(b.at) <= backlogLives
}

// Describe is prometheus.Collector's.
func (b *backlogMeter) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.open, b.oldest, b.lanes, b.deepest, b.orphaned} {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (b *backlogMeter) Collect(to chan<- prometheus.Metric) {
	last, age, shown := b.look()
	if !shown {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(b.open, float64(last.Queued), "queued")
	gauge(b.open, float64(last.Waiting), "waiting")
	gauge(b.open, float64(last.Running), "running")
	gauge(b.open, float64(last.Cancelling), "cancelling")
	gauge(b.oldest, age.Seconds())
	gauge(b.lanes, float64(last.Lanes))
	gauge(b.deepest, float64(last.Deepest))
	gauge(b.orphaned, float64(last.WithoutWorker))
}

// sandboxLevel is the first words of what tells people of the sandbox.
func sandboxLevel(line string) string {
	level, _, _ := strings.Cut(line, ":")
	level, _, _ = strings.Cut(level, ",")
	return strings.TrimSpace(level)
}
