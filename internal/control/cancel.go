package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// Cancel records the actor's wish that the job end, and passes it to the engine. The record is what counts: an engine
// that can not be reached now is told by the reconciler later.
func (s *Jobs) Cancel(ctx context.Context, a job.Actor, ref string) (job.Job, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.Job{}, err
	}
	j, err = s.Writer.Cancel(ctx, a.AccountID, j.ID, a.User, s.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return job.Job{}, err
	}
	s.Bell.Ring(j.ID)
	if err := s.Starter.CancelJob(ctx, j.ID); err != nil {
		s.Log.WarnContext(ctx, "cancel is stored but the engine has not been told yet", "job", j.ID, "error", err)
	}
	return j, nil
}

// Skipped is a record a bulk call left alone, and why.
type Skipped struct {
	ID   string
	Word job.Word
}

// CancelMany cancels those of the jobs that are queued, and where running is set also those that a worker has. What is
// left is skipped (native.md, 6.2).
func (s *Jobs) CancelMany(ctx context.Context, a job.Actor, refs []string, running bool) (accepted []string, skipped []Skipped, err error) {
	if len(refs) == 0 {
		return nil, nil, job.Errorf(job.Invalid, job.WordMissingField, "recordIds is required")
	}
	if len(refs) > maxBulk {
		return nil, nil, invalidField("recordIds names more than %d records", maxBulk)
	}
	for _, ref := range refs {
		j, err := s.Get(ctx, a, ref)
		switch {
		case err != nil && job.CodeOf(err) != job.NotFound && job.CodeOf(err) != job.Forbidden:
			return accepted, skipped, err
		case err != nil:
			skipped = append(skipped, Skipped{ref, job.WordOf(err)})
		case j.Status.Final():
			skipped = append(skipped, Skipped{ref, job.WordJobFinished})
		case j.Status != job.Queued && !running:
			skipped = append(skipped, Skipped{ref, WordJobRunning})
		default:
			if _, err := s.Cancel(ctx, a, ref); err != nil {
				if job.CodeOf(err) != job.Conflict {
					return accepted, skipped, err
				}
				skipped = append(skipped, Skipped{ref, job.WordOf(err)})
				continue
			}
			accepted = append(accepted, ref)
		}
	}
	return accepted, skipped, nil
}

// WordJobRunning is why a bulk stop skips a job that a worker has.
const WordJobRunning job.Word = "job_running"
