package control

import (
	"context"

	"waybill/internal/job"
)

// AttemptLog is an attempt with the size of its part of the job's log.
type AttemptLog struct {
	job.Attempt
	LogBytes int64
}

// Attempts lists the tries of a job, first to last.
func (s *Jobs) Attempts(ctx context.Context, a job.Actor, ref string) ([]AttemptLog, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	attempts, err := s.Records.Attempts(ctx, j.AccountID, j.ID)
	if err != nil || len(attempts) == 0 {
		return nil, err
	}
	sizes, err := s.Logs.Sections(ctx, j.AccountID, j.ID)
	if err != nil {
		return nil, err
	}
	logs := make([]AttemptLog, len(attempts))
	for i, one := range attempts {
		logs[i] = AttemptLog{Attempt: one, LogBytes: sizes[one.Fence]}
	}
	return logs, nil
}

// Attempt finds one try of a job by its number, with the job.
func (s *Jobs) Attempt(ctx context.Context, a job.Actor, ref string, number int) (job.Job, job.Attempt, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.Job{}, job.Attempt{}, err
	}
	attempts, err := s.Records.Attempts(ctx, j.AccountID, j.ID)
	if err != nil {
		return job.Job{}, job.Attempt{}, err
	}
	for _, one := range attempts {
		if one.Number == number {
			return j, one, nil
		}
	}
	return job.Job{}, job.Attempt{}, job.Errorf(job.NotFound, job.WordNotFound, "Job %s has no attempt %d", j.ID, number)
}
