package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"waybill/internal/job"
)

// Question asks whether a user may do something.
type Question struct {
	User   string // id; empty: whoever asks
	Action string
	Type   string // a kind that policies can name, or "jobs"
	ID     string // of the thing; for "create" none is needed
}

// Reason is why a user may do something, or not.
type Reason string

// The reasons. The first that holds is told.
const (
	ReasonInactive    Reason = "user_inactive" // the user can do nothing at all
	ReasonCredentials Reason = "credentials"   // what the caller shows is not good for it: a key or the token of a job
	ReasonAdmin       Reason = "admin"         // admins may do everything in their account
	ReasonOwner       Reason = "owner"         // it is the user's, or would be
	ReasonAccount     Reason = "account"       // everybody of the account may
	ReasonPolicy      Reason = "policy"
	ReasonNoPolicy    Reason = "no_policy" // it is another's, and no policy of the user permits it
)

// Verdict is the answer to a Question.
type Verdict struct {
	User     job.User
	Allowed  bool
	Reason   Reason
	Message  string
	Policies []VerdictPolicy // that permit it, also where they were not needed
}

// VerdictPolicy is a policy that permits what was asked, and by which of the ids it names.
type VerdictPolicy struct {
	job.AccessPolicy
	Thing string
}

// kindJob is jobs, which can be asked for and not granted: they go with their config.
const kindJob job.Kind = "jobs"

// asked is what a question is about.
type asked struct {
	verb   job.Verb
	kind   job.Kind
	id     int64 // of what a policy would name
	owners []int64
	what   string
}

// Authorize tells whether a user may do something, and why. Admins ask for anybody of the account, others for themselves.
func (s *Policies) Authorize(ctx context.Context, a job.Actor, q Question) (Verdict, error) {
	if err := allowed(a, job.View); err != nil {
		return Verdict{}, err
	}
	who := q.User
	if who == "" {
		who = decimal(a.User.ID)
	}
	if who != decimal(a.User.ID) && !a.Administers(job.View) {
		return Verdict{}, job.Errorf(job.Forbidden, job.WordAccessDenied, "What others may do is told to admins only")
	}
	id, ok := decimalRef(who)
	if !ok {
		return Verdict{}, job.Errorf(job.NotFound, job.WordNotFound, "User %s not found", short(who))
	}
	u, err := s.Users.User(ctx, a.AccountID, id)
	if err != nil {
		return Verdict{}, err
	}
	subject, err := s.asked(ctx, a.AccountID, u, q)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{User: u}
	if v.Policies, err = s.permitting(ctx, u, subject); err != nil {
		return Verdict{}, err
	}
	v.judge(subject, len(v.Policies) > 0)
	if u.ID == a.User.ID && v.Allowed {
		if err := shown(a, subject); err != nil {
			v.Allowed, v.Reason, v.Message = false, ReasonCredentials, err.Error()
		}
	}
	return v, nil
}

// verbScopes are the scopes that API keys need for verbs.
var verbScopes = map[job.Verb]job.KeyScope{job.View: job.ScopeRead, job.Execute: job.ScopeRun}

// shown refuses what the caller may and what they showed is not good for.
func shown(a job.Actor, s asked) error {
	if err := allowed(a, s.verb); err != nil {
		return err
	}
	scope, found := verbScopes[s.verb]
	if !found {
		scope = job.ScopeWrite
	}
	switch {
	case !a.Key.Allows(scope):
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "The API key has not the scope %s", scope)
	case a.Key.Limited() && (s.kind != job.KindJobConfig || !a.Key.Reaches(s.id)):
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "The API key is for other job configs")
	}
	return nil
}

func (v *Verdict) judge(s asked, permitted bool) {
	decide := func(allowed bool, r Reason, format string, args ...any) {
		v.Allowed, v.Reason, v.Message = allowed, r, fmt.Sprintf(format, args...)
	}
	switch {
	case !v.User.Active:
		decide(false, ReasonInactive, "The user is not active")
	case v.User.Admin:
		decide(true, ReasonAdmin, "Admins may do everything in their account")
	case slices.Contains(s.owners, v.User.ID):
		decide(true, ReasonOwner, "%s belongs to the user", s.what)
	case s.kind == job.KindAccountFiles && s.verb == job.View:
		decide(true, ReasonAccount, "Everybody of the account may view its files")
	case permitted:
		decide(true, ReasonPolicy, "%d of the user's access policies permit it", len(v.Policies))
	default:
		decide(false, ReasonNoPolicy, "%s belongs to another user, and no access policy of the user lets them %s it", s.what, verbWords[s.verb])
	}
}

// asked reads a question and finds what it is about.
func (s *Policies) asked(ctx context.Context, account int64, u job.User, q Question) (asked, error) {
	about := asked{verb: job.Verb(strings.ToLower(q.Action)), kind: job.Kind(strings.ToLower(q.Type))}
	switch {
	case q.Action == "":
		return about, job.Errorf(job.Invalid, job.WordMissingField, "action is required")
	case q.Type == "":
		return about, job.Errorf(job.Invalid, job.WordMissingField, "resourcetype is required")
	case !slices.Contains(job.AllVerbs(), about.verb):
		return about, invalidField("action is one of %s", list(job.AllVerbs()))
	case about.kind == kindJob:
		return s.askedJob(ctx, account, about, q.ID)
	}
	if _, err := KindNamed(q.Type); err != nil {
		return about, invalidField("resourcetype '%s' is none of %s, jobs", short(q.Type), list(job.GrantedKinds()))
	}
	if !job.VerbsFor(about.kind).Has(about.verb) {
		return about, invalidField("action on %s is one of %s", about.kind, list(job.VerbsFor(about.kind).List()))
	}
	switch {
	case about.kind == job.KindAccountFiles:
		about.id, about.what = account, "The account's file store"
	case q.ID == "" && about.verb == job.Create:
		about.owners, about.what = []int64{u.ID}, "What the user makes"
	case q.ID == "":
		return about, job.Errorf(job.Invalid, job.WordMissingField, "resourceid is required")
	case about.kind == job.KindJobTemplate:
		return about, job.Errorf(job.NotFound, job.WordNotFound, "Job template %s not found", short(q.ID))
	default:
		c, err := findConfig(ctx, s.Configs, account, q.ID)
		if err != nil {
			return about, err
		}
		about.id, about.owners, about.what = c.ID, []int64{c.Owner.ID}, "Job config "+decimal(c.ID)
	}
	return about, nil
}

// askedJob finds out who may do something with a job: who submitted it, and who may with its config.
func (s *Policies) askedJob(ctx context.Context, account int64, about asked, id string) (asked, error) {
	if about.verb != job.View && about.verb != job.Execute {
		return about, invalidField("action on jobs is view or execute")
	}
	if id == "" {
		return about, job.Errorf(job.Invalid, job.WordMissingField, "resourceid is required")
	}
	if !job.ValidID(id) {
		return about, job.Errorf(job.NotFound, job.WordNotFound, "Job %s not found", short(id))
	}
	j, err := s.Jobs.Job(ctx, account, job.ID(id))
	if err != nil {
		return about, err
	}
	about.kind, about.id, about.owners, about.what = job.KindJobConfig, j.ConfigID, []int64{j.OwnerID}, "Job "+id
	c, err := s.Configs.Config(ctx, account, j.ConfigID)
	if err == nil {
		about.owners = append(about.owners, c.Owner.ID)
	}
	if job.CodeOf(err) == job.NotFound {
		err = nil
	}
	return about, err
}

// permitting lists the user's policies that permit it.
func (s *Policies) permitting(ctx context.Context, u job.User, about asked) (some []VerdictPolicy, err error) {
	q := job.Query{Scope: job.Scope{AccountID: u.AccountID}, Sort: []job.Sort{{Property: "name"}}, Size: maxGiven, Keyset: true}
	for more := true; more; {
		page, err := s.Store.GivenPolicies(ctx, u.ID, q)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Items {
			for _, permission := range p.Permissions {
				if thing, gives := permission.Gives(about.verb, about.kind, about.id, 0); gives {
					some = append(some, VerdictPolicy{p.AccessPolicy, thing})
					break
				}
			}
		}
		q.After, more = page.Next, page.More
	}
	return some, nil
}
