package native

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// accessPolicyRequest is the vendor's AccessPolicyRequest.
type accessPolicyRequest struct {
	Name        string             `json:"name" doc:"1 to 255 characters, unique in the account"`
	Description string             `json:"description"`
	Permissions []accessPermission `json:"permissions"`
}

// accessPermission is the vendor's Permission.
type accessPermission struct {
	ResourceType string   `json:"resourceType" doc:"jobconfigs, jobtemplates or accountfiles"`
	Allowed      []string `json:"allowed" doc:"view, edit, delete, execute, create, or * for all"`
	ResourceIDs  []string `json:"resourceIds" doc:"Ids, * for all there are and will be, or template:<id> for all job configs of a template"`
}

// accessPolicyResponse is the vendor's AccessPolicyResponse.
type accessPolicyResponse struct {
	ID             string             `json:"id"`
	Name           string             `json:"name"`
	Description    string             `json:"description,omitempty"`
	Href           string             `json:"href"`
	Global         bool               `json:"global" doc:"Always false: there are no policies but an account's own"`
	Allowed        []string           `json:"allowed" doc:"What the caller may do with the policy itself"`
	Permissions    []accessPermission `json:"permissions"`
	Created        string             `json:"created"`
	CreatedBy      *reference         `json:"createdByUser,omitempty"`
	LastModified   string             `json:"lastModified"`
	LastModifiedBy *reference         `json:"lastModifiedByUser,omitempty"`
	UserID         string             `json:"userId,omitempty" doc:"In lists of given policies: who has it"`
	UserName       string             `json:"userName,omitempty"`
}

// userAccessPolicyRequest is the vendor's UserAccessPolicyRequest.
type userAccessPolicyRequest struct {
	AccessPolicyIDs []string `json:"accessPolicyIds"`
}

// userAccessPolicyResponse is the vendor's UserAccessPolicyResponse.
type userAccessPolicyResponse struct {
	UserID         string                     `json:"userId"`
	UserName       string                     `json:"userName"`
	AccessPolicies Page[accessPolicyResponse] `json:"accessPolicies"`
}

// PolicyPath is an access policy in a path.
type PolicyPath struct {
	ID string `path:"id" doc:"Id of the access policy"`
}

// PolicyUserPath is a user in a path of access policies.
type PolicyUserPath struct {
	ID string `path:"id" doc:"Id of the user"`
}

type (
	policyListInput   struct{ ListParams }
	policyListReply   struct{ Body Page[accessPolicyResponse] }
	policyCreateInput struct{ JSON body[accessPolicyRequest] }
	policyWriteInput  struct {
		PolicyPath
		JSON body[accessPolicyRequest]
	}
	policyReply struct {
		Location string `header:"Location"`
		Body     accessPolicyResponse
	}
	policiesOfInput struct {
		PolicyUserPath
		ListParams
	}
	policyGiveInput struct {
		PolicyUserPath
		JSON body[userAccessPolicyRequest]
	}
	policyOfInput struct {
		PolicyUserPath
		Policy string `path:"policy" doc:"Id of the access policy"`
	}
	policyGivenReply struct{ Body userAccessPolicyResponse }
)

// policySpec is the list of access policies.
var policySpec = listSpec{order: job.Sort{Property: "name"}, columns: []string{"id", "name", "description"}}

func (d *door) policyRoutes() {
	op := func(method, path, summary string, status int) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Access"}, DefaultStatus: status}
	}
	operation(d, bearer, op("GET", "/access/policies", "List access policies (admins)", 200), d.listPolicies)
	operation(d, bearer, op("POST", "/access/policies", "Make an access policy (admins)", 201), d.createPolicy)
	operation(d, bearer, op("GET", "/access/policies/{id}", "Get an access policy (admins)", 200), d.getPolicy)
	operation(d, bearer, op("PUT", "/access/policies/{id}", "Replace an access policy (admins)", 200), d.putPolicy)
	operation(d, bearer, op("DELETE", "/access/policies/{id}", "Delete an access policy, and take it from everybody (admins)", 204), d.deletePolicy)
	operation(d, bearer, op("GET", "/users/access/policies", "List which user has which access policies (admins)", 200), d.listGiven)
	operation(d, bearer, op("GET", "/users/{id}/access/policies", "List the access policies of a user (admins)", 200), d.listGivenTo)
	operation(d, bearer, op("POST", "/users/{id}/access/policies", "Give a user access policies, beside those the user has (admins)", 201), d.givePolicies)
	operation(d, bearer, op("PUT", "/users/{id}/access/policies/{policy}", "Give a user an access policy (admins)", 200), d.givePolicy)
	operation(d, bearer, op("DELETE", "/users/{id}/access/policies/{policy}", "Take an access policy away from a user (admins)", 204), d.takePolicy)
	d.accessRoutes()
}

func (d *door) listPolicies(ctx context.Context, in *policyListInput) (*policyListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, policySpec)
	if err != nil {
		return nil, err
	}
	list, err := d.server.Policies.List(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	return &policyListReply{envelope(d, c.style, l, list, func(p job.AccessPolicy) accessPolicyResponse { return c.policy(p) })}, nil
}

func (d *door) createPolicy(ctx context.Context, in *policyCreateInput) (*policyReply, error) {
	c := d.call(ctx)
	p, err := d.server.Policies.Create(ctx, c.Actor, in.JSON.Value.input())
	if err != nil {
		return nil, err
	}
	shown := c.policy(p)
	return &policyReply{Location: shown.Href, Body: shown}, nil
}

func (d *door) getPolicy(ctx context.Context, in *PolicyPath) (*policyReply, error) {
	c := d.call(ctx)
	p, err := d.server.Policies.Get(ctx, c.Actor, in.ID)
	return &policyReply{Body: c.policy(p)}, err
}

func (d *door) putPolicy(ctx context.Context, in *policyWriteInput) (*policyReply, error) {
	c := d.call(ctx)
	p, err := d.server.Policies.Replace(ctx, c.Actor, in.ID, in.JSON.Value.input())
	return &policyReply{Body: c.policy(p)}, err
}

func (d *door) deletePolicy(ctx context.Context, in *PolicyPath) (*noReply, error) {
	return &noReply{}, d.server.Policies.Delete(ctx, d.call(ctx).Actor, in.ID)
}

func (d *door) listGiven(ctx context.Context, in *policyListInput) (*policyListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, policySpec)
	if err != nil {
		return nil, err
	}
	list, err := d.server.Policies.ListGiven(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	return &policyListReply{envelope(d, c.style, l, list, c.givenPolicy)}, nil
}

func (d *door) listGivenTo(ctx context.Context, in *policiesOfInput) (*policyListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, policySpec)
	if err != nil {
		return nil, err
	}
	_, list, err := d.server.Policies.ListOf(ctx, c.Actor, in.ID, l.query)
	if err != nil {
		return nil, err
	}
	return &policyListReply{envelope(d, c.style, l, list, c.givenPolicy)}, nil
}

func (d *door) givePolicies(ctx context.Context, in *policyGiveInput) (*policyGivenReply, error) {
	return d.give(ctx, in.ID, in.JSON.Value.AccessPolicyIDs, false)
}

func (d *door) givePolicy(ctx context.Context, in *policyOfInput) (*policyGivenReply, error) {
	return d.give(ctx, in.ID, []string{in.Policy}, true)
}

func (d *door) give(ctx context.Context, user string, policies []string, inPath bool) (*policyGivenReply, error) {
	c := d.call(ctx)
	u, err := d.server.Policies.Give(ctx, c.Actor, user, policies, inPath)
	if err != nil {
		return nil, err
	}
	l := &listing{size: maxSize, path: "users/" + user + "/access/policies", sent: map[string][]string{}, warnings: []string{}}
	l.setOrder([]job.Sort{policySpec.order})
	l.query.Size = l.size
	_, list, err := d.server.Policies.ListOf(ctx, c.Actor, user, l.query)
	if err != nil {
		return nil, err
	}
	return &policyGivenReply{userAccessPolicyResponse{
		UserID: strconv.FormatInt(u.ID, 10), UserName: u.Name, AccessPolicies: envelope(d, c.style, l, list, c.givenPolicy),
	}}, nil
}

func (d *door) takePolicy(ctx context.Context, in *policyOfInput) (*noReply, error) {
	return &noReply{}, d.server.Policies.Take(ctx, d.call(ctx).Actor, in.ID, in.Policy)
}

func (r accessPolicyRequest) input() control.PolicyInput {
	in := control.PolicyInput{Name: r.Name, Description: r.Description}
	for _, p := range r.Permissions {
		in.Permissions = append(in.Permissions, control.PermissionInput{Type: p.ResourceType, Allowed: p.Allowed, IDs: p.ResourceIDs})
	}
	return in
}

func (s style) policy(p job.AccessPolicy) accessPolicyResponse {
	id := strconv.FormatInt(p.ID, 10)
	shown := accessPolicyResponse{
		ID: id, Name: p.Name, Description: p.Description, Href: s.href("access/policies/" + id), Allowed: words(job.VerbsOf(job.View, job.Edit, job.Delete)),
		Permissions: make([]accessPermission, 0, len(p.Permissions)), Created: s.date(p.CreatedAt), CreatedBy: s.user(p.CreatedBy),
		LastModified: s.date(p.ModifiedAt), LastModifiedBy: s.user(p.ModifiedBy),
	}
	for _, one := range p.Permissions {
		shown.Permissions = append(shown.Permissions, accessPermission{
			ResourceType: string(one.Kind), Allowed: words(one.Verbs), ResourceIDs: one.Things,
		})
	}
	return shown
}

func (c call) givenPolicy(p job.GivenPolicy) accessPolicyResponse {
	shown := c.policy(p.AccessPolicy)
	shown.UserID, shown.UserName = strconv.FormatInt(p.User.ID, 10), p.User.Name
	return shown
}

// permissionQuery asks for the verbs of a resource type.
type permissionQuery struct {
	ResourceType string `query:"resourcetype" doc:"One of /access/resourcetypes"`
}

// authorizeQuery asks whether a user may do something.
type authorizeQuery struct {
	User         string `query:"user" doc:"Id; the caller if not given. Of others, admins are told"`
	Action       string `query:"action" doc:"view, edit, delete, execute or create"`
	ResourceType string `query:"resourcetype" doc:"One of /access/resourcetypes, or jobs"`
	ResourceID   string `query:"resourceid" doc:"Not needed for create, nor for accountfiles"`
}

// authorizeResponse is the answer and why.
type authorizeResponse struct {
	Allowed  bool              `json:"allowed"`
	Reason   string            `json:"reason" enum:"admin,owner,account,policy,no_policy,user_inactive,credentials"`
	Message  string            `json:"message"`
	User     *reference        `json:"user"`
	Policies []authorizePolicy `json:"policies" doc:"The user's access policies that permit it, also where they are not needed"`
}

// authorizePolicy is a policy that permits what was asked.
type authorizePolicy struct {
	reference
	ResourceID string `json:"resourceId" doc:"The entry of the policy that stands for the resource"`
}

type (
	wordListReply  struct{ Body []string }
	authorizeReply struct{ Body authorizeResponse }
)

func (d *door) accessRoutes() {
	op := func(path, summary string) huma.Operation {
		return huma.Operation{Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{"Access"}}
	}
	operation(d, bearer, op("/access/resourcetypes", "List what access policies can name"), d.resourceTypes)
	operation(d, bearer, op("/access/permissions", "List what access policies can permit on a resource type"), d.permissions)
	operation(d, bearer, op("/access/authorize", "Tell whether somebody may do something, and why"), d.authorize)
}

func (d *door) resourceTypes(context.Context, *noInput) (*wordListReply, error) {
	var all []string
	for _, k := range job.GrantedKinds() {
		all = append(all, string(k))
	}
	return &wordListReply{all}, nil
}

func (d *door) permissions(_ context.Context, in *permissionQuery) (*wordListReply, error) {
	if in.ResourceType == "" {
		return nil, missing("resourcetype")
	}
	kind, err := control.KindNamed(in.ResourceType)
	if err != nil {
		return nil, job.Wrap(err, job.NotFound, job.WordNotFound, "There is no resource type of that name")
	}
	return &wordListReply{append(words(job.VerbsFor(kind)), job.AnyThing)}, nil
}

func (d *door) authorize(ctx context.Context, in *authorizeQuery) (*authorizeReply, error) {
	c := d.call(ctx)
	v, err := d.server.Policies.Authorize(ctx, c.Actor, control.Question{
		User: in.User, Action: in.Action, Type: in.ResourceType, ID: in.ResourceID,
	})
	if err != nil {
		return nil, err
	}
	shown := authorizeResponse{
		Allowed: v.Allowed, Reason: string(v.Reason), Message: v.Message, User: c.user(v.User.Ref()), Policies: make([]authorizePolicy, 0, len(v.Policies)),
	}
	for _, p := range v.Policies {
		id := strconv.FormatInt(p.ID, 10)
		shown.Policies = append(shown.Policies, authorizePolicy{
			reference{ID: id, Name: p.Name, Href: c.href("access/policies/" + id)}, p.Thing,
		})
	}
	return &authorizeReply{shown}, nil
}
