package control

import (
	"context"

	"waybill/internal/job"
)

// EndedJobs lists what has ended.
type EndedJobs interface {
	// Ended lists the jobs that are final, last ended first: of a config or, with 0, of all; of one run number or, with 0, of all.
	Ended(ctx context.Context, s job.Scope, config, run int64, offset, limit int) ([]job.Job, error)
}

// Ended lists the jobs in the actor's scope that are final, last ended first. Config and run 0 mean all.
func (s *Jobs) Ended(ctx context.Context, a job.Actor, config, run int64, offset, limit int) ([]job.Job, error) {
	if err := allowed(a, job.View); err != nil {
		return nil, err
	}
	return s.Past.Ended(ctx, a.Scope(), config, run, offset, limit)
}

// Unfinished holds for jobs that are not final.
var Unfinished = job.Compare{Property: "status", Op: job.In, Values: []any{job.Queued, job.Running, job.Cancelling}}

// StepsOf lists the steps of jobs that the actor was shown.
func (s *Jobs) StepsOf(ctx context.Context, a job.Actor, jobs []job.Job) (map[job.ID][]job.Step, error) {
	ids := make([]job.ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	return s.Reader.StepsOf(ctx, a.AccountID, ids)
}

// Known finds the id of a config of the actor's account, for a list of its jobs: whose they are is asked of each of them, so that somebody who
// may only start it finds their own. found is false for one that there is not.
func (s *Configs) Known(ctx context.Context, a job.Actor, ref string) (id int64, found bool, err error) {
	c, err := s.find(ctx, a.AccountID, ref)
	if job.CodeOf(err) == job.NotFound {
		return 0, false, nil
	}
	return c.ID, err == nil, err
}

// ObjectIDs gives the object ids of the account's configs; those that are gone have none.
func (s *Configs) ObjectIDs(ctx context.Context, account int64, configs []int64) (map[int64]string, error) {
	found := make(map[int64]string, len(configs))
	values := make([]any, len(configs))
	for i, id := range configs {
		values[i] = id
	}
	if len(configs) == 0 {
		return found, nil
	}
	list, err := s.Reader.Configs(ctx, job.Query{
		Scope: job.Scope{AccountID: account}, Size: len(configs), Keyset: true, Brief: true, Sort: []job.Sort{{Property: "id"}},
		Where: job.Compare{Property: "id", Op: job.In, Values: values},
	})
	for _, c := range list.Items {
		found[c.ID] = c.ObjectID
	}
	return found, err
}
