package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
)

// SweepStore tells which objects the rows know, and remembers which they did not.
type SweepStore interface {
	// SweepMark is where the sweep is: behind which key, or, with none, when the last round ended.
	SweepMark(ctx context.Context) (job.SweepMark, error)
	SetSweepMark(ctx context.Context, m job.SweepMark) error
	// Strangers picks those of the folders that no row knows: of a job that is absent and not being purged, of an attempt of a
	// job that is final and has no such output, of a package that no version has and that is not to be deleted anyway. It
	// remembers since when, forgets that of the others, and tells which have been so since before the time.
	Strangers(ctx context.Context, folders []job.ObjectFolder, now, before time.Time) (old []job.ObjectFolder, err error)
	// GiveUpBlob has ExpireBlobs look at bytes that no version has, a day later at the earliest. An upload of the same bytes
	// meanwhile keeps them.
	GiveUpBlob(ctx context.Context, b Blob) error
	// ForgetStrangers forgets folders that are gone.
	ForgetStrangers(ctx context.Context, folders []job.ObjectFolder) error
}

// Uploads ends uploads in parts that nobody goes on with.
type Uploads interface {
	// AbortUploads ends those that were begun before the time, some at most, and counts them.
	AbortUploads(ctx context.Context, before time.Time) (int, error)
}

// Sweep deletes objects that no row knows: those of an upload whose row was never stored, of an attempt that was fenced off while
// it stored its outputs, of a job whose database was put back to an older copy.
//
// It goes round the bucket in steps, with a rest of a day between two rounds. What it finds it only notes; it deletes what it
// finds still unknown once Grace is over. So there is that much time to notice that a database is the wrong one. Objects
// younger than a day are not looked at: their rows may not be stored yet. With a grace of less than a day, the grace is that
// age, and the rest, too.
type Sweep struct {
	Store   SweepStore
	Objects Objects
	Uploads Uploads
	Grace   time.Duration // 0: nothing is noted or deleted
	Now     Clock
	Log     *slog.Logger
}

// Pace of the sweep.
const (
	sweepStep  = 5000           // objects looked at in one run of the retention
	sweepBatch = 500            // of these, at once
	sweepRest  = 24 * time.Hour // between two rounds, at most
	sweepYoung = 24 * time.Hour // younger objects, or those younger than the grace, are left alone
	sweepIdle  = 24 * time.Hour // so long an upload in parts may take
)

// Step does a piece of a round.
func (s *Sweep) Step(ctx context.Context, beat func()) (sum job.Purged, err error) {
	if s.Grace <= 0 {
		return sum, nil
	}
	mark, err := s.Store.SweepMark(ctx)
	if err != nil || mark.After == "" && s.Now().Sub(mark.Finished) < min(sweepRest, s.Grace) {
		return sum, err
	}
	for looked := 0; looked < sweepStep; looked += sweepBatch {
		beat()
		last, deleted, more, err := s.batch(ctx, mark.After, beat)
		sum = sum.Plus(deleted)
		if err != nil {
			return sum, err
		}
		if mark.After = last; !more {
			mark = job.SweepMark{Finished: s.Now()}
		}
		if err := s.Store.SetSweepMark(ctx, mark); err != nil {
			return sum, err
		}
		if !more {
			return sum, s.abort(ctx)
		}
	}
	return sum, nil
}

// batch looks at the objects behind a key.
func (s *Sweep) batch(ctx context.Context, after string, beat func()) (last string, sum job.Purged, more bool, err error) {
	var folders []job.ObjectFolder
	now, n := s.Now(), 0
	err = s.Objects.List(ctx, "accounts/", after, func(o Object) bool {
		last = o.Key
		n++
		if now.Sub(o.Modified) >= min(sweepYoung, s.Grace) {
			if f, ok := job.FolderOfObject(o.Key); ok && (len(folders) == 0 || folders[len(folders)-1] != f) {
				folders = append(folders, f)
			}
		}
		return n < sweepBatch
	})
	if err != nil {
		return after, sum, false, err
	}
	old, err := s.Store.Strangers(ctx, folders, now, now.Add(-s.Grace))
	if err != nil {
		return after, sum, false, err
	}
	for _, f := range old {
		deleted, err := s.remove(ctx, f, beat)
		sum = sum.Plus(deleted)
		if err != nil {
			return after, sum, false, err
		}
	}
	return last, sum, n == sweepBatch, s.Store.ForgetStrangers(ctx, old)
}

// remove deletes what lies in a folder.
func (s *Sweep) remove(ctx context.Context, f job.ObjectFolder, beat func()) (sum job.Purged, err error) {
	s.Log.WarnContext(ctx, "objects that no row knows are deleted", "folder", f.Prefix)
	if f.Place.SHA256 != "" {
		return sum, s.Store.GiveUpBlob(ctx, Blob{AccountID: f.Place.Account, SHA256: f.Place.SHA256})
	}
	r := Retention{Objects: s.Objects}
	sum.Objects, sum.Bytes, err = r.deleteObjects(ctx, f.Prefix, beat)
	return sum, err
}

// abort ends uploads that were broken off.
func (s *Sweep) abort(ctx context.Context) error {
	if s.Uploads == nil {
		return nil
	}
	n, err := s.Uploads.AbortUploads(ctx, s.Now().Add(-sweepIdle))
	if n > 0 {
		s.Log.InfoContext(ctx, "uploads that nobody went on with were ended", "uploads", n)
	}
	return err
}
