package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// AddFile is control.FileStore's. A key that was deleted comes back with the next number.
func (s *Store) AddFile(ctx context.Context, f job.File) (job.File, error) {
	added, err := s.AddFiles(ctx, []job.File{f})
	if err != nil {
		return job.File{}, err
	}
	return added[0], nil
}

// AddFiles is control.FileStore's.
func (s *Store) AddFiles(ctx context.Context, files []job.File) ([]job.File, error) {
	rows := make([]fileRow, len(files))
	for i, f := range files {
		if err := checkText("key", f.Key, "contentType", f.ContentType); err != nil {
			return nil, err
		}
		rows[i] = toFileRow(f)
	}
	order := make([]int, len(files)) // of their keys, so that two uploads do not wait for each other in a circle
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := files[a], files[b]
		return cmp.Or(cmp.Compare(x.EntityType, y.EntityType), cmp.Compare(x.EntityID, y.EntityID), cmp.Compare(x.Key, y.Key))
	})
	err := s.transact(ctx, func(tx *gorm.DB) error {
		for _, i := range order {
			f := files[i]
			if err := s.holdEntity(tx, f.AccountID, f.EntityType, f.EntityID, false); err != nil {
				return err
			}
			if err := noLink(tx, f.AccountID, f.EntityType, f.EntityID, f.Key); err != nil {
				return err
			}
			if err := addVersion(tx, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	added, err := all(rows, fileRow.file)
	return added, s.fault(ctx, err)
}

func addVersion(tx *gorm.DB, row *fileRow) error {
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
	return insert(tx, *row)
}

// holdEntity sees to it that what the file hangs on is there and is not deleted before the transaction ends. alone also keeps
// others from holding it.
func (s *Store) holdEntity(tx *gorm.DB, account int64, e job.EntityType, id int64, alone bool) error {
	lock := ""
	if s.driver == Postgres {
		if lock = " FOR KEY SHARE"; alone {
			lock = " FOR UPDATE"
		}
	}
	query, args := "", []any{id, account}
	switch e {
	case job.EntityJobConfig:
		query = "SELECT id FROM job_configs WHERE id = ? AND account_id = ?"
	case job.EntityUser:
		query = "SELECT id FROM users WHERE id = ? AND account_id = ?"
	case job.EntityAccount:
		query = "SELECT id FROM accounts WHERE id = ? AND id = ?"
	default:
		return noEntity(e, id)
	}
	_, found, err := one[int64](tx, query+lock, args...)
	if err == nil && !found {
		return noEntity(e, id)
	}
	return err
}

// File is control.FileStore's.
func (s *Store) File(
	ctx context.Context, account int64, e job.EntityType, entity int64, key string, version int,
) (job.File, error) {
	if clean(key) != key {
		return job.File{}, noFile(key, e, entity)
	}
	db := s.read.WithContext(ctx)
	at := source{e, entity, 0}
	row, found, err := ownFile(db, account, at, key, version)
	// A key the entity has itself is never linked at the same time. A number, though, may be that of a version it had
	// before it deleted the key, and then the link decides.
	if mayLink(e) && err == nil && (!found || version != 0) {
		var link linkRow
		var linked bool
		link, linked, err = liveLink(db, account, e, entity, key)
		if err == nil && linked {
			at = source{job.EntityType(link.SourceType), link.SourceID, link.ID}
			row, found, err = ownFile(db, account, at, key, version)
		}
	}
	if err != nil {
		return job.File{}, s.fault(ctx, err)
	}
	if !found {
		return job.File{}, noFile(key, e, entity)
	}
	f, err := row.file()
	f.LinkID = at.link
	return f, s.fault(ctx, err)
}

// source is who has a file, and the link that leads there.
type source struct {
	kind job.EntityType
	id   int64
	link int64
}

func ownFile(db *gorm.DB, account int64, at source, key string, version int) (fileRow, bool, error) {
	of := ofKey(account, at.kind, at.id, key)
	if version == 0 {
		return one[fileRow](db, "SELECT "+fileColumns+" FROM "+newestFiles+" WHERE "+of.sql+" AND NOT k.deleted", of.args...)
	}
	return one[fileRow](db, "SELECT "+fileColumns+" FROM file_versions v WHERE "+of.sql+" AND v.version = ?", append(of.args, version)...)
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
	links, err := s.links(ctx, account, e, entity)
	if err != nil {
		return job.List[job.File]{}, err
	}
	of := []condition{ofEntity(account, e, entity)}
	through := map[source]map[string]int64{}
	for _, l := range links {
		of = append(of, ofKey(account, job.EntityType(l.SourceType), l.SourceID, l.FileKey))
		from := source{job.EntityType(l.SourceType), l.SourceID, 0}
		if through[from] == nil {
			through[from] = map[string]int64{}
		}
		through[from][l.FileKey] = l.ID
	}
	where := join(of, " OR ")
	where.sql += " AND NOT k.deleted"
	return list(ctx, s, fileListing, q, where, func(r fileRow) (job.File, error) {
		f, err := r.file()
		if f.EntityType != e || f.EntityID != entity {
			f.LinkID = through[source{f.EntityType, f.EntityID, 0}][f.Key]
		}
		return f, err
	})
}

// FileVersions is control.FileStore's. Besides the properties of Files it knows version.
func (s *Store) FileVersions(
	ctx context.Context, account int64, e job.EntityType, entity int64, key string, q job.Query,
) (job.List[job.File], error) {
	newest, err := s.File(ctx, account, e, entity, key, 0)
	if err != nil {
		return job.List[job.File]{}, err
	}
	return list(ctx, s, versionListing, q, ofKey(account, newest.EntityType, newest.EntityID, key), func(r fileRow) (job.File, error) {
		f, err := r.file()
		f.LinkID = newest.LinkID
		return f, err
	})
}

// DeleteFile is control.FileStore's.
func (s *Store) DeleteFile(ctx context.Context, account int64, e job.EntityType, entity int64, key string) error {
	if clean(key) != key {
		return noFile(key, e, entity)
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE file_keys SET deleted = true, purge_after = ?
			WHERE account_id = ? AND entity_type = ? AND entity_id = ? AND file_key = ? AND NOT deleted`,
			micros(s.now().Add(purgeGrace)), account, string(e), entity, key)
		switch {
		case err != nil:
			return err
		case changed == 0:
			if err := noLink(tx, account, e, entity, key); err != nil {
				return err
			}
			return noFile(key, e, entity)
		}
		return notLinked(tx, condition{"source_type = ? AND source_id = ? AND file_key = ?", []any{string(e), entity, key}}, account)
	})
}
