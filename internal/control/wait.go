package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// MaxWait bounds how long one call may be held (native.md, 6).
const MaxWait = 5 * time.Minute

// Wait holds until the job is final or the time is over, and returns the job as it then is.
func (s *Jobs) Wait(ctx context.Context, a job.Actor, ref string, limit time.Duration) (job.Job, error) {
	over := time.NewTimer(min(limit, MaxWait))
	defer over.Stop()
	var last job.Job
	err := s.Watch(ctx, a, ref, over.C, func(j job.Job) (bool, error) {
		last = j
		return !j.Status.Final(), nil
	})
	return last, err
}

// Polling of a job that somebody waits for: quick at first, since most jobs are short, and never slower than a second.
const (
	pollFirst = 50 * time.Millisecond
	pollMax   = time.Second
	// pollLog is for those who read its log: what a worker in another process writes rings no bell here.
	pollLog = 200 * time.Millisecond
)

// Watch calls see with the job now, and again after every change of its row or log that this process hears of, and at
// least about every second, until see returns false or an error, over receives, or ctx ends.
func (s *Jobs) Watch(ctx context.Context, a job.Actor, ref string, over <-chan time.Time, see func(job.Job) (more bool, err error)) error {
	return s.watch(ctx, a, ref, pollMax, over, see)
}

// WatchLog is Watch for who follows the log: see is called a few times a second.
func (s *Jobs) WatchLog(ctx context.Context, a job.Actor, ref string, see func(job.Job) (more bool, err error)) error {
	return s.watch(ctx, a, ref, pollLog, nil, see)
}

func (s *Jobs) watch(ctx context.Context, a job.Actor, ref string, slowest time.Duration, over <-chan time.Time,
	see func(job.Job) (more bool, err error)) error {
	rings, stop := s.Bell.Listen(job.ID(ref)) // before the first look, so that no change falls in between
	defer stop()
	poll := pollFirst
	timer := time.NewTimer(poll)
	defer timer.Stop()
	for {
		j, err := s.Get(ctx, a, ref)
		if err != nil {
			return err
		}
		if more, err := see(j); err != nil || !more {
			return err
		}
		select {
		case <-rings:
		case <-timer.C:
			poll = min(poll*2, slowest)
			timer.Reset(poll)
		case <-over:
			return nil
		case <-ctx.Done():
			return job.Wrap(context.Cause(ctx), job.Canceled, "", "The caller went away")
		}
	}
}
