package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type fireRow struct {
	ConfigID  int64  `gorm:"column:config_id"`
	FireAt    int64  `gorm:"column:fire_at"`
	AccountID int64  `gorm:"column:account_id"`
	FiredAt   int64  `gorm:"column:fired_at"`
	BegunAt   int64  `gorm:"column:begun_at"`
	Kind      string `gorm:"column:kind"`
	Outcome   string `gorm:"column:outcome"`
	JobID     string `gorm:"column:job_id"`
	Message   string `gorm:"column:message"`
}

func (fireRow) TableName() string { return "schedule_fires" }

var fireColumns = columnsOf[fireRow]("")

func toFireRow(f job.Fire) fireRow {
	return fireRow{
		ConfigID: f.ConfigID, FireAt: micros(f.At), AccountID: f.AccountID, FiredAt: micros(f.FiredAt), BegunAt: micros(f.Begun), Kind: string(f.Kind),
		Outcome: string(f.Outcome), JobID: string(f.JobID), Message: clean(f.Message),
	}
}

func (r fireRow) fire() job.Fire {
	return job.Fire{
		ConfigID: r.ConfigID, At: timeOf(r.FireAt), AccountID: r.AccountID, FiredAt: timeOf(r.FiredAt), Begun: timeOf(r.BegunAt), Kind: job.FireKind(r.Kind),
		Outcome: job.FireOutcome(r.Outcome), JobID: job.ID(r.JobID), Message: r.Message,
	}
}

// ClaimFire is control.FireStore's. The schedule's row is locked, so that the fires of one schedule are claimed one by one.
func (s *Store) ClaimFire(ctx context.Context, f job.Fire, alone bool) (job.Fire, error) {
	claimed := f
	err := s.transact(ctx, func(tx *gorm.DB) error {
		claimed = f
		sch, err := s.scheduleIn(ctx, tx, f.AccountID, f.ConfigID, s.forUpdate())
		if err != nil {
			return err
		}
		earlier, found, err := one[fireRow](tx,
			"SELECT "+fireColumns+" FROM schedule_fires WHERE config_id = ? AND fire_at = ?", f.ConfigID, micros(f.At))
		if err != nil {
			return err
		}
		if found && !again(earlier, toFireRow(f)) {
			claimed = earlier.fire()
			return nil
		}
		if found {
			if _, err := run(tx, "DELETE FROM schedule_fires WHERE config_id = ? AND fire_at = ?", f.ConfigID, micros(f.At)); err != nil {
				return err
			}
		}
		if alone && f.Outcome == job.FirePending {
			_, made, err := one[int64](tx, `
				SELECT fire_at FROM schedule_fires WHERE config_id = ? AND fired_at > ? AND kind = ? AND outcome IN (?, ?) LIMIT 1`,
				f.ConfigID, micros(f.At), string(job.FireDue), string(job.FirePending), string(job.FireStarted))
			if err != nil {
				return err
			}
			if made {
				claimed.Outcome, claimed.Message = job.FireMissed, "Another missed fire is made up for"
			}
		}
		if claimed.Outcome == job.FirePending && sch.Exhausted() {
			claimed.Outcome, claimed.Message = job.FireRefused, "All runs of the schedule have been made"
		}
		if err := insert(tx, toFireRow(claimed)); err != nil {
			return err
		}
		if claimed.Outcome == job.FirePending {
			if err := countRun(tx, f.ConfigID, sch, +1); err != nil {
				return err
			}
		}
		return pruneFires(tx, f.ConfigID)
	})
	return toFireRow(claimed).fire(), err
}

// again tells whether a fire was asked for once more after an earlier one of its time made no job. It takes that one's place.
func again(earlier, f fireRow) bool {
	made := earlier.Outcome == string(job.FireStarted) || earlier.Outcome == string(job.FirePending)
	return !made && f.Kind != string(job.FireDue) && f.BegunAt > earlier.BegunAt
}

// countRun adds to the runs. When they come to their limit, or leave it, the engine has to be told.
func countRun(tx *gorm.DB, config int64, s job.Schedule, by int64) error {
	was := s.Exhausted()
	s.Runs += by
	turned := was != s.Exhausted()
	_, err := run(tx, "UPDATE schedules SET runs = runs + ?, version = version + CASE WHEN ? THEN 1 ELSE 0 END WHERE config_id = ?",
		by, turned, config)
	return err
}

func pruneFires(tx *gorm.DB, config int64) error {
	_, err := run(tx, `
		DELETE FROM schedule_fires WHERE config_id = ? AND fired_at < (
			SELECT min(fired_at) FROM (
				SELECT fired_at FROM schedule_fires WHERE config_id = ? ORDER BY fired_at DESC, fire_at DESC LIMIT ?) AS kept)`,
		config, config, job.KeptFires)
	return err
}

// EndFire is control.FireStore's.
func (s *Store) EndFire(ctx context.Context, f job.Fire) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		sch, err := s.scheduleIn(ctx, tx, f.AccountID, f.ConfigID, s.forUpdate())
		if job.CodeOf(err) == job.NotFound {
			return nil // deleted meanwhile, and its fires with it
		}
		if err != nil {
			return err
		}
		ended, err := run(tx, `
			UPDATE schedule_fires SET outcome = ?, job_id = ?, message = ? WHERE config_id = ? AND fire_at = ? AND outcome = ?`,
			string(f.Outcome), string(f.JobID), clean(f.Message), f.ConfigID, micros(f.At), string(job.FirePending))
		if err != nil || ended == 0 || f.Outcome == job.FireStarted {
			return err
		}
		return countRun(tx, f.ConfigID, sch, -1)
	})
}

// Fires is control.FireStore's.
func (s *Store) Fires(ctx context.Context, account, config int64, limit int) ([]job.Fire, error) {
	rows, err := many[fireRow](s.read.WithContext(ctx), "SELECT "+fireColumns+
		" FROM schedule_fires WHERE config_id = ? AND account_id = ? ORDER BY fired_at DESC, fire_at DESC LIMIT ?",
		config, account, min(limit, job.KeptFires))
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list := make([]job.Fire, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.fire())
	}
	return list, nil
}
