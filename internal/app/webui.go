package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/password"
	"waybill/internal/standalone"
	"waybill/storage/sqlstore"
)

// webUISignIn lets the admins of the account that every installation begins with see the Temporal Web UI. It shows the workflows of
// all accounts, so an admin of another account is not enough.
//
// A browser sends the credentials with each of the dozens of requests of a page, and a password takes long to check on purpose:
// so what was good is remembered, by a digest, for as long as the user's row is the same.
type webUISignIn struct {
	ready    chan struct{} // closed when the others are set
	users    control.Users
	sessions *control.Sessions
	audit    *control.Audit
	seed     [16]byte

	mu   sync.Mutex
	good map[[sha256.Size]byte]remembered
}

type remembered struct {
	hash  string // of the password, as it was
	until time.Time
}

const (
	rememberFor  = 10 * time.Minute
	rememberMost = 100
)

func newWebUISignIn() *webUISignIn {
	s := &webUISignIn{ready: make(chan struct{}), good: map[[sha256.Size]byte]remembered{}}
	_, _ = rand.Read(s.seed[:]) // it never fails
	return s
}

// open begins to let people in.
func (s *webUISignIn) open(store *sqlstore.Store, audit *control.Audit, now control.Clock) {
	s.users, s.audit = store, audit
	s.sessions = &control.Sessions{Users: store, Lockouts: store, Passwords: password.New(), Now: now}
	close(s.ready)
}

// check is standalone.Config.SignIn.
func (s *webUISignIn) check(ctx context.Context, user, word, remote string) error {
	select {
	case <-s.ready:
	default:
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "Waybill is starting")
	}
	key := s.key(user, word)
	if s.remembers(ctx, key, user) {
		_, err := s.admitted(ctx, user)
		return refused(err)
	}
	trail := control.NewTrail(job.AuditEntry{Action: "webui.login", Address: remote})
	trail.About("session")
	hash, err := s.signIn(control.WithTrail(ctx, trail), user, word, remote)
	s.audit.End(ctx, trail, err)
	if err != nil {
		return refused(err)
	}
	s.remember(key, hash)
	return nil
}

// signIn checks the password, and gives its hash.
func (s *webUISignIn) signIn(ctx context.Context, user, word, remote string) (hash string, err error) {
	if _, err := s.sessions.Basic(ctx, user, word, remote); err != nil {
		return "", err
	}
	return s.admitted(ctx, user)
}

// admitted checks that a user may see what all accounts do, as the codec server does, and gives the hash of the password.
func (s *webUISignIn) admitted(ctx context.Context, user string) (hash string, err error) {
	u, err := s.users.UserByName(ctx, user)
	if err != nil {
		return "", err
	}
	account, err := s.users.Account(ctx, u.AccountID)
	if err != nil {
		return "", err
	}
	if !u.Active || !u.Admin || account.Name != control.DefaultAccount {
		return "", job.Errorf(job.Forbidden, job.WordAccessDenied, "only admins of the account %s may see it", control.DefaultAccount)
	}
	return u.PasswordHash, nil
}

// refused tells a person from a fault of ours.
func refused(err error) error {
	switch job.CodeOf(err) {
	case job.Unauthenticated, job.Forbidden, job.NotFound, job.RateLimited:
		return fmt.Errorf("%w: %s", standalone.ErrRefused, err.Error())
	}
	return err
}

func (s *webUISignIn) key(user, word string) [sha256.Size]byte {
	text := append(s.seed[:], binary.BigEndian.AppendUint64(nil, uint64(len(user)))...)
	return sha256.Sum256(append(append(text, user...), word...))
}

// remembers tells whether the password was good a short while ago and has not been changed since.
func (s *webUISignIn) remembers(ctx context.Context, key [sha256.Size]byte, user string) bool {
	s.mu.Lock()
	r, ok := s.good[key]
	s.mu.Unlock()
	if !ok || time.Now().After(r.until) {
		return false
	}
	u, err := s.users.UserByName(ctx, user)
	return err == nil && u.PasswordHash == r.hash
}

func (s *webUISignIn) remember(key [sha256.Size]byte, hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.good[key]; ok && r.hash == hash && time.Now().Before(r.until) {
		return
	}
	if len(s.good) >= rememberMost {
		clear(s.good)
	}
	s.good[key] = remembered{hash: hash, until: time.Now().Add(rememberFor)}
}
