package control_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/storage/sqlstore/sqltest"
)

func doorWorld(t *testing.T) *controltest.World {
	t.Helper()
	return controltest.New(t, sqltest.Open(t, nil))
}

func begin(t *testing.T, w *controltest.World, name string) string {
	t.Helper()
	l, err := w.Doors.Login(t.Context(), name, password, "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return l.Session
}

func TestASessionDiesWithoutCallsAndWithAge(t *testing.T) {
	t.Parallel()
	w := doorWorld(t)
	id := begin(t, w, "ADMIN")
	if len(id) < 26 || id == begin(t, w, "admin") {
		t.Errorf("session id %q", id)
	}
	for range 3 {
		w.Pass(30 * time.Minute)
		if a, err := w.Doors.Authenticate(t.Context(), id); err != nil || a.User.Name != "admin" || !a.Admin {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if ok, left, err := w.Doors.Valid(t.Context(), "Admin", id); err != nil || !ok || left != 30*time.Minute {
		t.Errorf("%v, %s, %v", ok, left, err)
	}
	w.Pass(31 * time.Minute) // in the grace
	if ok, left, err := w.Doors.Valid(t.Context(), "admin", id); err != nil || !ok || left != 0 {
		t.Errorf("in the grace: %v, %s, %v", ok, left, err)
	}
	w.Pass(time.Minute) // asking did not renew it
	_, err := w.Doors.Authenticate(t.Context(), id)
	want(t, err, job.Unauthenticated, job.WordTokenInvalid)
	if ok, left, err := w.Doors.Valid(t.Context(), "admin", id); err != nil || ok || left != 0 {
		t.Errorf("dead: %v, %s, %v", ok, left, err)
	}

	busy := begin(t, w, "admin")
	for range 24*4 - 1 {
		w.Pass(15 * time.Minute)
		if _, err := w.Doors.Authenticate(t.Context(), busy); err != nil {
			t.Fatal(err)
		}
	}
	if _, left, _ := w.Doors.Valid(t.Context(), "admin", busy); left != 15*time.Minute {
		t.Errorf("%s left of the day", left)
	}
	w.Pass(15 * time.Minute)
	_, err = w.Doors.Authenticate(t.Context(), busy)
	want(t, err, job.Unauthenticated, job.WordTokenInvalid)
}

func TestTheUseOfASessionIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	w := doorWorld(t)
	uses := &useCounter{DoorSessionStore: w.Store}
	w.Doors.Store = uses
	id := begin(t, w, "admin")
	for range 180 {
		w.Pass(time.Second)
		if _, err := w.Doors.Authenticate(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if uses.n != 3 {
		t.Errorf("%d writes in three minutes", uses.n)
	}
}

type useCounter struct {
	control.DoorSessionStore
	n int
}

func (u *useCounter) UseDoorSession(ctx context.Context, hash string, at time.Time) error {
	u.n++
	return u.DoorSessionStore.UseDoorSession(ctx, hash, at)
}

func TestLogoutEndsSessions(t *testing.T) {
	t.Parallel()
	w := doorWorld(t)
	w.User(t, "dan@example.com", password)
	ctx := t.Context()
	admin, first, second := begin(t, w, "admin"), begin(t, w, "dan@example.com"), begin(t, w, "dan@example.com")
	alive := func(id string) bool {
		_, err := w.Doors.Authenticate(ctx, id)
		if err != nil {
			want(t, err, job.Unauthenticated, job.WordTokenInvalid)
		}
		return err == nil
	}
	if err := w.Doors.Logout(ctx, first); err != nil {
		t.Fatal(err)
	}
	if alive(first) || !alive(second) || !alive(admin) {
		t.Error("logout ends its own session only")
	}
	want(t, w.Doors.LogoutAll(ctx, "dan@example.com", "wrong", "10.0.0.1"), job.Unauthenticated, job.WordBadCredentials)
	if err := w.Doors.LogoutAll(ctx, "dan@example.com", password, "10.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if alive(second) || !alive(admin) {
		t.Error("logoutall of a user ends that user's sessions")
	}
	second = begin(t, w, "dan@example.com")
	if err := w.Doors.LogoutAll(ctx, "admin", password, "10.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if alive(second) || alive(admin) {
		t.Error("logoutall of an admin ends all sessions of the account")
	}
}

func TestSessionsOfOthersAreNotTold(t *testing.T) {
	t.Parallel()
	w := doorWorld(t)
	dan := w.User(t, "dan@example.com", password)
	ctx := t.Context()
	id := begin(t, w, "dan@example.com")
	for name, token := range map[string]string{"admin": id, "dan@example.com": "made up", "nobody": id, "": "", "x": strings.Repeat("x", 10_000)} {
		if ok, left, err := w.Doors.Valid(ctx, name, token); ok || left != 0 || err != nil {
			t.Errorf("%s, %.20s: %v, %s, %v", name, token, ok, left, err)
		}
	}
	if _, err := w.Store.SetUserActive(ctx, dan.AccountID, dan.ID, false, w.Now()); err != nil {
		t.Fatal(err)
	}
	_, err := w.Doors.Authenticate(ctx, id)
	want(t, err, job.Unauthenticated, job.WordTokenInvalid)
	_, err = w.Doors.Login(ctx, "dan@example.com", password, "10.0.0.1")
	want(t, err, job.Unauthenticated, job.WordUserInactive)
}

func TestLoginsBySessionShareTheLockout(t *testing.T) {
	t.Parallel()
	w := doorWorld(t)
	for i := range 10 {
		var err error
		if i%2 == 0 {
			_, err = w.Doors.Login(t.Context(), "admin", "wrong", "10.0.0.9")
		} else {
			_, err = w.Sessions.Login(t.Context(), "admin", "wrong", "10.0.0.9")
		}
		if job.CodeOf(err) != job.Unauthenticated {
			t.Fatal(err)
		}
	}
	_, err := w.Doors.Login(t.Context(), "admin", password, "10.0.0.9")
	want(t, err, job.Unauthenticated, job.WordLockedOut)
	want(t, w.Doors.LogoutAll(t.Context(), "admin", password, "10.0.0.9"), job.Unauthenticated, job.WordLockedOut)
}
