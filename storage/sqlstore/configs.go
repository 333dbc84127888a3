package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// Config is control.ConfigReader's.
func (s *Store) Config(ctx context.Context, account, id int64) (job.Config, error) {
	return s.config(ctx, id, "id = ? AND account_id = ?", id, account)
}

// ConfigByObjectID is control.ConfigReader's.
func (s *Store) ConfigByObjectID(ctx context.Context, account int64, objectID string) (job.Config, error) {
	if clean(objectID) != objectID {
		return job.Config{}, noConfig(objectID)
	}
	return s.config(ctx, objectID, "object_id = ? AND account_id = ?", objectID, account)
}

func (s *Store) config(ctx context.Context, id any, condition string, args ...any) (job.Config, error) {
	row, found, err := one[configRow](s.read.WithContext(ctx),
		"SELECT "+configColumns+" FROM job_configs WHERE "+condition, args...)
	if err != nil {
		return job.Config{}, s.fault(ctx, err)
	}
	if !found {
		return job.Config{}, noConfig(id)
	}
	c, err := row.config()
	return c, s.fault(ctx, err)
}

// ConfigByName is control.ConfigReader's.
func (s *Store) ConfigByName(ctx context.Context, account int64, name string) (job.Config, error) {
	if clean(name) != name {
		return job.Config{}, noConfig(clean(name))
	}
	return s.config(ctx, name, "name_key = ? AND account_id = ?", fold(name), account)
}

// Configs is control.ConfigReader's.
func (s *Store) Configs(ctx context.Context, q job.Query) (job.List[job.Config], error) {
	l := configListing
	if q.Brief {
		l.columns = briefConfigColumns
	}
	return list(ctx, s, l, q, scoped(q.Scope), configRow.config)
}

// CreateConfig is control.ConfigWriter's. Ids are never used again, also not after a delete.
func (s *Store) CreateConfig(ctx context.Context, c job.Config) (job.Config, error) {
	if err := checkConfig(c); err != nil {
		return job.Config{}, err
	}
	row := toConfigRow(c)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		if err := s.keepConfigsDestination(tx, c); err != nil {
			return err
		}
		row.ID = 0 // a repeat is numbered anew
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		auditMade(ctx, "jobconfig", row.ID)
		return insertTags(tx, configTags, row.ID, c.AccountID, c.Tags)
	})
	if err != nil {
		return job.Config{}, s.takenConfig(ctx, c, err)
	}
	c, err = row.config()
	return c, s.fault(ctx, err)
}

// UpdateConfig is control.ConfigWriter's. The stored time of change always grows, so that of two writers who read the same
// row the second one loses even within one microsecond.
func (s *Store) UpdateConfig(ctx context.Context, c job.Config, was time.Time) error {
	if err := checkConfig(c); err != nil {
		return err
	}
	r := toConfigRow(c)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE job_configs SET name = ?, name_key = ?, description = ?, description_fold = ?, active = ?, runtime = ?,
				package_name = ?, package_name_fold = ?, entry_point = ?, entry_point_fold = ?, destination_id = ?,
				timeout = ?, retry = ?, on_loss = ?, tags = ?, labels = ?, rules = ?, keep_age = ?, keep_count = ?, modified_by_id = ?, modified_by_name = ?,
				modified_by_fold = ?, modified_at = CASE WHEN modified_at < ? THEN ? ELSE modified_at + 1 END
			WHERE id = ? AND account_id = ? AND modified_at = ?`,
			r.Name, r.NameKey, r.Description, r.DescriptionFold, r.Active, r.Runtime,
			r.PackageName, r.PackageNameFold, r.EntryPoint, r.EntryPointFold, r.DestinationID,
			r.Timeout, r.Retry, r.OnLoss, r.Tags, r.Labels, r.Rules, r.KeepAge, r.KeepCount, r.ModifiedByID, r.ModifiedByName,
			r.ModifiedByFold, r.ModifiedAt, r.ModifiedAt, r.ID, r.AccountID, micros(was))
		if err != nil {
			return err
		}
		if changed == 0 {
			return missingOrStale(tx, c)
		}
		if err := s.keepConfigsDestination(tx, c); err != nil {
			return err
		}
		if _, err := run(tx, "DELETE FROM job_config_tags WHERE config_id = ?", r.ID); err != nil {
			return err
		}
		return insertTags(tx, configTags, r.ID, c.AccountID, c.Tags)
	})
	return s.takenConfig(ctx, c, err)
}

func (s *Store) keepConfigsDestination(tx *gorm.DB, c job.Config) error {
	err := s.keepDestination(tx, c.AccountID, c.Destination)
	if job.CodeOf(err) == job.NotFound {
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "destinationId %d names no destination", c.Destination)
	}
	return err
}

func missingOrStale(tx *gorm.DB, c job.Config) error {
	_, found, err := one[int64](tx, "SELECT id FROM job_configs WHERE id = ? AND account_id = ?", c.ID, c.AccountID)
	if err != nil {
		return err
	}
	if !found {
		return noConfig(c.ID)
	}
	return stale("Job config", c.ID)
}

func checkConfig(c job.Config) error {
	return checkText("name", c.Name, "description", c.Description, "tags", strings.Join(c.Tags, ""),
		"runtimeConfig.packageName", c.Runtime.PackageName, "runtimeConfig.entryPoint", c.Runtime.EntryPoint,
		"objectId", c.ObjectID)
}

// takenConfig says which of a config's two unique values is taken: the object id is, when the name is not.
func (s *Store) takenConfig(ctx context.Context, c job.Config, err error) error {
	if !taken(err) {
		return err
	}
	_, found, lookup := one[int64](s.read.WithContext(ctx),
		"SELECT id FROM job_configs WHERE account_id = ? AND name_key = ? AND id <> ?", c.AccountID, fold(c.Name), c.ID)
	if lookup == nil && !found {
		return job.Wrap(err, job.Conflict, job.WordDuplicateName, "A job config with objectId '%s' already exists", c.ObjectID)
	}
	return job.Wrap(err, job.Conflict, job.WordDuplicateName, "A job config named '%s' already exists", c.Name)
}

// SetConfigsActive is control.ConfigWriter's.
func (s *Store) SetConfigsActive(
	ctx context.Context, scope job.Scope, ids []int64, active bool, by job.UserRef, at time.Time,
) error {
	return s.eachConfig(ctx, scope, ids, func(tx *gorm.DB, ids []int64) error {
		now := micros(at)
		_, err := run(tx, `
			UPDATE job_configs SET active = ?, modified_by_id = ?, modified_by_name = ?, modified_by_fold = ?,
				modified_at = CASE WHEN modified_at < ? THEN ? ELSE modified_at + 1 END
			WHERE account_id = ? AND id IN ?`,
			active, by.ID, by.Name, foldOrNull(by.Name), now, now, scope.AccountID, ids)
		return err
	})
}

// DeleteConfigs is control.ConfigWriter's. Versions of the configs' files stay for the jobs that ran them; nothing new can
// be added to a config that is gone, and its id is never given out again.
func (s *Store) DeleteConfigs(ctx context.Context, scope job.Scope, ids []int64) error {
	return s.eachConfig(ctx, scope, ids, func(tx *gorm.DB, ids []int64) error {
		_, err := run(tx, "UPDATE file_keys SET deleted = true, purge_after = ? WHERE account_id = ? AND entity_type = ? "+
			"AND entity_id IN ? AND NOT deleted",
			micros(s.now().Add(purgeGrace)), scope.AccountID, string(job.EntityJobConfig), ids)
		if err != nil {
			return err
		}
		if err := s.unlinkConfigs(tx, scope.AccountID, ids); err != nil {
			return err
		}
		_, err = run(tx, "DELETE FROM job_configs WHERE account_id = ? AND id IN ?", scope.AccountID, ids)
		return err
	})
}

// configsAtOnce is how many ids go into one statement.
const configsAtOnce = 500

// eachConfig runs change over all of ids in one transaction, or over none when one of them is not in the scope.
func (s *Store) eachConfig(
	ctx context.Context, scope job.Scope, ids []int64, change func(tx *gorm.DB, ids []int64) error,
) error {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return s.transact(ctx, func(tx *gorm.DB) error {
		for some := range slices.Chunk(ids, configsAtOnce) {
			in := scoped(scope)
			there, err := many[int64](tx, "SELECT id FROM job_configs WHERE "+in.sql+" AND id IN ? ORDER BY id"+s.forUpdate(),
				append(in.args, some)...)
			if err != nil {
				return err
			}
			for i, id := range some {
				if i >= len(there) || there[i] != id {
					return noConfig(id)
				}
			}
			if err := change(tx, some); err != nil {
				return err
			}
		}
		return nil
	})
}
