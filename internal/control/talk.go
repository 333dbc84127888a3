package control

import (
	"context"
	"io"

	"waybill/internal/job"
)

// Outputs lists the files the job left or, while its program runs, those that lie in its output folder so far: they have no
// Object yet.
func (s *Jobs) Outputs(ctx context.Context, a job.Actor, ref string) ([]job.Output, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	if j.Status == job.Running || j.Status == job.Cancelling {
		return s.Talk.FilesNow(ctx, a.AccountID, j.ID)
	}
	return s.Reader.Outputs(ctx, a.AccountID, j.ID)
}

// Output finds one of the files the job left. One that is still written is Conflict, WordJobNotFinished.
func (s *Jobs) Output(ctx context.Context, a job.Actor, ref, name string) (job.Output, error) {
	list, err := s.Outputs(ctx, a, ref)
	if err != nil {
		return job.Output{}, err
	}
	for _, o := range list {
		if o.Name != name {
			continue
		}
		if o.Object == "" {
			return o, job.Errorf(job.Conflict, job.WordJobNotFinished, "Job %s has not finished, its output files are not final", ref)
		}
		return o, nil
	}
	return job.Output{}, job.Errorf(job.NotFound, job.WordNotFound, "Job %s has no output file '%s'", ref, short(name))
}

// OpenOutput reads bytes of an output file; length -1 means to the end. The caller closes.
func (s *Jobs) OpenOutput(ctx context.Context, o job.Output, offset, length int64) (io.ReadCloser, error) {
	return s.Objects.Get(ctx, o.Object, offset, length)
}

// OutMessages lists the messages the job gave, without their bodies.
func (s *Jobs) OutMessages(ctx context.Context, a job.Actor, ref string) ([]job.OutMessage, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	return s.Talk.OutMessages(ctx, a.AccountID, j.ID)
}

// OutMessage finds the last message of a name that the job gave.
func (s *Jobs) OutMessage(ctx context.Context, a job.Actor, ref, name string) (job.OutMessage, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.OutMessage{}, err
	}
	m, err := s.Talk.OutMessage(ctx, a.AccountID, j.ID, name)
	if job.CodeOf(err) == job.NotFound {
		return m, job.Wrap(err, job.NotFound, job.WordNotFound, "Job %s has given no message '%s'", ref, short(name))
	}
	return m, err
}

func checkMessages(in []job.Message, out []string) error {
	if err := job.CheckMessages("inMessages", in); err != nil {
		return err
	}
	return job.CheckMessageNames("outMessageNames", out)
}
