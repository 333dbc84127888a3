package native_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/limit"
	"waybill/internal/secret"
	"waybill/internal/sso"
)

// idp is an OpenID Connect provider: that of zitadel/oidc with its storage in memory, its users in groups that the test changes.
type idp struct {
	*storage.Storage
	server *httptest.Server

	mu     sync.Mutex
	users  map[string]*storage.User
	groups map[string][]string // by user id
}

func (p *idp) GetUserByID(id string) *storage.User { return p.users[id] }

func (p *idp) GetUserByUsername(name string) *storage.User {
	for _, u := range p.users {
		if u.Username == name {
			return u
		}
	}
	return nil
}

func (p *idp) ExampleClientID() string { return "service" }

// SetUserinfoFromToken adds the groups to what the user info endpoint tells.
func (p *idp) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	info.AppendClaims("groups", p.groups[subject])
	return p.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin)
}

// SetUserinfoFromRequest is for ID tokens: with the groups, too, for those that scripts bring.
func (p *idp) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if token.GetClientID() == scriptClient {
		p.mu.Lock()
		defer p.mu.Unlock()
		if groups, told := p.groups[token.GetSubject()]; told {
			info.AppendClaims("groups", groups)
		}
		info.PreferredUsername = p.users[token.GetSubject()].Username
	}
	return p.Storage.SetUserinfoFromRequest(ctx, info, token, scopes)
}

func (p *idp) put(user string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups[user] = groups
}

const (
	webClient    = "waybill"
	scriptClient = "waybill-script"
	otherClient  = "somebody-else"
	callback     = "http://localhost:8080/api/login/oidc/callback"
)

// newIDP starts a provider. The library keeps clients and endpoints in variables, so tests with a provider run one after another.
func newIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{groups: map[string][]string{}, users: map[string]*storage.User{
		"id-ann": {ID: "id-ann", Username: "ann", Password: "verysecure", FirstName: "Ann", LastName: "Lee", Email: "ann@example.com", EmailVerified: true},
		"id-bob": {ID: "id-bob", Username: "bob", Password: "verysecure", FirstName: "Bob", LastName: "Roe", Email: "bob@example.com"},
		"id-adm": {ID: "id-adm", Username: "admin", Password: "verysecure", FirstName: "Eve", Email: "admin@example.com"},
	}}
	storage.RegisterClients(
		storage.WebClient(webClient, "client-secret", callback), storage.WebClient(scriptClient, "client-secret", callback),
		storage.WebClient(otherClient, "client-secret", callback),
	)
	p.Storage = storage.NewStorage(p)
	var handler http.Handler
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(p.server.Close)
	handler = exampleop.SetupServer(p.server.URL, p, slog.New(slog.NewTextHandler(io.Discard, nil)), false)
	return p
}

// ssoFixture is the native door with single sign-on at a provider.
type ssoFixture struct {
	*fixture
	idp *idp
	on  *control.SingleSignOn
}

func newSSO(t *testing.T, client string, change ...func(*control.SingleSignOn)) *ssoFixture {
	t.Helper()
	p := newIDP(t)
	s := &ssoFixture{idp: p}
	s.fixture = newFixture(t, func(c *api.Config) {
		box := secret.NewRing(secret.Numbered{Number: 1, Keys: secret.NewKey()}).Box("sign-on")
		c.SealSignOn, c.OpenSignOn = box.Seal, box.Open
		c.Limits.Login = limit.Windows("login", 10_000, time.Minute)
		s.on = &control.SingleSignOn{
			Provider: sso.New(sso.Config{
				Issuer: p.server.URL, ClientID: client, ClientSecret: "client-secret", Redirect: func() string { return callback },
				Scopes: []string{"openid", "profile", "email"}, GroupsClaim: "groups",
			}),
			Sessions: c.Sessions, Now: c.Now, Account: "default", AdminGroups: []string{"ops"}, Groups: []string{"staff"},
			Match: control.MatchSubject, Create: true, Session: 24 * time.Hour,
		}
		s.on.Users, s.on.Store, s.on.Directory = c.People.Users, c.People.Store, c.People.Directory
		for _, fn := range change {
			fn(s.on)
		}
		c.SSO = s.on
	})
	return s
}

// begin asks for a sign-on and gives the address at the provider and the cookie.
func (s *ssoFixture) begin(t *testing.T) (address string, cookie *http.Cookie) {
	t.Helper()
	r := s.do("GET", "/api/login/oidc", nil, noToken).want(t, 302, "")
	cookies := r.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode ||
		cookies[0].MaxAge != int(control.SignOnTime.Seconds()) || r.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%v", r.Header())
	}
	return r.Header().Get("Location"), cookies[0]
}

// visit signs in at the provider as a browser would and gives the query that comes back.
func (s *ssoFixture) visit(t *testing.T, address, user string) url.Values {
	t.Helper()
	var back url.Values
	browser := &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			back = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	id := page.Request.URL.Query().Get("authRequestID")
	if page.StatusCode != 200 || id == "" {
		t.Fatalf("the provider's page: %s %s", page.Status, page.Request.URL)
	}
	answer, err := browser.PostForm(s.idp.server.URL+"/login/username", url.Values{"id": {id}, "username": {user}, "password": {"verysecure"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if back == nil {
		t.Fatalf("the provider sent nobody back: %s", answer.Status)
	}
	return back
}

func (s *ssoFixture) back(query url.Values, cookie *http.Cookie, changes ...with) reply {
	return s.do("GET", "/api/login/oidc/callback?"+query.Encode(), nil, append([]with{noToken, func(r *http.Request) {
		if cookie != nil {
			r.AddCookie(cookie)
		}
	}}, changes...)...)
}

// signOn goes all the way.
func (s *ssoFixture) signOn(t *testing.T, user string) reply {
	t.Helper()
	address, cookie := s.begin(t)
	return s.back(s.visit(t, address, user), cookie)
}

// TestSignOnAtAProvider: users are made, follow their groups, and are refused when they are to be.
func TestSignOnAtAProvider(t *testing.T) {
	s := newSSO(t, webClient)
	s.signOn(t, "ann").fault(t, 403, "access_denied", "The identity provider does not put you into a group that may sign in here")
	s.idp.put("id-ann", "staff", "ops")
	r := s.signOn(t, "ann").want(t, 200, `{"token_type":"bearer","expires_in":36000}`)
	token, refresh := r.json["access_token"].(string), r.json["refresh_token"].(string)
	as := func(token string) with { return header("Authorization", "Bearer "+token) }
	s.do("GET", "/api/user", nil, as(token)).want(t, 200,
		`{"username":"ann","admin":true,"email":"ann@example.com","firstName":"Ann","lastName":"Lee","externalId":"id-ann"}`)
	s.do("POST", "/api/login", `{"username":"ann","password":"verysecure"}`, noToken).fault(t, 401, "bad_credentials", "") // no password here

	s.idp.put("id-ann", "staff")
	token = s.signOn(t, "ann").want(t, 200, "").json["access_token"].(string)
	s.do("GET", "/api/user", nil, as(token)).want(t, 200, `{"username":"ann","admin":false}`) // at the next sign-on
	s.idp.put("id-ann")
	s.signOn(t, "ann").fault(t, 403, "access_denied", "")

	// A sign-on ends after its time however often it is refreshed.
	s.Pass(23 * time.Hour)
	refresh = s.do("POST", "/api/login/refresh", map[string]string{"refresh_token": refresh}, noToken).want(t, 200, `{"expires_in":3600}`).json["refresh_token"].(string)
	s.Pass(61 * time.Minute)
	s.do("POST", "/api/login/refresh", map[string]string{"refresh_token": refresh}, noToken).fault(t, 401, "refresh_invalid", "")

	s.idp.put("id-ann", "staff")
	admin := s.login("admin", "example-password")
	s.do("PATCH", "/api/users/deactivate", `{"recordIds":["2"]}`, as(admin)).want(t, 200, "")
	s.signOn(t, "ann").fault(t, 401, "user_inactive", "")
	history := s.do("GET", "/api/users/2/logins", nil, as(admin)).want(t, 200, "").text
	for _, part := range []string{`"method":"sso"`, `"exception":"user_inactive"`, `"exception":"access_denied"`, `"success":true`} {
		if !strings.Contains(history, part) {
			t.Errorf("%s is not in %s", part, history)
		}
	}
	acts := s.do("GET", "/api/audit?filterby=action&operators=eq&filter=login.sso", nil, as(admin)).want(t, 200, "").text
	if !strings.Contains(acts, `"actor":"ann"`) || !strings.Contains(acts, `"result":"denied"`) {
		t.Errorf("the audit log: %s", acts)
	}
	// A name that somebody has is nobody else's: the provider's "admin" is not ours.
	s.idp.put("id-adm", "staff", "ops")
	s.signOn(t, "admin").fault(t, 403, "access_denied", "Another user has the name 'admin'")
}

// TestForgedSignOns: nothing but what was begun here, by this browser, a moment ago, is finished.
func TestForgedSignOns(t *testing.T) {
	s := newSSO(t, webClient)
	s.idp.put("id-ann", "staff")
	address, cookie := s.begin(t)
	good := s.visit(t, address, "ann")
	_, foreign := s.begin(t)
	change := func(name, value string) url.Values {
		v := url.Values{}
		for k := range good {
			v.Set(k, good.Get(k))
		}
		if v.Set(name, value); value == "" {
			v.Del(name)
		}
		return v
	}
	forged := *cookie
	forged.Value = cookie.Value[:len(cookie.Value)-4] + "AAAA"
	for name, r := range map[string]reply{
		"no cookie":            s.back(good, nil),
		"another's cookie":     s.back(good, foreign), // login CSRF
		"a changed cookie":     s.back(good, &forged),
		"another state":        s.back(change("state", "x"), cookie),
		"a code that is none":  s.back(change("code", "x"), cookie),
		"the provider says no": s.back(change("error", "access_denied"), cookie),
	} {
		if r.Code != 401 || r.json["code"] != "bad_credentials" || strings.Contains(r.text, "access_token") {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
	}
	s.back(change("code", ""), cookie).fault(t, 400, "missing_field", "code is required")
	s.back(change("state", ""), cookie).fault(t, 400, "missing_field", "state is required")
	s.back(good, cookie).want(t, 200, "")
	if r := s.back(good, cookie); r.Code != 401 {
		t.Errorf("a code twice: %d %s", r.Code, r.text)
	}
	address, cookie = s.begin(t)
	late := s.visit(t, address, "ann")
	s.Pass(11 * time.Minute)
	s.back(late, cookie).fault(t, 401, "bad_credentials", "This sign-on was not begun here, or too long ago; begin anew")

	// The ID token belongs to what was asked for: with another nonce or verifier the same code is no good.
	for name, spoil := range map[string]func(*control.SignOn){
		"nonce":    func(on *control.SignOn) { on.Nonce = "another" },
		"verifier": func(on *control.SignOn) { on.Verifier = strings.Repeat("x", 43) },
	} {
		address, on, err := s.on.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		query := s.visit(t, address, "ann")
		spoil(&on)
		if _, _, err := s.on.Finish(t.Context(), on, query.Get("state"), query.Get("code"), ""); job.WordOf(err) != job.WordBadCredentials {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestABrowserIsShownAPage(t *testing.T) {
	s := newSSO(t, webClient)
	s.idp.put("id-ann", "staff")
	address, cookie := s.begin(t)
	if strings.Contains(address, "client-secret") || !strings.Contains(address, "code_challenge_method=S256") || !strings.Contains(address, "nonce=") {
		t.Errorf("%s", address)
	}
	r := s.back(s.visit(t, address, "ann"), cookie, header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"))
	h := r.Header()
	if r.Code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(r.text, "Signed in as ann") || h.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Location") != "" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v %s", r.Code, h, r.text)
	}
	if c := r.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", c)
	}
}

// TestAProviderThatIsDown: 503, and nothing but sign-on is the worse for it.
func TestAProviderThatIsDown(t *testing.T) {
	s := newSSO(t, webClient)
	s.idp.put("id-ann", "staff")
	address, cookie := s.begin(t)
	query := s.visit(t, address, "ann")
	s.idp.server.Close()
	r := s.back(query, cookie)
	r.fault(t, 503, "dependency_down", "")
	if r.Header().Get("Retry-After") == "" {
		t.Errorf("%v", r.Header())
	}
	s.login("admin", "example-password")
	down := newSSO(t, webClient)
	down.idp.server.Close()
	down.do("GET", "/api/login/oidc", nil, noToken).fault(t, 503, "dependency_down", "")

	plain := newFixture(t)
	for _, path := range []string{"/api/login/oidc", "/api/login/oidc/callback"} {
		plain.do("GET", path, nil, noToken).fault(t, 404, "not_supported", "")
	}
	plain.do("POST", "/api/login/oidc", `{"id_token":"x"}`, noToken).fault(t, 404, "not_supported", "")
}

// idToken gets an ID token of a client from the provider, as a script would that signs in there by itself.
func (s *ssoFixture) idToken(t *testing.T, client, user string) string {
	t.Helper()
	query := s.visit(t, s.idp.server.URL+"/auth?"+url.Values{
		"client_id": {client}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile email"}, "state": {"s"},
	}.Encode(), user)
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.idp.server.URL+"/oauth/token", strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {query.Get("code")}, "redirect_uri": {callback},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, "client-secret")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		IDToken string `json:"id_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.IDToken == "" {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	return got.IDToken
}

// TestIDTokensAreTradedWhereThatIsAllowed: those of this client, while they are good.
func TestIDTokensAreTradedWhereThatIsAllowed(t *testing.T) {
	s := newSSO(t, scriptClient, func(on *control.SingleSignOn) { on.Exchange = true })
	s.idp.put("id-ann", "staff")
	trade := func(token string) reply {
		return s.do("POST", "/api/login/oidc", map[string]string{"id_token": token}, noToken)
	}
	good := s.idToken(t, scriptClient, "ann")
	token := trade(good).want(t, 200, `{"token_type":"bearer"}`).json["access_token"].(string)
	s.do("GET", "/api/user", nil, header("Authorization", "Bearer "+token)).want(t, 200, `{"username":"ann","admin":false}`)
	parts := strings.Split(good, ".")
	for name, text := range map[string]string{
		"of another client": s.idToken(t, otherClient, "ann"), "nonsense": "x.y.z", "without signature": parts[0] + "." + parts[1] + ".",
		"alg none": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "changed": parts[0] + "." + parts[1][:len(parts[1])-8] + "AAAAAAAA." + parts[2],
	} {
		if r := trade(text); r.Code != 401 || r.json["code"] != "bad_credentials" {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
	}
	trade("").fault(t, 400, "missing_field", "")
	s.on.Provider = sso.New(sso.Config{
		Issuer: s.idp.server.URL, ClientID: scriptClient, Redirect: func() string { return callback }, Scopes: []string{"openid"}, GroupsClaim: "groups",
		Now: func() time.Time { return time.Now().Add(48 * time.Hour) },
	})
	trade(good).fault(t, 401, "bad_credentials", "") // it has expired
	s.on.Exchange = false
	trade(good).fault(t, 403, "access_denied", "ID tokens are not taken here")
}

// TestUsersAreFoundAsTheSettingsSay: by name or verified mail address, once; then by subject.
func TestUsersAreFoundAsTheSettingsSay(t *testing.T) {
	s := newSSO(t, webClient, func(on *control.SingleSignOn) {
		on.Match, on.Create, on.Groups, on.AdminGroups = control.MatchEmail, false, nil, nil
	})
	s.signOn(t, "ann").fault(t, 403, "access_denied", "There is no user for you here; ask an admin for one")
	for i := range 11 { // whose addresses end as hers
		s.do("POST", "/api/users", fmt.Sprintf(`{"username":"jo%dann","password":"tulips of the north","email":"jo%dann@example.com"}`, i, i)).want(t, 201, "")
	}
	s.do("POST", "/api/users", `{"username":"annie","password":"tulips of the north","email":"ANN@example.com","admin":true}`).want(t, 201, "")
	s.do("POST", "/api/users", `{"username":"robert","password":"tulips of the north","email":"bob@example.com"}`).want(t, 201, "")
	as := func(r reply) with { return header("Authorization", "Bearer "+r.json["access_token"].(string)) }
	s.do("GET", "/api/user", nil, as(s.signOn(t, "ann").want(t, 200, ""))).want(t, 200, `{"username":"annie","externalId":"id-ann","admin":true}`)
	s.signOn(t, "bob").fault(t, 403, "access_denied", "") // the provider has not verified the address
	s.on.Match = control.MatchUsername
	s.do("POST", "/api/users", `{"username":"BOB","password":"tulips of the north"}`).want(t, 201, "")
	s.do("GET", "/api/user", nil, as(s.signOn(t, "bob").want(t, 200, ""))).want(t, 200, `{"username":"BOB","externalId":"id-bob"}`)
	s.do("GET", "/api/user", nil, as(s.signOn(t, "bob").want(t, 200, ""))).want(t, 200, `{"username":"BOB"}`)
}

// TestAMailAddressThatBindsIsNotTypedByItsUser: else whoever types the address of an admin is who that admin's first sign-on binds, and makes
// an admin.
func TestAMailAddressThatBindsIsNotTypedByItsUser(t *testing.T) {
	s := newSSO(t, webClient, func(on *control.SingleSignOn) { on.Match, on.AdminGroups, on.Groups = control.MatchEmail, nil, nil })
	s.do("POST", "/api/users", `{"username":"mallory","password":"tulips of the north","email":"m@example.com"}`).want(t, 201, "")
	as := header("Authorization", "Bearer "+s.login("mallory", "tulips of the north"))
	s.People.MailBinds = true
	s.do("PUT", "/api/users/2", `{"email":"ann@example.com"}`, as).fault(t, 403, "access_denied", "")
	s.do("PUT", "/api/users/2", `{"email":"m@example.com","firstName":"Mal"}`, as).want(t, 200, `{"firstName":"Mal"}`)
	s.do("PUT", "/api/users/2", `{"email":"mal@example.com"}`).want(t, 200, `{"email":"mal@example.com"}`) // by an admin
	s.People.MailBinds = false
	s.do("PUT", "/api/users/2", `{"email":"m@example.com"}`, as).want(t, 200, "")

	token := s.signOn(t, "bob").want(t, 200, "").json["access_token"].(string)
	r := s.do("GET", "/api/user", nil, header("Authorization", "Bearer "+token)).want(t, 200, `{"username":"bob","firstName":"Bob"}`)
	if email, _ := r.json["email"].(string); email != "" {
		t.Errorf("an address that nobody has verified was taken over: %q", email)
	}
}

// TestABindingIsStoredWhenNothingElseChanges: else the name would go on to be what finds the user.
func TestABindingIsStoredWhenNothingElseChanges(t *testing.T) {
	s := newSSO(t, webClient, func(on *control.SingleSignOn) { on.Match, on.AdminGroups, on.Groups = control.MatchUsername, nil, nil })
	s.do("POST", "/api/users", `{"username":"ann","password":"tulips of the north","email":"ann@example.com","firstName":"Ann","lastName":"Lee"}`).want(t, 201, "")
	s.signOn(t, "ann").want(t, 200, "")
	s.do("GET", "/api/users/2", nil).want(t, 200, `{"externalId":"id-ann"}`)
	s.do("GET", "/api/audit?filterby=action&operators=eq&filter=login.sso", nil).want(t, 200,
		`{"items":[{"resourceType":"user","resourceId":"2","changes":[{"field":"subject","after":"id-ann"}]}]}`)
}

// TestWhatASignOnMakesOfAUserIsAudited: who was made, and who became an admin or is none any more.
func TestWhatASignOnMakesOfAUserIsAudited(t *testing.T) {
	s := newSSO(t, webClient)
	for _, groups := range [][]string{{"staff"}, {"staff"}, {"staff", "ops"}, {"staff"}} {
		s.idp.put("id-ann", groups...)
		s.signOn(t, "ann").want(t, 200, "")
		s.Pass(time.Second)
	}
	s.do("GET", "/api/audit?filterby=action&operators=eq&filter=login.sso&sortby=timestamp&direction=asc", nil).want(t, 200, `{"items":[
		{"resourceType":"user","resourceId":"2","changes":[{"field":"name","after":"ann"},{"field":"active"},{"field":"email"},{"field":"firstName"},
			{"field":"lastName"},{"field":"subject","after":"id-ann"}]},
		{"resourceType":"session"},
		{"resourceType":"user","resourceId":"2","changes":[{"field":"role","before":"ROLE_USER","after":"ROLE_ADMIN"}]},
		{"resourceType":"user","resourceId":"2","changes":[{"field":"role","before":"ROLE_ADMIN","after":"ROLE_USER"}]}]}`)
}

// TestWhoIsBoundSignsInAtTheProviderOnly: else a password that was there before outlives a removal at the provider.
func TestWhoIsBoundSignsInAtTheProviderOnly(t *testing.T) {
	s := newSSO(t, webClient, func(on *control.SingleSignOn) { on.Match, on.AdminGroups, on.Groups = control.MatchUsername, nil, nil })
	s.do("POST", "/api/users", `{"username":"ann","password":"tulips of the north"}`).want(t, 201, "")
	as := header("Authorization", "Bearer "+s.login("ann", "tulips of the north"))
	bound := s.signOn(t, "ann").want(t, 200, "").json["access_token"].(string)
	s.do("GET", "/api/user", nil, as).fault(t, 401, "token_invalid", "")
	s.do("GET", "/api/user", nil, header("Authorization", "Bearer "+bound)).want(t, 200, `{"externalId":"id-ann"}`)
	s.do("POST", "/api/login", `{"username":"ann","password":"tulips of the north"}`, noToken).fault(t, 401, "bad_credentials", "")
	s.do("POST", "/api/users/2/password", `{"newPassword":"roses of the south"}`).want(t, 200, "")
	s.login("ann", "roses of the south") // an admin wants it so
	s.signOn(t, "ann").want(t, 200, "")
	s.login("ann", "roses of the south")
}

// TestAnIDTokenWithoutGroupsMakesNobodyLess: it says nothing of them, neither that somebody is an admin nor that they are none.
func TestAnIDTokenWithoutGroupsMakesNobodyLess(t *testing.T) {
	s := newSSO(t, scriptClient, func(on *control.SingleSignOn) { on.Exchange, on.Groups = true, nil })
	trade := func() reply {
		return s.do("POST", "/api/login/oidc", map[string]string{"id_token": s.idToken(t, scriptClient, "ann")}, noToken)
	}
	trade().want(t, 200, "")
	s.do("GET", "/api/users/2", nil).want(t, 200, `{"username":"ann","admin":false}`)
	s.idp.put("id-ann", "ops")
	trade().want(t, 200, "")
	s.do("GET", "/api/users/2", nil).want(t, 200, `{"admin":true}`)
	delete(s.idp.groups, "id-ann")
	trade().fault(t, 403, "access_denied", "")
	s.do("GET", "/api/users/2", nil).want(t, 200, `{"admin":true}`)
	s.idp.groups["id-ann"] = []string{}
	trade().want(t, 200, "")
	s.do("GET", "/api/users/2", nil).want(t, 200, `{"admin":false}`)
	s.on.Groups = []string{"staff"}
	delete(s.idp.groups, "id-ann")
	trade().fault(t, 403, "access_denied", "")
}
