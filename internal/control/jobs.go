package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Jobs is what can be done with jobs. Verbs have files of their own: submit.go, cancel.go, retry.go, wait.go.
type Jobs struct {
	Reader  JobReader
	Talk    TalkReader
	Records RecordReader
	Past    EndedJobs
	Mending RecordWriter
	Writer  JobWriter
	Configs *Configs
	Files   FileStore
	Users   Users
	Objects Objects
	Starter Starter
	Lanes   LaneEngine
	Logs    Logs
	Sealer  Sealer
	Bell    *Bell
	Limits  Limits
	Now     Clock
	NewID   func() job.ID
	Log     *slog.Logger
	// Observe is told of every start and retry: outcome is accepted, replayed, skipped or refused, and then word says why. May be nil.
	Observe func(trigger job.Trigger, outcome string, word job.Word)
	// DigestKey is what the digests of repeatable requests are made with: a secret of the installation.
	DigestKey []byte
}

// Limits are the settings that a job's workflow is given.
type Limits struct {
	Grace            time.Duration // between SIGTERM and SIGKILL
	HeartbeatTimeout time.Duration // after which a silent worker is lost
}

// Get finds a job, for somebody who wants to view it.
func (s *Jobs) Get(ctx context.Context, a job.Actor, ref string) (job.Job, error) {
	return s.For(ctx, a, ref, job.View)
}

// List lists the jobs in the actor's scope.
func (s *Jobs) List(ctx context.Context, a job.Actor, q job.Query) (job.List[job.Job], job.JobStats, error) {
	if err := allowed(a, job.View); err != nil {
		return job.List[job.Job]{}, job.JobStats{}, err
	}
	q.Scope = a.Scope()
	return s.Reader.Jobs(ctx, q)
}

// Family is the whole chain of retries the job belongs to.
func (s *Jobs) Family(ctx context.Context, a job.Actor, ref string) (job.Family, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.Family{}, err
	}
	members, err := s.Reader.Family(ctx, a.AccountID, j.ID)
	if err != nil {
		return job.Family{}, err
	}
	return job.Family{Root: j.RootID(), Jobs: members, Outcome: job.OutcomeOf(members), Totals: job.TotalsOf(members)}, nil
}

// Steps lists the job's steps.
func (s *Jobs) Steps(ctx context.Context, a job.Actor, ref string) ([]job.Step, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	return s.Reader.Steps(ctx, a.AccountID, j.ID)
}

// Package is the package the job was accepted with, as a file.
func (s *Jobs) Package(ctx context.Context, a job.Actor, ref string) (job.File, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.File{}, err
	}
	return job.File{
		AccountID: j.AccountID, EntityType: job.EntityJobConfig, EntityID: j.ConfigID, Key: j.Spec.PackageName,
		Version: j.Spec.PackageVersion, Size: j.Spec.PackageSize, SHA256: j.Spec.PackageSHA256, CreatedAt: j.ScheduledAt,
	}, nil
}

// HasLog tells whether the job has a log to read: every job a worker took has one.
func HasLog(j job.Job) error {
	if j.Status.Final() && !j.Taken {
		return job.Errorf(job.NotFound, job.WordLogNotFound, "Job %s was cancelled before it ran and has no log", j.ID)
	}
	return nil
}

// start starts the job's workflow. A job that is stored is accepted, so an engine that can not be reached is noted on the
// job and left to the reconciler; nothing is returned.
func (s *Jobs) start(ctx context.Context, j *job.Job, queue string) {
	err := s.Starter.StartJob(ctx, s.input(*j, queue))
	if err == nil && j.Waiting() {
		// Whoever holds a place makes the lane move at its end; here the lane is only made visible. The keeper does it again.
		if err := s.Lanes.EnsureLane(ctx, laneRef(*j)); err != nil {
			s.Log.WarnContext(ctx, "lane not started yet", "job", j.ID, "lane", j.Lane, "error", err)
		}
	}
	if err == nil {
		return
	}
	s.Log.WarnContext(ctx, "job is stored but not started yet", "job", j.ID, "error", err)
	s.leave(ctx, j)
}

// resume starts a job that a repeated call found, in case the process that stored it ended before it could start it: whoever asks again
// need not wait for the reconciler. One that was started is not started again.
func (s *Jobs) resume(ctx context.Context, j *job.Job) {
	if j.Status != job.Queued || j.Attempt > 0 {
		return
	}
	d, err := s.Users.Destination(ctx, j.AccountID, j.Destination)
	if err != nil {
		s.Log.WarnContext(ctx, "job not started by the repeated call", "job", j.ID, "error", err)
		return
	}
	s.start(ctx, j, d.TaskQueue)
}

// leave notes that the reconciler is to start the job.
func (s *Jobs) leave(ctx context.Context, j *job.Job) {
	j.Unreachable = true
	// The row without the note is still found by the reconciler, so a failure here only costs the warning.
	if err := s.Writer.MarkUnreachable(context.WithoutCancel(ctx), j.AccountID, j.ID, true); err != nil {
		s.Log.WarnContext(ctx, "note on the job not stored", "job", j.ID, "error", err)
	}
}

func (s *Jobs) input(j job.Job, queue string) contract.JobInput {
	return InputOf(j, queue, s.Limits)
}

// InputOf makes the workflow input of a stored job: the same whether submit or the reconciler starts it.
func InputOf(j job.Job, queue string, l Limits) contract.JobInput {
	return contract.JobInput{
		JobID: j.ID, AccountID: j.AccountID, ConfigID: j.ConfigID, ConfigName: j.ConfigName, Root: j.Root, Parent: j.RetryOf, TaskQueue: queue,
		Timeout: j.Spec.Timeout, Grace: l.Grace, HeartbeatTimeout: l.HeartbeatTimeout,
		Lane: j.Lane, LaneSeq: j.LaneSeq, Waiting: j.Waiting(), QueueUntil: j.QueueUntil(), Deadline: j.Deadline(),
		RunNumber: j.RunNumber, RetryNumber: j.RetryNumber, Destination: j.Destination, Trigger: j.Trigger, Tags: j.Tags,
	}
}
