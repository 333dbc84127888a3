package control

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// Cancel records the actor's wish that the job end, and passes it to the engine. The record is what counts: an engine
// that can not be reached now is told later, see CancelCourier.
func (s *Jobs) Cancel(ctx context.Context, a job.Actor, ref string) (j job.Job, err error) {
	ctx, span := tracing.Start(ctx, "cancel job", trace.WithAttributes(attribute.String(tracing.Job, ref)))
	defer func() { tracing.End(span, err) }()
	j, err = s.recordCancel(ctx, a, ref)
	if err == nil {
		s.passCancel(ctx, j.ID)
	}
	return j, err
}

func (s *Jobs) recordCancel(ctx context.Context, a job.Actor, ref string) (job.Job, error) {
	j, err := s.For(ctx, a, ref, job.Execute)
	if err != nil {
		return job.Job{}, err
	}
	return s.recordStop(ctx, a, j, 0)
}

func (s *Jobs) passCancel(ctx context.Context, id job.ID) {
	if err := s.Starter.CancelJob(ctx, id); err != nil {
		s.Log.WarnContext(ctx, "cancel is stored but the engine has not been told yet", "job", id, "error", err)
	}
}

// How a bulk cancel tells the engine: several calls at once, and no longer than its caller will wait. What is left then is
// the CancelCourier's.
const (
	cancelCalls    = 8
	cancelPatience = 3 * time.Second
)

// passCancels tells the engine of many cancels.
func (s *Jobs) passCancels(ctx context.Context, refs []string) {
	ctx, done := context.WithTimeout(ctx, cancelPatience)
	defer done()
	var calls errgroup.Group
	calls.SetLimit(cancelCalls)
	for _, ref := range refs {
		calls.Go(func() error {
			if ctx.Err() == nil {
				s.passCancel(ctx, job.ID(ref))
			}
			return nil
		})
	}
	_ = calls.Wait() // none of them returns an error
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
	defer func() { s.passCancels(ctx, accepted) }() // also those that were recorded before an error
	for _, ref := range refs {
		j, err := s.For(ctx, a, ref, job.Execute)
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
			if _, err := s.recordCancel(ctx, a, ref); err != nil {
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
