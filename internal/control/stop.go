package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// stopPage is how many of the active jobs of a config are read, and stopped, in one go.
const stopPage = 1000

// StopActive asks the jobs of a config to end that are not final when it is called, or the one of them with that run number, and lists
// them, the newest first. Run 0 means all, grace 0 what the setting says. All of it is recorded before the engine is told of any: one that
// is silent must not keep those behind it from being stopped.
func (s *Jobs) StopActive(ctx context.Context, a job.Actor, ref string, run int64, grace time.Duration) ([]job.Job, error) {
	c, err := s.Configs.For(ctx, a, ref, job.Execute)
	if err != nil {
		return nil, err
	}
	return s.stopActive(ctx, a, c, run, grace)
}

// stopActive is StopActive for somebody whose right to stop jobs of the config is known.
func (s *Jobs) stopActive(ctx context.Context, a job.Actor, c job.Config, run int64, grace time.Duration) (stopped []job.Job, err error) {
	where := job.And{Unfinished, job.Compare{Property: "jobConfig.id", Op: job.Eq, Values: []any{c.ID}}}
	if run != 0 {
		where = append(where, job.Compare{Property: "runNumber", Op: job.Eq, Values: []any{run}})
	}
	q := job.Query{
		Scope: job.Scope{AccountID: c.AccountID}, Where: where, Size: stopPage, Keyset: true, Sort: []job.Sort{{Property: "scheduled", Desc: true}},
	}
	var told []string
	defer func() { s.passCancels(ctx, told) }() // also those that were recorded before an error
	for {
		// From the newest on: what is started meanwhile is in no later page, so this ends.
		list, _, err := s.Reader.Jobs(ctx, q)
		if err != nil {
			return stopped, err
		}
		for _, j := range list.Items {
			now, err := s.recordStop(ctx, a, j, grace)
			if job.CodeOf(err) == job.Conflict || job.CodeOf(err) == job.NotFound { // it has ended meanwhile
				continue
			}
			if err != nil {
				return stopped, err
			}
			stopped, told = append(stopped, now), append(told, string(now.ID))
		}
		if !list.More {
			return stopped, nil
		}
		q.After = list.Next
	}
}

// recordStop records the wish that a job end, for somebody whose right to it is known.
func (s *Jobs) recordStop(ctx context.Context, a job.Actor, j job.Job, grace time.Duration) (job.Job, error) {
	TrailOf(ctx).About("job", string(j.ID))
	j, err := s.Writer.Cancel(ctx, a.AccountID, j.ID, a.User, s.Now().UTC().Truncate(time.Microsecond), grace)
	if err == nil {
		s.Bell.Ring(j.ID)
	}
	return j, err
}
