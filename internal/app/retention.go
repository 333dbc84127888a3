package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/objectstore"
	"waybill/storage/sqlstore"
	"waybill/workflows/starter"
)

var (
	_ control.RetentionStore = (*sqlstore.Store)(nil)
	_ control.BlobKeeper     = (*sqlstore.Store)(nil)
	_ control.KnownJobs      = (*sqlstore.Store)(nil)
	_ control.SweepStore     = (*sqlstore.Store)(nil)
	_ control.Uploads        = (*objectstore.Store)(nil)
)

// retentionDefault is what the settings say of accounts without limits of their own.
func (p *parts) retentionDefault() job.Retention {
	return job.Retention{MaxAge: p.settings.RetentionMaxAge, MaxCount: p.settings.RetentionMaxCount}
}

func (p *parts) retentionEngine() *starter.Retention {
	return starter.NewRetention(p.temporal, p.namespace)
}

// newRetention makes what the retention's activities call. It is called once in a process, for it registers metrics.
func (p *parts) newRetention() *control.Retention {
	return &control.Retention{
		Sweep: &control.Sweep{
			Store: p.store, Objects: p.objects, Uploads: p.objects, Grace: p.settings.Outages.SweepGrace, Now: p.now, Log: p.log,
		},
		Store: p.store, Blobs: p.store, Objects: p.objects, Histories: p.retentionEngine(), Default: p.retentionDefault(),
		Now: p.now, Log: p.log, Count: countPurged(p.metrics),
	}
}

// retentionDuty sees to it that the engine has the schedule: after a first start, a change of the setting, or the loss of the
// engine's files.
func (p *parts) retentionDuty() control.Duty {
	schedule := p.retentionEngine()
	return control.Duty{
		Name: "schedule of the retention", Every: time.Minute, Engine: true,
		Do: func(ctx context.Context, _ bool) error { return schedule.Ensure(ctx, p.settings.RetentionInterval) },
	}
}

// orphanDuty ends workflows that no unfinished job stands behind.
func (p *parts) orphanDuty(start *starter.Starter) control.Duty {
	o := &control.Orphanage{
		Engine: starter.NewOpen(p.temporal), Known: p.store, Starter: start, Now: p.now, Log: p.log,
	}
	if p.settings.Temporal.Address != "" {
		o.Ours = p.claimOf(p.settings.Temporal.Address, false).ours
	}
	return o.Duty()
}

// countPurged counts what the retention deletes. The names are part of the interface (docs/metrics.md).
func countPurged(registry prometheus.Registerer) func(job.Purged) {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "waybill_retention_" + name + "_total", Help: help})
		registry.MustRegister(c)
		return c
	}
	jobs := counter("jobs", "Jobs deleted because they were over their retention.")
	histories := counter("histories", "Workflow histories deleted with jobs.")
	objects := counter("objects", "Objects deleted with jobs and packages.")
	bytes := counter("bytes", "Bytes of those objects.")
	versions := counter("versions", "File versions deleted that no job needed.")
	failed := counter("failures", "Jobs whose objects or histories could not be deleted, left for the next run.")
	return func(d job.Purged) {
		jobs.Add(float64(d.Jobs))
		histories.Add(float64(d.Histories))
		objects.Add(float64(d.Objects))
		bytes.Add(float64(d.Bytes))
		versions.Add(float64(d.Versions))
		failed.Add(float64(d.Failed))
	}
}
