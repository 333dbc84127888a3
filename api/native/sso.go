package native

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// idTokenRequest is the body of POST /login/oidc.
type idTokenRequest struct {
	IDToken string `json:"id_token" doc:"From the identity provider, made for this client"`
}

type (
	ssoBeginInput struct{}
	ssoBeginReply struct {
		Status   int
		Location string   `header:"Location"`
		Cookies  []string `header:"Set-Cookie"`
		Cache    string   `header:"Cache-Control"`
	}
	ssoFinishInput struct {
		State string `query:"state"`
		Code  string `query:"code"`
		Error string `query:"error" doc:"What the identity provider says went wrong"`
	}
	ssoTradeInput struct{ JSON body[idTokenRequest] }
)

func (d *door) ssoRoutes() {
	tags := []string{"Sign-in"}
	begin := huma.Operation{
		Method: http.MethodGet, Path: "/login/oidc", Tags: tags, Summary: "Sign in at the identity provider: sends the browser there", DefaultStatus: http.StatusFound,
	}
	operation(d, open, begin, d.ssoBegin)
	operation(d, open, huma.Operation{
		Method: http.MethodGet, Path: "/login/oidc/callback", Tags: tags, Summary: "Where the identity provider sends the browser back to; answers as POST /login, to browsers with a page",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {}, "text/html": {}}}},
	}, d.ssoFinish)
	operation(d, open, huma.Operation{
		Method: http.MethodPost, Path: "/login/oidc", Tags: tags, Summary: "Trade an ID token of the identity provider for tokens, where the server allows it",
	}, d.ssoTrade)
}

func (d *door) sso() (*control.SingleSignOn, error) {
	if d.server.SSO == nil {
		return nil, job.Errorf(job.NotFound, api.WordNotSupported, "Single sign-on is not set up here")
	}
	return d.server.SSO, nil
}

// ssoCookie is the name of the cookie that remembers a sign-on under way. Browsers take one of that name over HTTPS from this host
// only (RFC 6265bis, 4.1.3.2).
const ssoCookie = "waybill-sign-on"

func (d *door) ssoCookie(value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name: ssoCookie, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // the browser comes back from elsewhere
	}
	if strings.HasPrefix(d.server.BaseURL(), "https://") {
		c.Name, c.Secure = "__Host-"+c.Name, true
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

func (d *door) ssoBegin(ctx context.Context, _ *ssoBeginInput) (*ssoBeginReply, error) {
	sso, err := d.sso()
	if err == nil {
		err = d.server.LoginAllowed(ctx, api.RequestOf(ctx))
	}
	if err != nil {
		return nil, err
	}
	address, on, err := sso.Begin(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(on)
	if err != nil {
		return nil, err
	}
	c := d.ssoCookie(d.server.SealSignOn(string(text)), control.SignOnTime)
	return &ssoBeginReply{Status: http.StatusFound, Location: address, Cookies: []string{c.String()}, Cache: "no-store"}, nil
}

// ssoFinish is a GET that signs somebody in, so it begins the audit trail that other routes get for their method.
func (d *door) ssoFinish(ctx context.Context, in *ssoFinishInput) (*streamReply, error) {
	sso, err := d.sso()
	if err != nil {
		return nil, err
	}
	ctx, end := d.server.Act(ctx, "login.sso", "session")
	grant, u, err := d.finish(ctx, sso, in)
	end(err)
	if err != nil {
		return nil, err
	}
	return &streamReply{func(hc huma.Context) {
		g := api.Gin(hc)
		h := g.Writer.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		http.SetCookie(g.Writer, d.ssoCookie("", 0))
		answer := tokens(grant).Body
		if g.NegotiateFormat("application/json", "text/html") != "text/html" {
			g.JSON(http.StatusOK, answer)
			return
		}
		showSignedIn(g, u.Name, answer)
	}}, nil
}

func (d *door) finish(ctx context.Context, sso *control.SingleSignOn, in *ssoFinishInput) (control.Grant, job.User, error) {
	r := api.RequestOf(ctx)
	none := func(err error) (control.Grant, job.User, error) { return control.Grant{}, job.User{}, err }
	if err := d.server.LoginAllowed(ctx, r); err != nil {
		return none(err)
	}
	var on control.SignOn
	if c, err := r.HTTP.Cookie(d.ssoCookie("", 0).Name); err == nil {
		if text, err := d.server.OpenSignOn(c.Value); err == nil {
			_ = json.Unmarshal([]byte(text), &on) // what we sealed is what we wrote
		}
	}
	switch {
	case in.Error != "":
		return none(job.Errorf(job.Unauthenticated, job.WordBadCredentials, "The identity provider refused the sign-in (%s)", cut(in.Error)))
	case in.State == "":
		return none(missing("state"))
	case in.Code == "":
		return none(missing("code"))
	}
	grant, u, err := sso.Finish(ctx, on, in.State, in.Code, r.Address)
	if cause := errors.Unwrap(err); cause != nil { // what the provider said is not for whoever knocks, but for who has set it up
		r.Blame(err)
	}
	return grant, u, err
}

func (d *door) ssoTrade(ctx context.Context, in *ssoTradeInput) (*tokenReply, error) {
	sso, err := d.sso()
	if err == nil {
		err = d.server.LoginAllowed(ctx, api.RequestOf(ctx))
	}
	if err == nil && in.JSON.Value.IDToken == "" {
		err = missing("id_token")
	}
	if err != nil {
		return nil, err
	}
	grant, _, err := sso.Trade(ctx, in.JSON.Value.IDToken, api.RequestOf(ctx).Address)
	return tokens(grant), err
}

// signedIn is the page for people: the tokens to be copied, in no address and no history. It has no script and loads nothing.
var signedIn = template.Must(template.New("signed in").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Signed in</title>
<h1>Signed in as {{.Name}}</h1>
<p>The access token is good for {{.Hours}} hours. It goes into the header <code>Authorization: Bearer ...</code> of calls.</p>
<p><label>Access token<br><textarea readonly rows="8" cols="80">{{.Access}}</textarea></label></p>
<p><label>Refresh token<br><textarea readonly rows="2" cols="80">{{.Refresh}}</textarea></label></p>
</html>
`))

func showSignedIn(g *gin.Context, name string, t accessTokenResponse) {
	h := g.Writer.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = signedIn.Execute(g.Writer, map[string]any{ // whoever has gone away does not read it
		"Name": name, "Hours": (time.Duration(t.ExpiresIn) * time.Second).Round(time.Hour).Hours(), "Access": t.AccessToken, "Refresh": t.RefreshToken,
	})
}
