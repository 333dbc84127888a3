package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"waybill/internal/job"
)

// DoorSessionStore keeps logins by session id.
type DoorSessionStore interface {
	// CreateDoorSession stores one of a user who is active and, unless hash is "", still has that password hash; else Conflict, WordStale.
	CreateDoorSession(ctx context.Context, d job.DoorSession, hash string) error
	// DoorSession finds one, also one that is over.
	DoorSession(ctx context.Context, hash string) (job.DoorSession, error)
	// UseDoorSession writes the time of the last call, unless a later one is written or the session was ended.
	UseDoorSession(ctx context.Context, hash string, at time.Time) error
	// EndDoorSession ends one. Idempotent; an unknown one is as good as ended.
	EndDoorSession(ctx context.Context, hash string, at time.Time) error
	// EndDoorSessions ends those of a user or, with user 0, of the whole account, and counts them.
	EndDoorSessions(ctx context.Context, account, user int64, at time.Time) (int64, error)
}

// DoorSessions signs people in by session ids: what clients hold that know no tokens (informatica.md, 2). Passwords are checked, and
// failures counted, by Sessions.
type DoorSessions struct {
	Sessions *Sessions
	Store    DoorSessionStore
	Now      Clock
}

// Lives of a session (informatica.md, 2). The time of the last call is written once a minute at most, so a session that nobody uses dies
// between 31 and 32 minutes after its last call.
const (
	DoorSessionIdle  = 30 * time.Minute
	DoorSessionGrace = 2 * time.Minute
	DoorSessionLife  = 24 * time.Hour
	doorSessionNote  = time.Minute

	sessionShown = 16 // hex digits of its hash, in the audit log
)

// DoorLogin is a session just begun.
type DoorLogin struct {
	Session string // the id: told once, kept by nobody here
	User    job.User
	Account job.Account
}

// Login checks name and password and begins a session.
func (s *DoorSessions) Login(ctx context.Context, name, password, address string) (DoorLogin, error) {
	u, err := s.Sessions.check(ctx, name, password, address, job.LoginPassword)
	if err != nil {
		return DoorLogin{}, err
	}
	account, err := s.Sessions.Users.Account(ctx, u.AccountID)
	if err != nil {
		return DoorLogin{}, err
	}
	id := rand.Text() // 130 bits, of which none means anything
	now := s.stamp()
	err = s.Store.CreateDoorSession(ctx, job.DoorSession{
		Hash: HashOfSession(id), UserID: u.ID, AccountID: u.AccountID, CreatedAt: now, UsedAt: now,
	}, u.PasswordHash)
	if job.WordOf(err) == job.WordStale {
		return DoorLogin{}, badCredentials()
	}
	return DoorLogin{Session: id, User: u, Account: account}, err
}

// Authenticate tells whose session it is and renews it.
func (s *DoorSessions) Authenticate(ctx context.Context, id string) (job.Actor, error) {
	d, left, err := s.find(ctx, id)
	if err != nil {
		return job.Actor{}, err
	}
	if left < 0 {
		return job.Actor{}, deadSession()
	}
	u, err := s.Sessions.Users.User(ctx, d.AccountID, d.UserID)
	if job.CodeOf(err) == job.NotFound {
		return job.Actor{}, deadSession()
	}
	if err != nil {
		return job.Actor{}, err
	}
	a, err := s.Sessions.actorOf(ctx, u)
	if job.CodeOf(err) == job.Unauthenticated { // somebody who may sign in no more: the session is as good as ended
		return job.Actor{}, deadSession()
	}
	if err != nil {
		return job.Actor{}, err
	}
	a.Session = d.Hash[:min(len(d.Hash), sessionShown)]
	if now := s.stamp(); now.Sub(d.UsedAt) >= doorSessionNote {
		err = s.Store.UseDoorSession(aside(ctx), d.Hash, now)
	}
	return a, err
}

// Logout ends a session.
func (s *DoorSessions) Logout(ctx context.Context, id string) error {
	return s.Store.EndDoorSession(ctx, HashOfSession(id), s.stamp())
}

// LogoutAll ends all sessions of who has the password; of an admin, all of the account.
func (s *DoorSessions) LogoutAll(ctx context.Context, name, password, address string) error {
	u, err := s.Sessions.check(ctx, name, password, address, job.LoginPassword)
	if err != nil {
		return err
	}
	user := u.ID
	if u.Admin {
		user = 0
	}
	_, err = s.Store.EndDoorSessions(ctx, u.AccountID, user, s.stamp())
	return err
}

// Valid tells whether a session is the user's and alive, and how long it will be without a call. It does not renew it.
func (s *DoorSessions) Valid(ctx context.Context, name, id string) (bool, time.Duration, error) {
	d, left, err := s.find(ctx, id)
	if job.CodeOf(err) == job.Unauthenticated || err == nil && left < 0 {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	u, err := s.Sessions.Users.User(ctx, d.AccountID, d.UserID)
	if job.CodeOf(err) == job.NotFound || err == nil && (!u.Active || !strings.EqualFold(u.Name, name)) {
		return false, 0, nil
	}
	return err == nil, max(0, left), err
}

// find looks a session up. left is how long it lives without a call, not counting the grace; negative: it is dead.
func (s *DoorSessions) find(ctx context.Context, id string) (d job.DoorSession, left time.Duration, err error) {
	if id == "" || len(id) > maxName {
		return d, 0, deadSession()
	}
	d, err = s.Store.DoorSession(ctx, HashOfSession(id))
	if job.CodeOf(err) == job.NotFound {
		return d, 0, deadSession()
	}
	if err != nil {
		return d, 0, err
	}
	now := s.Now().UTC()
	idle, age := now.Sub(d.UsedAt), now.Sub(d.CreatedAt)
	if !d.EndedAt.IsZero() || idle >= DoorSessionIdle+DoorSessionGrace || age >= DoorSessionLife {
		return d, -1, nil
	}
	return d, max(0, min(DoorSessionIdle-idle, DoorSessionLife-age)), nil
}

func (s *DoorSessions) stamp() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func deadSession() error {
	return job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "The session is missing or has expired")
}

// HashOfSession is under what a session id is kept. It is random and long enough that nobody finds it from its hash, so it needs no salt.
func HashOfSession(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}
