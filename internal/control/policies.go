package control

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
)

// PolicyStore keeps access policies and who has them.
type PolicyStore interface {
	GrantStore
	// AccessPolicies lists those of an account. Known properties: id name description created createdByUser.id createdByUser.name
	// lastModified lastModifiedByUser.id lastModifiedByUser.name.
	AccessPolicies(ctx context.Context, q job.Query) (job.List[job.AccessPolicy], error)
	AccessPolicy(ctx context.Context, account, id int64) (job.AccessPolicy, error)
	// CreateAccessPolicy stores p, gives it an id and returns it. A taken name is Conflict, WordDuplicateName.
	CreateAccessPolicy(ctx context.Context, p job.AccessPolicy) (job.AccessPolicy, error)
	// UpdateAccessPolicy stores name, description and permissions, if the stored row is still the one last modified at was;
	// otherwise Conflict, WordStale.
	UpdateAccessPolicy(ctx context.Context, p job.AccessPolicy, was time.Time) error
	// DeleteAccessPolicy takes it from everybody who has it, too.
	DeleteAccessPolicy(ctx context.Context, account, id int64) error
	PolicyGiver
}

// PolicyGiver keeps which users have which access policies.
type PolicyGiver interface {
	// GivenPolicies lists policies with who has them: those of a user, or of user 0 everybody's. Known properties: those of
	// AccessPolicies, userId, userName.
	GivenPolicies(ctx context.Context, user int64, q job.Query) (job.List[job.GivenPolicy], error)
	// PolicyNames tells which policies the users have, by name.
	PolicyNames(ctx context.Context, account int64, users []int64) (map[int64][]job.PolicyRef, error)
	// GivePolicies gives a user all of the policies or none. One that the user has already stays. An unknown user or policy is NotFound.
	GivePolicies(ctx context.Context, account, user int64, policies []int64, by job.UserRef, at time.Time) error
	// TakePolicy takes one away. NotFound when the user does not have it.
	TakePolicy(ctx context.Context, account, user, policy int64) error
}

// Policies is what admins can do with access policies.
type Policies struct {
	Store   PolicyStore
	Users   Users
	Configs ConfigReader
	Jobs    JobFinder
	Now     Clock
}

// PolicyInput is a whole access policy as a caller gives it.
type PolicyInput struct {
	Name, Description string
	Permissions       []PermissionInput
}

// PermissionInput is one entry of a policy in the words of the native API.
type PermissionInput struct {
	Type    string   // of the things
	Allowed []string // verbs, "*" for all
	IDs     []string
}

// Limits of a policy: it is read at every call of a user who has it.
const (
	maxPermissions = 100
	maxThings      = 2000 // of all permissions of a policy together
	maxThing       = 64
)

func policyAdmin(a job.Actor, v job.Verb) error {
	if a.Administers(v) {
		return nil
	}
	if a.Admin {
		return allowed(a, v)
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "Access policies are for admins only")
}

// List lists the policies of the account.
func (s *Policies) List(ctx context.Context, a job.Actor, q job.Query) (job.List[job.AccessPolicy], error) {
	if err := policyAdmin(a, job.View); err != nil {
		return job.List[job.AccessPolicy]{}, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	return s.Store.AccessPolicies(ctx, q)
}

// Get finds a policy.
func (s *Policies) Get(ctx context.Context, a job.Actor, ref string) (job.AccessPolicy, error) {
	return s.find(ctx, a, ref, job.View)
}

func (s *Policies) find(ctx context.Context, a job.Actor, ref string, v job.Verb) (job.AccessPolicy, error) {
	if err := policyAdmin(a, v); err != nil {
		return job.AccessPolicy{}, err
	}
	id, ok := decimalRef(ref)
	if !ok {
		return job.AccessPolicy{}, job.Errorf(job.NotFound, job.WordNotFound, "Access policy %s not found", short(ref))
	}
	return s.Store.AccessPolicy(ctx, a.AccountID, id)
}

// decimalRef reads an id as it is written in paths.
func decimalRef(ref string) (int64, bool) {
	id, err := strconv.ParseInt(ref, 10, 64)
	return id, err == nil && id > 0 && strconv.FormatInt(id, 10) == ref
}

// Create makes a policy, which nobody has yet.
func (s *Policies) Create(ctx context.Context, a job.Actor, in PolicyInput) (job.AccessPolicy, error) {
	if err := policyAdmin(a, job.Create); err != nil {
		return job.AccessPolicy{}, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	p := job.AccessPolicy{AccountID: a.AccountID, CreatedAt: now, CreatedBy: a.User, ModifiedAt: now, ModifiedBy: a.User}
	if err := s.fill(ctx, &p, in); err != nil {
		return job.AccessPolicy{}, err
	}
	TrailOf(ctx).Changed(policyChanges(job.AccessPolicy{}, p))
	return s.Store.CreateAccessPolicy(ctx, p)
}

// Replace sets all of a policy. Whoever has it may do what it says from the next call on.
func (s *Policies) Replace(ctx context.Context, a job.Actor, ref string, in PolicyInput) (job.AccessPolicy, error) {
	const tries = 5
	for try := 1; ; try++ {
		p, err := s.find(ctx, a, ref, job.Edit)
		if err != nil {
			return job.AccessPolicy{}, err
		}
		was, before := p.ModifiedAt, p
		if err := s.fill(ctx, &p, in); err != nil {
			return job.AccessPolicy{}, err
		}
		p.ModifiedBy, p.ModifiedAt = a.User, s.Now().UTC().Truncate(time.Microsecond)
		if !p.ModifiedAt.After(was) { // two writes within a microsecond, or a clock set back: the stamp must still move
			p.ModifiedAt = was.Add(time.Microsecond)
		}
		TrailOf(ctx).About("accesspolicy", decimal(p.ID))
		TrailOf(ctx).Changed(policyChanges(before, p))
		err = s.Store.UpdateAccessPolicy(ctx, p, was)
		if err == nil {
			return p, nil
		}
		if job.WordOf(err) != job.WordStale || try == tries {
			return job.AccessPolicy{}, err
		}
	}
}

// Delete deletes a policy and takes it from everybody who has it.
func (s *Policies) Delete(ctx context.Context, a job.Actor, ref string) error {
	p, err := s.find(ctx, a, ref, job.Delete)
	if err != nil {
		return err
	}
	TrailOf(ctx).About("accesspolicy", decimal(p.ID))
	TrailOf(ctx).Changed(policyChanges(p, job.AccessPolicy{}))
	return s.Store.DeleteAccessPolicy(ctx, a.AccountID, p.ID)
}

// fill lays the input over p and checks it.
func (s *Policies) fill(ctx context.Context, p *job.AccessPolicy, in PolicyInput) error {
	name := strings.TrimSpace(in.Name)
	switch {
	case name == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "name is required")
	case !printable(name, maxName):
		return invalidField("name has 1 to %d characters and no control characters", maxName)
	case utf8.RuneCountInString(in.Description) > maxDescription || strings.ContainsRune(in.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	case len(in.Permissions) > maxPermissions:
		return invalidField("permissions has more than %d entries", maxPermissions)
	}
	had := map[string]bool{}
	for _, old := range p.Permissions {
		for _, thing := range old.Things {
			had[string(old.Kind)+" "+thing] = true
		}
	}
	var all []job.Permission
	things := 0
	for _, one := range in.Permissions {
		permission, err := s.permission(ctx, p.AccountID, one, had)
		if err != nil {
			return err
		}
		if things += len(permission.Things); things > maxThings {
			return invalidField("permissions names more than %d resources", maxThings)
		}
		all = append(all, permission)
	}
	p.Name, p.Description, p.Permissions = name, in.Description, all
	return nil
}

// permission checks an entry. What it names must be there, unless the policy named it before: a client may send back what it read.
func (s *Policies) permission(ctx context.Context, account int64, in PermissionInput, had map[string]bool) (job.Permission, error) {
	kind, err := KindNamed(in.Type)
	if err != nil {
		return job.Permission{}, err
	}
	p := job.Permission{Kind: kind}
	if p.Verbs, err = verbsNamed(kind, in.Allowed); err != nil {
		return p, err
	}
	if len(in.IDs) == 0 {
		return p, job.Errorf(job.Invalid, job.WordMissingField, "permissions: resourceIds is required; '*' is all")
	}
	if len(in.IDs) > maxThings {
		return p, invalidField("permissions names more than %d resources", maxThings)
	}
	for _, id := range in.IDs {
		thing, err := s.thing(ctx, account, kind, strings.TrimSpace(id), had)
		if err != nil {
			return p, err
		}
		if !slices.Contains(p.Things, thing) {
			p.Things = append(p.Things, thing)
		}
	}
	return p, nil
}

// KindNamed finds a kind of things by the name that requests have for it.
func KindNamed(name string) (job.Kind, error) {
	kind := job.Kind(strings.ToLower(name))
	switch {
	case name == "":
		return "", job.Errorf(job.Invalid, job.WordMissingField, "permissions: resourceType is required")
	case !slices.Contains(job.GrantedKinds(), kind):
		return "", invalidField("resourceType '%s' is none of %s", short(name), list(job.GrantedKinds()))
	}
	return kind, nil
}

func list[T ~string](all []T) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = string(one)
	}
	return strings.Join(texts, ", ")
}

func verbsNamed(kind job.Kind, names []string) (job.Verbs, error) {
	if len(names) == 0 {
		return 0, job.Errorf(job.Invalid, job.WordMissingField, "permissions: allowed is required")
	}
	var verbs job.Verbs
	can := job.VerbsFor(kind)
	for _, name := range names {
		v := job.Verb(strings.ToLower(name))
		switch {
		case v == job.AnyThing:
			verbs |= can
		case can.Has(v):
			verbs |= job.VerbsOf(v)
		default:
			return 0, invalidField("permissions: allowed on %s is %s or *, not '%s'", kind, list(can.List()), short(name))
		}
	}
	return verbs, nil
}

func (s *Policies) thing(ctx context.Context, account int64, kind job.Kind, id string, had map[string]bool) (string, error) {
	of, isTemplate := strings.CutPrefix(id, job.OfTemplate)
	plain := of != "" && len(of) <= maxThing && !strings.ContainsFunc(of, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	switch {
	case id == job.AnyThing, had[string(kind)+" "+id]:
		return id, nil
	case kind == job.KindAccountFiles:
		return "", invalidField("permissions: resourceIds of %s is '*'; there is one account", kind)
	case !plain || isTemplate && kind != job.KindJobConfig:
		return "", invalidField("permissions: resourceIds: '%s' is no id, nor '*', nor 'template:' and an id of a template of job configs", short(id))
	case isTemplate || kind == job.KindJobTemplate:
		return id, nil // stored as it is; what names nothing gives nothing
	}
	c, err := findConfig(ctx, s.Configs, account, id)
	if job.CodeOf(err) == job.NotFound {
		return "", job.Wrap(err, job.Invalid, job.WordUnknownRecord, "permissions: job config %s not found", short(id))
	}
	return decimal(c.ID), err
}

// policyChanges lists what differs, by what is permitted on what.
func policyChanges(before, after job.AccessPolicy) []job.AuditChange {
	var d differences
	d.add("name", before.Name, after.Name)
	d.add("description", before.Description, after.Description)
	was, is := rightsOf(before), rightsOf(after)
	var names []string
	for name := range was {
		names = append(names, name)
	}
	for name := range is {
		if _, both := was[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	const most = 100
	left := 0
	for _, name := range names {
		if before, after := list(was[name].List()), list(is[name].List()); before != after {
			if len(d) >= most {
				left++
				continue
			}
			d.add(name, before, after)
		}
	}
	if left > 0 {
		d.add("more", "", fmt.Sprintf("%d other resources", left))
	}
	return d
}

func rightsOf(p job.AccessPolicy) map[string]job.Verbs {
	all := map[string]job.Verbs{}
	for _, one := range p.Permissions {
		for _, thing := range one.Things {
			all[string(one.Kind)+"/"+thing] |= one.Verbs
		}
	}
	return all
}
