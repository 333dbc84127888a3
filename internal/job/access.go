package job

import (
	"slices"
	"strings"
)

// Verb is what somebody may do with a thing (native.md, 2).
type Verb string

// The verbs. View and Execute of a job config hold for its jobs as well: to see them with their logs and outputs, and to start,
// stop and retry them.
const (
	View    Verb = "view"
	Edit    Verb = "edit"
	Execute Verb = "execute"
	Delete  Verb = "delete"
	Create  Verb = "create"
)

// AllVerbs lists the verbs in the order they are shown in.
func AllVerbs() []Verb { return []Verb{View, Edit, Delete, Execute, Create} }

// Verbs is a set of verbs, a bit for each in the order of AllVerbs.
type Verbs uint8

// Every is the set of all verbs.
const Every Verbs = 1<<5 - 1

// VerbsOf makes a set; a verb that is none is left out.
func VerbsOf(some ...Verb) (set Verbs) {
	for _, v := range some {
		if i := slices.Index(AllVerbs(), v); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// Has tells whether the verb is in the set.
func (s Verbs) Has(v Verb) bool { return VerbsOf(v)&s != 0 }

// List gives the verbs of the set.
func (s Verbs) List() (list []Verb) {
	for _, v := range AllVerbs() {
		if s.Has(v) {
			list = append(list, v)
		}
	}
	return list
}

// Kind is a kind of thing that rights are given on.
type Kind string

// The kinds that access policies can name. KindAccountFiles is the files of the account itself, all of them.
const (
	KindJobConfig    Kind = "jobconfigs"
	KindJobTemplate  Kind = "jobtemplates"
	KindAccountFiles Kind = "accountfiles"
)

// KindUserFiles is the files of a user. Nobody can be given them: they are that user's, and the admins'.
const KindUserFiles Kind = "userfiles"

// GrantedKinds lists the kinds that access policies can name.
func GrantedKinds() []Kind { return []Kind{KindJobConfig, KindJobTemplate, KindAccountFiles} }

// VerbsFor is what can be granted on things of a kind.
func VerbsFor(k Kind) Verbs {
	switch k {
	case KindJobConfig, KindJobTemplate:
		return Every
	case KindAccountFiles:
		return VerbsOf(View, Edit)
	}
	return 0
}

// Permission is one entry of an access policy: verbs on things of a kind.
type Permission struct {
	Kind  Kind  `json:"kind"`
	Verbs Verbs `json:"verbs"`
	// Things are ids in decimal, AnyThing for all there are and will be, or OfTemplate and an id for all job configs of a template.
	Things []string `json:"things"`
}

// covers tells which of the permission's things stands for the thing; template is what it is made from, 0 for none.
func (p Permission) covers(k Kind, id, template int64) (thing string, found bool) {
	if p.Kind != k {
		return "", false
	}
	for _, t := range p.Things {
		of, isTemplate := strings.CutPrefix(t, OfTemplate)
		n, _ := decimalID(of)
		switch {
		case t == AnyThing, !isTemplate && id != 0 && n == id, isTemplate && template != 0 && n == template:
			return t, true
		}
	}
	return "", false
}

// Gives tells whether the permission gives a verb on a thing, and by which of its entries.
func (p Permission) Gives(v Verb, k Kind, id, template int64) (thing string, gives bool) {
	if !p.Verbs.Has(v) || !VerbsFor(k).Has(v) {
		return "", false
	}
	return p.covers(k, id, template)
}

// What a Permission may name beside ids.
const (
	AnyThing   = "*"
	OfTemplate = "template:"
)

// Grants is what a user was given by access policies. The zero value is nothing.
type Grants struct {
	kinds map[Kind]granted
}

// granted is what was given on things of a kind.
type granted struct {
	all       Verbs
	things    map[int64]Verbs
	templates map[int64]Verbs // on the job configs of a template
}

// GrantsOf puts permissions together.
func GrantsOf(permissions ...Permission) Grants {
	g := Grants{kinds: map[Kind]granted{}}
	for _, p := range permissions {
		k := g.kinds[p.Kind]
		verbs := p.Verbs & VerbsFor(p.Kind)
		for _, thing := range p.Things {
			if thing == AnyThing {
				k.all |= verbs
				continue
			}
			list, text := &k.things, thing
			if of, found := strings.CutPrefix(thing, OfTemplate); found {
				list, text = &k.templates, of
			}
			id, ok := decimalID(text)
			if !ok {
				continue // of a product that this one is not: it names nothing here
			}
			if *list == nil {
				*list = map[int64]Verbs{}
			}
			(*list)[id] |= verbs
		}
		g.kinds[p.Kind] = k
	}
	return g
}

func decimalID(s string) (id int64, ok bool) {
	if s == "" || len(s) > 18 || s[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + int64(c-'0')
	}
	return id, true
}

// Of is what was given on a thing; template is what it is made from, 0 for none.
func (g Grants) Of(k Kind, id, template int64) Verbs {
	given := g.kinds[k]
	verbs := given.all | given.things[id]
	if template != 0 {
		verbs |= given.templates[template]
	}
	return verbs
}

// ids lists the things on which the verb was given one by one, in order.
func ids(of map[int64]Verbs, v Verb) (list []int64) {
	for id, verbs := range of {
		if verbs.Has(v) {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// OwnJob is the job that calls the API with the token it was given.
type OwnJob struct {
	ID       ID
	ConfigID int64
}

// Everything is the grants of somebody from whom nothing of their account is kept.
func Everything() Grants {
	var all []Permission
	for _, k := range GrantedKinds() {
		all = append(all, Permission{Kind: k, Verbs: Every, Things: []string{AnyThing}})
	}
	return GrantsOf(all...)
}

// Allows tells whether what the caller showed is good for the verb at all. Keys may be narrower than who made them.
func (a Actor) Allows(v Verb) bool { return a.Limit == 0 || a.Limit.Has(v) }

// Administers tells whether the actor may look after the account: users, policies, destinations, workers, the account itself.
func (a Actor) Administers(v Verb) bool { return a.Admin && a.Allows(v) && !a.Key.Limited() }

// InPerson tells whether a user makes the call with a login of their own: no API key, and no program of theirs. A key does not make
// what is more than itself, such as a user, an admin or a password.
func (a Actor) InPerson() bool { return a.Key == nil && a.Job == nil }

// ReachOf is the reach of a job that the actor starts; already is what it inherits from the job that it is a retry of.
func (a Actor) ReachOf(config int64, already []int64) []int64 {
	switch {
	case !a.Key.Limited():
		return already
	case len(already) == 0:
		return slices.Clone(a.Key.Configs)
	}
	both := slices.DeleteFunc(slices.Clone(already), func(id int64) bool { return !a.Key.Reaches(id) })
	if len(both) == 0 { // none of them stands for all
		return []int64{config}
	}
	return both
}

// Rights is what the actor may do with a thing of their own account that belongs to owner; template is what it is made from.
func (a Actor) Rights(k Kind, id, owner int64, template ...int64) Verbs {
	rights := Verbs(0)
	switch {
	case a.Key.Limited() && (k != KindJobConfig || !a.Key.Reaches(id)): // the key is for other things
	case a.Admin, owner != 0 && owner == a.User.ID:
		rights = Every
	default:
		rights = a.Grants.Of(k, id, 0)
		for _, t := range template {
			rights |= a.Grants.Of(k, id, t)
		}
	}
	if a.Limit != 0 {
		rights &= a.Limit
	}
	return rights
}

// May tells whether the actor may do something with a thing of their own account that belongs to owner. A thing that is yet to be
// made has no id, and belongs to who makes it.
func (a Actor) May(v Verb, k Kind, id, owner int64, template ...int64) bool {
	return a.Rights(k, id, owner, template...).Has(v)
}

// MayFile tells whether the actor may see (View) or change (Edit) the files of a job config. A job may also change those of the
// config it runs, if whoever submitted it may.
func (a Actor) MayFile(v Verb, config, owner int64, template ...int64) bool {
	if a.Job != nil && a.Job.ConfigID == config {
		a.Limit = 0
	}
	return a.May(v, KindJobConfig, config, owner, template...)
}

// Scope is what the actor may see in lists of job configs and jobs: the account, and for a general user what is their own and
// what they were given to view.
func (a Actor) Scope() Scope { return a.ScopeOf(View) }

// ScopeOf is where the actor may do something with job configs.
func (a Actor) ScopeOf(v Verb) Scope {
	scope := Scope{AccountID: a.AccountID}
	if a.Key.Limited() {
		scope.Only = a.Key.Configs
	}
	given := a.Grants.kinds[KindJobConfig]
	if !a.Admin && !given.all.Has(v) {
		scope.OwnerID, scope.Configs = a.User.ID, ids(given.things, v)
	}
	return scope
}
