package app

import (
	"time"

	"waybill/activities"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/secret"
	"waybill/internal/webhook/guard"
	"waybill/storage/sqlstore"
	"waybill/workflows/starter"
)

var (
	_ control.ScheduleStore   = (*sqlstore.Store)(nil)
	_ control.FireStore       = (*sqlstore.Store)(nil)
	_ control.ScheduleBacklog = (*sqlstore.Store)(nil)
	_ activities.Fires        = (*control.Fires)(nil)
)

// newJobs makes the use cases that accept jobs: for the doors, and for the fires of schedules, which any worker process takes up.
func (p *parts) newJobs(box secret.Box, start *starter.Starter) (*control.Configs, *control.Jobs) {
	configs := &control.Configs{Reader: p.store, Writer: p.store, Destinations: p.store, Files: p.store, Sealer: box, Targets: p.guard(), Now: p.now, NewID: newID}
	return configs, &control.Jobs{
		Reader: p.store, Writer: p.store, Configs: configs, Files: p.store, Users: p.store, Objects: p.objects, Starter: start, Lanes: start,
		Talk: p.store, Records: p.store, Past: p.store, Mending: p.store, Logs: joblog.Reader{Objects: p.objects}, Sealer: box, Bell: p.bell, Limits: p.limits(), Now: p.now,
		NewID: func() job.ID { return job.ID(newID()) }, Log: p.log, DigestKey: p.keys.Derive("idempotency"), Observe: p.meters.submitted,
	}
}

func (p *parts) guard() guard.Guard {
	return guard.Guard{AllowPrivate: p.settings.CallbacksAllowPrivate}
}

func (p *parts) newSchedules(configs *control.Configs, box secret.Box) *control.Schedules {
	s := &control.Schedules{
		Configs: configs, Store: p.store, Fires: p.store, Backlog: p.store, Engine: starter.NewSchedules(p.temporal.ScheduleClient(), starter.Config{}),
		Webhooks: p.newWebhooks(), Sealer: box, Now: p.now, Log: p.log, SubMinute: p.settings.SubMinuteSchedules,
	}
	configs.Forget = s.Forget
	return s
}

// addFires gives the activities what fires of schedules need.
func (p *parts) addFires(c *activities.Config, box secret.Box, start *starter.Starter) {
	configs, jobs := p.newJobs(box, start)
	c.Jobs = p.store
	c.Fires = observedFires{&control.Fires{
		Schedules: p.store, Store: p.store, Configs: configs.Reader, Users: p.store, Jobs: jobs, Webhooks: p.newWebhooks(), Now: p.now,
		Late: func(d time.Duration) { p.meters.fireDelay.Observe(max(0, d.Seconds())) },
	}, p.meters}
}
