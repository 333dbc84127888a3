package api

import (
	"context"
	"strconv"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/limit"
)

// Limits say how many calls callers may make.
type Limits struct {
	// Doors has the rule of each door by its name. A door that has none takes what its specification says.
	Doors map[string]limit.Rule
	// Login is how many logins one address may try, on all doors together.
	Login limit.Rule
	// Shared keeps what the processes of an installation count together. nil: this one serves all its callers.
	Shared limit.Shared
}

// ruleLogin is the name of the limit of logins.
const ruleLogin = "login"

// defaultRules are the limits of the specifications (native.md, 1.5; diem.md, 1; informatica.md, 3.1).
var defaultRules = map[string]limit.Rule{
	"diem":        limit.Windows("diem", 100, time.Minute),
	"informatica": limit.Windows("informatica", 600, time.Minute),
}

// DefaultLogins is the limit of logins in calls a minute.
const DefaultLogins = 20

// Caller is who is counted. Make one with CallerBy or CallerAt.
type Caller string

// CallerBy is whoever shows a certain key, login or session, by its id; kind keeps the ids of different things apart.
func CallerBy(kind, id string) Caller { return Caller(kind + ":" + id) }

// CallerAt is whoever calls from the address of the call: for calls of which no more is known. A host of IPv6 has a whole /64 to pick
// from, so that is one caller.
func CallerAt(r *Request) Caller { return Caller("address:" + control.NetworkOf(r.Address)) }

// CallerOf is who a call is counted for: the key, job or login that it shows, or the user, or the address of somebody unknown.
func CallerOf(r *Request) Caller {
	switch a := r.Actor; {
	case a.Job != nil: // before its key, which may be a limit alone
		return CallerBy("job", string(a.Job.ID))
	case a.Key != nil:
		return CallerBy("key", a.Key.ID)
	case a.Family != "":
		return CallerBy("login", a.Family)
	case a.User.ID != 0:
		return CallerBy("user", strconv.FormatInt(a.User.ID, 10))
	}
	return CallerAt(r)
}

// CountCall counts a call on the door of that name (Door.Name). Where the quota it answers is Refused the call must not be made, and
// TooMany is its error.
func (s *Server) CountCall(ctx context.Context, door string, who Caller) limit.Quota {
	q := s.limiter.Take(ctx, s.rule(door), string(who))
	if q.Refused() {
		s.metrics.refused.WithLabelValues(door).Inc()
	}
	return q
}

// TooMany is the error of a call that is refused: 429 with Retry-After.
func TooMany(q limit.Quota) error {
	e := job.Errorf(job.RateLimited, job.WordRateLimited, "Too many calls: %d at most", q.Limit)
	e.RetryAfter = q.Wait
	return e
}

// rule is the limit of a door.
func (s *Server) rule(door string) limit.Rule {
	if r, set := s.Limits.Doors[door]; set {
		r.Name = door
		return r
	}
	return defaultRules[door]
}

// LoginAllowed counts a login attempt of the call's address, and is the error of one too many.
func (s *Server) LoginAllowed(ctx context.Context, r *Request) error {
	return s.tooManyLogins(s.limiter.Take(ctx, s.Limits.Login, string(CallerAt(r))))
}

func (s *Server) tooManyLogins(q limit.Quota) error {
	if !q.Refused() {
		return nil
	}
	s.metrics.refused.WithLabelValues(ruleLogin).Inc()
	e := job.Errorf(job.RateLimited, job.WordRateLimited, "Too many logins from this address")
	e.RetryAfter = q.Wait
	return e
}

// Basic checks the name and password of one call. Only wrong ones count as logins: a client that starts a job a second, each with its
// password, is no guesser. While the address is over the limit no password is believed that was checked meanwhile, so that nobody gets
// around it with many calls at once.
func (s *Server) Basic(ctx context.Context, r *Request, given Credentials) (job.Actor, error) {
	if err := s.guessing(r); err != nil {
		return job.Actor{}, err
	}
	actor, err := s.Sessions.Basic(ctx, given.User, given.Password, r.Address)
	if job.CodeOf(err) == job.Unauthenticated {
		s.limiter.Take(ctx, s.Limits.Login, string(CallerAt(r)))
		return job.Actor{}, err
	}
	if err == nil {
		err = s.guessing(r)
	}
	if err != nil {
		return job.Actor{}, err
	}
	return actor, nil
}

// guessing is the error of a call whose address has tried too many passwords.
func (s *Server) guessing(r *Request) error {
	return s.tooManyLogins(s.limiter.Look(s.Limits.Login, string(CallerAt(r))))
}
