package storagetest

import (
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

var userCases = map[string]func(*testing.T, *tenant){
	"an account comes with its admin and its default destination": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		account, err := n.Account(ctx, n.account.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "account", account, n.account)
		same(t, "created", account.CreatedAt, start)
		user, err := n.User(ctx, n.account.ID, n.admin.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "user", user, n.admin)
		if !user.Admin || !user.Active || user.PasswordHash != "hash" || user.AccountID != n.account.ID {
			t.Errorf("user = %+v, want an active admin of the account", user)
		}
		for _, id := range []int64{0, n.account.Destination} {
			d, err := n.Destination(ctx, n.account.ID, id)
			if err != nil || d.ID != n.account.Destination || d.AccountID != n.account.ID || d.TaskQueue != "queue-"+n.account.Name {
				t.Errorf("Destination(%d) = %+v, %v", id, d, err)
			}
		}
	},
	"a user is found by name in any letter case": func(t *testing.T, n *tenant) {
		user, err := n.UserByName(t.Context(), strings.ToUpper(n.admin.Name))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "user", user, n.admin)
		for _, name := range []string{"nobody", "", "nul\x00", "\xff", strings.Repeat("long", 10_000)} {
			_, err = n.UserByName(t.Context(), name)
			absent(t, err)
		}
	},
	"taken names are refused and leave nothing": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		_, _, err := n.CreateAccount(ctx, job.Account{Name: strings.ToUpper(n.account.Name)}, "q", job.User{Name: "new " + n.account.Name})
		refused(t, err, job.Conflict, job.WordDuplicateName)
		says(t, err, "An account named '"+n.account.Name+"' already exists")
		_, err = n.UserByName(ctx, "new "+n.account.Name)
		absent(t, err)
		name := "new " + n.account.Name
		_, _, err = n.CreateAccount(ctx, job.Account{Name: name}, "q", job.User{Name: strings.ToUpper(n.admin.Name)})
		refused(t, err, job.Conflict, job.WordDuplicateName)
		if _, _, err := n.CreateAccount(ctx, job.Account{Name: name}, "q", job.User{Name: name}); err != nil {
			t.Errorf("the account's name is not free after a refusal: %v", err)
		}
	},
	"of ten accounts of one name created at once one is made": func(t *testing.T, n *tenant) {
		made := 0
		for _, err := range atOnce(10, func(i int) error {
			_, _, err := n.CreateAccount(t.Context(), job.Account{Name: "race"}, "q", job.User{Name: "race user"})
			return err
		}) {
			if err == nil {
				made++
				continue
			}
			refused(t, err, job.Conflict, job.WordDuplicateName)
		}
		same(t, "made", made, 1)
	},
	"another account's users and destinations are not found": func(t *testing.T, n *tenant) {
		b := n.other(t)
		_, err := b.User(t.Context(), b.account.ID, n.admin.ID)
		absent(t, err)
		_, err = b.Destination(t.Context(), b.account.ID, n.account.Destination)
		absent(t, err)
		_, err = b.Destination(t.Context(), 999_999, 0)
		absent(t, err)
		_, err = b.Account(t.Context(), 999_999)
		absent(t, err)
	},
}

func (n *tenant) newFamily() job.TokenFamily {
	return job.TokenFamily{
		ID: string(newID()), UserID: n.admin.ID, AccountID: n.account.ID, RefreshHash: "first",
		CreatedAt: start, ExpiresAt: at(1000),
	}
}

func (n *tenant) family(t *testing.T) job.TokenFamily {
	t.Helper()
	f := n.newFamily()
	if err := n.CreateTokenFamily(t.Context(), f, ""); err != nil {
		t.Fatalf("CreateTokenFamily: %v", err)
	}
	return f
}

var tokenCases = map[string]func(*testing.T, *tenant){
	"a token family comes back as it was stored": func(t *testing.T, n *tenant) {
		f := n.family(t)
		got, err := n.TokenFamily(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "family", got, f)
		_, err = n.TokenFamily(t.Context(), "unknown")
		absent(t, err)
		refused(t, n.CreateTokenFamily(t.Context(), f, ""), job.Conflict, job.WordDuplicateName)
	},
	"a refresh token is good once": func(t *testing.T, n *tenant) {
		f, ctx := n.family(t), t.Context()
		if err := n.RotateToken(ctx, f.ID, "first", "second", at(2000)); err != nil {
			t.Fatal(err)
		}
		f.RefreshHash, f.ExpiresAt = "second", at(2000)
		refused(t, n.RotateToken(ctx, f.ID, "first", "third", at(3000)), job.Conflict, job.WordStale)
		got, err := n.TokenFamily(ctx, f.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "family", got, f)
		absent(t, n.RotateToken(ctx, "unknown", "first", "second", at(2000)))
	},
	"of ten uses of one refresh token at once one is good": func(t *testing.T, n *tenant) {
		f, good := n.family(t), 0
		for _, err := range atOnce(10, func(i int) error {
			return n.RotateToken(t.Context(), f.ID, "first", string(newID()), at(2000))
		}) {
			if err == nil {
				good++
				continue
			}
			refused(t, err, job.Conflict, job.WordStale)
		}
		same(t, "good", good, 1)
	},
	"a revoked family stays revoked and does not rotate": func(t *testing.T, n *tenant) {
		f, ctx := n.family(t), t.Context()
		for _, seconds := range []int{10, 20} {
			if err := n.RevokeTokens(ctx, f.ID, at(seconds)); err != nil {
				t.Fatal(err)
			}
		}
		absent(t, n.RotateToken(ctx, f.ID, "first", "second", at(2000)))
		f.RevokedAt = at(10)
		got, err := n.TokenFamily(ctx, f.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "family", got, f)
		if err := n.RevokeTokens(ctx, "unknown", at(10)); err != nil {
			t.Errorf("revoking an unknown family: %v, want nothing", err)
		}
	},
	"the limit of failures locks, and the lock ends": func(t *testing.T, n *tenant) {
		ctx, subject := t.Context(), "admin|127.0.0.1|"+n.account.Name
		fail := func(second int) time.Time {
			t.Helper()
			until, err := n.LoginFailed(ctx, subject, at(second), 100*time.Second, 3, 50*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			now, err := n.LockedUntil(ctx, subject, at(second))
			if err != nil || !now.Equal(until) {
				t.Errorf("LockedUntil = %v, %v, want what LoginFailed said: %v", now, err, until)
			}
			return until
		}
		same(t, "first", fail(0), time.Time{})
		same(t, "second", fail(10), time.Time{})
		same(t, "third", fail(20), at(70))
		same(t, "while locked", fail(60), at(70))
		if until, err := n.LockedUntil(ctx, subject, at(70)); err != nil || !until.IsZero() {
			t.Errorf("at its end locked until %v, %v", until, err)
		}
		same(t, "first of a new window", fail(71), time.Time{})
		same(t, "second of it", fail(72), time.Time{})
		same(t, "third of it", fail(73), at(123))
	},
	"failures of different windows do not add up": func(t *testing.T, n *tenant) {
		ctx, subject := t.Context(), "windows|"+n.account.Name
		for _, second := range []int{0, 90, 101, 102} { // the window of the first ends at 100
			until, err := n.LoginFailed(ctx, subject, at(second), 100*time.Second, 3, time.Minute)
			if err != nil || !until.IsZero() {
				t.Errorf("at %d s locked until %v, %v, want no lock", second, until, err)
			}
		}
	},
	"a success forgets the failures": func(t *testing.T, n *tenant) {
		ctx, subject := t.Context(), "cleared|"+n.account.Name
		for range 3 {
			until, err := n.LoginFailed(ctx, subject, at(0), time.Minute, 2, time.Minute)
			if err != nil || !until.IsZero() {
				t.Errorf("locked until %v, %v, want no lock", until, err)
			}
			if until, err := n.ClearLogins(ctx, subject, at(1)); err != nil || !until.IsZero() {
				t.Fatal(until, err)
			}
		}
		if until, err := n.LockedUntil(ctx, "unknown", at(0)); err != nil || !until.IsZero() {
			t.Errorf("unknown subject locked until %v, %v", until, err)
		}
	},
	"a subject of any length and bytes is counted": func(t *testing.T, n *tenant) {
		for _, subject := range []string{strings.Repeat("long", 100_000) + n.account.Name, "nul\x00\xff" + n.account.Name} {
			for i := range 2 {
				until, err := n.LoginFailed(t.Context(), subject, at(0), time.Minute, 2, time.Minute)
				if err != nil || until.IsZero() != (i == 0) {
					t.Errorf("failure %d: locked until %v, %v", i+1, until, err)
				}
			}
			if until, err := n.LockedUntil(t.Context(), subject+"x", at(0)); err != nil || !until.IsZero() {
				t.Errorf("another subject is locked until %v, %v", until, err)
			}
		}
	},
	"ten failures at once are all counted": func(t *testing.T, n *tenant) {
		subject := "race|" + n.account.Name
		for _, err := range atOnce(9, func(int) error {
			until, err := n.LoginFailed(t.Context(), subject, at(0), time.Minute, 10, time.Minute)
			if err == nil && !until.IsZero() {
				t.Error("locked before the limit")
			}
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		until, err := n.LoginFailed(t.Context(), subject, at(0), time.Minute, 10, time.Minute)
		if err != nil || !until.Equal(at(60)) {
			t.Errorf("after the tenth locked until %v, %v, want %v", until, err, at(60))
		}
	},
}
