package storagetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"waybill/internal/job"
)

func (n *tenant) newAPIKey(name string) job.APIKey {
	return job.APIKey{
		ID: string(newID()), AccountID: n.account.ID, Maker: n.admin.Ref(), Email: "a@example.com", Org: n.account.Name, Name: name,
		Description: "for " + name, Form: job.KeyJWT, SignedBy: "0a0b0c0d", Scopes: []job.KeyScope{job.ScopeRun, job.ScopeRead},
		Configs: []int64{n.config.ID}, CreatedAt: start, ExpiresAt: at(1000),
	}
}

func (n *tenant) apiKey(t *testing.T, name string, change ...func(*job.APIKey)) job.APIKey {
	t.Helper()
	k := n.newAPIKey(name)
	for _, fn := range change {
		fn(&k)
	}
	if err := n.CreateAPIKey(t.Context(), k, 100); err != nil {
		t.Fatalf("CreateAPIKey(%s): %v", name, err)
	}
	return k
}

func (n *tenant) apiKeyNames(t *testing.T, q job.Query) (names []string) {
	t.Helper()
	if q.Scope.AccountID == 0 {
		q.Scope = n.scope()
	}
	list, err := n.APIKeys(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list.Items {
		names = append(names, k.Name)
	}
	return names
}

var apiKeyCases = map[string]func(*testing.T, *tenant){
	"a reset and a deactivation end the keys of a user, one's own change does not": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		ben := n.colleague(t, "ben", false)
		n.apiKey(t, "admin's")
		again := func() { n.apiKey(t, "ben's", func(k *job.APIKey) { k.Maker = ben.Ref() }) }
		left := func(after string, want ...string) {
			t.Helper()
			if got := n.apiKeyNames(t, job.Query{}); !reflect.DeepEqual(got, want) {
				t.Errorf("after %s: keys %v, want %v", after, got, want)
			}
		}
		set := func(by job.UserRef) {
			t.Helper()
			if _, err := n.ChangePassword(ctx, n.account.ID, ben.ID, "", "hash", "", by, at(1)); err != nil {
				t.Fatal(err)
			}
		}
		again()
		set(ben.Ref())
		left("ben's own change", "admin's", "ben's")
		set(n.admin.Ref())
		left("a reset", "admin's")
		again()
		set(job.UserRef{})
		left("a reset by the command", "admin's")
		again()
		if _, err := n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID}, false, n.admin.Ref(), at(2)); err != nil {
			t.Fatal(err)
		}
		left("the deactivation", "admin's")
		late := n.newAPIKey("late")
		late.Maker = ben.Ref()
		if err := n.CreateAPIKey(ctx, late, 100); job.WordOf(err) != job.WordUserInactive || job.CodeOf(err) != job.Unauthenticated {
			t.Errorf("a key for somebody who was deactivated a moment ago: %v", err)
		}
		if _, err := n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID}, true, n.admin.Ref(), at(3)); err != nil {
			t.Fatal(err)
		}
		again()
		now, err := n.User(ctx, n.account.ID, ben.ID)
		if err != nil {
			t.Fatal(err)
		}
		now.Active = false
		if _, err := n.UpdateUser(ctx, now); err != nil {
			t.Fatal(err)
		}
		left("the deactivation by PUT", "admin's")
	},
	"what is stored is found": func(t *testing.T, n *tenant) {
		for _, want := range []job.APIKey{
			n.apiKey(t, "jwt"), n.apiKey(t, "opaque", func(k *job.APIKey) {
				k.Form, k.SignedBy, k.Digest, k.Configs, k.Scopes = job.KeyOpaque, "", "ab12", nil, job.KeyScopes
			}),
		} {
			if got, err := n.APIKey(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		}
		for _, id := range []string{string(newID()), "", "nonsense\x00"} {
			if _, err := n.APIKey(t.Context(), id); job.CodeOf(err) != job.NotFound {
				t.Errorf("%q: %v", id, err)
			}
		}
	},
	"lists know their account and maker": func(t *testing.T, n *tenant) {
		n.apiKey(t, "B one")
		n.apiKey(t, "a two", func(k *job.APIKey) { k.Form = job.KeyOpaque })
		n.other(t).apiKey(t, "of others")
		if names := n.apiKeyNames(t, job.Query{}); !reflect.DeepEqual(names, []string{"a two", "B one"}) {
			t.Errorf("all: %v", names)
		}
		if names := n.apiKeyNames(t, job.Query{Scope: job.Scope{AccountID: n.account.ID, OwnerID: n.admin.ID + 1_000_000}}); names != nil {
			t.Errorf("of another user: %v", names)
		}
		if names := n.apiKeyNames(t, job.Query{Where: job.Compare{Property: "form", Op: job.Eq, Values: []any{"opaque"}}}); !reflect.DeepEqual(names, []string{"a two"}) {
			t.Errorf("opaque ones: %v", names)
		}
		if names := n.apiKeyNames(t, job.Query{Sort: []job.Sort{{Property: "lastUsed"}, {Property: "name", Desc: true}}, Size: 1, Keyset: true}); !reflect.DeepEqual(names, []string{"B one"}) {
			t.Errorf("by last use, then name: %v", names)
		}
	},
	"a user has so many": func(t *testing.T, n *tenant) {
		n.apiKey(t, "one")
		if err := n.CreateAPIKey(t.Context(), n.newAPIKey("two"), 1); job.CodeOf(err) != job.Invalid {
			t.Errorf("over the limit: %v", err)
		}
		if err := n.CreateAPIKey(t.Context(), n.newAPIKey("two"), 2); err != nil {
			t.Errorf("below it: %v", err)
		}
		gone := n.newAPIKey("of nobody")
		gone.Maker.ID += 1_000_000
		if err := n.CreateAPIKey(t.Context(), gone, 10); job.CodeOf(err) != job.NotFound {
			t.Errorf("of nobody: %v", err)
		}
	},
	"the last use only grows": func(t *testing.T, n *tenant) {
		k := n.apiKey(t, "one")
		for _, c := range []struct{ noted, want time.Time }{{at(5), at(5)}, {at(3), at(5)}, {at(7), at(7)}} {
			if err := n.NoteAPIKeyUses(t.Context(), map[string]time.Time{k.ID: c.noted, string(newID()): c.noted}); err != nil {
				t.Fatal(err)
			}
			if got, err := n.APIKey(t.Context(), k.ID); err != nil || !got.UsedAt.Equal(c.want) {
				t.Errorf("noted %v: %v, %v", c.noted, got.UsedAt, err)
			}
		}
	},
	"a deleted key is gone": func(t *testing.T, n *tenant) {
		k := n.apiKey(t, "one")
		if err := n.DeleteAPIKey(t.Context(), n.other(t).account.ID, k.ID); job.CodeOf(err) != job.NotFound {
			t.Errorf("from another account: %v", err)
		}
		if err := n.DeleteAPIKey(t.Context(), n.account.ID, k.ID); err != nil {
			t.Errorf("its own: %v", err)
		}
		if _, err := n.APIKey(t.Context(), k.ID); job.CodeOf(err) != job.NotFound {
			t.Errorf("found: %v", err)
		}
		if err := n.DeleteAPIKey(t.Context(), n.account.ID, k.ID); job.CodeOf(err) != job.NotFound {
			t.Errorf("twice: %v", err)
		}
	},
	"a key takes with it what was made with it, and nothing else": func(t *testing.T, n *tenant) {
		under := func(parent job.APIKey) func(*job.APIKey) { return func(k *job.APIKey) { k.Parent = parent.ID } }
		root := n.apiKey(t, "root")
		child := n.apiKey(t, "child", under(root))
		grandchild := n.apiKey(t, "grandchild", under(child))
		aside := n.apiKey(t, "aside", under(root))
		stays := n.apiKey(t, "stays")
		if got, err := n.APIKey(t.Context(), grandchild.ID); err != nil || got.Parent != child.ID {
			t.Errorf("%+v, %v", got, err)
		}
		if names := n.apiKeyNames(t, job.Query{Where: job.Compare{Property: "parent", Op: job.Eq, Values: []any{root.ID}}}); !reflect.DeepEqual(names, []string{"aside", "child"}) {
			t.Errorf("made with root: %v", names)
		}
		if names := n.apiKeyNames(t, job.Query{Where: job.Compare{Property: "parent", Op: job.Null}}); !reflect.DeepEqual(names, []string{"root", "stays"}) {
			t.Errorf("made with none: %v", names)
		}
		if err := n.DeleteAPIKey(n.acting(t, "apikey.revoke"), n.account.ID, root.ID); err != nil {
			t.Fatal(err)
		}
		if names := n.apiKeyNames(t, job.Query{}); !reflect.DeepEqual(names, []string{stays.Name}) {
			t.Errorf("left: %v", names)
		}
		told := map[string]bool{}
		for _, e := range n.audit(t, withAction("apikey.revoke")) {
			told[e.ResourceType+" "+e.ResourceID] = true
		}
		for _, k := range []job.APIKey{root, child, grandchild, aside} {
			if !told["apikey "+k.ID] || len(told) != 4 {
				t.Errorf("%s: the log has %v", k.Name, told)
			}
		}
		late := n.newAPIKey("late")
		late.Parent = root.ID
		if err := n.CreateAPIKey(t.Context(), late, 100); job.CodeOf(err) != job.Unauthenticated {
			t.Errorf("made with a key that is gone: %v", err)
		}
	},
	"what was made with a key ends with the key that signed that": func(t *testing.T, n *tenant) {
		signed := "5162" + n.account.Name
		root := n.apiKey(t, "root", func(k *job.APIKey) { k.SignedBy = signed })
		n.apiKey(t, "opaque", func(k *job.APIKey) { k.Form, k.SignedBy, k.Digest, k.Parent = job.KeyOpaque, "", "ab13", root.ID })
		if err := n.EndSignedAPIKeys(t.Context(), signed); err != nil {
			t.Error(err)
		}
		if names := n.apiKeyNames(t, job.Query{}); names != nil {
			t.Errorf("left: %v", names)
		}
	},
	"expired keys do not count, and do not pile up": func(t *testing.T, n *tenant) {
		for i := range 4 {
			n.apiKey(t, fmt.Sprint("expired ", i), func(k *job.APIKey) { k.CreatedAt, k.ExpiresAt = at(i), at(i+1) })
		}
		n.apiKey(t, "good")
		second := n.newAPIKey("second")
		second.CreatedAt = at(10)
		if err := n.CreateAPIKey(t.Context(), second, 2); err != nil {
			t.Errorf("a second good one of two: %v", err)
		}
		if names := n.apiKeyNames(t, job.Query{}); !reflect.DeepEqual(names, []string{"expired 2", "expired 3", "good", "second"}) {
			t.Errorf("there are %v", names)
		}
		third := n.newAPIKey("third")
		third.CreatedAt = at(11)
		if err := n.CreateAPIKey(t.Context(), third, 2); job.CodeOf(err) != job.Invalid {
			t.Errorf("a third one of two: %v", err)
		}
		for _, purge := range []struct {
			at   time.Time
			left []string
		}{
			{at(3).Add(job.ExpiredKeysKept - time.Second), []string{"expired 2", "expired 3", "good", "second"}},
			{at(3).Add(job.ExpiredKeysKept), []string{"expired 3", "good", "second"}},
		} {
			if err := n.PurgeExpired(t.Context(), purge.at); err != nil {
				t.Fatal(err)
			}
			if names := n.apiKeyNames(t, job.Query{}); !reflect.DeepEqual(names, purge.left) {
				t.Errorf("left at %v: %v", purge.at, names)
			}
		}
	},
	"keys end with what signed them": func(t *testing.T, n *tenant) {
		signed := "5161" + n.account.Name
		by := func(k *job.APIKey) { k.SignedBy = signed }
		n.apiKey(t, "one", by)
		n.apiKey(t, "expired", by, func(k *job.APIKey) { k.ExpiresAt = at(5) })
		other := n.apiKey(t, "other")
		if count, err := n.SignedAPIKeys(t.Context(), signed, at(10)); err != nil || count != 1 {
			t.Errorf("%d, %v", count, err)
		}
		if err := n.EndSignedAPIKeys(t.Context(), signed); err != nil {
			t.Error(err)
		}
		if names := n.apiKeyNames(t, job.Query{}); !reflect.DeepEqual(names, []string{other.Name}) {
			t.Errorf("left: %v", names)
		}
	},
}
