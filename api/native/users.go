package native

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// userRequest is the vendor's UserRequest.
type userRequest struct {
	Username   member[string] `json:"username" doc:"1 to 64 letters, digits, '-', '_', '.' or '@', unique over all accounts; never changes"`
	Password   member[string] `json:"password" doc:"At least 12 characters; only when a user is made"`
	Email      member[string] `json:"email"`
	Active     member[bool]   `json:"active" doc:"true if not given"`
	Admin      member[bool]   `json:"admin" doc:"false if not given"`
	FirstName  member[string] `json:"firstName"`
	LastName   member[string] `json:"lastName"`
	Street     member[string] `json:"street"`
	City       member[string] `json:"city"`
	State      member[string] `json:"state"`
	PostalCode member[string] `json:"postalCode"`
	Country    member[string] `json:"country"`
	// AccessPolicyID is the vendor's, from when a user had one at most.
	AccessPolicyID member[string] `json:"accessPolicyId" doc:"An access policy that the user gets, beside those the user has (admins)"`
}

// userResponse is the vendor's UserResponse. The password is in no reply.
type userResponse struct {
	ID             string           `json:"id"`
	Username       string           `json:"username"`
	Href           string           `json:"href"`
	Email          string           `json:"email,omitempty"`
	Active         bool             `json:"active"`
	Admin          bool             `json:"admin"`
	FirstName      string           `json:"firstName,omitempty"`
	LastName       string           `json:"lastName,omitempty"`
	Street         string           `json:"street,omitempty"`
	City           string           `json:"city,omitempty"`
	State          string           `json:"state,omitempty"`
	PostalCode     string           `json:"postalCode,omitempty"`
	Country        string           `json:"country,omitempty"`
	Superuser      bool             `json:"superuser" doc:"Always false: nobody sees more than one account"`
	Supportuser    bool             `json:"supportuser" doc:"Always false"`
	ExternalID     string           `json:"externalId,omitempty" doc:"Whom the identity provider knows the user as"`
	Account        accountReference `json:"account"`
	AccessPolicy   *reference       `json:"accessPolicy,omitempty" doc:"The first of accessPolicies"`
	AccessPolicies []reference      `json:"accessPolicies,omitempty"`
	Created        string           `json:"created"`
	CreatedBy      *reference       `json:"createdByUser,omitempty"`
	LastModified   string           `json:"lastModified"`
	LastModifiedBy *reference       `json:"lastModifiedByUser,omitempty"`
}

// accountReference is the vendor's AccountReference.
type accountReference struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Href       string `json:"href"`
	CustomerID string `json:"customerId"`
}

// changePasswordRequest is the vendor's ChangePasswordRequest.
type changePasswordRequest struct {
	OldPassword        string         `json:"oldPassword" doc:"Needed for one's own password"`
	NewPassword        string         `json:"newPassword" doc:"At least 12 characters, not the user's name, not what everybody tries first"`
	ConfirmNewPassword member[string] `json:"confirmNewPassword" doc:"If given, the same as newPassword"`
}

// userMetricsResponse is the vendor's UserMetricsResponse.
type userMetricsResponse struct {
	ExecutionCount   int64         `json:"executionCount" doc:"Jobs the user started in the window, counted up to 10000"`
	ExecutionTime    string        `json:"executionTime" doc:"Sum of what they took"`
	JobTemplateCount int64         `json:"jobTemplateCount"`
	JobConfigCount   int64         `json:"jobConfigCount" doc:"That the user owns, counted up to 10000"`
	Window           metricsWindow `json:"window"`
	User             *reference    `json:"user"`
}

// metricsWindow is the vendor's MetricsWindow.
type metricsWindow struct {
	Begins   string `json:"windowBegins"`
	Ends     string `json:"windowEnds"`
	Duration string `json:"windowDuration"`
}

type (
	UserPath struct {
		ID string `path:"id"`
	}
	userInput     struct{ UserPath }
	userSelfInput struct{}
	userListInput struct {
		ListParams
		Active flag `query:"active" doc:"true or false: only users of whom active is that"`
	}
	userCreateInput struct{ JSON body[userRequest] }
	userWriteInput  struct {
		UserPath
		JSON body[userRequest]
	}
	passwordInput struct {
		UserPath
		JSON body[changePasswordRequest]
	}
	metricsInput struct {
		UserPath
		Duration string `query:"duration" doc:"How far to look back: P30D (if not given), 720h or seconds; 10 years at most"`
	}
	userReply struct {
		Location string `header:"Location"`
		Body     userResponse
	}
	userListReply     struct{ Body Page[userResponse] }
	userDropdownReply struct{ Body Page[reference] }
	userMetricsReply  struct{ Body userMetricsResponse }
)

var userSpec = listSpec{order: job.Sort{Property: "username"}, columns: []string{"id", "username", "email", "firstName", "lastName"}}

func (d *door) userRoutes() {
	op := func(method, path, summary string) huma.Operation {
		o := huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Users"}}
		if method == "PATCH" || path == "/users/{id}/password" {
			o.DefaultStatus = http.StatusOK
		}
		return o
	}
	operation(d, bearer, op("GET", "/user", "Get the caller"), d.getSelf)
	operation(d, bearer, op("GET", "/users", "List the users of the account; who is no admin sees themselves"), d.listUsers)
	create := op("POST", "/users", "Make a user (admins)")
	create.DefaultStatus = http.StatusCreated
	operation(d, bearer, create, d.createUser)
	operation(d, bearer, op("GET", "/users/dropdown", "List users as references"), d.dropdownUsers)
	operation(d, bearer, op("PATCH", "/users/activate", "Let all of the users sign in, or none (admins)"), d.setUsersActive(true))
	operation(d, bearer, op("PATCH", "/users/deactivate", "End all logins of all of the users and let there be no more, or of none (admins)"), d.setUsersActive(false))
	operation(d, bearer, op("GET", "/users/{id}", "Get a user: oneself, or any (admins)"), d.getUser)
	operation(d, bearer, op("PUT", "/users/{id}", "Replace what is known of a user; flags that are left out stay"), d.putUser)
	operation(d, bearer, op("POST", "/users/{id}/password", "Change one's own password, or set another's (admins)"), d.setPassword)
	operation(d, bearer, op("GET", "/users/{id}/logins", "List attempts to sign in as a user, the last first"), d.listLogins)
	operation(d, bearer, op("GET", "/users/{id}/metrics", "How much a user has done"), d.userMetrics)
	account := op("GET", "/account/{id}/logins", "List attempts to sign in as any user of the account, the last first (admins)")
	account.Tags = []string{"Account"}
	operation(d, bearer, account, d.listAccountLogins)
}

func (d *door) getSelf(ctx context.Context, _ *userSelfInput) (*userReply, error) {
	c := d.call(ctx)
	return d.user(ctx, c, strconv.FormatInt(c.Actor.User.ID, 10))
}

func (d *door) getUser(ctx context.Context, in *userInput) (*userReply, error) {
	return d.user(ctx, d.call(ctx), in.ID)
}

func (d *door) user(ctx context.Context, c call, ref string) (*userReply, error) {
	u, err := d.server.People.Get(ctx, c.Actor, ref)
	if err != nil {
		return nil, err
	}
	show, err := d.showUsers(ctx, c, u)
	if err != nil {
		return nil, err
	}
	return &userReply{Body: show(u)}, nil
}

func (d *door) listUsers(ctx context.Context, in *userListInput) (*userListReply, error) {
	c := d.call(ctx)
	spec := userSpec
	if in.Active != "" {
		active, err := boolParam("active", in.Active)
		if err != nil {
			return nil, err
		}
		spec.also = job.Compare{Property: "active", Op: job.Eq, Values: []any{active}}
	}
	l, err := d.readList(c.Request, in.ListParams, spec)
	if err != nil {
		return nil, err
	}
	list, err := d.server.People.List(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	show, err := d.showUsers(ctx, c, list.Items...)
	if err != nil {
		return nil, err
	}
	return &userListReply{envelope(d, c.style, l, list, show)}, nil
}

// dropdownUsers answers as other lists do: the vendor's response of this route is another than that of job configs.
func (d *door) dropdownUsers(ctx context.Context, in *dropdownInput) (*userDropdownReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, userSpec)
	if err != nil {
		return nil, err
	}
	list, err := d.server.People.List(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	return &userDropdownReply{envelope(d, c.style, l, list, func(u job.User) reference { return *c.style.user(u.Ref()) })}, nil
}

func (d *door) createUser(ctx context.Context, in *userCreateInput) (*userReply, error) {
	c := d.call(ctx)
	policy := in.JSON.Value.AccessPolicyID.Value
	if err := d.checkGive(ctx, c, "", policy); err != nil {
		return nil, err
	}
	u, err := d.server.People.Create(ctx, c.Actor, in.JSON.Value.input())
	if err == nil {
		err = d.giveOne(ctx, c, u, policy)
	}
	if err != nil {
		return nil, err
	}
	show, err := d.showUsers(ctx, c, u)
	if err != nil {
		return nil, err
	}
	reply := &userReply{Body: show(u)}
	reply.Location = reply.Body.Href
	return reply, nil
}

func (d *door) putUser(ctx context.Context, in *userWriteInput) (*userReply, error) {
	c := d.call(ctx)
	policy := in.JSON.Value.AccessPolicyID.Value
	if err := d.checkGive(ctx, c, in.ID, policy); err != nil {
		return nil, err
	}
	u, err := d.server.People.Replace(ctx, c.Actor, in.ID, in.JSON.Value.input())
	if err == nil {
		err = d.giveOne(ctx, c, u, policy)
	}
	if err != nil {
		return nil, err
	}
	show, err := d.showUsers(ctx, c, u)
	if err != nil {
		return nil, err
	}
	return &userReply{Body: show(u)}, nil
}

func (r userRequest) input() control.UserInput {
	return control.UserInput{
		Name: r.Username.Value, Password: r.Password.Value, Active: sent(r.Active), Admin: sent(r.Admin),
		Person: job.Person{
			Email: r.Email.Value, FirstName: r.FirstName.Value, LastName: r.LastName.Value, Street: r.Street.Value, City: r.City.Value,
			State: r.State.Value, PostalCode: r.PostalCode.Value, Country: r.Country.Value,
		},
	}
}

func (d *door) setUsersActive(active bool) func(context.Context, *bulkInput) (*okReply, error) {
	return func(ctx context.Context, in *bulkInput) (*okReply, error) {
		return &okReply{}, d.server.People.SetActive(ctx, d.call(ctx).Actor, in.JSON.Value.RecordIDs, active)
	}
}

func (d *door) setPassword(ctx context.Context, in *passwordInput) (*okReply, error) {
	c := d.call(ctx)
	r := in.JSON.Value
	return &okReply{}, d.server.People.SetPassword(ctx, c.Actor, in.ID, control.PasswordInput{
		Old: r.OldPassword, New: r.NewPassword, Confirm: sent(r.ConfirmNewPassword), Address: c.Address,
	})
}

// maxWindow bounds how far metrics look back.
const maxWindow = 3660 * day

func (d *door) userMetrics(ctx context.Context, in *metricsInput) (*userMetricsReply, error) {
	c := d.call(ctx)
	back := 30 * day
	if in.Duration != "" {
		var err error
		if back, err = parseDuration(in.Duration); err != nil || back <= 0 || back > maxWindow {
			return nil, invalid("duration is how far to look back, such as P30D or 720h, at most 10 years")
		}
	}
	m, err := d.server.People.Metrics(ctx, c.Actor, in.ID, back)
	if err != nil {
		return nil, err
	}
	return &userMetricsReply{userMetricsResponse{
		ExecutionCount: m.Executions, ExecutionTime: isoDuration(m.Time), JobConfigCount: int64(m.Configs), User: c.style.user(m.User.Ref()),
		Window: metricsWindow{Begins: c.date(m.From), Ends: c.date(m.To), Duration: isoDuration(back)},
	}}, nil
}

// checkGive tells before a user is written whether the policy that comes along can be given.
func (d *door) checkGive(ctx context.Context, c call, user, policy string) error {
	if policy == "" {
		return nil
	}
	return d.server.Policies.CheckGive(ctx, c.Actor, user, policy)
}

// giveOne gives a user the policy that came along.
func (d *door) giveOne(ctx context.Context, c call, u job.User, policy string) error {
	if policy == "" {
		return nil
	}
	_, err := d.server.Policies.Give(ctx, c.Actor, strconv.FormatInt(u.ID, 10), []string{policy}, false)
	return err
}

// showUsers gives what shows these users of the caller's account.
func (d *door) showUsers(ctx context.Context, c call, users ...job.User) (func(job.User) userResponse, error) {
	a, err := d.server.Account.Get(ctx, c.Actor)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	policies, err := d.server.Policies.NamesOf(ctx, c.Actor, ids)
	if err != nil {
		return nil, err
	}
	id := strconv.FormatInt(a.ID, 10)
	account := accountReference{ID: id, Name: a.Name, Href: c.href("account"), CustomerID: id}
	return func(u job.User) userResponse {
		ref := c.style.user(u.Ref())
		modified := u.ModifiedAt
		if modified.IsZero() {
			modified = u.CreatedAt
		}
		shown := userResponse{
			ID: ref.ID, Username: u.Name, Href: ref.Href, Email: u.Email, Active: u.Active, Admin: u.Admin, FirstName: u.FirstName, LastName: u.LastName,
			Street: u.Street, City: u.City, State: u.State, PostalCode: u.PostalCode, Country: u.Country, ExternalID: u.SSO.ID, Account: account,
			Created: c.date(u.CreatedAt), CreatedBy: c.style.user(u.CreatedBy), LastModified: c.date(modified), LastModifiedBy: c.style.user(u.ModifiedBy),
		}
		for _, p := range policies[u.ID] {
			id := strconv.FormatInt(p.ID, 10)
			shown.AccessPolicies = append(shown.AccessPolicies, reference{ID: id, Name: p.Name, Href: c.href("access/policies/" + id)})
		}
		if len(shown.AccessPolicies) > 0 {
			shown.AccessPolicy = &shown.AccessPolicies[0]
		}
		return shown
	}, nil
}
