package control

import (
	"context"
	"slices"
	"time"

	"waybill/internal/job"
)

// Identity is what an identity provider says of somebody who has just signed in there.
type Identity struct {
	Subject             job.Subject
	Name                string // they would like to be called
	Email               string
	EmailVerified       bool
	FirstName, LastName string
	Groups              []string
	GroupsUntold        bool // nothing says which: that is not to be in none
}

// SignOn is a sign-on under way: what must come back, and what proves that it is ours.
type SignOn struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE (RFC 7636)
	Until    time.Time `json:"u"`
}

// IdentityProvider signs people in elsewhere (internal/sso). Unavailable when it does not answer, Unauthenticated for whatever it
// does not vouch for.
type IdentityProvider interface {
	// Begin tells where to send the browser.
	Begin(ctx context.Context) (address string, s SignOn, err error)
	// Finish trades the code that came back for who it is.
	Finish(ctx context.Context, code string, s SignOn) (Identity, error)
	// Verify tells whose ID token it is.
	Verify(ctx context.Context, idToken string) (Identity, error)
}

// MatchBy is how somebody who signs on for the first time is found among the users there are.
type MatchBy string

// The ways. A user who is found is bound to the subject from then on, and found by that alone.
const (
	MatchSubject  MatchBy = "subject"  // not at all: a user is made
	MatchUsername MatchBy = "username" // by the name that the provider tells, which must be out of the user's own hands there
	MatchEmail    MatchBy = "email"    // by the mail address, if the provider has verified it and one user has it
)

// SingleSignOn signs people in who have signed in at an identity provider.
type SingleSignOn struct {
	Provider  IdentityProvider
	Sessions  *Sessions
	Store     UserStore
	Directory UserDirectory
	Users     Users
	Now       Clock

	Account     string   // whose users they are
	AdminGroups []string // whose members are admins; none: the provider has no say in who is one
	Groups      []string // whose members may sign in; none: everybody
	Match       MatchBy
	Create      bool          // a user for who has none
	Session     time.Duration // after which they have to sign on again
	Exchange    bool          // ID tokens are taken for tokens of ours
}

// SignOnTime is how long somebody may take at the provider.
const SignOnTime = 10 * time.Minute

// Begin tells where to send the browser, and what to remember meanwhile.
func (s *SingleSignOn) Begin(ctx context.Context) (address string, on SignOn, err error) {
	address, on, err = s.Provider.Begin(ctx)
	on.Until = s.Now().Add(SignOnTime).UTC()
	return address, on, err
}

// Finish signs in whoever comes back from the provider with what Begin remembered.
func (s *SingleSignOn) Finish(ctx context.Context, on SignOn, state, code, address string) (Grant, job.User, error) {
	if on.State == "" || state != on.State || s.Now().After(on.Until) {
		return Grant{}, job.User{}, job.Errorf(job.Unauthenticated, job.WordBadCredentials, "This sign-on was not begun here, or too long ago; begin anew")
	}
	id, err := s.Provider.Finish(ctx, code, on)
	if err != nil {
		return Grant{}, job.User{}, err
	}
	return s.signIn(ctx, id, address)
}

// Trade signs in with an ID token that a script has from the provider.
func (s *SingleSignOn) Trade(ctx context.Context, idToken, address string) (Grant, job.User, error) {
	if !s.Exchange {
		return Grant{}, job.User{}, job.Errorf(job.Forbidden, job.WordAccessDenied, "ID tokens are not taken here")
	}
	id, err := s.Provider.Verify(ctx, idToken)
	if err != nil {
		return Grant{}, job.User{}, err
	}
	return s.signIn(ctx, id, address)
}

func (s *SingleSignOn) signIn(ctx context.Context, id Identity, address string) (Grant, job.User, error) {
	trail, quiet := TrailOf(ctx), aside(ctx)
	u, changes, err := s.user(quiet, id)
	if u.ID != 0 {
		trail.By(u.AccountID, u.Ref())
		if len(changes) > 0 { // the user is stored by now, whatever comes of the sign-on
			trail.About("user", decimal(u.ID))
			trail.Changed(changes)
		}
		if kept := s.Sessions.remember(quiet, u, job.LoginSSO, address, err); kept != nil {
			return Grant{}, u, kept
		}
	}
	if err != nil {
		return Grant{}, u, err
	}
	g, err := s.Sessions.newFamily(ctx, u, "", ssoFamily+s.Sessions.NewFamily(), s.Session)
	if job.WordOf(err) == job.WordStale { // deactivated meanwhile
		err = inactive(job.User{})
	}
	return g, u, err
}

// ssoFamily begins the ids of families that came from a sign-on: those end after a while however often they are refreshed, so that
// what the provider says is asked for again.
const ssoFamily = "sso-"

// user finds or makes the user, has the flags and names follow what the provider says, and tells what that changed.
func (s *SingleSignOn) user(ctx context.Context, id Identity) (job.User, []job.AuditChange, error) {
	account, err := s.Store.AccountByName(ctx, s.Account)
	if err != nil {
		return job.User{}, nil, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The account of single sign-on can not be found")
	}
	const tries = 5
	for try := 1; ; try++ {
		u, bound, err := s.find(ctx, account.ID, id)
		if err != nil {
			return u, nil, err
		}
		if err := inactive(u); err != nil {
			return u, nil, err
		}
		if !s.welcome(id) {
			return u, nil, job.Errorf(job.Forbidden, job.WordAccessDenied, "The identity provider does not put you into a group that may sign in here")
		}
		if u.Admin && len(s.AdminGroups) > 0 && id.GroupsUntold {
			return u, nil, job.Errorf(job.Forbidden, job.WordAccessDenied,
				"The ID token does not tell your groups, so nothing says that you still are an admin: have the provider put them in, or sign on with a browser")
		}
		before := u
		s.follow(&u, id)
		name := u.Name
		if u.ID != 0 && !bound && u == before {
			return u, nil, nil
		}
		if u.ID == 0 {
			u, err = s.Store.CreateUser(ctx, u)
		} else {
			u.ModifiedAt, u.ModifiedBy = stamp(s.Now), u.Ref()
			u, err = s.Directory.UpdateUser(ctx, u)
		}
		switch {
		case err == nil:
			return u, signOnChanges(before, u, bound), nil
		case job.WordOf(err) == job.WordLastAdmin:
			return before, nil, job.Wrap(err, job.Forbidden, job.WordAccessDenied,
				"You are the account's last admin, and the identity provider no longer says that you are one: another admin is needed first")
		case job.WordOf(err) == job.WordDuplicateName && try == tries:
			return before, nil, job.Wrap(err, job.Forbidden, job.WordAccessDenied, "Another user has the name '%s'", short(name))
		case job.WordOf(err) != job.WordStale && job.WordOf(err) != job.WordDuplicateName || try == tries:
			return before, nil, err
		}
	}
}

// signOnChanges is what a sign-on made of a user: before it was bound there was no subject, and before it was made nothing.
func signOnChanges(before, after job.User, bound bool) []job.AuditChange {
	if bound {
		before.SSO = job.Subject{}
	}
	if before.ID != 0 {
		return userChanges(before, after)
	}
	return append(differences{{Field: "name", After: after.Name}}, userChanges(job.User{}, after)...)
}

func (s *SingleSignOn) welcome(id Identity) bool {
	return len(s.Groups) == 0 || anyOf(id.Groups, s.Groups) || anyOf(id.Groups, s.AdminGroups)
}

func anyOf(have, want []string) bool {
	return slices.ContainsFunc(have, func(g string) bool { return slices.Contains(want, g) })
}

// find finds the user of a subject, or one who is bound to it now, which is to be stored yet, or makes one that is not stored yet.
func (s *SingleSignOn) find(ctx context.Context, account int64, id Identity) (u job.User, bound bool, err error) {
	u, err = s.Directory.UserBySubject(ctx, account, id.Subject)
	if job.CodeOf(err) != job.NotFound {
		return u, false, err
	}
	switch {
	case s.Match == MatchUsername && id.Name != "":
		u, err = s.Users.UserByName(ctx, id.Name)
	case s.Match == MatchEmail && id.Email != "" && id.EmailVerified:
		u, err = s.Directory.UserByEmail(ctx, account, id.Email)
	}
	switch {
	case err == nil && u.AccountID == account && u.SSO == (job.Subject{}):
		u.SSO = id.Subject
		return u, true, nil
	case err != nil && job.CodeOf(err) != job.NotFound:
		return job.User{}, false, err
	case err == nil && s.Match == MatchUsername:
		return job.User{}, false, job.Errorf(job.Forbidden, job.WordAccessDenied, "Another user has the name '%s'", short(id.Name))
	case !s.Create:
		return job.User{}, false, job.Errorf(job.Forbidden, job.WordAccessDenied, "There is no user for you here; ask an admin for one")
	}
	name := id.Name
	if !plainName(name) {
		name = id.Email
	}
	if !plainName(name) {
		return job.User{}, false, job.Errorf(job.Forbidden, job.WordAccessDenied, "The identity provider tells no name that a user can have here")
	}
	return job.User{AccountID: account, Name: name, Active: true, SSO: id.Subject, CreatedAt: stamp(s.Now)}, false, nil
}

// follow has the user be what the provider says.
func (s *SingleSignOn) follow(u *job.User, id Identity) {
	if len(s.AdminGroups) > 0 {
		u.Admin = anyOf(id.Groups, s.AdminGroups)
	}
	email := id.Email
	if !id.EmailVerified { // whoever typed it may not have it
		email = ""
	}
	for _, f := range []struct {
		to *string
		is string
	}{{&u.Email, email}, {&u.FirstName, id.FirstName}, {&u.LastName, id.LastName}} {
		if f.is != "" && printable(f.is, maxPerson) {
			*f.to = f.is
		}
	}
}
