package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type sharedScheduleRow struct {
	ID             int64  `gorm:"column:id;primaryKey;autoIncrement"`
	AccountID      int64  `gorm:"column:account_id"`
	Name           string `gorm:"column:name"`
	NameKey        string `gorm:"column:name_key"` // lower case: unique in the account
	Rule           string `gorm:"column:rule"`     // JSON of sharedRule
	CreatedAt      int64  `gorm:"column:created_at;autoCreateTime:false"`
	CreatedByID    int64  `gorm:"column:created_by_id"`
	CreatedByName  string `gorm:"column:created_by_name"`
	ModifiedAt     int64  `gorm:"column:modified_at"`
	ModifiedByName string `gorm:"column:modified_by_name"`
	Change         int64  `gorm:"column:change"`
}

func (sharedScheduleRow) TableName() string { return "shared_schedules" }

// sharedRule is what a user said, and what it comes to for the configs.
type sharedRule struct {
	Plan job.SharedPlan   `json:"plan"`
	Rule job.ScheduleRule `json:"rule"`
}

func toSharedRow(s job.SharedSchedule) sharedScheduleRow {
	return sharedScheduleRow{
		ID: s.ID, AccountID: s.AccountID, Name: s.Name, NameKey: fold(s.Name), Rule: toJSON(sharedRule{s.Plan, s.Rule}),
		CreatedAt: micros(s.CreatedAt), CreatedByID: s.CreatedBy.ID, CreatedByName: s.CreatedBy.Name, ModifiedAt: micros(s.ModifiedAt),
		ModifiedByName: s.ModifiedBy, Change: s.Change,
	}
}

func (r sharedScheduleRow) shared() (job.SharedSchedule, error) {
	var both sharedRule
	err := fromJSON(r.Rule, &both)
	return job.SharedSchedule{
		ID: r.ID, AccountID: r.AccountID, Name: r.Name, Plan: both.Plan, Rule: both.Rule, CreatedAt: timeOf(r.CreatedAt),
		CreatedBy: job.UserRef{ID: r.CreatedByID, Name: r.CreatedByName}, ModifiedAt: timeOf(r.ModifiedAt), ModifiedBy: r.ModifiedByName, Change: r.Change,
	}, err
}

func noSharedSchedule(id int64) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Schedule %d not found", id)
}

func checkShared(s job.SharedSchedule) error {
	return checkText("name", s.Name, "description", s.Plan.Description, "timeZone", s.Plan.Zone)
}

func sharedNameTaken(err error, name string) error {
	return job.Wrap(err, job.Conflict, job.WordDuplicateName, "A schedule named '%s' already exists", name)
}

// maxShared bounds the list of an account's schedules, which nobody makes many of.
const maxShared = 10_000

// SharedSchedules is control.SharedScheduleStore's.
func (s *Store) SharedSchedules(ctx context.Context, account, owner int64, name string) ([]job.SharedSchedule, error) {
	query, args := "SELECT "+columnsOf[sharedScheduleRow]("")+" FROM shared_schedules WHERE account_id = ?", []any{account}
	if name != "" {
		query, args = query+" AND name_key = ?", append(args, fold(name))
	}
	if owner != 0 {
		query, args = query+" AND created_by_id = ?", append(args, owner)
	}
	rows, err := many[sharedScheduleRow](s.read.WithContext(ctx), query+" ORDER BY name_key LIMIT ?", append(args, maxShared)...)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list, err := all(rows, sharedScheduleRow.shared)
	return list, s.fault(ctx, err)
}

// SharedSchedule is control.SharedScheduleStore's.
func (s *Store) SharedSchedule(ctx context.Context, account, id int64) (job.SharedSchedule, error) {
	sch, err := s.sharedIn(s.read.WithContext(ctx), account, id, "")
	return sch, s.fault(ctx, err)
}

func (s *Store) sharedIn(tx *gorm.DB, account, id int64, lock string) (job.SharedSchedule, error) {
	row, found, err := one[sharedScheduleRow](tx,
		"SELECT "+columnsOf[sharedScheduleRow]("")+" FROM shared_schedules WHERE id = ? AND account_id = ?"+lock, id, account)
	if err != nil {
		return job.SharedSchedule{}, err
	}
	if !found {
		return job.SharedSchedule{}, noSharedSchedule(id)
	}
	return row.shared()
}

// CreateSharedSchedule is control.SharedScheduleStore's.
func (s *Store) CreateSharedSchedule(ctx context.Context, sch job.SharedSchedule, limit int) (job.SharedSchedule, error) {
	if err := checkShared(sch); err != nil {
		return sch, err
	}
	err := s.transact(ctx, func(tx *gorm.DB) error {
		// The maker's row is the lock that makes the count hold.
		_, found, err := one[int64](tx, "SELECT id FROM users WHERE id = ? AND account_id = ?"+s.forUpdate(), sch.CreatedBy.ID, sch.AccountID)
		if err != nil {
			return err
		}
		if !found {
			return noUser(sch.CreatedBy.ID)
		}
		have, _, err := one[int](tx, "SELECT count(*) FROM shared_schedules WHERE account_id = ? AND created_by_id = ?", sch.AccountID, sch.CreatedBy.ID)
		if err != nil {
			return err
		}
		if have >= limit {
			return job.Errorf(job.Invalid, job.WordInvalidField, "A user has %d schedules at most", limit)
		}
		row := toSharedRow(sch)
		row.ID = 0
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		sch.ID = row.ID
		auditMade(ctx, "sharedschedule", row.ID)
		return nil
	})
	if taken(err) {
		err = sharedNameTaken(err, sch.Name)
	}
	return sch, err
}

// UpdateSharedSchedule is control.SharedScheduleStore's.
func (s *Store) UpdateSharedSchedule(ctx context.Context, sch job.SharedSchedule) (job.SharedSchedule, error) {
	if err := checkShared(sch); err != nil {
		return sch, err
	}
	row := toSharedRow(sch)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE shared_schedules SET name = ?, name_key = ?, rule = ?, modified_at = ?, modified_by_name = ?, change = change + 1
			WHERE id = ? AND account_id = ? AND change = ?`,
			row.Name, row.NameKey, row.Rule, row.ModifiedAt, row.ModifiedByName, row.ID, row.AccountID, row.Change)
		if err != nil {
			return err
		}
		if changed == 0 {
			if _, err := s.sharedIn(tx, sch.AccountID, sch.ID, ""); err != nil {
				return err
			}
			return stale("Schedule", sch.ID)
		}
		// A rule of theirs has nothing that is not the shared one's.
		_, err = run(tx, "UPDATE schedules SET rule = ?, modified_at = ?, version = version + 1 WHERE shared_id = ? AND account_id = ?",
			toJSON(sch.Rule), row.ModifiedAt, row.ID, row.AccountID)
		return err
	})
	if taken(err) {
		err = sharedNameTaken(err, sch.Name)
	}
	sch.Change++
	return sch, err
}

// DeleteSharedSchedule is control.SharedScheduleStore's.
func (s *Store) DeleteSharedSchedule(ctx context.Context, account, id int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		sch, err := s.sharedIn(tx, account, id, s.forUpdate())
		if err != nil {
			return err
		}
		name, used, err := one[string](tx, `
			SELECT c.name FROM schedules s JOIN job_configs c ON c.id = s.config_id WHERE s.shared_id = ? ORDER BY c.name_key LIMIT 1`, id)
		if err != nil {
			return err
		}
		if used {
			return job.Errorf(job.Conflict, job.WordScheduleInUse, "Schedule '%s' is used by task %s", sch.Name, name)
		}
		_, err = run(tx, "DELETE FROM shared_schedules WHERE id = ? AND account_id = ?", id, account)
		return err
	})
}

// FollowSharedSchedule is control.SharedScheduleUse's. The shared row is held, so that a config that is put on it while it is changed or
// deleted comes before or after that.
func (s *Store) FollowSharedSchedule(ctx context.Context, account, config, shared int64, at time.Time) (sch job.Schedule, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		from, err := s.sharedIn(tx, account, shared, s.forUpdate())
		if err != nil {
			return err
		}
		name, found, err := one[string](tx, "SELECT name FROM job_configs WHERE id = ? AND account_id = ?"+s.forUpdate(), config, account)
		if err != nil {
			return err
		}
		if !found {
			return noConfig(config)
		}
		sch, err = s.scheduleIn(ctx, tx, account, config, s.forUpdate())
		switch {
		case job.CodeOf(err) == job.NotFound:
			sch = job.Schedule{
				ConfigID: config, AccountID: account, Rule: from.Rule, Shared: shared, Version: 1, CreatedAt: at, ModifiedAt: at,
			}
			return insert(tx, toScheduleRow(sch))
		case err != nil:
			return err
		case sch.Shared == 0:
			return job.Errorf(job.Conflict, job.WordScheduleExists, "Task %s has a schedule of its own", name)
		}
		sch.Rule, sch.Shared, sch.ModifiedAt, sch.Version, sch.Runs = from.Rule, shared, at, sch.Version+1, 0
		r := toScheduleRow(sch)
		_, err = run(tx, "UPDATE schedules SET rule = ?, shared_id = ?, modified_at = ?, version = ?, runs = 0 WHERE config_id = ? AND account_id = ?",
			r.Rule, r.SharedID, r.ModifiedAt, r.Version, r.ConfigID, r.AccountID)
		return err
	})
	return sch, err
}

// LeaveSharedSchedule is control.SharedScheduleUse's.
func (s *Store) LeaveSharedSchedule(ctx context.Context, account, config int64) (left bool, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		gone, err := run(tx, "DELETE FROM schedules WHERE config_id = ? AND account_id = ? AND shared_id <> 0", config, account)
		left = gone > 0
		return err
	})
	return left, err
}

// SharedScheduleFollowers is control.SharedScheduleUse's.
func (s *Store) SharedScheduleFollowers(ctx context.Context, account, shared int64) (map[int64]int64, error) {
	rows, err := many[struct {
		ID      int64 `gorm:"column:id"`
		OwnerID int64 `gorm:"column:owner_id"`
	}](s.read.WithContext(ctx), `
		SELECT c.id, c.owner_id FROM schedules s JOIN job_configs c ON c.id = s.config_id WHERE s.shared_id = ? AND s.account_id = ?`, shared, account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	owners := make(map[int64]int64, len(rows))
	for _, r := range rows {
		owners[r.ID] = r.OwnerID
	}
	return owners, nil
}
