package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
)

// user finds a user of the admin's account.
func (s *Policies) user(ctx context.Context, a job.Actor, ref string, v job.Verb) (job.User, error) {
	if err := policyAdmin(a, v); err != nil {
		return job.User{}, err
	}
	id, ok := decimalRef(ref)
	if !ok {
		return job.User{}, job.Errorf(job.NotFound, job.WordNotFound, "User %s not found", short(ref))
	}
	return s.Users.User(ctx, a.AccountID, id)
}

// ListGiven lists the policies that users have, with who has them.
func (s *Policies) ListGiven(ctx context.Context, a job.Actor, q job.Query) (job.List[job.GivenPolicy], error) {
	if err := policyAdmin(a, job.View); err != nil {
		return job.List[job.GivenPolicy]{}, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	return s.Store.GivenPolicies(ctx, 0, q)
}

// ListOf lists the policies that a user has.
func (s *Policies) ListOf(ctx context.Context, a job.Actor, user string, q job.Query) (job.User, job.List[job.GivenPolicy], error) {
	u, err := s.user(ctx, a, user, job.View)
	if err != nil {
		return u, job.List[job.GivenPolicy]{}, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	found, err := s.Store.GivenPolicies(ctx, u.ID, q)
	return u, found, err
}

// maxGiven bounds what one call may name.
const maxGiven = 100

// Give gives a user all of the policies or none. inPath tells that the path names the one: then an unknown one is not found, and not
// bad input.
func (s *Policies) Give(ctx context.Context, a job.Actor, user string, policies []string, inPath bool) (job.User, error) {
	u, err := s.user(ctx, a, user, job.Edit)
	if err != nil {
		return u, err
	}
	switch {
	case len(policies) == 0:
		return u, job.Errorf(job.Invalid, job.WordMissingField, "accessPolicyIds is required")
	case len(policies) > maxGiven:
		return u, invalidField("accessPolicyIds names more than %d access policies", maxGiven)
	}
	var ids []int64
	var names []string
	for _, ref := range policies {
		p, err := s.find(ctx, a, ref, job.Edit)
		if job.CodeOf(err) == job.NotFound && !inPath {
			err = job.Wrap(err, job.Invalid, job.WordUnknownRecord, "accessPolicyIds: access policy %s not found", short(ref))
		}
		if err != nil {
			return u, err
		}
		ids, names = append(ids, p.ID), append(names, p.Name)
	}
	TrailOf(ctx).Anew()
	TrailOf(ctx).About("user", decimal(u.ID))
	if err := s.noteGiven(ctx, a, u, func(before []string) []string {
		for _, name := range names {
			if !containsFold(before, name) {
				before = append(before, name)
			}
		}
		return before
	}); err != nil {
		return u, err
	}
	return u, s.Store.GivePolicies(ctx, a.AccountID, u.ID, ids, a.User, s.Now().UTC().Truncate(time.Microsecond))
}

// CheckGive tells beforehand what Give would refuse, so that a call which does more does nothing of it. An empty user is one to be made.
func (s *Policies) CheckGive(ctx context.Context, a job.Actor, user, policy string) error {
	p, err := s.find(ctx, a, policy, job.Edit)
	if job.CodeOf(err) == job.NotFound {
		err = job.Wrap(err, job.Invalid, job.WordUnknownRecord, "accessPolicyId: access policy %s not found", short(policy))
	}
	if err != nil || user == "" {
		return err
	}
	u, err := s.user(ctx, a, user, job.Edit)
	if err != nil {
		return err
	}
	given, err := s.Store.PolicyNames(ctx, a.AccountID, []int64{u.ID})
	if err != nil {
		return err
	}
	has := slices.ContainsFunc(given[u.ID], func(r job.PolicyRef) bool { return r.ID == p.ID })
	if !has && len(given[u.ID]) >= job.MaxUserPolicies {
		return job.TooManyPolicies()
	}
	return nil
}

// NamesOf tells which policies users of the actor's account have: of everybody to admins, of themselves to others.
func (s *Policies) NamesOf(ctx context.Context, a job.Actor, users []int64) (map[int64][]job.PolicyRef, error) {
	if !a.Administers(job.View) {
		users = slices.DeleteFunc(slices.Clone(users), func(id int64) bool { return id != a.User.ID })
	}
	return s.Store.PolicyNames(ctx, a.AccountID, users)
}

// Take takes a policy away from a user. It holds from the user's next call on.
func (s *Policies) Take(ctx context.Context, a job.Actor, user, policy string) error {
	u, err := s.user(ctx, a, user, job.Edit)
	if err != nil {
		return err
	}
	p, err := s.find(ctx, a, policy, job.Edit)
	if err != nil {
		return err
	}
	TrailOf(ctx).About("user", decimal(u.ID))
	if err := s.noteGiven(ctx, a, u, func(before []string) (after []string) {
		for _, name := range before {
			if !strings.EqualFold(name, p.Name) {
				after = append(after, name)
			}
		}
		return after
	}); err != nil {
		return err
	}
	return s.Store.TakePolicy(ctx, a.AccountID, u.ID, p.ID)
}

func containsFold(list []string, s string) bool {
	for _, one := range list {
		if strings.EqualFold(one, s) {
			return true
		}
	}
	return false
}

// noteGiven writes down which policies a user has before and after an act.
func (s *Policies) noteGiven(ctx context.Context, a job.Actor, u job.User, change func([]string) []string) error {
	if TrailOf(ctx) == nil {
		return nil
	}
	found, err := s.Store.GivenPolicies(ctx, u.ID, job.Query{
		Scope: job.Scope{AccountID: a.AccountID}, Sort: []job.Sort{{Property: "name"}}, Size: maxGiven, Keyset: true,
	})
	if err != nil {
		return err
	}
	var before []string
	for _, p := range found.Items {
		before = append(before, p.Name)
	}
	var d differences
	d.add("accessPolicies", joined(before), joined(change(append([]string(nil), before...))))
	TrailOf(ctx).Changed(d)
	return nil
}
