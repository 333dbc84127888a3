package control

import (
	"context"

	"waybill/internal/job"
)

// DocumentReader reads job configs together with their newest jobs.
type DocumentReader interface {
	// Documents lists job configs. Known properties: those of Configs that tell of a config itself, scheduled (it has a schedule), and of
	// its newest job run.status run.started run.finished run.written run.message run.seconds run.steps, run.user (address or
	// name), and run.word and run.by, its status and what started it as diem.md words them.
	Documents(ctx context.Context, q job.Query) (job.List[job.Document], error)
	// BehindJobs gives the object ids of the configs of jobs and counts the jobs' steps; a config that is gone has none.
	BehindJobs(ctx context.Context, account int64, jobs []job.Job) (JobsBehind, error)
}

// JobsBehind is what a list of jobs does not tell.
type JobsBehind struct {
	ObjectIDs map[int64]string // by config
	Steps     map[job.ID]int
}

// Runs is job configs as clients see them that know one run of each: the newest, whichever door started it.
type Runs struct {
	Jobs      *Jobs
	Documents DocumentReader
	Users     Users
}

// StartOnce starts a config unless one of its jobs is unfinished; then it is Active and Job is the newest of those. Of two starts at
// the same moment one makes a job. Where the config's own limit keeps it from being started for the sake of another config's job, the
// error is a Conflict, WordConcurrencyLimit, whatever onLimit says: that job is no run of this config.
func (s *Runs) StartOnce(ctx context.Context, a job.Actor, r SubmitRequest) (Submitted, error) {
	r.Alone = true
	made, err := s.Jobs.Submit(ctx, a, r)
	if made.Active || job.WordOf(err) != job.WordConcurrencyLimit && (err != nil || !made.Skipped) {
		return made, err
	}
	c, found := s.Jobs.Configs.For(ctx, a, r.Config, job.Execute)
	if found != nil {
		return made, found
	}
	active, there, look := s.active(ctx, a, c)
	if look != nil {
		return made, look
	}
	if there {
		return Submitted{Job: active, Active: true}, nil
	}
	if err == nil && made.Job.ConfigID != c.ID {
		return Submitted{}, limitReached()
	}
	return made, err
}

func (s *Runs) active(ctx context.Context, a job.Actor, c job.Config) (j job.Job, found bool, err error) {
	list, err := s.of(ctx, a, c, Unfinished, 1)
	if err != nil || len(list) == 0 {
		return j, false, err
	}
	return list[0], true, nil
}

// of lists jobs of a config, the newest first, whoever's they are: what a config does is shown to all who may see it.
func (s *Runs) of(ctx context.Context, a job.Actor, c job.Config, also job.Expr, size int) ([]job.Job, error) {
	where := job.And{job.Compare{Property: "jobConfig.id", Op: job.Eq, Values: []any{c.ID}}}
	if also != nil {
		where = append(where, also)
	}
	list, _, err := s.Jobs.Reader.Jobs(ctx, job.Query{
		Scope: job.Scope{AccountID: a.AccountID}, Where: where, Sort: []job.Sort{{Property: "scheduled", Desc: true}}, Size: size, Keyset: true,
	})
	return list.Items, err
}

// Last gives a config, if the actor may do v with it, and its newest jobs, the newest first.
func (s *Runs) Last(ctx context.Context, a job.Actor, ref string, v job.Verb, n int) (job.Config, []job.Job, error) {
	c, err := s.Jobs.Configs.For(ctx, a, ref, v)
	if err != nil {
		return c, nil, err
	}
	jobs, err := s.of(ctx, a, c, nil, n)
	return c, jobs, err
}

// Of finds a job of a config, if the actor may do v with the config.
func (s *Runs) Of(ctx context.Context, a job.Actor, ref, id string, v job.Verb) (job.Job, error) {
	c, err := s.Jobs.Configs.For(ctx, a, ref, v)
	if err != nil {
		return job.Job{}, err
	}
	missing := job.Errorf(job.NotFound, job.WordNotFound, "Job %s not found", short(id))
	if !job.ValidID(id) {
		return job.Job{}, missing
	}
	j, err := s.Jobs.Reader.Job(ctx, a.AccountID, job.ID(id))
	if err == nil && j.ConfigID != c.ID {
		err = missing
	}
	return j, err
}

// Follow gives the newest job of a config or, with an id, that one; found is false where it never ran. Who may not see the config but
// start its jobs follows those that lists of jobs show.
func (s *Runs) Follow(ctx context.Context, a job.Actor, ref, id string) (j job.Job, found bool, err error) {
	c, err := s.Jobs.Configs.For(ctx, a, ref, job.View)
	var list []job.Job
	switch {
	case job.CodeOf(err) == job.Forbidden:
		return s.followOwn(ctx, a, ref, id)
	case err != nil:
	case id != "":
		j, err = s.Of(ctx, a, ref, id, job.View)
		return j, err == nil, err
	default:
		list, err = s.of(ctx, a, c, nil, 1)
	}
	if err != nil || len(list) == 0 {
		return j, false, err
	}
	return list[0], true, nil
}

func (s *Runs) followOwn(ctx context.Context, a job.Actor, ref, id string) (j job.Job, found bool, err error) {
	c, err := s.Jobs.Configs.For(ctx, a, ref, job.Execute)
	if err != nil {
		return j, false, err
	}
	missing := job.Errorf(job.NotFound, job.WordNotFound, "Job %s not found", short(id))
	if id != "" && !job.ValidID(id) {
		return j, false, missing
	}
	where := job.And{job.Compare{Property: "jobConfig.id", Op: job.Eq, Values: []any{c.ID}}}
	if id != "" {
		where = append(where, job.Compare{Property: "id", Op: job.Eq, Values: []any{id}})
	}
	list, _, err := s.Jobs.List(ctx, a, job.Query{Where: where, Sort: []job.Sort{{Property: "scheduled", Desc: true}}, Size: 1, Keyset: true})
	switch {
	case err != nil:
		return j, false, err
	case len(list.Items) > 0:
		return list.Items[0], true, nil
	case id != "":
		return j, false, missing
	}
	return j, false, nil
}

// Stop asks all unfinished jobs of a config to end, or the one that only names. newest is the newest job that was asked, else the
// config's newest or the named one, if there is any; stopped tells whether one was asked.
func (s *Runs) Stop(ctx context.Context, a job.Actor, ref, only string) (newest job.Job, stopped bool, err error) {
	c, err := s.Jobs.Configs.For(ctx, a, ref, job.Execute)
	if err != nil {
		return newest, false, err
	}
	if only != "" {
		return s.stopOne(ctx, a, ref, only)
	}
	all, err := s.Jobs.stopActive(ctx, a, c, 0, 0)
	if err != nil {
		return newest, false, err
	}
	if len(all) > 0 {
		return all[0], true, nil
	}
	last, err := s.of(ctx, a, c, nil, 1)
	if err != nil || len(last) == 0 {
		return newest, false, err
	}
	return last[0], false, nil
}

func (s *Runs) stopOne(ctx context.Context, a job.Actor, ref, id string) (job.Job, bool, error) {
	j, err := s.Of(ctx, a, ref, id, job.Execute)
	if err != nil || j.Status.Final() {
		return j, false, err
	}
	now, err := s.Jobs.recordStop(ctx, a, j, 0)
	if job.CodeOf(err) == job.Conflict { // it has ended meanwhile
		return j, false, nil
	}
	if err != nil {
		return j, false, err
	}
	s.Jobs.passCancel(ctx, now.ID)
	return now, true, nil
}

// List lists configs with their newest jobs.
func (s *Runs) List(ctx context.Context, a job.Actor, q job.Query) (job.List[job.Document], error) {
	q.Scope = a.Scope()
	return s.Documents.Documents(ctx, q)
}

// Finished lists jobs that have ended, those that began last first.
func (s *Runs) Finished(ctx context.Context, a job.Actor, q job.Query) (job.List[job.Job], error) {
	ended := job.Compare{Property: "status", Op: job.In, Values: []any{job.Completed, job.Failed, job.Cancelled}}
	if q.Where == nil {
		q.Where = ended
	} else {
		q.Where = job.And{q.Where, ended}
	}
	q.Sort = []job.Sort{{Property: "started", Desc: true}}
	list, _, err := s.Jobs.List(ctx, a, q)
	return list, err
}

// Behind gives what lists of jobs do not tell.
func (s *Runs) Behind(ctx context.Context, a job.Actor, jobs []job.Job) (JobsBehind, error) {
	return s.Documents.BehindJobs(ctx, a.AccountID, jobs)
}

// Steps lists the steps of a job that Last or Of gave.
func (s *Runs) Steps(ctx context.Context, j job.Job) ([]job.Step, error) {
	return s.Jobs.Reader.Steps(ctx, j.AccountID, j.ID)
}

// Params is the text of a macro that the job was given in clear, "" for none.
func (s *Runs) Params(ctx context.Context, j job.Job, name string) (string, error) {
	whole, err := s.Jobs.Reader.Job(ctx, j.AccountID, j.ID)
	if err != nil {
		return "", err
	}
	for _, m := range whole.Spec.Macros {
		if m.Key == name && !m.Secure {
			return m.Value, nil
		}
	}
	return "", nil
}

// Emails gives the mail addresses of users, or their names where they have none.
func (s *Runs) Emails(ctx context.Context, account int64, users ...job.UserRef) (map[int64]string, error) {
	emails := map[int64]string{}
	for _, ref := range users {
		if _, known := emails[ref.ID]; known || ref.ID == 0 {
			continue
		}
		emails[ref.ID] = ref.Name
		u, err := s.Users.User(ctx, account, ref.ID)
		switch {
		case err == nil && u.Email != "":
			emails[ref.ID] = u.Email
		case err != nil && job.CodeOf(err) != job.NotFound:
			return nil, err
		}
	}
	return emails, nil
}
