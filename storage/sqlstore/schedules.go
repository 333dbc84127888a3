package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type scheduleRow struct {
	ConfigID   int64  `gorm:"column:config_id;primaryKey;autoIncrement:false"`
	AccountID  int64  `gorm:"column:account_id"`
	Rule       string `gorm:"column:rule"` // JSON of job.ScheduleRule
	Paused     bool   `gorm:"column:paused"`
	PauseNote  string `gorm:"column:pause_note"`
	Runs       int64  `gorm:"column:runs"`
	Backfills  string `gorm:"column:backfills"` // JSON
	Version    int64  `gorm:"column:version"`
	Synced     int64  `gorm:"column:synced"`
	CreatedAt  int64  `gorm:"column:created_at;autoCreateTime:false"`
	ModifiedAt int64  `gorm:"column:modified_at"`
	SharedID   int64  `gorm:"column:shared_id"`
}

func (scheduleRow) TableName() string { return "schedules" }

var scheduleColumns = columnsOf[scheduleRow]("")

func toScheduleRow(s job.Schedule) scheduleRow {
	backfills := s.Backfills
	if backfills == nil {
		backfills = []job.Backfill{}
	}
	return scheduleRow{
		ConfigID: s.ConfigID, AccountID: s.AccountID, Rule: toJSON(s.Rule), Paused: s.Paused, PauseNote: s.Note, Runs: s.Runs,
		Backfills: toJSON(backfills), Version: s.Version, Synced: s.Synced,
		CreatedAt: micros(s.CreatedAt), ModifiedAt: micros(s.ModifiedAt), SharedID: s.Shared,
	}
}

func (r scheduleRow) schedule() (job.Schedule, error) {
	s := job.Schedule{
		ConfigID: r.ConfigID, AccountID: r.AccountID, Paused: r.Paused, Note: r.PauseNote, Runs: r.Runs, Version: r.Version, Synced: r.Synced,
		CreatedAt: timeOf(r.CreatedAt), ModifiedAt: timeOf(r.ModifiedAt), Shared: r.SharedID,
	}
	if err := fromJSON(r.Rule, &s.Rule); err != nil {
		return s, err
	}
	if err := fromJSON(r.Backfills, &s.Backfills); err != nil {
		return s, err
	}
	if len(s.Backfills) == 0 {
		s.Backfills = nil
	}
	return s, nil
}

func noSchedule(config int64) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Job config %d has no schedule", config)
}

func checkSchedule(s job.Schedule) error {
	r := s.Rule
	pairs := []string{"name", r.Name, "cronSchedule", r.Cron, "intervalFrequency", r.Interval, "description", r.Description, "timeZone", r.Zone, "note", s.Note}
	if r.Webhook != nil {
		pairs = append(pairs, "webhookConfig.endpoint", r.Webhook.Endpoint, "webhookConfig.payload", r.Webhook.Payload)
	}
	return checkText(pairs...)
}

// Schedule is control.ScheduleStore's.
func (s *Store) Schedule(ctx context.Context, account, config int64) (job.Schedule, error) {
	return s.scheduleIn(ctx, s.read.WithContext(ctx), account, config, "")
}

func (s *Store) scheduleIn(ctx context.Context, tx *gorm.DB, account, config int64, lock string) (job.Schedule, error) {
	row, found, err := one[scheduleRow](tx,
		"SELECT "+scheduleColumns+" FROM schedules WHERE config_id = ? AND account_id = ?"+lock, config, account)
	if err != nil {
		return job.Schedule{}, s.fault(ctx, err)
	}
	if !found {
		return job.Schedule{}, noSchedule(config)
	}
	out, err := row.schedule()
	return out, s.fault(ctx, err)
}

func (s *Store) schedules(ctx context.Context, query string, args ...any) ([]job.Schedule, error) {
	rows, err := many[scheduleRow](s.read.WithContext(ctx), "SELECT "+scheduleColumns+" FROM schedules WHERE "+query, args...)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list := make([]job.Schedule, 0, len(rows))
	for _, row := range rows {
		one, err := row.schedule()
		if err != nil {
			return nil, s.fault(ctx, err)
		}
		list = append(list, one)
	}
	return list, nil
}

// SchedulesOf is control.ScheduleStore's.
func (s *Store) SchedulesOf(ctx context.Context, account int64, configs []int64) ([]job.Schedule, error) {
	if len(configs) == 0 {
		return nil, nil
	}
	return s.schedules(ctx, "account_id = ? AND config_id IN ?", account, configs)
}

// CreateSchedule is control.ScheduleStore's.
func (s *Store) CreateSchedule(ctx context.Context, sch job.Schedule) (job.Schedule, error) {
	if err := checkSchedule(sch); err != nil {
		return job.Schedule{}, err
	}
	sch.Version, sch.Synced, sch.Runs = 1, 0, 0
	err := s.transact(ctx, func(tx *gorm.DB) error {
		_, found, err := one[int64](tx,
			"SELECT id FROM job_configs WHERE id = ? AND account_id = ?"+s.forUpdate(), sch.ConfigID, sch.AccountID)
		if err != nil {
			return err
		}
		if !found {
			return noConfig(sch.ConfigID)
		}
		return insert(tx, toScheduleRow(sch))
	})
	if taken(err) {
		err = job.Wrap(err, job.Conflict, job.WordScheduleExists, "Job config %d already has a schedule", sch.ConfigID)
	}
	return sch, err
}

// UpdateSchedule is control.ScheduleStore's.
func (s *Store) UpdateSchedule(ctx context.Context, sch job.Schedule, reset bool) (job.Schedule, error) {
	if err := checkSchedule(sch); err != nil {
		return job.Schedule{}, err
	}
	r := toScheduleRow(sch)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE schedules SET rule = ?, paused = ?, pause_note = ?, backfills = ?, modified_at = ?, shared_id = ?, version = version + 1,
				runs = CASE WHEN ? THEN 0 ELSE runs END
			WHERE config_id = ? AND account_id = ? AND version = ?`,
			r.Rule, r.Paused, r.PauseNote, r.Backfills, r.ModifiedAt, r.SharedID, reset, r.ConfigID, r.AccountID, r.Version)
		if err != nil || changed > 0 {
			return err
		}
		if _, err := s.scheduleIn(ctx, tx, sch.AccountID, sch.ConfigID, ""); err != nil {
			return err
		}
		return stale("The schedule of job config", sch.ConfigID)
	})
	sch.Version++
	if reset {
		sch.Runs = 0
	}
	return sch, err
}

// DeleteSchedule is control.ScheduleStore's.
func (s *Store) DeleteSchedule(ctx context.Context, account, config int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		gone, err := run(tx, "DELETE FROM schedules WHERE config_id = ? AND account_id = ?", config, account)
		if err == nil && gone == 0 {
			err = noSchedule(config)
		}
		return err
	})
}

// Unsynced is control.ScheduleBacklog's.
func (s *Store) Unsynced(ctx context.Context, after int64, limit int) ([]job.Schedule, error) {
	return s.schedules(ctx, "version <> synced AND config_id > ? ORDER BY config_id LIMIT ?", after, limit)
}

// AllSchedules is control.ScheduleBacklog's.
func (s *Store) AllSchedules(ctx context.Context, after int64, limit int) ([]job.Schedule, error) {
	return s.schedules(ctx, "config_id > ? ORDER BY config_id LIMIT ?", after, limit)
}

// MarkSynced is control.ScheduleBacklog's. It never goes back, for two processes may tell the engine at once.
func (s *Store) MarkSynced(ctx context.Context, config, version int64) error {
	return s.change(ctx, "UPDATE schedules SET synced = ? WHERE config_id = ? AND synced < ?", version, config, version)
}

// MarkUnsynced is control.ScheduleBacklog's. The version grows, so that whoever is telling the engine of the old one at the moment does
// not hide it.
func (s *Store) MarkUnsynced(ctx context.Context, config int64) error {
	return s.change(ctx, "UPDATE schedules SET version = version + 1 WHERE config_id = ? AND version = synced", config)
}

func (s *Store) change(ctx context.Context, statement string, args ...any) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, statement, args...)
		return err
	})
}
