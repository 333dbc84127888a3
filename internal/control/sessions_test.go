package control_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

const password = "example-password"

func TestLoginGivesTokensThatNameTheirUser(t *testing.T) {
	w := newWorld(t)
	g, err := w.sessions.Login(t.Context(), "ADMIN", password, "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.sessions.Authenticate(t.Context(), g.Access)
	if err != nil || a.User != w.admin.User || a.AccountID != w.admin.AccountID || !a.Admin {
		t.Errorf("actor %+v, %v", a, err)
	}
	if a, err := w.sessions.Basic(t.Context(), "admin", password, "10.0.0.1"); err != nil || a.User != w.admin.User {
		t.Errorf("basic: %+v, %v", a, err)
	}
	w.Pass(11 * time.Hour)
	_, err = w.sessions.Authenticate(t.Context(), g.Access)
	want(t, err, job.Unauthenticated, job.WordTokenExpired)
	_, err = w.sessions.Authenticate(t.Context(), "")
	want(t, err, job.Unauthenticated, job.WordTokenMissing)
	_, err = w.sessions.Authenticate(t.Context(), "a.b.c")
	want(t, err, job.Unauthenticated, job.WordTokenInvalid)
}

func TestLogoutEndsTheWholeFamily(t *testing.T) {
	w := newWorld(t)
	g, err := w.sessions.Login(t.Context(), "admin", password, "a")
	if err != nil {
		t.Fatal(err)
	}
	next, err := w.sessions.Refresh(t.Context(), g.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.sessions.Authenticate(t.Context(), next.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sessions.Logout(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for _, access := range []string{g.Access, next.Access} {
		_, err = w.sessions.Authenticate(t.Context(), access)
		want(t, err, job.Unauthenticated, job.WordTokenInvalid)
	}
	_, err = w.sessions.Refresh(t.Context(), next.Refresh)
	want(t, err, job.Unauthenticated, job.WordRefreshInvalid)
}

func TestARefreshTokenUsedTwiceEndsTheFamily(t *testing.T) {
	w := newWorld(t)
	g, err := w.sessions.Login(t.Context(), "admin", password, "a")
	if err != nil {
		t.Fatal(err)
	}
	next, err := w.sessions.Refresh(t.Context(), g.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.sessions.Authenticate(t.Context(), g.Access); err != nil {
		t.Errorf("the first access token died with the refresh: %v", err)
	}
	_, err = w.sessions.Refresh(t.Context(), g.Refresh)
	want(t, err, job.Unauthenticated, job.WordRefreshReused)
	_, err = w.sessions.Refresh(t.Context(), next.Refresh)
	want(t, err, job.Unauthenticated, job.WordRefreshInvalid)
	_, err = w.sessions.Authenticate(t.Context(), next.Access)
	want(t, err, job.Unauthenticated, job.WordTokenInvalid)
}

func TestRefreshTokensEndAndNonsenseIsRefused(t *testing.T) {
	w := newWorld(t)
	g, err := w.sessions.Login(t.Context(), "admin", password, "a")
	if err != nil {
		t.Fatal(err)
	}
	w.Pass(31 * 24 * time.Hour)
	for _, text := range []string{g.Refresh, "", "x", "unknown.token", strings.Repeat("x", 5000)} {
		_, err = w.sessions.Refresh(t.Context(), text)
		want(t, err, job.Unauthenticated, job.WordRefreshInvalid)
	}
}

func TestTenFailuresLockUserAndAddress(t *testing.T) {
	for _, name := range []string{"admin", "nobody"} { // an unknown user is answered alike
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 9 {
				_, err := w.sessions.Login(t.Context(), name, "wrong", "10.0.0.1")
				want(t, err, job.Unauthenticated, job.WordBadCredentials)
			}
			_, err := w.sessions.Login(t.Context(), name, "wrong", "10.0.0.1")
			want(t, err, job.Unauthenticated, job.WordLockedOut)
			_, err = w.sessions.Basic(t.Context(), strings.ToUpper(name), password, "10.0.0.1")
			want(t, err, job.Unauthenticated, job.WordLockedOut)
			if e, ok := err.(*job.Error); !ok || e.RetryAfter <= 14*time.Minute {
				t.Errorf("no time to wait in %v", err)
			}
			if name == "admin" {
				if _, err := w.sessions.Login(t.Context(), name, password, "10.0.0.2"); err != nil {
					t.Errorf("another address is locked out, too: %v", err)
				}
			}
			w.Pass(16 * time.Minute)
			_, err = w.sessions.Login(t.Context(), name, "wrong", "10.0.0.1")
			want(t, err, job.Unauthenticated, job.WordBadCredentials)
		})
	}
}

// TestANetworkIsLockedAsOneAddress: whoever has an address of IPv6 has very many of them.
func TestANetworkIsLockedAsOneAddress(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		_, _ = w.sessions.Login(t.Context(), "admin", "wrong", fmt.Sprintf("2001:db8::%x", i+1))
	}
	_, err := w.sessions.Login(t.Context(), "admin", password, "2001:db8::ffff")
	want(t, err, job.Unauthenticated, job.WordLockedOut)
	if _, err := w.sessions.Login(t.Context(), "admin", password, "2001:db8:0:1::1"); err != nil {
		t.Errorf("another network is locked out, too: %v", err)
	}
}

func TestSuccessClearsTheCount(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		for range 9 {
			_, err := w.sessions.Login(t.Context(), "admin", "wrong", "a")
			want(t, err, job.Unauthenticated, job.WordBadCredentials)
		}
		if _, err := w.sessions.Login(t.Context(), "admin", password, "a"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccountsAndUsersAreMadeOnce(t *testing.T) {
	w := newWorld(t)
	beta := w.another("bob")
	if beta.AccountID == w.admin.AccountID || beta.User.ID == w.admin.User.ID {
		t.Errorf("beta is %+v", beta)
	}
	g, err := w.sessions.Login(t.Context(), "bob", "password-of-bob", "a")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := w.sessions.Authenticate(t.Context(), g.Access); err != nil || a.AccountID != beta.AccountID {
		t.Errorf("bob is %+v, %v", a, err)
	}
}

// meanwhile is passwords whose check takes so long that something else happens.
type meanwhile func()

func (m meanwhile) Matches(context.Context, string, string) (bool, error) {
	m()
	return true, nil
}

// TestALoginDoesNotOutliveThePasswordItWasMadeWith: one that was changed while it was checked.
func TestALoginDoesNotOutliveThePasswordItWasMadeWith(t *testing.T) {
	w := newWorld(t)
	w.sessions.Passwords = meanwhile(func() {
		if _, err := w.store.ChangePassword(t.Context(), w.admin.AccountID, w.admin.User.ID, "", "another", "", w.admin.User, w.Now()); err != nil {
			t.Fatal(err)
		}
		w.sessions.Passwords = meanwhile(func() {})
	})
	_, err := w.sessions.Login(t.Context(), "admin", password, "10.0.0.1")
	want(t, err, job.Unauthenticated, job.WordBadCredentials)
	if _, err = w.sessions.Login(t.Context(), "admin", password, "10.0.0.1"); err != nil {
		t.Error(err)
	}
}

// history counts what is written to it.
type history struct {
	control.LoginHistory
	written int
}

func (h *history) AddLogin(context.Context, job.LoginAttempt, int) error {
	h.written++
	return nil
}

// TestAnUnknownNameCostsAWriteToo: else the time of the answer tells which names there are.
func TestAnUnknownNameCostsAWriteToo(t *testing.T) {
	w, h := newWorld(t), &history{}
	w.sessions.History = h
	for i, name := range []string{"admin", "nobody"} {
		_, err := w.sessions.Login(t.Context(), name, "wrong", "10.0.0.1")
		want(t, err, job.Unauthenticated, job.WordBadCredentials)
		if h.written != i+1 {
			t.Errorf("%s: %d writes", name, h.written)
		}
	}
}
