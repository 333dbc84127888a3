package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// purgeGrace is how long something must have been out of use before it is deleted: much longer than any upload or submission
// that may have looked at it just before.
const purgeGrace = 24 * time.Hour

// farAway is a time no clock reaches.
const farAway = int64(1) << 62

// HoldBlob is control.BlobKeeper's.
func (s *Store) HoldBlob(ctx context.Context, account int64, sha256 string) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "UPDATE blob_purges SET purge_after = ? WHERE account_id = ? AND sha256 = ? AND NOT deleting",
			micros(s.now().Add(purgeGrace)), account, sha256)
		if err != nil {
			return err
		}
		_, doomed, err := one[string](tx, "SELECT sha256 FROM blob_purges WHERE account_id = ? AND sha256 = ? AND deleting LIMIT 1", account, sha256)
		if err == nil && doomed {
			return job.Errorf(job.Unavailable, job.WordDependencyDown, "An earlier copy of the same file is just being deleted")
		}
		return err
	})
}

type fileKeyRow struct {
	AccountID  int64  `gorm:"column:account_id"`
	EntityType string `gorm:"column:entity_type"`
	EntityID   int64  `gorm:"column:entity_id"`
	FileKey    string `gorm:"column:file_key"`
}

const ofFileKey = "account_id = ? AND entity_type = ? AND entity_id = ? AND file_key = ?"

func (k fileKeyRow) args() []any { return []any{k.AccountID, k.EntityType, k.EntityID, k.FileKey} }

// ExpireVersions is control.BlobKeeper's.
func (s *Store) ExpireVersions(ctx context.Context, limit int) (looked, deleted int, err error) {
	now := s.now()
	if err := s.expireLinks(ctx, now, limit); err != nil {
		return 0, 0, err
	}
	keys, err := many[fileKeyRow](s.read.WithContext(ctx), "SELECT "+columnsOf[fileKeyRow]("")+
		" FROM file_keys WHERE deleted AND purge_after <= ? ORDER BY purge_after LIMIT ?", micros(now), limit)
	if err != nil {
		return 0, 0, s.fault(ctx, err)
	}
	for _, key := range keys {
		var n int64
		err := s.transact(ctx, func(tx *gorm.DB) (err error) {
			n, err = s.expireKey(tx, key, now)
			return err
		})
		if err != nil {
			return looked, deleted, err
		}
		looked, deleted = looked+1, deleted+int(n)
	}
	return looked, deleted, nil
}

// expireKey deletes the versions of a deleted key, unless a job or the pin of its config needs one, or the key has come back
// to life. The bytes stay for another day: a submission that had read a version is stored by then and keeps them.
func (s *Store) expireKey(tx *gorm.DB, key fileKeyRow, now time.Time) (int64, error) {
	_, found, err := one[string](tx, "SELECT file_key FROM file_keys WHERE "+ofFileKey+" AND deleted AND purge_after <= ?"+s.forUpdate(),
		append(key.args(), micros(now))...)
	if err != nil || !found {
		return 0, err
	}
	needed, err := neededKey(tx, key)
	if err != nil {
		return 0, err
	}
	if needed {
		_, err := run(tx, "UPDATE file_keys SET purge_after = ? WHERE "+ofFileKey, append([]any{micros(now.Add(purgeGrace))}, key.args()...)...)
		return 0, err
	}
	after := micros(now.Add(purgeGrace))
	if _, err := run(tx, `
		INSERT INTO blob_purges (account_id, sha256, entity_type, entity_id, file_key, purge_after, deleting)
		SELECT DISTINCT account_id, sha256, entity_type, entity_id, file_key, CAST(? AS bigint), false FROM file_versions WHERE `+ofFileKey+`
		ON CONFLICT (account_id, sha256, entity_type, entity_id, file_key) DO UPDATE SET purge_after = excluded.purge_after`,
		append([]any{after}, key.args()...)...); err != nil {
		return 0, err
	}
	deleted, err := run(tx, "DELETE FROM file_versions WHERE "+ofFileKey, key.args()...)
	if err != nil {
		return 0, err
	}
	// The key itself stays, so that a later upload goes on counting versions; its row is small.
	_, err = run(tx, "UPDATE file_keys SET purge_after = ? WHERE "+ofFileKey, append([]any{farAway}, key.args()...)...)
	return deleted, err
}

// neededKey tells whether a kept job names the key as its package or got it as an input, or whether its config names it: that
// may pin a version, which can be run although the key is deleted. Jobs of configs that linked to the key count.
func neededKey(tx *gorm.DB, key fileKeyRow) (bool, error) {
	if key.EntityType == string(job.EntityJobConfig) {
		_, found, err := one[int64](tx, "SELECT id FROM job_configs WHERE id = ? AND account_id = ? AND package_name = ?",
			key.EntityID, key.AccountID, key.FileKey)
		if err != nil || found {
			return found, err
		}
		_, found, err = one[string](tx, "SELECT id FROM jobs WHERE account_id = ? AND config_id = ? AND package_name = ? LIMIT 1",
			key.AccountID, key.EntityID, key.FileKey)
		if err != nil || found {
			return found, err
		}
	}
	_, found, err := one[string](tx, "SELECT job_id FROM job_files WHERE account_id = ? AND source_type = ? AND source_id = ? AND file_key = ? LIMIT 1",
		key.AccountID, key.EntityType, key.EntityID, key.FileKey)
	if err != nil || found {
		return found, err
	}
	_, found, err = one[int64](tx, `SELECT l.id FROM file_links l
		WHERE l.account_id = ? AND l.source_type = ? AND l.source_id = ? AND l.file_key = ? AND (NOT l.deleted OR `+linkNeeded+`) LIMIT 1`,
		key.AccountID, key.EntityType, key.EntityID, key.FileKey)
	return found, err
}

// ExpireBlobs is control.BlobKeeper's.
func (s *Store) ExpireBlobs(ctx context.Context, limit int) (doomed []control.Blob, looked int, err error) {
	now := s.now()
	rows, err := many[blobRow](s.read.WithContext(ctx),
		"SELECT account_id, sha256 FROM blob_purges WHERE purge_after <= ? ORDER BY purge_after, account_id, sha256 LIMIT ?", micros(now), limit)
	if err != nil {
		return nil, 0, s.fault(ctx, err)
	}
	seen := map[blobRow]bool{}
	for _, row := range rows {
		looked++
		if seen[row] {
			continue
		}
		seen[row] = true
		var doom bool
		err := s.transact(ctx, func(tx *gorm.DB) (err error) {
			doom, err = s.doom(tx, row, now)
			return err
		})
		if err != nil {
			return doomed, looked, err
		}
		if doom {
			doomed = append(doomed, control.Blob{AccountID: row.AccountID, SHA256: row.SHA256})
		}
	}
	return doomed, looked, nil
}

type blobRow struct {
	AccountID int64  `gorm:"column:account_id"`
	SHA256    string `gorm:"column:sha256"`
}

// doom decides whether a blob may go. It first takes the blob's rows, which an upload of the same bytes takes too
// (HoldBlob), and then looks whether anything needs them.
func (s *Store) doom(tx *gorm.DB, b blobRow, now time.Time) (bool, error) {
	n, err := run(tx, "UPDATE blob_purges SET deleting = true WHERE account_id = ? AND sha256 = ? AND purge_after <= ?",
		b.AccountID, b.SHA256, micros(now))
	if err != nil || n == 0 {
		return false, err
	}
	_, used, err := one[int](tx, "SELECT version FROM file_versions WHERE account_id = ? AND sha256 = ? LIMIT 1", b.AccountID, b.SHA256)
	if err != nil {
		return false, err
	}
	if used { // when the version goes, its bytes come back here
		_, err := run(tx, "DELETE FROM blob_purges WHERE account_id = ? AND sha256 = ?", b.AccountID, b.SHA256)
		return false, err
	}
	keys, err := many[fileKeyRow](tx, "SELECT "+columnsOf[fileKeyRow]("")+" FROM blob_purges WHERE account_id = ? AND sha256 = ?",
		b.AccountID, b.SHA256)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		needed, err := neededKey(tx, key)
		if err != nil {
			return false, err
		}
		if needed {
			_, err := run(tx, "UPDATE blob_purges SET deleting = false, purge_after = ? WHERE account_id = ? AND sha256 = ?",
				micros(now.Add(purgeGrace)), b.AccountID, b.SHA256)
			return false, err
		}
	}
	return true, nil
}

// BlobGone is control.BlobKeeper's.
func (s *Store) BlobGone(ctx context.Context, b control.Blob) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "DELETE FROM blob_purges WHERE account_id = ? AND sha256 = ? AND deleting", b.AccountID, b.SHA256)
		return err
	})
}
