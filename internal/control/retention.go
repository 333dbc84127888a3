package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
)

// RetentionStore finds the jobs that are over their retention.
type RetentionStore interface {
	// ExpireJobs goes on from the mark until it has taken about limit jobs, or to the end. Taking a job deletes its row and
	// leaves a job.Purge in one transaction. A job is taken with its whole family or not at all: every member must be final,
	// rolled up, settled, without a pending delivery, and over the limits of its config (or of the account where the config
	// sets none; counts are per config or per account accordingly, jobs that ended last being kept).
	ExpireJobs(ctx context.Context, r job.RetentionRun, from job.RetentionMark, limit int) (next job.RetentionMark, taken int, err error)
	// Purges lists purges, by id, after the id.
	Purges(ctx context.Context, after job.ID, limit int) ([]job.Purge, error)
	// PurgeDone forgets the purge and adds what was deleted to the account's result, once: false when it was forgotten already.
	PurgeDone(ctx context.Context, r job.RetentionRun, p job.Purge, deleted job.Purged) (bool, error)
	// RetentionResult is what the last run did in the account; the zero value before the first.
	RetentionResult(ctx context.Context, account int64) (job.RetentionResult, error)
}

// BlobKeeper finds packages nobody needs any more. Only versions of deleted file keys are ever in question.
type BlobKeeper interface {
	// HoldBlob keeps the bytes of the digest for a day at least: an upload calls it before it looks whether they are there
	// already. Unavailable while they are just being deleted.
	HoldBlob(ctx context.Context, account int64, sha256 string) error
	// ExpireVersions looks at up to limit file keys that were deleted a day ago or earlier, and deletes the versions of those
	// that no job and no config names. Keys still needed are looked at again a day later.
	ExpireVersions(ctx context.Context, limit int) (looked, deleted int, err error)
	// ExpireBlobs looks at up to limit digests whose versions were deleted a day ago or earlier, and dooms those that nothing
	// needs; a doomed one must be deleted and reported by BlobGone, and comes again until it is.
	ExpireBlobs(ctx context.Context, limit int) (doomed []Blob, looked int, err error)
	// BlobGone forgets a doomed blob whose bytes are deleted.
	BlobGone(ctx context.Context, b Blob) error
}

// Blob is the bytes of a package.
type Blob struct {
	AccountID int64
	SHA256    string
}

// RetentionSchedule is the schedule that runs the retention.
type RetentionSchedule interface {
	// Ensure makes it if it is absent, and sets its interval.
	Ensure(ctx context.Context, every time.Duration) error
	// RunNow starts a run, unless one is under way.
	RunNow(ctx context.Context) error
}

// Histories deletes what the engine remembers.
type Histories interface {
	// DeleteHistory deletes all runs of the job's workflows and tells how many there were. It is asked for final jobs only.
	DeleteHistory(ctx context.Context, id job.ID) (int, error)
}

// Retention deletes jobs that are over their time or number: row, log, objects and workflow histories.
//
// The row goes first, together with everything that hangs on it, and leaves a job.Purge in the same transaction: nobody sees
// half a job, no retry can be made of one, and whatever dies in between, the purge is found and done again by the next batch.
type Retention struct {
	Store     RetentionStore
	Objects   Objects
	Histories Histories
	Blobs     BlobKeeper
	Default   job.Retention // of the system; zero members: for ever
	Now       Clock
	Log       *slog.Logger
	// Sweep deletes objects that no row knows; nil: nobody does.
	Sweep *Sweep
	// Count is told what was deleted, as it happens; may be nil.
	Count func(job.Purged)
}

const (
	purgeBatch = 100
	// purgeSettled is how long ago a job must have ended. It is not a promise but distance to what happens right after an end.
	purgeSettled = 10 * time.Second
	beatEvery    = 100 // objects
)

// Batch does a piece of a run: it takes jobs from the mark on, and does all purges there are. beat is called now and then.
// An error means that the database, the engine or the object store is away; what is left is done by a later batch.
func (r *Retention) Batch(
	ctx context.Context, started time.Time, from job.RetentionMark, beat func(),
) (next job.RetentionMark, sum job.Purged, err error) {
	now := r.Now()
	run := job.RetentionRun{Started: started, Default: r.Default, Now: now, Settled: now.Add(-purgeSettled)}
	// A run looks at what was there when it began, or it might never end. When that was is told by the engine's clock, which says
	// nothing of ages if it is ahead of the one that jobs end by.
	if run.Now.After(started) {
		run.Now = started
	}
	if run.Settled.After(started) {
		run.Settled = started
	}
	next, taken, err := r.Store.ExpireJobs(ctx, run, from, purgeBatch)
	if err != nil {
		return from, sum, err
	}
	if taken > 0 {
		r.Log.InfoContext(ctx, "jobs are over their retention", "jobs", taken, "account", next.Account)
	}
	for after := job.ID(""); ; {
		purges, err := r.Store.Purges(ctx, after, purgeBatch)
		if err != nil || len(purges) == 0 {
			return next, sum, err
		}
		for _, p := range purges {
			beat()
			done, err := r.purge(ctx, run, p, beat)
			if outage(err) != nil {
				return next, sum, err
			}
			if err != nil { // this one only: it must not keep the others
				r.Log.WarnContext(ctx, "job not purged", "job", p.ID, "error", err)
				done = job.Purged{Failed: 1}
			}
			sum = sum.Plus(done)
			r.count(done)
			after = p.ID
		}
	}
}

// purge deletes what is left of one job. Everything may be repeated: what is gone already is not an error.
func (r *Retention) purge(ctx context.Context, run job.RetentionRun, p job.Purge, beat func()) (job.Purged, error) {
	done := job.Purged{Jobs: 1}
	histories, err := r.Histories.DeleteHistory(ctx, p.ID)
	if err != nil {
		return done, err
	}
	done.Histories = int64(histories)
	if done.Objects, done.Bytes, err = r.deleteObjects(ctx, job.JobPrefix(p.AccountID, p.ID), beat); err != nil {
		return done, err
	}
	first, err := r.Store.PurgeDone(ctx, run, p, done)
	if err != nil || !first {
		return job.Purged{}, err
	}
	return done, nil
}

// deleteObjects deletes all objects below prefix. They are listed in slices, so that memory does not grow with their number,
// and each slice is deleted after its listing has ended.
func (r *Retention) deleteObjects(ctx context.Context, prefix string, beat func()) (objects, bytes int64, err error) {
	for after := ""; ; {
		var found []Object
		err := r.Objects.List(ctx, prefix, after, func(o Object) bool {
			found = append(found, o)
			return len(found) < beatEvery
		})
		if err != nil || len(found) == 0 {
			return objects, bytes, err
		}
		for _, o := range found {
			if err := r.Objects.Delete(ctx, o.Key); err != nil {
				return objects, bytes, err
			}
			objects, bytes, after = objects+1, bytes+o.Size, o.Key
		}
		beat()
		if len(found) < beatEvery {
			return objects, bytes, nil
		}
	}
}

func (r *Retention) count(p job.Purged) {
	if r.Count != nil && p != (job.Purged{}) {
		r.Count(p)
	}
}

// Packages deletes what belonged to deleted file keys and is needed by no job: versions, and a day later their bytes.
func (r *Retention) Packages(ctx context.Context, _ time.Time, beat func()) (sum job.Purged, err error) {
	for {
		beat()
		looked, deleted, err := r.Blobs.ExpireVersions(ctx, purgeBatch)
		sum.Versions += int64(deleted)
		r.count(job.Purged{Versions: int64(deleted)})
		if err != nil {
			return sum, err
		}
		if looked < purgeBatch {
			break
		}
	}
	for {
		beat()
		doomed, looked, err := r.Blobs.ExpireBlobs(ctx, purgeBatch)
		for _, b := range doomed {
			deleted, err := r.deleteBlob(ctx, b)
			if err != nil {
				return sum, err
			}
			sum = sum.Plus(deleted)
			r.count(deleted)
		}
		if err != nil {
			return sum, err
		}
		if looked < purgeBatch {
			break
		}
	}
	if r.Sweep == nil {
		return sum, nil
	}
	swept, err := r.Sweep.Step(ctx, beat)
	r.count(swept)
	return sum.Plus(swept), err
}

func (r *Retention) deleteBlob(ctx context.Context, b Blob) (deleted job.Purged, err error) {
	key := job.BlobKey(b.AccountID, b.SHA256)
	o, err := r.Objects.Stat(ctx, key)
	switch {
	case err == nil:
		deleted = job.Purged{Objects: 1, Bytes: o.Size}
	case job.CodeOf(err) != job.NotFound:
		return deleted, err
	}
	if err := r.Objects.Delete(ctx, key); err != nil {
		return job.Purged{}, err
	}
	return deleted, r.Blobs.BlobGone(ctx, b)
}
