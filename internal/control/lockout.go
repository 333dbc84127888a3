package control

import (
	"context"
	"strings"
	"time"

	"waybill/internal/job"
)

// Lockouts counts failed logins by subject: whatever is tried under one name from one network, or under one name from wherever.
type Lockouts interface {
	// LockedUntil returns the zero time for a subject that is not locked at now.
	LockedUntil(ctx context.Context, subject string, now time.Time) (time.Time, error)
	// LoginFailed counts a failure in the window that began with the first; at limit it locks for lock. It returns LockedUntil.
	LoginFailed(ctx context.Context, subject string, now time.Time, window time.Duration, limit int, lock time.Duration) (time.Time, error)
	// ClearLogins forgets the failures of a subject that is not locked at now. It tells until when it is locked, and then forgets
	// nothing.
	ClearLogins(ctx context.Context, subject string, now time.Time) (time.Time, error)

	// LoginPlace tells when somebody last signed in as the subject, to the day; the zero time: not for a long time.
	LoginPlace(ctx context.Context, subject string) (time.Time, error)
	// NoteLoginPlace notes that somebody signed in as the subject.
	NoteLoginPlace(ctx context.Context, subject string, at time.Time) error
}

// Lockout (native.md, 2): ten failures lock a name and a network. Whoever tries many networks is slowed down by the second count: fifty
// failures of a name in all lock it for every network from which nobody ever signed in under it, and for no other. So nobody can keep
// people from where they usually sign in, and a thousand addresses guess no faster than five.
const (
	lockoutWindow   = 15 * time.Minute
	lockoutFailures = 10
	lockoutLength   = 15 * time.Minute

	wideFailures = 50

	// placeFor is for how long a network is known after somebody signed in from it, and placeNote how exact that is.
	placeFor  = 60 * 24 * time.Hour
	placeNote = 24 * time.Hour
)

// guess is an attempt to sign in, as the lockout sees it.
type guess struct {
	pair  string // name and network
	wide  string // name
	known bool   // somebody has signed in so before
}

// guessOf names what a failure is counted for. The name is the user's own, however it is written in the attempt: else every way of
// writing it would be a count of its own.
func guessOf(u job.User, typed, address string) guess {
	name := strings.ToLower(typed)
	if u.Name != "" {
		name = strings.ToLower(u.Name)
	}
	return guess{pair: name + "\n" + NetworkOf(address), wide: name + "\n*"} // no network is called *
}

// begin refuses an attempt that is locked out.
func (s *Sessions) begin(ctx context.Context, g *guess, now time.Time) error {
	until, err := s.Lockouts.LockedUntil(ctx, g.pair, now)
	if err == nil && until.IsZero() {
		var seen time.Time
		if seen, err = s.Lockouts.LoginPlace(ctx, g.pair); err == nil {
			g.known = now.Sub(seen) < placeFor
		}
	}
	if err == nil && until.IsZero() && !g.known {
		until, err = s.Lockouts.LockedUntil(ctx, g.wide, now)
	}
	return refuse(until, now, err)
}

// failed counts a wrong password.
func (s *Sessions) failed(ctx context.Context, g guess, now time.Time) error {
	until, err := s.Lockouts.LoginFailed(ctx, g.pair, now, lockoutWindow, lockoutFailures, lockoutLength)
	if err == nil && !g.known {
		var wide time.Time
		if wide, err = s.Lockouts.LoginFailed(ctx, g.wide, now, lockoutWindow, wideFailures, lockoutLength); wide.After(until) {
			until = wide
		}
	}
	if err := refuse(until, now, err); err != nil {
		return err
	}
	return badCredentials()
}

func badCredentials() error {
	return job.Errorf(job.Unauthenticated, job.WordBadCredentials, "Bad credentials")
}

// succeeded forgets the failures, unless they came to a lock while the password was checked: of many guesses at once not one may be right
// after the tenth was wrong.
func (s *Sessions) succeeded(ctx context.Context, g guess, now time.Time) error {
	until, err := s.Lockouts.ClearLogins(ctx, g.pair, now)
	if err == nil && until.IsZero() && !g.known {
		until, err = s.Lockouts.LockedUntil(ctx, g.wide, now)
	}
	if err := refuse(until, now, err); err != nil {
		return err
	}
	seen, err := s.Lockouts.LoginPlace(ctx, g.pair)
	if err == nil && now.Sub(seen) >= placeNote {
		err = s.Lockouts.NoteLoginPlace(ctx, g.pair, now)
	}
	return err
}

func refuse(until, now time.Time, err error) error {
	if err != nil || !until.After(now) {
		return err
	}
	e := job.Errorf(job.Unauthenticated, job.WordLockedOut, "Too many failed logins; try again later")
	e.RetryAfter = until.Sub(now)
	return e
}
