package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// AddFile is control.FileStore's. A key that was deleted comes back with the next number.
func (s *Store) AddFile(ctx context.Context, f job.File) (job.File, error) {
	if err := checkText("key", f.Key, "contentType", f.ContentType); err != nil {
		return job.File{}, err
	}
	row := toFileRow(f)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		if err := s.holdEntity(tx, f); err != nil {
			return err
		}
		version, _, err := one[int](tx, `
			INSERT INTO file_keys (account_id, entity_type, entity_id, file_key, file_key_fold, newest, deleted)
			VALUES (?, ?, ?, ?, ?, 1, false)
			ON CONFLICT (account_id, entity_type, entity_id, file_key) DO UPDATE
			SET newest = file_keys.newest + 1, deleted = false
			RETURNING newest`,
			row.AccountID, row.EntityType, row.EntityID, row.FileKey, foldOrNull(row.FileKey))
		if err != nil {
			return err
		}
		row.Version = version
		return insert(tx, row)
	})
	if err != nil {
		return job.File{}, err
	}
	f, err = row.file()
	return f, s.fault(ctx, err)
}

// holdEntity sees to it that what the file hangs on is there and is not deleted before the transaction ends.
func (s *Store) holdEntity(tx *gorm.DB, f job.File) error {
	if f.EntityType != job.EntityJobConfig {
		return job.Errorf(job.NotFound, job.WordNotFound, "%s %d not found", f.EntityType, f.EntityID)
	}
	lock := ""
	if s.driver == Postgres {
		lock = " FOR KEY SHARE"
	}
	_, found, err := one[int64](tx, "SELECT id FROM job_configs WHERE id = ? AND account_id = ?"+lock, f.EntityID, f.AccountID)
	if err == nil && !found {
		return noConfig(f.EntityID)
	}
	return err
}

// File is control.FileStore's.
func (s *Store) File(
	ctx context.Context, account int64, e job.EntityType, entity int64, key string, version int,
) (job.File, error) {
	if clean(key) != key {
		return job.File{}, noFile(key, entity)
	}
	of := ofKey(account, e, entity, key)
	query := "SELECT " + fileColumns + " FROM file_versions v WHERE " + of.sql + " AND v.version = ?"
	args := append(of.args, version)
	if version == 0 {
		query = "SELECT " + fileColumns + " FROM " + newestFiles + " WHERE " + of.sql + " AND NOT k.deleted"
		args = of.args
	}
	row, found, err := one[fileRow](s.read.WithContext(ctx), query, args...)
	if err != nil {
		return job.File{}, s.fault(ctx, err)
	}
	if !found {
		return job.File{}, noFile(key, entity)
	}
	f, err := row.file()
	return f, s.fault(ctx, err)
}

// newestFiles joins each key with its newest version.
const newestFiles = `file_keys k JOIN file_versions v ON v.account_id = k.account_id AND v.entity_type = k.entity_type
	AND v.entity_id = k.entity_id AND v.file_key = k.file_key AND v.version = k.newest`

func ofEntity(account int64, e job.EntityType, entity int64) condition {
	return condition{
		sql:  "v.account_id = ? AND v.entity_type = ? AND v.entity_id = ?",
		args: []any{account, string(e), entity},
	}
}

func ofKey(account int64, e job.EntityType, entity int64, key string) condition {
	c := ofEntity(account, e, entity)
	return condition{sql: c.sql + " AND v.file_key = ?", args: append(c.args, key)}
}

// Files is control.FileStore's.
func (s *Store) Files(
	ctx context.Context, account int64, e job.EntityType, entity int64, q job.Query,
) (job.List[job.File], error) {
	of := ofEntity(account, e, entity)
	of.sql += " AND NOT k.deleted"
	return list(ctx, s, fileListing, q, of, fileRow.file)
}

// FileVersions is control.FileStore's. Besides the properties of Files it knows version.
func (s *Store) FileVersions(
	ctx context.Context, account int64, e job.EntityType, entity int64, key string, q job.Query,
) (job.List[job.File], error) {
	if _, err := s.File(ctx, account, e, entity, key, 0); err != nil {
		return job.List[job.File]{}, err
	}
	return list(ctx, s, versionListing, q, ofKey(account, e, entity, key), fileRow.file)
}

// DeleteFile is control.FileStore's.
func (s *Store) DeleteFile(ctx context.Context, account int64, e job.EntityType, entity int64, key string) error {
	if clean(key) != key {
		return noFile(key, entity)
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE file_keys SET deleted = true, purge_after = ?
			WHERE account_id = ? AND entity_type = ? AND entity_id = ? AND file_key = ? AND NOT deleted`,
			micros(s.now().Add(purgeGrace)), account, string(e), entity, key)
		if err == nil && changed == 0 {
			return noFile(key, entity)
		}
		return err
	})
}
