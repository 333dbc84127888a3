package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// maxLinks bounds the links of one entity: each is a term of the query that lists its files.
const maxLinks = 100

type linkRow struct {
	ID            int64  `gorm:"column:id;primaryKey;autoIncrement"`
	AccountID     int64  `gorm:"column:account_id"`
	EntityType    string `gorm:"column:entity_type"`
	EntityID      int64  `gorm:"column:entity_id"`
	SourceType    string `gorm:"column:source_type"`
	SourceID      int64  `gorm:"column:source_id"`
	FileKey       string `gorm:"column:file_key"`
	CreatedAt     int64  `gorm:"column:created_at;autoCreateTime:false"`
	CreatedByID   int64  `gorm:"column:created_by_id"`
	CreatedByName string `gorm:"column:created_by_name"`
	Deleted       bool   `gorm:"column:deleted"`
	PurgeAfter    int64  `gorm:"column:purge_after"`
}

func (linkRow) TableName() string { return "file_links" }

// linkNeeded tells of a row of file_links l whether a kept job may have run through it.
const linkNeeded = `EXISTS (SELECT 1 FROM jobs j WHERE l.entity_type = 'JOBCONFIG' AND j.account_id = l.account_id AND j.config_id = l.entity_id
	AND j.package_name = l.file_key)`

// mayLink tells whether entities of the kind can have links.
func mayLink(e job.EntityType) bool { return e == job.EntityJobConfig }

const ofLinks = "account_id = ? AND entity_type = ? AND entity_id = ? AND NOT deleted"

func liveLink(db *gorm.DB, account int64, e job.EntityType, entity int64, key string) (linkRow, bool, error) {
	return one[linkRow](db, "SELECT "+columnsOf[linkRow]("")+" FROM file_links WHERE "+ofLinks+" AND file_key = ?", account, string(e), entity, key)
}

func (s *Store) links(ctx context.Context, account int64, e job.EntityType, entity int64) ([]linkRow, error) {
	if !mayLink(e) {
		return nil, nil
	}
	rows, err := many[linkRow](s.read.WithContext(ctx), "SELECT "+columnsOf[linkRow]("")+" FROM file_links WHERE "+ofLinks+" ORDER BY id",
		account, string(e), entity)
	return rows, s.fault(ctx, err)
}

// noLink refuses what can not be done to a key that is a link.
func noLink(tx *gorm.DB, account int64, e job.EntityType, entity int64, key string) error {
	if !mayLink(e) {
		return nil
	}
	l, found, err := liveLink(tx, account, e, entity, key)
	if err != nil || !found {
		return err
	}
	return job.Errorf(job.Conflict, job.WordLinkExists, "File '%s' of %s %d is a link (%d) to a file of %s %d",
		key, e.Noun(), entity, l.ID, job.EntityType(l.SourceType).Noun(), l.SourceID)
}

// notLinked refuses to delete what others link to.
func notLinked(tx *gorm.DB, to condition, account int64) error {
	l, found, err := one[linkRow](tx, "SELECT "+columnsOf[linkRow]("")+" FROM file_links WHERE account_id = ? AND NOT deleted AND "+to.sql+" ORDER BY id LIMIT 1",
		append([]any{account}, to.args...)...)
	if err != nil || !found {
		return err
	}
	return job.Errorf(job.Conflict, job.WordLinkExists, "File '%s' is linked by %s %d", l.FileKey, job.EntityType(l.EntityType).Noun(), l.EntityID)
}

// AddLink is control.FileLinks's. It holds the linking entity alone, so that no upload makes the same key meanwhile, and the
// key at the source, so that it is not deleted.
func (s *Store) AddLink(ctx context.Context, l job.FileLink) (job.FileLink, error) {
	if !mayLink(l.EntityType) {
		return l, noEntity(l.EntityType, l.EntityID)
	}
	if clean(l.Key) != l.Key {
		return l, noFile(l.Key, l.SourceType, l.SourceID)
	}
	if err := checkText("createdBy", l.CreatedBy.Name); err != nil {
		return l, err
	}
	err := s.transact(ctx, func(tx *gorm.DB) error {
		if err := s.holdEntity(tx, l.AccountID, l.EntityType, l.EntityID, true); err != nil {
			return err
		}
		_, found, err := one[string](tx, "SELECT file_key FROM file_keys WHERE "+ofFileKey+" AND NOT deleted"+s.forUpdate(),
			l.AccountID, string(l.SourceType), l.SourceID, l.Key)
		if err == nil && !found {
			err = noFile(l.Key, l.SourceType, l.SourceID)
		}
		if err == nil {
			err = s.freeForLink(tx, l)
		}
		if err != nil {
			return err
		}
		l.ID, _, err = one[int64](tx, `
			INSERT INTO file_links (account_id, entity_type, entity_id, source_type, source_id, file_key, created_at, created_by_id, created_by_name,
				deleted, purge_after)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, false, 0) RETURNING id`,
			l.AccountID, string(l.EntityType), l.EntityID, string(l.SourceType), l.SourceID, l.Key, micros(l.CreatedAt), l.CreatedBy.ID, l.CreatedBy.Name)
		auditMade(ctx, "filelink", l.ID)
		return err
	})
	return l, err
}

func (s *Store) freeForLink(tx *gorm.DB, l job.FileLink) error {
	_, own, err := one[string](tx, "SELECT file_key FROM file_keys WHERE "+ofFileKey+" AND NOT deleted",
		l.AccountID, string(l.EntityType), l.EntityID, l.Key)
	switch {
	case err != nil:
		return err
	case own:
		return job.Errorf(job.Conflict, job.WordDuplicateName, "%s %d has a file '%s' of its own", l.EntityType.Noun(), l.EntityID, l.Key)
	}
	if err := noLink(tx, l.AccountID, l.EntityType, l.EntityID, l.Key); err != nil {
		return err
	}
	n, _, err := one[int](tx, "SELECT count(*) FROM file_links WHERE "+ofLinks, l.AccountID, string(l.EntityType), l.EntityID)
	if err == nil && n >= maxLinks {
		return job.Errorf(job.Invalid, job.WordInvalidField, "%s %d has %d links, which is as many as it can have", l.EntityType.Noun(), l.EntityID, n)
	}
	return err
}

// DeleteLink is control.FileLinks's. The row stays for a while: a submission may have followed the link just before.
func (s *Store) DeleteLink(ctx context.Context, account int64, e job.EntityType, entity, link int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		n, err := run(tx, "UPDATE file_links SET deleted = true, purge_after = ? WHERE id = ? AND "+ofLinks,
			micros(s.now().Add(purgeGrace)), link, account, string(e), entity)
		if err == nil && n == 0 {
			return job.Errorf(job.NotFound, job.WordNotFound, "Link %d not found on %s %d", link, e.Noun(), entity)
		}
		return err
	})
}

// unlinkConfigs takes away the links of configs that are being deleted, and refuses that while others link to their files.
func (s *Store) unlinkConfigs(tx *gorm.DB, account int64, ids []int64) error {
	_, err := run(tx, "UPDATE file_links SET deleted = true, purge_after = ? WHERE account_id = ? AND entity_type = ? AND entity_id IN ? AND NOT deleted",
		micros(s.now().Add(purgeGrace)), account, string(job.EntityJobConfig), ids)
	if err != nil {
		return err
	}
	return notLinked(tx, condition{"source_type = ? AND source_id IN ?", []any{string(job.EntityJobConfig), ids}}, account)
}

// expireLinks deletes links that were taken away and that no kept job needs any more.
func (s *Store) expireLinks(ctx context.Context, now time.Time, limit int) error {
	due, err := many[int64](s.read.WithContext(ctx), "SELECT id FROM file_links WHERE deleted AND purge_after <= ? ORDER BY purge_after LIMIT ?",
		micros(now), limit)
	if err != nil {
		return s.fault(ctx, err)
	}
	for _, id := range due {
		err := s.transact(ctx, func(tx *gorm.DB) error {
			n, err := run(tx, "DELETE FROM file_links AS l WHERE l.id = ? AND l.deleted AND NOT "+linkNeeded, id)
			if err == nil && n == 0 {
				_, err = run(tx, "UPDATE file_links SET purge_after = ? WHERE id = ?", micros(now.Add(purgeGrace)), id)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
