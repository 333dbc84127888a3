package storagetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// acting is the context of an act of the admin.
func (n *tenant) acting(t *testing.T, action string) context.Context {
	trail := control.NewTrail(job.AuditEntry{Action: action, AccountID: n.account.ID, ActorID: n.admin.ID, Actor: n.admin.Name, Address: "192.0.2.1", Request: "r1"})
	return control.WithTrail(t.Context(), trail)
}

func (n *tenant) audit(t *testing.T, where job.Expr) []job.AuditEntry {
	t.Helper()
	list, err := n.Audit(t.Context(), job.Query{Scope: job.Scope{AccountID: n.account.ID}, Where: where, Size: 1000}, false)
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// addAudit stores many entries, some at a time: a transaction has its limit on a busy machine, too.
func (n *tenant) addAudit(t *testing.T, entries []job.AuditEntry) {
	t.Helper()
	for some := range slices.Chunk(entries, 100) {
		if err := n.AddAudit(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
}

func withAction(action string) job.Expr {
	return job.Compare{Property: "action", Op: job.Eq, Values: []any{action}}
}

var auditCases = map[string]func(*testing.T, *tenant){
	"an entry is stored with the change it belongs to, once": func(t *testing.T, n *tenant) {
		ctx := n.acting(t, "destination.create")
		d, err := n.CreateDestination(ctx, job.Destination{AccountID: n.account.ID, Name: "audited"}, 100)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.UpdateDestination(ctx, d); err != nil { // another transaction of the same act
			t.Fatal(err)
		}
		list := n.audit(t, withAction("destination.create"))
		if len(list) != 1 || list[0].ResourceType != "destination" || list[0].ResourceID != fmt.Sprint(d.ID) || list[0].Result != job.AuditOK || list[0].Actor != n.admin.Name || list[0].Count != 1 {
			t.Errorf("%+v", list)
		}
	},
	"a change that does not come about has no entry": func(t *testing.T, n *tenant) {
		if _, err := n.CreateDestination(n.acting(t, "destination.twice"), job.Destination{AccountID: n.account.ID, Name: "Default"}, 100); job.CodeOf(err) != job.Conflict {
			t.Fatalf("%v", err)
		}
		if list := n.audit(t, withAction("destination.twice")); len(list) != 0 {
			t.Errorf("%+v", list)
		}
	},
	"an act on several things has an entry of each": func(t *testing.T, n *tenant) {
		ctx := n.acting(t, "jobconfig.activate")
		control.TrailOf(ctx).About("jobconfig", "1", "2", "3")
		control.TrailOf(ctx).Changed([]job.AuditChange{{Field: "active", Before: "false", After: "true"}})
		if err := n.SetConfigsActive(ctx, job.Scope{AccountID: n.account.ID}, []int64{n.config.ID}, true, n.admin.Ref(), start); err != nil {
			t.Fatal(err)
		}
		list := n.audit(t, withAction("jobconfig.activate"))
		if len(list) != 3 || len(list[0].Changes) != 1 || list[0].Changes[0].After != "true" {
			t.Errorf("%+v", list)
		}
	},
	"entries are an account's, and are found by what they say": func(t *testing.T, n *tenant) {
		b := n.other(t)
		e := job.AuditEntry{
			AccountID: n.account.ID, Time: start, Actor: "Mia", Action: "login", Address: "192.0.2.9", Result: job.AuditDenied,
			Reason: job.WordBadCredentials, Count: 7, Trace: "abc", Credential: job.Credential{Kind: job.CredentialKey, ID: "k1"}, ResourceID: "bad \xff\x00 text",
		}
		theirs := e
		theirs.AccountID = b.account.ID
		if err := n.AddAudit(t.Context(), []job.AuditEntry{e, theirs}); err != nil {
			t.Fatal(err)
		}
		for property, value := range map[string]any{"actor": "Mia", "address": "192.0.2.9", "reason": "bad_credentials", "traceId": "abc", "result": "denied", "credential": "apikey", "credentialId": "k1"} {
			list := n.audit(t, job.And{withAction("login"), job.Compare{Property: property, Op: job.Eq, Values: []any{value}}})
			if len(list) != 1 || list[0].Count != 7 || list[0].Credential != e.Credential || !list[0].Time.Equal(start) {
				t.Errorf("%s: %+v", property, list)
			}
		}
		like := job.And{withAction("login"), job.Compare{Property: "actor", Op: job.Like, Values: []any{"mi"}}}
		if list := n.audit(t, like); len(list) != 1 {
			t.Errorf("like: %+v", list)
		}
	},
	"entries are sorted by what some have and others have not": func(t *testing.T, n *tenant) {
		for i := range 7 {
			e := job.AuditEntry{AccountID: n.account.ID, Time: start, Actor: "Mia", Action: "sorted", Result: job.AuditOK, Count: 1}
			if i%2 == 0 {
				e.Credential = job.Credential{Kind: job.CredentialKey, ID: fmt.Sprint("k", i)}
			}
			if err := n.AddAudit(t.Context(), []job.AuditEntry{e}); err != nil {
				t.Fatal(err)
			}
		}
		for _, by := range []string{"credential", "credentialId"} {
			for _, desc := range []bool{false, true} {
				q := job.Query{
					Scope: job.Scope{AccountID: n.account.ID}, Where: withAction("sorted"), Sort: []job.Sort{{Property: by, Desc: desc}}, Size: 2, Keyset: true,
				}
				var ids []string
				for page := 0; page < 10; page++ {
					list, err := n.Audit(t.Context(), q, false)
					if err != nil {
						t.Fatalf("by %s: %v", by, err)
					}
					for _, e := range list.Items {
						ids = append(ids, e.Credential.ID)
					}
					if q.After = list.Next; !list.More {
						break
					}
				}
				want := []string{"", "", "", "k0", "k2", "k4", "k6"}
				if desc {
					slices.Reverse(want)
				}
				if len(ids) != len(want) || by == "credentialId" && !slices.Equal(ids, want) {
					t.Errorf("by %s, descending %v: %q, want %q", by, desc, ids, want)
				}
			}
		}
	},
	"users are made, listed, given passwords and kept out": func(t *testing.T, n *tenant) {
		u, err := n.CreateUser(t.Context(), job.User{AccountID: n.account.ID, Name: "second-" + n.account.Name, PasswordHash: "h", Active: true, CreatedAt: start})
		if err != nil || u.Admin || u.ID == 0 {
			t.Fatalf("%+v %v", u, err)
		}
		if _, err := n.CreateUser(t.Context(), u); job.WordOf(err) != job.WordDuplicateName {
			t.Errorf("a second of the name: %v", err)
		}
		family := job.TokenFamily{ID: "family-" + n.account.Name, UserID: u.ID, AccountID: n.account.ID, RefreshHash: "x", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
		if err := n.CreateTokenFamily(t.Context(), family, ""); err != nil {
			t.Fatal(err)
		}
		if ended, err := n.SetPassword(t.Context(), n.account.ID, u.ID, "other", start); err != nil || ended != 1 {
			t.Errorf("%d logins ended, %v", ended, err)
		}
		if f, err := n.TokenFamily(t.Context(), family.ID); err != nil || f.RevokedAt.IsZero() {
			t.Errorf("the login stands: %+v %v", f, err)
		}
		if _, err := n.SetUserActive(t.Context(), n.account.ID, u.ID, false, start); err != nil {
			t.Error(err)
		}
		if got, err := n.UserByName(t.Context(), u.Name); err != nil || got.Active || got.PasswordHash != "other" {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := n.SetUserActive(t.Context(), n.account.ID, n.admin.ID, false, start); job.WordOf(err) != job.WordLastAdmin {
			t.Errorf("the last admin: %v", err)
		}
		b := n.other(t)
		if _, err := n.SetPassword(t.Context(), b.account.ID, u.ID, "x", start); job.CodeOf(err) != job.NotFound {
			t.Errorf("another account's user: %v", err)
		}
		if list, err := n.UsersOf(t.Context(), n.account.ID); err != nil || len(list) != 2 {
			t.Errorf("%+v %v", list, err)
		}
		if a, err := n.AccountByName(t.Context(), n.account.Name); err != nil || a.ID != n.account.ID {
			t.Errorf("%+v %v", a, err)
		}
	},
}

// auditPurgeCases span accounts.
var auditPurgeCases = map[string]func(*testing.T, *tenant){
	"entries of a clock that was far ahead do not keep later ones": func(t *testing.T, n *tenant) {
		var entries []job.AuditEntry
		add := func(account int64, second, times int) {
			for range times {
				entries = append(entries, job.AuditEntry{AccountID: account, Time: at(second), Action: "x", Result: job.AuditOK})
			}
		}
		add(n.account.ID, 1_000_000, 2500)
		add(n.account.ID, 10, 1200)
		add(0, 10, 3)
		add(n.other(t).account.ID, 10, 4)
		add(n.account.ID, 100, 5)
		n.addAudit(t, entries)
		if gone, err := n.PurgeAudit(t.Context(), at(100)); err != nil || gone != 1207 {
			t.Errorf("%d gone, %v", gone, err)
		}
		if list, err := n.Audit(t.Context(), job.Query{Size: 5000}, true); err != nil || len(list.Items) != 2505 {
			t.Errorf("%d stay, %v", len(list.Items), err)
		}
	},
	"old entries go, in batches, and young ones stay": func(t *testing.T, n *tenant) {
		var entries []job.AuditEntry
		for i := range 2500 {
			entries = append(entries, job.AuditEntry{AccountID: n.account.ID, Time: at(i), Action: "x", Result: job.AuditOK})
		}
		n.addAudit(t, entries)
		if gone, err := n.PurgeAudit(t.Context(), at(2200)); err != nil || gone != 2200 {
			t.Errorf("%d gone, %v", gone, err)
		}
		list := n.audit(t, nil)
		if len(list) != 300 || !list[299].Time.Equal(at(2200)) {
			t.Errorf("%d stay", len(list))
		}
		all, err := n.Audit(t.Context(), job.Query{Keyset: true, Size: 200, Sort: []job.Sort{{Property: "id"}}}, true)
		if err != nil || len(all.Items) != 200 || !all.More {
			t.Fatalf("%d %v", len(all.Items), err)
		}
		rest, err := n.Audit(t.Context(), job.Query{Keyset: true, Size: 200, Sort: []job.Sort{{Property: "id"}}, After: all.Next}, true)
		if err != nil || len(rest.Items) != 100 || rest.More {
			t.Fatalf("%d %v", len(rest.Items), err)
		}
	},
}
