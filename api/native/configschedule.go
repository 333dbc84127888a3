package native

import (
	"context"
	"strconv"

	"waybill/internal/job"
)

// scheduleMember is what a job config request says of a schedule: a cron pattern in UTC, or nothing.
func (d *door) checkScheduleMember(m member[string]) error {
	if m.Value == "" {
		return nil
	}
	return d.server.Schedules.CheckCron(m.Value)
}

// checkScheduleNew is checkScheduleMember for a config that is made.
func (d *door) checkScheduleNew(c call, m member[string]) error {
	if err := d.checkScheduleMember(m); err != nil || m.Value == "" {
		return err
	}
	return checkScope(c.Actor, job.ScopeRun)
}

// checkScheduleChange is checkScheduleMember for a config that is there: whoever changes it may not be allowed to have it started.
func (d *door) checkScheduleChange(ctx context.Context, c call, ref string, m member[string]) error {
	if !m.Set {
		return nil
	}
	if err := d.checkScheduleMember(m); err != nil {
		return err
	}
	return d.server.Schedules.MaySetCron(ctx, c.Actor, ref, m.Value)
}

// scheduled shows configs with their next fires; set first makes the schedule what the request says.
func (d *door) scheduled(ctx context.Context, c call, m member[string], found job.Config) (jobConfigResponse, error) {
	if m.Set {
		if err := d.server.Schedules.SetCron(ctx, c.Actor, strconv.FormatInt(found.ID, 10), m.Value); err != nil {
			return jobConfigResponse{}, err
		}
	}
	show, err := d.withSchedules(ctx, c, []job.Config{found})
	return show(found), err
}

// withSchedules gives what shows configs with their next fires.
func (d *door) withSchedules(ctx context.Context, c call, configs []job.Config) (func(job.Config) jobConfigResponse, error) {
	ids := make([]int64, 0, len(configs))
	for _, one := range configs {
		ids = append(ids, one.ID)
	}
	views, err := d.server.Schedules.NextOf(ctx, c.Actor.AccountID, ids)
	return func(one job.Config) jobConfigResponse {
		shown := c.config(one)
		if v, ok := views[one.ID]; ok {
			shown.NextFireTime, shown.Schedule = c.date(v.Next), v.Rule.Cron
		}
		return shown
	}, err
}
