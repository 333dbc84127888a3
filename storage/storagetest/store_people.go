package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"waybill/internal/job"
)

// colleague makes a user of the tenant's account.
func (n *tenant) colleague(t *testing.T, name string, admin bool) job.User {
	t.Helper()
	u, err := n.CreateUser(t.Context(), job.User{
		AccountID: n.account.ID, Name: name + " of " + n.account.Name, PasswordHash: "hash", Admin: admin, Active: true, CreatedBy: n.admin.Ref(), CreatedAt: start,
		Person: job.Person{Email: name + "@Example.com", FirstName: "Ärmel", LastName: "Last " + name, Street: "1 Road", City: "Town", State: "ST", PostalCode: "12345", Country: "NL"},
		SSO:    job.Subject{Issuer: "https://idp.example", ID: name + n.account.Name},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (n *tenant) users(t *testing.T, q job.Query) (names []string) {
	t.Helper()
	q.Scope.AccountID = n.account.ID
	list, err := n.ListUsers(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list.Items {
		names = append(names, u.FirstName+u.LastName)
	}
	return names
}

var peopleCases = map[string]func(*testing.T, *tenant){
	"a user comes back as it was stored and changed": func(t *testing.T, n *tenant) {
		u, ctx := n.colleague(t, "zoe", false), t.Context()
		got, err := n.User(ctx, n.account.ID, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "user", got, u)
		u.Email, u.Country, u.Admin, u.ModifiedBy, u.ModifiedAt = "new@example.com", "", true, n.admin.Ref(), at(5)
		changed, err := n.UpdateUser(ctx, u)
		if err != nil {
			t.Fatal(err)
		}
		u.Change++
		same(t, "changed", changed, u)
		_, err = n.UpdateUser(ctx, func() job.User { v := u; v.Change--; return v }())
		refused(t, err, job.Conflict, job.WordStale)
		got, err = n.UserBySubject(ctx, n.account.ID, u.SSO)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "by subject", got, u)
		for _, by := range []job.Subject{{}, {ID: u.SSO.ID}, {Issuer: u.SSO.Issuer}, {Issuer: u.SSO.Issuer, ID: "\x00"}} {
			_, err = n.UserBySubject(ctx, n.account.ID, by)
			absent(t, err)
		}
	},
	"who alone has a mail address is found by it": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		ann := n.colleague(t, "ann", false)
		for i := range 12 { // a short one is part of many others
			n.colleague(t, fmt.Sprint("jo", i, "ann"), false)
		}
		for _, email := range []string{"ann@Example.com", "ANN@example.COM"} {
			if got, err := n.UserByEmail(ctx, n.account.ID, email); err != nil || got != ann {
				t.Errorf("%s: %+v, %v", email, got, err)
			}
		}
		for _, email := range []string{"", "nn@example.com", "ann@example.co", "a%@example.com", "ann_example.com", "ann@example.com\x00", "\xff"} {
			_, err := n.UserByEmail(ctx, n.account.ID, email)
			absent(t, err)
		}
		jose := n.colleague(t, "jose", false)
		jose.Email = "josé@example.com"
		if _, err := n.UpdateUser(ctx, jose); err != nil {
			t.Fatal(err)
		}
		if got, err := n.UserByEmail(ctx, n.account.ID, "JOSÉ@Example.com"); err != nil || got.ID != jose.ID {
			t.Errorf("beyond ASCII: %+v, %v", got, err)
		}
		_, err := n.UserByEmail(ctx, n.other(t).account.ID, ann.Email)
		absent(t, err)
		second := n.colleague(t, "second", false)
		second.Email = "Ann@example.com"
		if second, err = n.UpdateUser(ctx, second); err != nil {
			t.Fatal(err)
		}
		_, err = n.UserByEmail(ctx, n.account.ID, ann.Email)
		absent(t, err)
		second.Email = ""
		if _, err = n.UpdateUser(ctx, second); err != nil {
			t.Fatal(err)
		}
		if got, err := n.UserByEmail(ctx, n.account.ID, ann.Email); err != nil || got.ID != ann.ID {
			t.Errorf("%+v, %v", got, err)
		}
	},
	"two users are never the same subject": func(t *testing.T, n *tenant) {
		a, b := n.colleague(t, "ann", false), n.colleague(t, "ben", false)
		b.SSO = a.SSO
		_, err := n.UpdateUser(t.Context(), b)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		b.SSO = job.Subject{}
		a.SSO = job.Subject{}
		for _, u := range []job.User{a, b} {
			if _, err := n.UpdateUser(t.Context(), u); err != nil {
				t.Errorf("without a subject: %v", err)
			}
		}
	},
	"users are listed, filtered and sorted": func(t *testing.T, n *tenant) {
		n.colleague(t, "zoe", true)
		ben := n.colleague(t, "ben", false)
		same(t, "all", n.users(t, job.Query{Sort: []job.Sort{{Property: "lastName"}}}), []string{"", "ÄrmelLast ben", "ÄrmelLast zoe"})
		same(t, "filtered", n.users(t, job.Query{Where: job.Compare{Property: "email", Op: job.Like, Values: []any{"ZOE@example"}}}), []string{"ÄrmelLast zoe"})
		same(t, "one", n.users(t, job.Query{Scope: job.Scope{OwnerID: ben.ID}}), []string{"ÄrmelLast ben"})
		for _, p := range []string{"id", "username", "email", "firstName", "lastName", "active", "admin", "created", "lastModified"} {
			if got := n.users(t, job.Query{Sort: []job.Sort{{Property: p, Desc: true}}}); len(got) != 3 {
				t.Errorf("sorted by %s: %v", p, got)
			}
		}
		first, err := n.ListUsers(t.Context(), job.Query{Scope: n.scope(), Keyset: true, Size: 2})
		if err != nil || len(first.Items) != 2 || !first.More {
			t.Fatalf("%+v, %v", first, err)
		}
		rest, err := n.ListUsers(t.Context(), job.Query{Scope: n.scope(), Keyset: true, Size: 2, After: first.Next})
		if err != nil || len(rest.Items) != 1 || rest.More {
			t.Errorf("%+v, %v", rest, err)
		}
		_, err = n.ListUsers(t.Context(), job.Query{Scope: n.scope(), Where: job.Compare{Property: "password", Op: job.Eq, Values: []any{"hash"}}})
		refused(t, err, job.Invalid, job.WordUnknownProperty)
	},
	"the last active admin stays one": func(t *testing.T, n *tenant) {
		ctx, admin := t.Context(), n.admin
		zoe := n.colleague(t, "zoe", true)
		_, err := n.SetUsersActive(ctx, n.account.ID, []int64{admin.ID, zoe.ID}, false, admin.Ref(), at(1))
		refused(t, err, job.Conflict, job.WordLastAdmin)
		zoe.Admin = false
		if zoe, err = n.UpdateUser(ctx, zoe); err != nil {
			t.Fatal(err)
		}
		admin.Admin = false
		_, err = n.UpdateUser(ctx, admin)
		refused(t, err, job.Conflict, job.WordLastAdmin)
		admin.Admin, admin.Active = true, false
		_, err = n.UpdateUser(ctx, admin)
		refused(t, err, job.Conflict, job.WordLastAdmin)
		zoe.Admin = true
		if _, err = n.UpdateUser(ctx, zoe); err != nil {
			t.Fatal(err)
		}
		if got, err := n.UpdateUser(ctx, admin); err != nil || got.Active {
			t.Errorf("%+v, %v", got, err)
		}
	},
	"of two admins who put each other out at once one stays": func(t *testing.T, n *tenant) {
		zoe, refusals := n.colleague(t, "zoe", true), 0
		ids := []int64{n.admin.ID, zoe.ID}
		for _, err := range atOnce(2, func(i int) error {
			_, err := n.SetUsersActive(t.Context(), n.account.ID, ids[i:i+1], false, job.UserRef{}, at(1))
			return err
		}) {
			if err != nil {
				refused(t, err, job.Conflict, job.WordLastAdmin)
				refusals++
			}
		}
		same(t, "refusals", refusals, 1)
	},
	"users are put out all or none, and their logins end": func(t *testing.T, n *tenant) {
		ctx, ben := t.Context(), n.colleague(t, "ben", false)
		f := n.newFamily()
		f.UserID = ben.ID
		if err := n.CreateTokenFamily(ctx, f, ""); err != nil {
			t.Fatal(err)
		}
		stranger := n.other(t).admin.ID
		_, err := n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID, stranger}, false, n.admin.Ref(), at(1))
		absent(t, err)
		if got, _ := n.User(ctx, n.account.ID, ben.ID); !got.Active {
			t.Error("half of it was done")
		}
		ended, err := n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID}, false, n.admin.Ref(), at(1))
		if err != nil || ended != 1 {
			t.Errorf("%d logins ended, %v", ended, err)
		}
		got, _ := n.User(ctx, n.account.ID, ben.ID)
		if got.Active || got.ModifiedBy != n.admin.Ref() || !got.ModifiedAt.Equal(at(1)) || got.Change != ben.Change+1 {
			t.Errorf("%+v", got)
		}
	},
	"jobs of a user who is deactivated, and that wait, are cancelled": func(t *testing.T, n *tenant) {
		ctx, ben, cat := t.Context(), n.colleague(t, "ben", false), n.colleague(t, "cat", false)
		of := func(u job.User) func(*job.Job) { return func(j *job.Job) { j.SubmittedBy = u.Ref() } }
		for _, deactivate := range []func(u job.User) error{
			func(u job.User) error {
				_, err := n.SetUsersActive(ctx, n.account.ID, []int64{u.ID}, false, n.admin.Ref(), at(50))
				return err
			},
			func(u job.User) error {
				u.Active, u.ModifiedBy, u.ModifiedAt = false, n.admin.Ref(), at(50)
				_, err := n.UpdateUser(ctx, u)
				return err
			},
		} {
			waits, others, runs := n.submit(t, of(ben)), n.submit(t, of(n.admin)), n.submit(t, of(ben))
			if _, _, err := n.Begin(ctx, n.account.ID, runs.ID, 1, "worker", at(2)); err != nil {
				t.Fatal(err)
			}
			if err := deactivate(ben); err != nil {
				t.Fatal(err)
			}
			for id, want := range map[job.ID]job.Status{waits.ID: job.Cancelled, others.ID: job.Queued, runs.ID: job.Running} {
				if j, err := n.Job(ctx, n.account.ID, id); err != nil || j.Status != want {
					t.Errorf("%+v, %v, want %s", j, err, want)
				}
			}
			if j, _ := n.Job(ctx, n.account.ID, waits.ID); j.StoppedBy != n.admin.Ref() || j.Reason != job.ReasonStopped || !j.FinishedAt.Equal(at(50)) {
				t.Errorf("%+v", j)
			}
			ben = cat
		}
	},
	"a password is replaced only while it is the one that was checked": func(t *testing.T, n *tenant) {
		ctx, cat := t.Context(), n.colleague(t, "cat", false)
		if _, err := n.ChangePassword(ctx, n.account.ID, cat.ID, "hash", "own", "", cat.Ref(), at(1)); err != nil {
			t.Fatal(err)
		}
		_, err := n.ChangePassword(ctx, n.account.ID, cat.ID, "hash", "another", "", cat.Ref(), at(2))
		refused(t, err, job.Conflict, job.WordStale)
		if u, err := n.User(ctx, n.account.ID, cat.ID); err != nil || u.PasswordHash != "own" {
			t.Errorf("%+v, %v", u, err)
		}
	},
	"who signs in is still active and has the password that was checked": func(t *testing.T, n *tenant) {
		ctx, cat := t.Context(), n.colleague(t, "cat", false)
		signIn := func(hash string) (family, session error) {
			f := n.newFamily()
			f.UserID = cat.ID
			return n.CreateTokenFamily(ctx, f, hash), n.CreateDoorSession(ctx, job.DoorSession{
				Hash: string(newID()), UserID: cat.ID, AccountID: n.account.ID, CreatedAt: start, UsedAt: start,
			}, hash)
		}
		for _, hash := range []string{"hash", ""} {
			if family, session := signIn(hash); family != nil || session != nil {
				t.Error(hash, family, session)
			}
		}
		if _, err := n.ChangePassword(ctx, n.account.ID, cat.ID, "", "new hash", "", n.admin.Ref(), at(1)); err != nil {
			t.Fatal(err)
		}
		family, session := signIn("hash")
		refused(t, family, job.Conflict, job.WordStale)
		refused(t, session, job.Conflict, job.WordStale)
		if family, session = signIn("new hash"); family != nil || session != nil {
			t.Error(family, session)
		}
		if _, err := n.SetUsersActive(ctx, n.account.ID, []int64{cat.ID}, false, n.admin.Ref(), at(2)); err != nil {
			t.Fatal(err)
		}
		for _, hash := range []string{"new hash", ""} {
			family, session = signIn(hash)
			refused(t, family, job.Conflict, job.WordStale)
			refused(t, session, job.Conflict, job.WordStale)
		}
	},
	"of a login and a new password at once the login ends": func(t *testing.T, n *tenant) {
		ctx, cat := t.Context(), n.colleague(t, "dan", false)
		for try := range 20 {
			was, is := fmt.Sprint("hash", try), fmt.Sprint("hash", try+1)
			if _, err := n.ChangePassword(ctx, n.account.ID, cat.ID, "", was, "", n.admin.Ref(), at(1)); err != nil {
				t.Fatal(err)
			}
			f := n.newFamily()
			f.UserID = cat.ID
			errs := atOnce(2, func(i int) error {
				if i == 0 {
					return n.CreateTokenFamily(ctx, f, was)
				}
				_, err := n.ChangePassword(ctx, n.account.ID, cat.ID, "", is, "", n.admin.Ref(), at(1))
				return err
			})
			if errs[1] != nil {
				t.Fatal(errs[1])
			}
			if errs[0] != nil {
				refused(t, errs[0], job.Conflict, job.WordStale)
			} else if got, err := n.TokenFamily(ctx, f.ID); err != nil || got.RevokedAt.IsZero() {
				t.Errorf("the login outlives the password: %+v, %v", got, err)
			}
		}
	},
	"a new password ends all logins but one": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		mine, other := n.family(t), n.family(t)
		ended, err := n.ChangePassword(ctx, n.account.ID, n.admin.ID, "", "new hash", mine.ID, n.admin.Ref(), at(1))
		if err != nil || ended != 1 {
			t.Errorf("%d logins ended, %v", ended, err)
		}
		if got, _ := n.TokenFamily(ctx, mine.ID); !got.RevokedAt.IsZero() {
			t.Error("the login that was to stay has ended")
		}
		if got, _ := n.TokenFamily(ctx, other.ID); got.RevokedAt.IsZero() {
			t.Error("another login goes on")
		}
		if got, _ := n.User(ctx, n.account.ID, n.admin.ID); got.PasswordHash != "new hash" {
			t.Errorf("%+v", got)
		}
		_, err = n.other(t).ChangePassword(ctx, n.other(t).account.ID, n.admin.ID, "", "x", "", job.UserRef{}, at(1))
		absent(t, err)
	},
	"the last attempts to sign in are kept, good and bad apart": func(t *testing.T, n *tenant) {
		ctx, ben := t.Context(), n.colleague(t, "ben", false)
		add := func(u job.User, second int, word job.Word) {
			a := job.LoginAttempt{AccountID: n.account.ID, UserID: u.ID, Username: u.Name, Time: at(second), Success: word == "", Word: word, Method: job.LoginPassword, Address: "10.0.0.1"}
			if err := n.AddLogin(ctx, a, 3); err != nil {
				t.Fatal(err)
			}
		}
		add(n.admin, 0, "")
		for i := range 5 {
			add(ben, i, "")
		}
		for i := range 10 {
			add(ben, 10+i, job.WordBadCredentials)
		}
		seconds := func(user int64, where job.Expr) (list []int) {
			page, err := n.Logins(ctx, job.Query{Scope: n.scope(), Where: where}, user)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.Items {
				list = append(list, int(a.Time.Sub(start)/time.Second))
			}
			return list
		}
		same(t, "ben's", seconds(ben.ID, nil), []int{19, 18, 17, 4, 3, 2})
		same(t, "good", seconds(ben.ID, job.Compare{Property: "success", Op: job.Eq, Values: []any{"true"}}), []int{4, 3, 2})
		if all := seconds(0, nil); len(all) != 7 || !slices.Contains(all, 0) {
			t.Errorf("the account's: %v", all)
		}
		page, err := n.other(t).Logins(ctx, job.Query{Scope: n.other(t).scope()}, ben.ID)
		if err != nil || len(page.Items) != 0 {
			t.Errorf("another account sees %v, %v", page.Items, err)
		}
		page, err = n.Logins(ctx, job.Query{Scope: n.scope(), Size: 1}, ben.ID)
		if err != nil || len(page.Items) != 1 {
			t.Fatal(page, err)
		}
		got := page.Items[0]
		got.ID = 0
		same(t, "attempt", got, job.LoginAttempt{AccountID: n.account.ID, UserID: ben.ID, Username: ben.Name, Time: at(19), Word: job.WordBadCredentials, Method: job.LoginPassword, Address: "10.0.0.1"})
	},
}
