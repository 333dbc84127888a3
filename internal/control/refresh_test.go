package control_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/secret"
	"waybill/internal/token"
)

// signedIn logs the admin in.
func (w *world) signedIn() control.Grant {
	w.t.Helper()
	g, err := w.sessions.Login(w.t.Context(), "admin", password, "10.0.0.1")
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *world) refreshed(g control.Grant) control.Grant {
	w.t.Helper()
	next, err := w.sessions.Refresh(w.t.Context(), g.Refresh)
	if err != nil {
		w.t.Fatal(err)
	}
	return next
}

// lives tells whether the login that a grant came from still stands.
func (w *world) lives(g control.Grant) bool {
	w.t.Helper()
	_, err := w.sessions.Authenticate(w.t.Context(), g.Access)
	if err != nil && job.WordOf(err) != job.WordTokenInvalid {
		w.t.Fatal(err)
	}
	return err == nil
}

func TestAMadeUpRefreshTokenEndsNoLogin(t *testing.T) {
	w := newWorld(t)
	g := w.signedIn()
	family := token.FamilyOf(g.Refresh)
	parts := strings.Split(g.Refresh, ".")
	for name, forged := range map[string]string{
		"as versions before made them": family + "." + rand.Text(),
		"with another's mark":          family + "." + rand.Text() + "." + strings.Join(parts[2:], "."),
		"with a key nobody has":        family + "." + rand.Text() + ".0123abcd." + parts[3],
		"of another installation":      token.NewRefresher(secret.NewRing(secret.Numbered{Number: 1, Keys: secret.NewKey()}).Derived("refresh-token")).New(family),
		"cut":                          g.Refresh[:len(g.Refresh)-1],
	} {
		_, err := w.sessions.Refresh(t.Context(), forged)
		want(t, err, job.Unauthenticated, job.WordRefreshInvalid)
		if !w.lives(g) {
			t.Fatalf("a token %s ended the login", name)
		}
	}
	next := w.refreshed(g)
	_, err := w.sessions.Refresh(t.Context(), g.Refresh) // this one was given out
	want(t, err, job.Unauthenticated, job.WordRefreshReused)
	if w.lives(next) {
		t.Error("the login outlives a second use of its token")
	}
}

// asBefore puts a refresh token of a version before in place of the one that is good.
func (w *world) asBefore(g control.Grant) control.Grant {
	w.t.Helper()
	family := token.FamilyOf(g.Refresh)
	old := family + "." + rand.Text()
	f, err := w.store.TokenFamily(w.t.Context(), family)
	if err == nil {
		err = w.store.RotateToken(w.t.Context(), family, token.Hash(g.Refresh), token.Hash(old), f.ExpiresAt)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	g.Refresh = old
	return g
}

func TestARefreshTokenOfAVersionBeforeIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	old := w.asBefore(w.signedIn())
	next := w.refreshed(old)
	_, err := w.sessions.Refresh(t.Context(), old.Refresh) // nobody can tell it from one that is made up
	want(t, err, job.Unauthenticated, job.WordRefreshInvalid)
	last := w.refreshed(next)
	if !w.lives(last) {
		t.Error("the login ended")
	}
	_, err = w.sessions.Refresh(t.Context(), next.Refresh)
	want(t, err, job.Unauthenticated, job.WordRefreshReused)
}

func TestRefreshTokensOutliveTheKeyTheyWereMadeWith(t *testing.T) {
	w := newWorld(t)
	one, two := secret.Numbered{Number: 1, Keys: secret.NewKey()}, secret.Numbered{Number: 2, Keys: secret.NewKey()}
	w.Ring.Set([]secret.Numbered{one})
	used, kept := w.signedIn(), w.signedIn()
	w.Ring.Set([]secret.Numbered{one, two})
	next := w.refreshed(used)
	if !strings.Contains(next.Refresh, "."+two.Keys.ID()+".") {
		t.Errorf("%s is not made with the newest key", next.Refresh)
	}
	_, err := w.sessions.Refresh(t.Context(), used.Refresh)
	want(t, err, job.Unauthenticated, job.WordRefreshReused)
	if w.lives(next) {
		t.Error("the login outlives a second use of its token")
	}
	w.Ring.Set([]secret.Numbered{two}) // the first one is dropped
	next = w.refreshed(kept)
	_, err = w.sessions.Refresh(t.Context(), kept.Refresh)
	want(t, err, job.Unauthenticated, job.WordRefreshInvalid)
	if !w.lives(w.refreshed(next)) {
		t.Error("the login ended")
	}
}
