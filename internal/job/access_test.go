package job

import (
	"slices"
	"testing"
)

// A table of who may do what: the rules of docs/access.md.
func TestRightsComeFromRoleOwnershipAndPolicies(t *testing.T) {
	t.Parallel()
	me := UserRef{ID: 7, Name: "me"}
	general := Actor{AccountID: 1, User: me}
	given := func(p ...Permission) Actor {
		a := general
		a.Grants = GrantsOf(p...)
		return a
	}
	on := func(k Kind, v Verbs, things ...string) Permission {
		return Permission{Kind: k, Verbs: v, Things: things}
	}
	limited := func(a Actor, v Verbs) Actor {
		a.Limit = v
		return a
	}
	for name, c := range map[string]struct {
		actor     Actor
		kind      Kind
		id, owner int64
		template  int64
		want      Verbs
	}{
		"an admin may everything":              {Actor{Admin: true, User: me}, KindJobConfig, 5, 8, 0, Every},
		"an owner may everything":              {general, KindJobConfig, 5, 7, 0, Every},
		"others may nothing":                   {general, KindJobConfig, 5, 8, 0, 0},
		"nobody is no owner":                   {Actor{}, KindJobConfig, 5, 0, 0, 0},
		"one config":                           {given(on(KindJobConfig, VerbsOf(View, Execute), "5")), KindJobConfig, 5, 8, 0, VerbsOf(View, Execute)},
		"not another":                          {given(on(KindJobConfig, Every, "5")), KindJobConfig, 6, 8, 0, 0},
		"all configs":                          {given(on(KindJobConfig, VerbsOf(Edit), "*")), KindJobConfig, 6, 8, 0, VerbsOf(Edit)},
		"several policies add up":              {given(on(KindJobConfig, VerbsOf(Edit), "*"), on(KindJobConfig, VerbsOf(View), "6")), KindJobConfig, 6, 8, 0, VerbsOf(Edit, View)},
		"the configs of a template":            {given(on(KindJobConfig, VerbsOf(View), "template:3")), KindJobConfig, 6, 8, 3, VerbsOf(View)},
		"not of another template":              {given(on(KindJobConfig, VerbsOf(View), "template:3")), KindJobConfig, 6, 8, 4, 0},
		"a template's id is no config's":       {given(on(KindJobConfig, VerbsOf(View), "template:3")), KindJobConfig, 3, 8, 0, 0},
		"a config's id is no template's":       {given(on(KindJobConfig, VerbsOf(View), "3")), KindJobTemplate, 3, 8, 0, 0},
		"an id that is not ours names nothing": {given(on(KindJobConfig, VerbsOf(View), "0003", "x", "-3", "3 ")), KindJobConfig, 3, 8, 0, 0},
		"files have no execute":                {given(on(KindAccountFiles, Every, "*")), KindAccountFiles, 1, 0, 0, VerbsOf(View, Edit)},
		"files of users are not given":         {given(on(KindUserFiles, Every, "*")), KindUserFiles, 9, 9, 0, 0},
		"a key narrows an admin":               {limited(Actor{Admin: true, User: me}, VerbsOf(View)), KindJobConfig, 5, 8, 0, VerbsOf(View)},
		"a key narrows an owner":               {limited(general, VerbsOf(Execute)), KindJobConfig, 5, 7, 0, VerbsOf(Execute)},
		"a key for one config, and that":       {Actor{Admin: true, User: me, Key: &KeyGrant{Configs: []int64{5}}}, KindJobConfig, 5, 8, 0, Every},
		"a key for one config, and another":    {Actor{Admin: true, User: me, Key: &KeyGrant{Configs: []int64{5}}}, KindJobConfig, 6, 7, 0, 0},
		"a key for one config, and files":      {Actor{Admin: true, User: me, Key: &KeyGrant{Configs: []int64{5}}}, KindAccountFiles, 1, 0, 0, 0},
		"a key for one config, and the user":   {Actor{User: me, Key: &KeyGrant{Configs: []int64{5}}}, KindUserFiles, 7, 7, 0, 0},
		"a key adds nothing":                   {limited(general, Every), KindJobConfig, 5, 8, 0, 0},
	} {
		template := []int64{}
		if c.template != 0 {
			template = append(template, c.template)
		}
		if got := c.actor.Rights(c.kind, c.id, c.owner, template...); got != c.want {
			t.Errorf("%s: %v, want %v", name, got.List(), c.want.List())
		}
		for _, v := range AllVerbs() {
			if c.actor.May(v, c.kind, c.id, c.owner, template...) != c.want.Has(v) {
				t.Errorf("%s: May(%s) is not as Rights says", name, v)
			}
		}
	}
}

func TestAnAdminWithANarrowKeyDoesNotAdminister(t *testing.T) {
	t.Parallel()
	a := Actor{Admin: true, Limit: VerbsOf(View)}
	if a.Administers(Edit) || !a.Administers(View) || (Actor{Grants: Everything()}).Administers(View) {
		t.Error("who administers is an admin whose key is good for it")
	}
}

func TestScopesHoldWhatWasGivenToView(t *testing.T) {
	t.Parallel()
	a := Actor{AccountID: 1, User: UserRef{ID: 7}, Grants: GrantsOf(
		Permission{Kind: KindJobConfig, Verbs: VerbsOf(View), Things: []string{"9", "3", "template:4"}},
		Permission{Kind: KindJobConfig, Verbs: VerbsOf(Edit), Things: []string{"5", "3"}},
	)}
	if s := a.Scope(); s.AccountID != 1 || s.OwnerID != 7 || !slices.Equal(s.Configs, []int64{3, 9}) {
		t.Errorf("%+v", s)
	}
	if s := a.ScopeOf(Edit); !slices.Equal(s.Configs, []int64{3, 5}) {
		t.Errorf("%+v", s)
	}
	a.Grants = GrantsOf(Permission{Kind: KindJobConfig, Verbs: VerbsOf(View), Things: []string{"*"}})
	if s := a.Scope(); s.OwnerID != 0 || s.AccountID != 1 {
		t.Errorf("%+v", s)
	}
	if s := a.ScopeOf(Delete); s.OwnerID != 7 {
		t.Errorf("%+v", s)
	}
	a.Key = &KeyGrant{Configs: []int64{3}}
	if s := a.Scope(); !slices.Equal(s.Only, []int64{3}) {
		t.Errorf("%+v", s)
	}
	if a.Admin = true; a.Administers(View) {
		t.Error("a key for single job configs administers the account")
	}
}
