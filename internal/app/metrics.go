package app

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/control"
	"waybill/internal/environments"
	"waybill/internal/job"
	"waybill/internal/runner"
)

// observedRun counts what passes through the worker's writes. The names are part of the interface (docs/metrics.md).
type observedRun struct {
	control.Run
	begun    prometheus.Counter
	finished *prometheus.CounterVec
	wait     prometheus.Histogram
	run      prometheus.Histogram
}

func observeRun(next control.Run, registry prometheus.Registerer) *observedRun {
	seconds := prometheus.ExponentialBucketsRange(0.005, 4*3600, 16)
	o := &observedRun{
		Run: next,
		begun: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_job_attempts_total", Help: "Attempts of jobs begun by this worker.",
		}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_jobs_finished_total", Help: "Jobs ended by this worker, by status and reason.",
		}, []string{"status", "reason"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_job_queue_seconds", Help: "Time from a job's acceptance to its first attempt.", Buckets: seconds,
		}),
		run: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_job_run_seconds", Help: "Time from a job's first attempt to its end.", Buckets: seconds,
		}),
	}
	registry.MustRegister(o.begun, o.finished, o.wait, o.run)
	fromZero(o.finished, finishedFrom...)
	return o
}

func (o *observedRun) Begin(
	ctx context.Context, account int64, id job.ID, fence int64, worker string, at time.Time,
) (job.Job, bool, error) {
	j, lost, err := o.Run.Begin(ctx, account, id, fence, worker, at)
	if err == nil {
		o.begun.Inc()
		if j.Attempt == 1 {
			o.wait.Observe(at.Sub(j.ScheduledAt).Seconds())
		}
	}
	return j, lost, err
}

func (o *observedRun) Finish(ctx context.Context, account int64, id job.ID, fence int64, out job.Outcome) (job.Job, error) {
	j, err := o.Run.Finish(ctx, account, id, fence, out)
	if err == nil {
		o.finished.WithLabelValues(string(j.Status), string(j.Reason)).Inc()
		o.run.Observe(j.FinishedAt.Sub(j.ReceivedAt).Seconds())
	}
	return j, err
}

// observePackages shows what the worker's caches, of packages and of environments, did and hold.
func observePackages(r *runner.Runner, registry prometheus.Registerer) {
	observeStats(registry, r.Cache().Stats,
		counted[runner.CacheStats]{"waybill_package_uses_total", "Packages that jobs of this worker asked for.", func(s runner.CacheStats) int64 { return s.Uses }},
		counted[runner.CacheStats]{"waybill_package_fetches_total", "Packages this worker fetched and unpacked.", func(s runner.CacheStats) int64 { return s.Fetched }},
		counted[runner.CacheStats]{"waybill_package_removals_total", "Packages this worker removed to make room.", func(s runner.CacheStats) int64 { return s.Removed }},
		counted[runner.CacheStats]{"waybill_package_cache_packages", "Unpacked packages this worker holds.", func(s runner.CacheStats) int64 { return int64(s.Packages) }},
		counted[runner.CacheStats]{"waybill_package_cache_bytes", "Disk space that they take up, about.", func(s runner.CacheStats) int64 { return s.Bytes }},
	)
	observeStats(registry, r.Environments,
		counted[environments.Stats]{"waybill_environment_uses_total", "Environments that jobs of this worker asked for.", func(s environments.Stats) int64 { return s.Uses }},
		counted[environments.Stats]{"waybill_environment_builds_total", "Environments this worker built.", func(s environments.Stats) int64 { return s.Built }},
		counted[environments.Stats]{"waybill_environment_build_failures_total", "Builds of environments that came to nothing.", func(s environments.Stats) int64 { return s.Failed }},
		counted[environments.Stats]{"waybill_environment_removals_total", "Environments this worker removed to make room.", func(s environments.Stats) int64 { return s.Removed }},
		counted[environments.Stats]{"waybill_environment_cache_environments", "Environments this worker holds.", func(s environments.Stats) int64 { return int64(s.Environments) }},
		counted[environments.Stats]{"waybill_environment_cache_bytes", "Disk space that they take up, about.", func(s environments.Stats) int64 { return s.Bytes }},
	)
}

// counted is a metric that is one of the numbers somebody keeps: a counter if its name says so.
type counted[S any] struct {
	name, help string
	value      func(S) int64
}

func observeStats[S any](registry prometheus.Registerer, stats func() S, metrics ...counted[S]) {
	for _, m := range metrics {
		now := func() float64 { return float64(m.value(stats())) }
		if strings.HasSuffix(m.name, "_total") {
			registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help}, now))
			continue
		}
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.name, Help: m.help}, now))
	}
}

// observeSlots shows how many programs this process may run and how many it does, by the task queue that it takes jobs from: those who
// add and end workers of one destination go by it. A process has one queue, whose name is made of numbers.
func observeSlots(s *slots, queue string, registry prometheus.Registerer) {
	labels := prometheus.Labels{"task_queue": queue}
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_worker_slots", Help: "Programs this worker may run at once.", ConstLabels: labels,
		}, func() float64 { return float64(s.MaxSlots()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_worker_running", Help: "Programs this worker runs now.", ConstLabels: labels,
		}, func() float64 { return float64(s.running()) }),
	)
}
