package sqlstore

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

type sweepRow struct {
	AfterKey   string `gorm:"column:after_key"`
	FinishedAt int64  `gorm:"column:finished_at"`
}

// SweepMark is control.SweepStore's.
func (s *Store) SweepMark(ctx context.Context) (job.SweepMark, error) {
	r, _, err := one[sweepRow](s.read.WithContext(ctx), "SELECT after_key, finished_at FROM object_sweep WHERE id = 1")
	return job.SweepMark{After: r.AfterKey, Finished: timeOf(r.FinishedAt)}, s.fault(ctx, err)
}

// SetSweepMark is control.SweepStore's.
func (s *Store) SetSweepMark(ctx context.Context, m job.SweepMark) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		if m.After != "" {
			_, err := run(tx, "UPDATE object_sweep SET after_key = ? WHERE id = 1", m.After)
			return err
		}
		_, err := run(tx, "UPDATE object_sweep SET after_key = '', finished_at = ? WHERE id = 1", micros(m.Finished))
		return err
	})
}

// Strangers is control.SweepStore's.
func (s *Store) Strangers(ctx context.Context, folders []job.ObjectFolder, now, before time.Time) (old []job.ObjectFolder, err error) {
	var strange, known []job.ObjectFolder
	jobs, err := s.statuses(ctx, folders)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	for _, f := range folders {
		status, found := jobs[f.Place.Job]
		stranger := !found
		switch {
		case f.Place.SHA256 != "":
			stranger, err = s.strangeBlob(ctx, f.Place)
		case !found: // the whole job
			f = job.FolderOfJob(f.Place.Account, f.Place.Job)
		case f.Place.Fence != 0:
			stranger, err = s.strangeOutputs(ctx, f, status)
		}
		if err != nil {
			return nil, s.fault(ctx, err)
		}
		if stranger {
			strange = append(strange, f)
		} else {
			known = append(known, f)
		}
	}
	return s.remember(ctx, slices.Compact(strange), known, now, before)
}

type jobStatusRow struct {
	ID     string `gorm:"column:id"`
	Status string `gorm:"column:status"`
}

// statuses looks the jobs up; one that is being purged counts as one that is there.
func (s *Store) statuses(ctx context.Context, folders []job.ObjectFolder) (map[job.ID]job.Status, error) {
	var ids []string
	for _, f := range folders {
		if f.Place.Job != "" {
			ids = append(ids, string(f.Place.Job))
		}
	}
	slices.Sort(ids)
	found := map[job.ID]job.Status{}
	for some := range slices.Chunk(slices.Compact(ids), configsAtOnce) {
		for _, query := range []string{
			"SELECT job_id AS id, '' AS status FROM job_purges WHERE job_id IN ?", "SELECT id, status FROM jobs WHERE id IN ?",
		} {
			rows, err := many[jobStatusRow](s.read.WithContext(ctx), query, some)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				found[job.ID(r.ID)] = job.Status(r.Status)
			}
		}
	}
	return found, nil
}

func (s *Store) strangeBlob(ctx context.Context, p job.ObjectPlace) (bool, error) {
	_, known, err := one[int](s.read.WithContext(ctx), `
		SELECT 1 WHERE EXISTS (SELECT 1 FROM file_versions WHERE account_id = ? AND sha256 = ?)
		OR EXISTS (SELECT 1 FROM blob_purges WHERE account_id = ? AND sha256 = ?)`, p.Account, p.SHA256, p.Account, p.SHA256)
	return !known, err
}

// strangeOutputs tells whether a job that will get no more outputs has none of that attempt.
func (s *Store) strangeOutputs(ctx context.Context, f job.ObjectFolder, status job.Status) (bool, error) {
	if !status.Final() {
		return false, nil
	}
	objects, err := many[struct {
		Object string `gorm:"column:object"`
	}](s.read.WithContext(ctx), "SELECT object FROM job_outputs WHERE job_id = ? ORDER BY name LIMIT 1", string(f.Place.Job))
	if err != nil || len(objects) == 0 {
		return err == nil, err
	}
	// All outputs of a job are of the attempt that ended it.
	p, ok := job.PlaceOfObject(objects[0].Object)
	return ok && p.Fence != f.Place.Fence, nil
}

type orphanRow struct {
	Prefix string `gorm:"column:prefix"`
	SeenAt int64  `gorm:"column:seen_at"`
}

// remember notes since when folders are strange.
func (s *Store) remember(ctx context.Context, strange, known []job.ObjectFolder, now, before time.Time) (old []job.ObjectFolder, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		old = nil
		if err := forgetOrphans(tx, known); err != nil {
			return err
		}
		for _, f := range strange {
			if _, err := run(tx, "INSERT INTO object_orphans (prefix, seen_at) VALUES (?, ?) ON CONFLICT (prefix) DO NOTHING", f.Prefix, micros(now)); err != nil {
				return err
			}
			r, found, err := one[orphanRow](tx, "SELECT prefix, seen_at FROM object_orphans WHERE prefix = ?", f.Prefix)
			if err != nil {
				return err
			}
			if found && !timeOf(r.SeenAt).After(before) {
				old = append(old, f)
			}
		}
		return nil
	})
	return old, err
}

func forgetOrphans(tx *gorm.DB, folders []job.ObjectFolder) error {
	prefixes := make([]string, len(folders))
	for i, f := range folders {
		prefixes[i] = f.Prefix
	}
	for some := range slices.Chunk(prefixes, configsAtOnce) {
		if _, err := run(tx, "DELETE FROM object_orphans WHERE prefix IN ?", some); err != nil {
			return err
		}
	}
	return nil
}

// ForgetStrangers is control.SweepStore's.
func (s *Store) ForgetStrangers(ctx context.Context, folders []job.ObjectFolder) error {
	if len(folders) == 0 {
		return nil
	}
	return s.transact(ctx, func(tx *gorm.DB) error { return forgetOrphans(tx, folders) })
}

// GiveUpBlob is control.SweepStore's. The row belongs to no file key, so nothing needs it.
func (s *Store) GiveUpBlob(ctx context.Context, b control.Blob) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, `INSERT INTO blob_purges (account_id, sha256, entity_type, entity_id, file_key, purge_after, deleting)
			VALUES (?, ?, '', 0, '', ?, false) ON CONFLICT (account_id, sha256, entity_type, entity_id, file_key) DO NOTHING`,
			b.AccountID, b.SHA256, micros(s.now().Add(purgeGrace)))
		return err
	})
}
