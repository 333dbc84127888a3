package informatica

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"waybill/internal/control"
	"waybill/internal/job"
)

// loginBody is what logins take. v3 refuses "@type".
type loginBody struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type coreLoginBody struct {
	Username string  `json:"username"`
	Password string  `json:"password"`
	Kind     *string `json:"@type" hidden:"true"`
}

type roleObject struct {
	Name string `json:"name" doc:"Admin or Service Consumer"`
}

// userObject is the vendor's user, as far as there is something to say.
type userObject struct {
	Type                string       `json:"@type"`
	ID                  string       `json:"id"`
	OrgID               string       `json:"orgId"`
	OrgUUID             string       `json:"orgUuid"`
	Name                string       `json:"name"`
	CreateTime          string       `json:"createTime"`
	UpdateTime          string       `json:"updateTime"`
	FirstName           string       `json:"firstName,omitempty"`
	LastName            string       `json:"lastName,omitempty"`
	Emails              string       `json:"emails,omitempty"`
	TimeZone            string       `json:"timezone"`
	ServerURL           string       `json:"serverUrl" doc:"Where all other routes are"`
	Session             string       `json:"icSessionId" doc:"To be sent with every call"`
	Roles               []roleObject `json:"roles"`
	ForceChangePassword bool         `json:"forceChangePassword"`
}

// success is the answer of calls that give nothing.
type success struct {
	Type        string `json:"@type"`
	StatusCode  int    `json:"statusCode"`
	Description string `json:"description"`
}

func done(format string, args ...any) *success {
	return &success{Type: "success", StatusCode: 200, Description: fmt.Sprintf(format, args...)}
}

type validityBody struct {
	UserName string `json:"userName"`
	Token    string `json:"icToken" doc:"The session id that is asked about"`
}

type validity struct {
	Type    string `json:"@type"`
	Valid   bool   `json:"isValidToken"`
	Minutes int    `json:"timeUntilExpire" doc:"Minutes without a call until it dies, rounded down"`
}

// coreLogin is the answer of a v3 login.
type coreLogin struct {
	Products []coreProduct `json:"products"`
	User     coreUser      `json:"userInfo"`
}

type coreProduct struct {
	Name       string `json:"name"`
	BaseAPIURL string `json:"baseApiUrl"`
}

type coreUser struct {
	Session     string            `json:"sessionId"`
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	ParentOrgID string            `json:"parentOrgId"`
	OrgID       string            `json:"orgId"`
	OrgName     string            `json:"orgName"`
	Groups      map[string]string `json:"groups"`
	Status      string            `json:"status"`
}

func (d *door) sessionRoutes() {
	const tag = "Sign-in"
	post := func(path, summary string, who access) use {
		return use{method: "POST", path: path, summary: summary, tag: tag, who: who}
	}
	operation(d, post(userBase+"/user/login", "Log in", guess), d.login)
	operation(d, post(userBase+"/user/logout", "End the session", session), d.logout)
	operation(d, post(userBase+"/user/logoutall", "End all sessions of the user; of an admin, of the account", guess), d.logoutAll)
	operation(d, post(taskBase+"/user/logout", "End the session", session), d.logout)
	operation(d, post(taskBase+"/user/validSessionId", "Tell whether a session lives", open), d.validSession)
	operation(d, post(coreBase+"/login", "Log in (v3)", guess), d.coreLogin)
}

// maxCredential is how long a user name and a password may be, in characters.
const maxCredential = 255

// credentials checks what a login brings.
func credentials(name, password string) error {
	for _, f := range []struct{ name, value string }{{"username", name}, {"password", password}} {
		switch {
		case f.value == "":
			return badField("%s is required", f.name)
		case utf8.RuneCountInString(f.value) > maxCredential:
			return badField("%s has at most %d characters", f.name, maxCredential)
		}
	}
	return nil
}

func (d *door) login(ctx context.Context, c *call, _ *none, in *loginBody) (*userObject, error) {
	if err := credentials(in.Username, in.Password); err != nil {
		return nil, err
	}
	l, err := d.server.DoorSessions.Login(ctx, in.Username, in.Password, c.Address)
	if err != nil {
		return nil, err
	}
	u := l.User
	role := "Service Consumer"
	if u.Admin {
		role = "Admin"
	}
	changed := u.ModifiedAt
	if changed.IsZero() {
		changed = u.CreatedAt
	}
	return &userObject{
		Type: "user", ID: decimal(u.ID), OrgID: decimal(u.AccountID), OrgUUID: orgUUID(l.Account), Name: u.Name,
		CreateTime: utc(u.CreatedAt), UpdateTime: utc(changed), FirstName: u.FirstName, LastName: u.LastName, Emails: u.Email,
		TimeZone: zoneOf(l.Account).String(), ServerURL: d.serverURL(), Session: l.Session, Roles: []roleObject{{role}},
	}, nil
}

// serverURL is where the routes below the login are.
func (d *door) serverURL() string { return d.server.BaseURL() + "/saas" }

// orgUUID names an account by 24 hex digits: when it was made, and its number.
func orgUUID(a job.Account) string { return fmt.Sprintf("%08x%016x", uint32(a.CreatedAt.Unix()), a.ID) }

func decimal(id int64) string { return strconv.FormatInt(id, 10) }

func (d *door) coreLogin(ctx context.Context, c *call, _ *none, in *coreLoginBody) (*coreLogin, error) {
	if in.Kind != nil {
		return nil, badField("@type is not taken")
	}
	if err := credentials(in.Username, in.Password); err != nil {
		return nil, err
	}
	l, err := d.server.DoorSessions.Login(ctx, in.Username, in.Password, c.Address)
	if err != nil {
		return nil, err
	}
	return &coreLogin{
		Products: []coreProduct{{Name: "Waybill", BaseAPIURL: d.serverURL()}},
		User: coreUser{
			Session: l.Session, ID: decimal(l.User.ID), Name: l.User.Name, OrgID: decimal(l.Account.ID), OrgName: l.Account.Name,
			Groups: map[string]string{}, Status: "Active",
		},
	}, nil
}

func (d *door) logout(ctx context.Context, c *call, _ *none, _ *none) (*success, error) {
	return done("Logged out"), d.server.DoorSessions.Logout(ctx, c.session)
}

func (d *door) logoutAll(ctx context.Context, c *call, _ *none, in *loginBody) (*success, error) {
	if err := credentials(in.Username, in.Password); err != nil {
		return nil, err
	}
	return done("Logged out of all sessions"), d.server.DoorSessions.LogoutAll(ctx, in.Username, in.Password, c.Address)
}

func (d *door) validSession(ctx context.Context, c *call, _ *none, in *validityBody) (*validity, error) {
	switch {
	case in.UserName == "":
		return nil, badField("userName is required")
	case in.Token == "":
		return nil, badField("icToken is required")
	}
	valid, left, err := d.server.DoorSessions.Valid(ctx, in.UserName, in.Token)
	return &validity{Type: "validatedToken", Valid: valid, Minutes: int(min(left, control.DoorSessionIdle) / time.Minute)}, err
}
