package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/token"
)

// Passwords checks passwords (internal/password).
type Passwords interface {
	Matches(ctx context.Context, password, hash string) (bool, error)
}

// Sessions signs people in and tells who makes a call.
type Sessions struct {
	Users     Users
	Tokens    Tokens
	Lockouts  Lockouts
	History   LoginHistory
	Grants    GrantStore
	Jobs      JobFinder // of the tokens that jobs have
	Passwords Passwords
	Signer    *token.Signer
	Refresher token.Refresher
	Now       Clock
	NewFamily func() string

	crowd crowd
}

// Lives and limits of native.md, section 2.
const (
	AccessLife  = 10 * time.Hour
	refreshLife = 30 * 24 * time.Hour

	roleUser, roleAdmin = "ROLE_USER", "ROLE_ADMIN"
)

// Grant is a pair of tokens.
type Grant struct {
	Access    string
	Refresh   string
	ExpiresIn time.Duration
}

// Login checks name and password and begins a token family. Unknown users are counted and answered as wrong passwords.
func (s *Sessions) Login(ctx context.Context, name, password, address string) (Grant, error) {
	u, err := s.check(ctx, name, password, address, job.LoginPassword)
	if err != nil {
		return Grant{}, err
	}
	g, err := s.newFamily(ctx, u, u.PasswordHash, s.NewFamily(), refreshLife)
	if job.WordOf(err) == job.WordStale { // the password was changed while it was checked
		return Grant{}, badCredentials()
	}
	return g, err
}

// newFamily begins the token family of somebody who has shown who they are, by a password if hash is its hash. Conflict, WordStale, if
// that is no longer theirs or they are not active any more.
func (s *Sessions) newFamily(ctx context.Context, u job.User, hash, family string, life time.Duration) (Grant, error) {
	now := s.Now().UTC().Truncate(time.Microsecond)
	refresh := s.Refresher.New(family)
	err := s.Tokens.CreateTokenFamily(ctx, job.TokenFamily{
		ID: family, UserID: u.ID, AccountID: u.AccountID, RefreshHash: token.Hash(refresh), CreatedAt: now, ExpiresAt: now.Add(life),
	}, hash)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(u, family, refresh, now, life)
}

// Basic checks the credentials of one call. It shares the lockout with Login.
func (s *Sessions) Basic(ctx context.Context, name, password, address string) (job.Actor, error) {
	u, err := s.check(ctx, name, password, address, job.LoginBasic)
	if err != nil {
		return job.Actor{}, err
	}
	return s.actorOf(ctx, u)
}

// actorOf is the user as who makes a call, whatever they showed: password, token, key or session.
func (s *Sessions) actorOf(ctx context.Context, u job.User) (job.Actor, error) {
	if err := inactive(u); err != nil {
		return job.Actor{}, err
	}
	a := job.Actor{AccountID: u.AccountID, User: u.Ref(), Admin: u.Admin}
	if u.Admin || s.Grants == nil {
		return a, nil
	}
	var err error
	a.Grants, err = s.Grants.Grants(ctx, u.AccountID, u.ID) // afresh, so that what is taken away is gone at once
	return a, err
}

// check tells whose name and password it is. Names that nobody has take as long, and are locked out like others. An attempt is kept in
// the user's history; the method "" is for a question to somebody who is signed in.
func (s *Sessions) check(ctx context.Context, name, password, address string, method job.LoginMethod) (job.User, error) {
	ctx, trail := aside(ctx), TrailOf(ctx) // the count of failures is no part of the act
	u, err := s.Users.UserByName(ctx, name)
	if err != nil && job.CodeOf(err) != job.NotFound {
		return job.User{}, err
	}
	if err == nil { // other names are not kept: people type their passwords there
		trail.By(u.AccountID, u.Ref())
	}
	g := guessOf(u, name, address)
	if err := s.begin(ctx, &g, s.Now().UTC()); err != nil {
		return job.User{}, err // and not kept: it costs nothing, so there may be any number
	}
	good, err := s.matches(ctx, password, u.PasswordHash, NetworkOf(address))
	if err != nil {
		return job.User{}, err
	}
	switch {
	case !good:
		err = s.failed(ctx, g, s.Now().UTC())
	case !u.Active:
		err = inactive(u)
	default:
		err = s.succeeded(ctx, g, s.Now().UTC())
	}
	if fault := s.remember(ctx, u, method, address, err); fault != nil {
		err = fault
	}
	if err != nil {
		return job.User{}, err
	}
	return u, nil
}

// matches checks a password, for a bounded number of callers at once.
func (s *Sessions) matches(ctx context.Context, password, hash, from string) (bool, error) {
	if err := s.crowd.enter(from); err != nil {
		return false, err
	}
	defer s.crowd.leave(from)
	good, err := s.Passwords.Matches(ctx, password, hash)
	if err != nil && job.CodeOf(err) != job.RateLimited {
		err = job.Wrap(err, job.Unavailable, job.WordDependencyDown, "Passwords can not be checked now")
	}
	return good, err
}

// loginsKept is how many good and how many bad attempts are kept of each user.
const loginsKept = 500

// remember keeps an attempt to sign in as somebody there is. Of one under a name that nobody has a row is kept that says nothing, of no user and
// no account: it costs what the others cost, so that the time of the answer does not tell which names there are.
func (s *Sessions) remember(ctx context.Context, u job.User, method job.LoginMethod, address string, refusal error) error {
	if method == "" || s.History == nil || job.CodeOf(refusal) == job.Unavailable {
		return nil
	}
	return s.History.AddLogin(ctx, job.LoginAttempt{
		AccountID: u.AccountID, UserID: u.ID, Username: u.Name, Time: stamp(s.Now), Success: refusal == nil, Word: job.WordOf(refusal), Method: method,
		Address: address,
	}, loginsKept)
}

func inactive(u job.User) error {
	if u.Active {
		return nil
	}
	return job.Errorf(job.Unauthenticated, job.WordUserInactive, "The user is not active")
}

// grant makes the tokens of a family that lives for life yet.
func (s *Sessions) grant(u job.User, family, refresh string, now time.Time, life time.Duration) (Grant, error) {
	life = min(life, AccessLife)
	role := roleUser
	if u.Admin {
		role = roleAdmin
	}
	access, err := s.Signer.Sign(token.Claims{
		UserID: u.ID, AccountID: u.AccountID, Role: role, Family: family, ExpiresAt: now.Add(life),
	}, now)
	if err != nil {
		return Grant{}, job.Wrap(err, job.Internal, job.WordInternal, "The access token can not be signed")
	}
	return Grant{Access: access, Refresh: refresh, ExpiresIn: life}, nil
}

// Refresh trades a refresh token for a new pair. A token used a second time ends its whole family, because either the
// client or a thief holds a copy. One that was never given out ends nothing: the id of a login is no secret.
func (s *Sessions) Refresh(ctx context.Context, refresh string) (Grant, error) {
	invalid := job.Errorf(job.Unauthenticated, job.WordRefreshInvalid, "The refresh token is not valid")
	family := token.FamilyOf(refresh)
	if family == "" {
		return Grant{}, invalid
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	f, err := s.Tokens.TokenFamily(ctx, family)
	if job.CodeOf(err) == job.NotFound {
		return Grant{}, invalid
	}
	if err != nil {
		return Grant{}, err
	}
	if !f.RevokedAt.IsZero() || !f.ExpiresAt.After(now) {
		return Grant{}, invalid
	}
	u, err := s.Users.User(ctx, f.AccountID, f.UserID)
	if err == nil {
		TrailOf(ctx).By(u.AccountID, u.Ref())
	}
	if err != nil || !u.Active {
		if err != nil && job.CodeOf(err) != job.NotFound {
			return Grant{}, err
		}
		return Grant{}, invalid
	}
	next, until := s.Refresher.New(family), now.Add(refreshLife)
	if strings.HasPrefix(family, ssoFamily) {
		until = f.ExpiresAt
	}
	err = s.Tokens.RotateToken(ctx, family, token.Hash(refresh), token.Hash(next), until)
	switch {
	case job.WordOf(err) == job.WordStale && !s.Refresher.Made(refresh):
		return Grant{}, invalid
	case job.WordOf(err) == job.WordStale:
		if err := s.Tokens.RevokeTokens(aside(ctx), family, now); err != nil {
			return Grant{}, err
		}
		return Grant{}, job.Errorf(job.Unauthenticated, job.WordRefreshReused, "The refresh token was used before; please log in again")
	case job.CodeOf(err) == job.NotFound:
		return Grant{}, invalid
	case err != nil:
		return Grant{}, err
	}
	return s.grant(u, family, next, now, until.Sub(now))
}

// Logout ends the family of the actor's token. Basic credentials have none.
func (s *Sessions) Logout(ctx context.Context, a job.Actor) error {
	if a.Family == "" {
		return nil
	}
	return s.Tokens.RevokeTokens(ctx, a.Family, s.Now().UTC().Truncate(time.Microsecond))
}

// Authenticate tells who holds an access token. Family or job, and user, are looked up afresh, so a logout, the end of a
// job or a change of rights holds at once.
func (s *Sessions) Authenticate(ctx context.Context, access string) (job.Actor, error) {
	if access == "" {
		return job.Actor{}, job.Errorf(job.Unauthenticated, job.WordTokenMissing, "Access token is missing")
	}
	c, err := s.Signer.Parse(access)
	invalid := job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "Access token is not valid")
	switch {
	case errors.Is(err, token.ErrExpired):
		return job.Actor{}, job.Errorf(job.Unauthenticated, job.WordTokenExpired, "Access token has expired")
	case err != nil:
		return job.Actor{}, invalid
	}
	var own job.Job
	alive := s.ofFamily
	if c.Job != "" {
		alive = func(ctx context.Context, c token.Claims) (alive bool, err error) {
			own, alive, err = s.ofJob(ctx, c)
			return alive, err
		}
	}
	if alive, err := alive(ctx, c); err != nil || !alive {
		if err != nil {
			return job.Actor{}, err
		}
		return job.Actor{}, invalid
	}
	u, err := s.Users.User(ctx, c.AccountID, c.UserID)
	if job.CodeOf(err) == job.NotFound {
		return job.Actor{}, invalid
	}
	if err != nil {
		return job.Actor{}, err
	}
	actor, err := s.actorOf(ctx, u)
	if c.Job != "" {
		return asJob(actor, own), err
	}
	actor.Family = c.Family
	return actor, err
}

// ofFamily tells whether the login that a token came from still stands.
func (s *Sessions) ofFamily(ctx context.Context, c token.Claims) (alive bool, err error) {
	f, err := s.Tokens.TokenFamily(ctx, c.Family)
	if job.CodeOf(err) == job.NotFound {
		return false, nil
	}
	return f.RevokedAt.IsZero() && f.UserID == c.UserID && f.AccountID == c.AccountID, err
}
