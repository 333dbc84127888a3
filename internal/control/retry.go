package control

import (
	"context"

	"waybill/internal/job"
)

// RetryRequest asks for a new job made from a finished one.
type RetryRequest struct {
	Job            string
	Scope          job.RetryScope // empty: all
	RecordIDs      []string
	Overrides      Overrides
	Force          bool // allow it while another retry of the job is unfinished
	IdempotencyKey string
}

// Retry makes a new job from a finished one. It runs the same snapshot - package version, macros, limits - with the
// overrides laid over it, and its success completes the result of every job above it.
func (s *Jobs) Retry(ctx context.Context, a job.Actor, r RetryRequest) (Submitted, error) {
	parent, err := s.Get(ctx, a, r.Job)
	if err != nil {
		return Submitted{}, err
	}
	key, first, err := s.repeated(ctx, a, "retry/"+string(parent.ID), r.IdempotencyKey, r)
	if err != nil || first.Replayed {
		return first, err
	}
	if err := checkScope(parent, &r); err != nil {
		return Submitted{}, err
	}
	spec := parent.Spec
	if err := s.override(&spec, r.Overrides); err != nil {
		return Submitted{}, err
	}
	if spec.PackageName != parent.Spec.PackageName || spec.PackageVersion != parent.Spec.PackageVersion {
		if err := s.bind(ctx, parent.AccountID, parent.ConfigID, &spec); err != nil {
			return Submitted{}, err
		}
	}
	return s.accept(ctx, a, Submission{
		Job: job.Job{
			ConfigID: parent.ConfigID, ConfigName: parent.ConfigName, Spec: spec, Destination: parent.Destination,
			Tags: parent.Tags, RetryOf: parent.ID, RetryScope: r.Scope, Trigger: job.TriggerRetry,
		},
		Idempotency: key, Force: r.Force,
	})
}

func checkScope(parent job.Job, r *RetryRequest) error {
	if r.Scope == "" {
		r.Scope = job.RetryAll
	}
	if r.Scope != job.RetryAll && r.Scope != job.RetryFailedStep && r.Scope != job.RetryFailedRecords {
		return invalidField("scope is all, failed_step or failed_records")
	}
	if len(r.RecordIDs) > 0 && r.Scope != job.RetryFailedRecords {
		return invalidField("recordIds goes with scope failed_records only")
	}
	if !parent.Status.Final() {
		return job.Errorf(job.Conflict, job.WordJobNotFinished, "Job %s has not finished", parent.ID)
	}
	nothing := job.Errorf(job.Conflict, job.WordNothingToRetry, "Job %s has nothing of that scope to retry", parent.ID)
	switch {
	case r.Scope == job.RetryFailedStep && parent.Status == job.Completed:
		return nothing
	case r.Scope == job.RetryFailedRecords:
		// Programs can not report single records yet, so no job has an open one.
		if len(r.RecordIDs) > 0 {
			return job.Errorf(job.Invalid, job.WordUnknownRecord, "'%s' is not an open error of job %s", short(r.RecordIDs[0]), parent.ID)
		}
		return nothing
	}
	return nil
}
