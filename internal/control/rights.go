package control

import (
	"context"

	"waybill/internal/job"
)

// GrantStore tells what users were given.
type GrantStore interface {
	// Grants puts together the permissions of the user's access policies.
	Grants(ctx context.Context, account, user int64) (job.Grants, error)
}

// verbWords say what a verb is, in messages.
var verbWords = map[job.Verb]string{
	job.View: "view", job.Edit: "change", job.Execute: "execute", job.Delete: "delete", job.Create: "create",
}

// denied is the answer to somebody who may not do something with a record of their own account.
func denied(a job.Actor, v job.Verb, format string, args ...any) error {
	what := job.Errorf(job.Forbidden, job.WordAccessDenied, format, args...).Message
	if err := allowed(a, v); err != nil {
		return err
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "%s, and no access policy lets you %s it", what, verbWords[v])
}

// allowed refuses what the credentials of a call are not good for, whoever they belong to.
func allowed(a job.Actor, v job.Verb) error {
	switch {
	case a.Allows(v):
		return nil
	case a.Job != nil:
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "The token of a job is not good for this (%s)", v)
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "These credentials are not good for this (%s)", v)
}

// inPerson refuses what a key does not do, whatever its maker may: it would make credentials that are more than itself.
func inPerson(a job.Actor) error {
	if a.InPerson() {
		return nil
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "This takes a login: users, their flags and passwords are not changed with an API key or by a job")
}

// adminInPerson is adminOnly, and no key of an admin.
func adminInPerson(a job.Actor, what string) error {
	if err := adminOnly(a, what); err != nil {
		return err
	}
	return inPerson(a)
}

// For finds a config by decimal id or object id, for somebody who wants to do something with it. One of the actor's account with
// which they may not is Forbidden.
func (s *Configs) For(ctx context.Context, a job.Actor, ref string, v job.Verb) (job.Config, error) {
	c, err := s.find(ctx, a.AccountID, ref)
	if err != nil {
		return job.Config{}, err
	}
	if !a.May(v, job.KindJobConfig, c.ID, c.Owner.ID) {
		return job.Config{}, denied(a, v, "Job config %s belongs to another user", short(ref))
	}
	return c, nil
}

// Named finds a config by its name, without regard to case, for somebody who wants to do something with it.
func (s *Configs) Named(ctx context.Context, a job.Actor, name string, v job.Verb) (job.Config, error) {
	c, err := s.Reader.ConfigByName(ctx, a.AccountID, name)
	if err != nil {
		return job.Config{}, err
	}
	return s.For(ctx, a, decimal(c.ID), v)
}

// forFiles is For, for the files of a config.
func (s *Configs) forFiles(ctx context.Context, a job.Actor, ref string, v job.Verb) (job.Config, error) {
	c, err := s.find(ctx, a.AccountID, ref)
	if err != nil {
		return job.Config{}, err
	}
	if !a.MayFile(v, c.ID, c.Owner.ID) {
		return job.Config{}, denied(a, v, "Job config %s belongs to another user", short(ref))
	}
	return c, nil
}

// For finds a job, for somebody who wants to view or execute it: to stop it, retry it, or see to its errors. One of the actor's
// account with which they may not is Forbidden.
func (s *Jobs) For(ctx context.Context, a job.Actor, ref string, v job.Verb) (job.Job, error) {
	if !job.ValidID(ref) {
		return job.Job{}, job.Errorf(job.NotFound, job.WordNotFound, "Job %s not found", short(ref))
	}
	j, err := s.Reader.Job(ctx, a.AccountID, job.ID(ref))
	if err != nil {
		return job.Job{}, err
	}
	may, err := s.may(ctx, a, j, v)
	if err == nil && !may {
		err = denied(a, v, "Job %s belongs to another user", ref)
	}
	if err != nil {
		return job.Job{}, err
	}
	return j, nil
}

// may tells whether the actor may do something with a job: who submitted it may, and who may do it with its config.
func (s *Jobs) may(ctx context.Context, a job.Actor, j job.Job, v job.Verb) (bool, error) {
	if a.May(v, job.KindJobConfig, j.ConfigID, j.OwnerID) {
		return true, nil
	}
	if !a.Allows(v) {
		return false, nil
	}
	c, err := s.Configs.Reader.Config(ctx, j.AccountID, j.ConfigID)
	if job.CodeOf(err) == job.NotFound {
		return false, nil
	}
	return err == nil && a.May(v, job.KindJobConfig, c.ID, c.Owner.ID), err
}

// mayStart checks the right to start jobs of a config on its own: who submitted a job does not keep it when the right is taken away. Of
// a config that is gone, jobs can be retried by who submitted them.
func (s *Jobs) mayStart(ctx context.Context, a job.Actor, parent job.Job) error {
	owner := parent.OwnerID
	c, err := s.Configs.Reader.Config(ctx, parent.AccountID, parent.ConfigID)
	switch {
	case err == nil:
		owner = c.Owner.ID
	case job.CodeOf(err) != job.NotFound:
		return err
	}
	if !a.May(job.Execute, job.KindJobConfig, parent.ConfigID, owner) {
		return denied(a, job.Execute, "Job config %d, of which job %s is, belongs to another user", parent.ConfigID, parent.ID)
	}
	return nil
}
