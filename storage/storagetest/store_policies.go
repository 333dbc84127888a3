package storagetest

import (
	"slices"
	"testing"

	"waybill/internal/job"
)

var policyCases = map[string]func(*testing.T, *tenant){
	"what is stored is read": func(t *testing.T, n *tenant) {
		p := n.policy(t, "Grüße", job.Permission{Kind: job.KindJobConfig, Verbs: job.VerbsOf(job.View, job.Execute), Things: []string{"7", "template:3"}})
		found, err := n.AccessPolicy(t.Context(), n.account.ID, p.ID)
		if err != nil || found.Name != "Grüße" || !slices.Equal(found.Permissions[0].Things, []string{"7", "template:3"}) ||
			found.Permissions[0].Verbs != job.VerbsOf(job.View, job.Execute) || !found.ModifiedAt.Equal(start) || found.CreatedBy != n.admin.Ref() {
			t.Errorf("%+v, %v", found, err)
		}
		_, err = n.CreateAccessPolicy(t.Context(), job.AccessPolicy{AccountID: n.account.ID, Name: "GRÜSSE"})
		if err != nil {
			t.Errorf("another name: %v", err)
		}
		_, err = n.CreateAccessPolicy(t.Context(), job.AccessPolicy{AccountID: n.account.ID, Name: "gRÜßE"})
		wantError(t, err, job.Conflict, job.WordDuplicateName)
		other := n.other(t)
		_, err = other.AccessPolicy(t.Context(), other.account.ID, p.ID)
		wantError(t, err, job.NotFound, job.WordNotFound)
	},
	"of two writers the second loses": func(t *testing.T, n *tenant) {
		p := n.policy(t, "p")
		p.Name, p.ModifiedAt = "q", at(1)
		if err := n.UpdateAccessPolicy(t.Context(), p, start); err != nil {
			t.Fatal(err)
		}
		wantError(t, n.UpdateAccessPolicy(t.Context(), p, start), job.Conflict, job.WordStale)
		p.AccountID = n.other(t).account.ID
		wantError(t, n.UpdateAccessPolicy(t.Context(), p, at(1)), job.NotFound, job.WordNotFound)
		p.AccountID = n.account.ID
		n.policy(t, "taken")
		p.Name = "TAKEN"
		wantError(t, n.UpdateAccessPolicy(t.Context(), p, at(1)), job.Conflict, job.WordDuplicateName)
	},
	"grants are those of the policies a user has": func(t *testing.T, n *tenant) {
		give := func(id int64) {
			t.Helper()
			if err := n.GivePolicies(t.Context(), n.account.ID, n.admin.ID, []int64{id}, n.admin.Ref(), start); err != nil {
				t.Fatal(err)
			}
		}
		rights := func(config int64) job.Verbs {
			t.Helper()
			g, err := n.Grants(t.Context(), n.account.ID, n.admin.ID)
			if err != nil {
				t.Fatal(err)
			}
			return g.Of(job.KindJobConfig, config, 0)
		}
		view := n.policy(t, "view", job.Permission{Kind: job.KindJobConfig, Verbs: job.VerbsOf(job.View), Things: []string{"*"}})
		edit := n.policy(t, "edit", job.Permission{Kind: job.KindJobConfig, Verbs: job.VerbsOf(job.Edit), Things: []string{"7"}})
		if rights(7) != 0 {
			t.Error("what nobody gave is there")
		}
		give(view.ID)
		give(edit.ID)
		give(edit.ID) // is as once
		if rights(7) != job.VerbsOf(job.View, job.Edit) || rights(8) != job.VerbsOf(job.View) {
			t.Errorf("%v, %v", rights(7).List(), rights(8).List())
		}
		if err := n.TakePolicy(t.Context(), n.account.ID, n.admin.ID, edit.ID); err != nil {
			t.Fatal(err)
		}
		wantError(t, n.TakePolicy(t.Context(), n.account.ID, n.admin.ID, edit.ID), job.NotFound, job.WordNotFound)
		if rights(7) != job.VerbsOf(job.View) {
			t.Errorf("taken away: %v", rights(7).List())
		}
		if err := n.DeleteAccessPolicy(t.Context(), n.account.ID, view.ID); err != nil {
			t.Fatal(err)
		}
		if rights(7) != 0 {
			t.Errorf("deleted: %v", rights(7).List())
		}
		wantError(t, n.DeleteAccessPolicy(t.Context(), n.account.ID, view.ID), job.NotFound, job.WordNotFound)
	},
	"nothing is given across accounts": func(t *testing.T, n *tenant) {
		other := n.other(t)
		p, foreign := n.policy(t, "p", job.Permission{Kind: job.KindJobConfig, Verbs: job.Every, Things: []string{"*"}}), other.policy(t, "p")
		ctx, a := t.Context(), n.account.ID
		wantError(t, n.GivePolicies(ctx, a, n.admin.ID, []int64{p.ID, foreign.ID}, n.admin.Ref(), start), job.NotFound, job.WordNotFound)
		wantError(t, n.GivePolicies(ctx, a, other.admin.ID, []int64{p.ID}, n.admin.Ref(), start), job.NotFound, job.WordNotFound)
		wantError(t, n.GivePolicies(ctx, other.account.ID, n.admin.ID, []int64{p.ID}, n.admin.Ref(), start), job.NotFound, job.WordNotFound)
		wantError(t, n.DeleteAccessPolicy(ctx, other.account.ID, p.ID), job.NotFound, job.WordNotFound)
		given, err := n.GivenPolicies(ctx, 0, job.Query{Scope: n.scope()})
		if err != nil || len(given.Items) != 0 { // of several, all or none
			t.Errorf("%+v, %v", given.Items, err)
		}
		if err := n.GivePolicies(ctx, a, n.admin.ID, []int64{p.ID}, n.admin.Ref(), start); err != nil {
			t.Fatal(err)
		}
		wantError(t, n.TakePolicy(ctx, other.account.ID, n.admin.ID, p.ID), job.NotFound, job.WordNotFound)
		for _, scope := range []job.Scope{other.scope()} {
			if given, err := n.GivenPolicies(ctx, n.admin.ID, job.Query{Scope: scope}); err != nil || len(given.Items) != 0 {
				t.Errorf("%+v, %v", given.Items, err)
			}
		}
		if g, err := n.Grants(ctx, other.account.ID, n.admin.ID); err != nil || g.Of(job.KindJobConfig, 1, 0) != 0 {
			t.Errorf("%v", err)
		}
	},
	"pages of given policies do not overlap": func(t *testing.T, n *tenant) {
		var ids []int64
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			ids = append(ids, n.policy(t, name).ID)
		}
		if err := n.GivePolicies(t.Context(), n.account.ID, n.admin.ID, ids, n.admin.Ref(), start); err != nil {
			t.Fatal(err)
		}
		q := job.Query{Scope: n.scope(), Size: 2, Keyset: true, Sort: []job.Sort{{Property: "name", Desc: true}}}
		var names string
		for more := true; more; {
			page, err := n.GivenPolicies(t.Context(), n.admin.ID, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Items {
				names += p.Name
				if p.User != n.admin.Ref() {
					t.Errorf("given to %+v", p.User)
				}
			}
			q.After, more = page.Next, page.More
		}
		if names != "edcba" {
			t.Errorf("%s", names)
		}
		list, err := n.AccessPolicies(t.Context(), job.Query{Scope: n.scope(), Where: compare("name", job.Like, "C"), Size: 2})
		if err != nil || list.Total != 1 || list.Items[0].Name != "c" {
			t.Errorf("%+v, %v", list, err)
		}
	},
}

func (n *tenant) policy(t *testing.T, name string, permissions ...job.Permission) job.AccessPolicy {
	t.Helper()
	p, err := n.CreateAccessPolicy(t.Context(), job.AccessPolicy{
		AccountID: n.account.ID, Name: name, Permissions: permissions, CreatedAt: start, CreatedBy: n.admin.Ref(), ModifiedAt: start, ModifiedBy: n.admin.Ref(),
	})
	if err != nil {
		t.Fatalf("CreateAccessPolicy(%s): %v", name, err)
	}
	return p
}

func wantError(t *testing.T, err error, code job.Code, word job.Word) {
	t.Helper()
	if job.CodeOf(err) != code || job.WordOf(err) != word {
		t.Errorf("error %v, want %s %s", err, code, word)
	}
}
