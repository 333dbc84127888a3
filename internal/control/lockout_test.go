package control_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// guesser is somebody who tries to sign in.
type guesser struct {
	t        *testing.T
	sessions *control.Sessions
}

func (g guesser) wrong(name, address string) job.Word {
	g.t.Helper()
	_, err := g.sessions.Login(g.t.Context(), name, "wrong", address)
	return job.WordOf(err)
}

// right tells the word of the error that the right password is answered with; none where it is taken.
func (g guesser) right(name, address string) job.Word {
	g.t.Helper()
	_, err := g.sessions.Login(g.t.Context(), name, password, address)
	return job.WordOf(err)
}

func TestTheTenthFailureLocksNameAndNetwork(t *testing.T) {
	w := newWorld(t)
	g := guesser{t, w.sessions}
	for i := range 10 {
		want := job.WordBadCredentials
		if i == 9 {
			want = job.WordLockedOut
		}
		name := []string{"admin", "ADMIN", "Admin"}[i%3]
		if got := g.wrong(name, fmt.Sprintf("2001:db8::%d", i+1)); got != want { // a host has a whole /64 to pick from
			t.Fatalf("failure %d: %s, want %s", i+1, got, want)
		}
	}
	if got := g.right("admin", "2001:db8::ffff"); got != job.WordLockedOut {
		t.Errorf("the right password: %q", got)
	}
	if _, err := w.sessions.Basic(t.Context(), "admin", password, "2001:db8::1"); job.WordOf(err) != job.WordLockedOut {
		t.Errorf("with Basic: %v", err)
	}
	if got := g.right("admin", "2001:db8:0:1::1"); got != "" {
		t.Errorf("from another network: %s", got)
	}
	w.Pass(15*time.Minute - time.Second)
	if got := g.right("admin", "2001:db8::1"); got != job.WordLockedOut {
		t.Errorf("a second before the end: %q", got)
	}
	w.Pass(time.Second)
	if got := g.right("admin", "2001:db8::1"); got != "" {
		t.Errorf("at its end: %s", got)
	}
}

func TestNamesThatNobodyHasAreLockedOutAlike(t *testing.T) {
	w := newWorld(t)
	g := guesser{t, w.sessions}
	for _, name := range []string{"admin", "nobody", "zürich\xff", strings.Repeat("x", 10_000)} {
		for i := range 12 {
			want := job.WordBadCredentials
			if i >= 9 {
				want = job.WordLockedOut
			}
			if got := g.wrong(name, "10.0.0.1"); got != want {
				t.Errorf("%.10q, failure %d: %s, want %s", name, i+1, got, want)
			}
		}
	}
}

// A wide attack: many networks, a few guesses from each. It is slowed down; the user goes on from where they are known.
func TestAWideAttackIsSlowedDownAndKeepsNobodyOut(t *testing.T) {
	w := newWorld(t)
	g := guesser{t, w.sessions}
	if got := g.right("admin", "10.0.0.1"); got != "" {
		t.Fatal(got)
	}
	checked := 0
	attack := func(networks int) {
		for i := range networks {
			for range 3 {
				if g.wrong("admin", fmt.Sprintf("2001:db8:%x::1", i)) == job.WordBadCredentials {
					checked++
				}
			}
		}
	}
	attack(100)
	if checked != 49 { // the fiftieth locks
		t.Errorf("%d of 300 guesses were checked", checked)
	}
	if got := g.right("admin", "10.0.0.1"); got != "" {
		t.Errorf("the user, from where they are known: %s", got)
	}
	if got := g.right("admin", "10.0.0.2"); got != job.WordLockedOut {
		t.Errorf("the right password from a network that nobody knows: %q", got)
	}
	if got := g.wrong("somebody else", "10.0.0.2"); got != job.WordBadCredentials {
		t.Errorf("another name is locked, too: %s", got)
	}
	for range 10 { // that they are known does not let them guess
		g.wrong("admin", "10.0.0.1")
	}
	if got := g.right("admin", "10.0.0.1"); got != job.WordLockedOut {
		t.Errorf("after ten failures from there: %q", got)
	}
	for range 8 { // two hours of it
		w.Pass(15 * time.Minute)
		attack(100)
	}
	if checked > 49*9 {
		t.Errorf("%d guesses were checked in two hours", checked)
	}
	if got := g.right("admin", "10.0.0.1"); got != "" {
		t.Errorf("the user, after two hours: %s", got)
	}
	w.Pass(15 * time.Minute)
	if got := g.right("admin", "10.0.0.2"); got != "" {
		t.Errorf("from elsewhere, when it is over: %s", got)
	}
}

func TestAPlaceIsForgottenThatNobodySignsInFrom(t *testing.T) {
	w := newWorld(t)
	g := guesser{t, w.sessions}
	g.right("admin", "10.0.0.1")
	w.Pass(61 * 24 * time.Hour)
	for i := range 50 {
		g.wrong("admin", fmt.Sprintf("192.0.2.%d", i))
	}
	if got := g.right("admin", "10.0.0.1"); got != job.WordLockedOut {
		t.Errorf("after two months: %q", got)
	}
}

// held are passwords of which the wrong ones are checked when the test says so, and the right one when it says that the wrong ones are.
type held struct {
	controltest.Passwords
	begun        *sync.WaitGroup
	check, wrong chan struct{}
}

func (h held) Matches(ctx context.Context, given, hash string) (bool, error) {
	h.begun.Done()
	if given == password {
		<-h.wrong
	}
	<-h.check
	return h.Passwords.Matches(ctx, given, hash)
}

func TestGuessesAtTheSameTimeAreNotCheckedPastTheLock(t *testing.T) {
	w := newWorld(t)
	h := held{begun: &sync.WaitGroup{}, check: make(chan struct{}), wrong: make(chan struct{})}
	w.sessions.Passwords = h
	h.begun.Add(12) // as many as one network may have checked at once
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		words = map[job.Word]int{}
		last  = make(chan error, 1)
	)
	for range 11 {
		all.Go(func() {
			_, err := w.sessions.Login(t.Context(), "admin", "wrong", "10.0.0.1")
			mu.Lock()
			defer mu.Unlock()
			words[job.WordOf(err)]++
		})
	}
	go func() {
		_, err := w.sessions.Login(t.Context(), "admin", password, "10.0.0.1")
		last <- err
	}()
	h.begun.Wait()
	close(h.check)
	all.Wait()
	if words[job.WordBadCredentials] != 9 || words[job.WordLockedOut] != 2 {
		t.Errorf("the wrong ones: %v", words)
	}
	close(h.wrong)
	if err := <-last; job.WordOf(err) != job.WordLockedOut {
		t.Errorf("the right one, after them: %v", err)
	}
}
