package native_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"waybill/api"
	"waybill/internal/limit"
)

func TestTokensRotate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	login := f.do("POST", "/api/login", `{"username":"admin","password":"example-password"}`, noToken).json
	f.token = login["access_token"].(string)
	first := map[string]any{"refresh_token": login["refresh_token"]}
	next := f.do("POST", "/api/login/refresh", first, noToken).want(t, 200, `{"token_type":"bearer","expires_in":36000}`).json
	f.do("GET", "/api/jobs", nil, header("Authorization", "bearer "+next["access_token"].(string))).want(t, 200, "")
	made := strings.SplitAfter(login["refresh_token"].(string), ".")[0] + "QUITE2MADE2UP2SECRET2OF2AN"
	f.do("POST", "/api/login/refresh", map[string]any{"refresh_token": made}, noToken).fault(t, 401, "refresh_invalid", "")
	f.do("GET", "/api/jobs", nil).want(t, 200, "")
	f.do("POST", "/api/login/refresh", first, noToken).fault(t, 401, "refresh_reused", "")
	f.do("POST", "/api/login/refresh", map[string]any{"refresh_token": next["refresh_token"]}, noToken).fault(t, 401, "refresh_invalid", "")
	f.do("GET", "/api/jobs", nil).fault(t, 401, "token_invalid", "")
	f.do("POST", "/api/login/refresh", `{}`, noToken).fault(t, 400, "missing_field", "refresh_token is required")
	f.do("POST", "/api/login/refresh", `{"refresh_token":"nonsense"}`, noToken).fault(t, 401, "refresh_invalid", "")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", "/v2/api/logout", nil).want(t, 204, "")
	f.do("GET", "/api/jobs", nil).fault(t, 401, "token_invalid", "")
	f.do("POST", "/api/logout", nil).fault(t, 401, "token_invalid", "")
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Pass(10*time.Hour + time.Second)
	f.do("GET", "/api/jobs", nil).fault(t, 401, "token_expired", "")
	f.do("GET", "/api/jobs", nil, header("Authorization", "Bearer x.y.z")).fault(t, 401, "token_invalid", "")
	f.do("GET", "/api/jobs", nil, header("Authorization", "Bearer")).fault(t, 401, "token_missing", "")
	f.do("GET", "/api/jobs", nil, header("Authorization", "Digest x")).fault(t, 401, "token_missing", "")
}

func basic(r *http.Request) { r.SetBasicAuth("admin", "example-password") }

func TestBasicCredentialsStartJobsOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	id, _ := f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil, basic).want(t, 202, `{"submittedByUser":`+adminRef+`}`).json["id"].(string)
	f.do("POST", "/api/jobs/"+id+"/retry", nil, basic).fault(t, 409, "job_not_finished", "")
	for _, path := range []string{"/api/jobconfigs", "/api/jobs/" + id, "/api/users"} {
		f.do("GET", path, nil, basic).fault(t, 401, "token_missing", "")
	}
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil, func(r *http.Request) { r.SetBasicAuth("admin", "wrong") }).
		fault(t, 401, "bad_credentials", "Bad credentials")
}

func TestLockoutTellsWhenToComeBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wrong := `{"username":"admin","password":"wrong"}`
	for range 9 {
		f.do("POST", "/api/login", wrong, noToken).fault(t, 401, "bad_credentials", "Bad credentials")
	}
	f.do("POST", "/api/login", wrong, noToken).fault(t, 401, "locked_out", "")
	r := f.do("POST", "/api/login", `{"username":"ADMIN","password":"example-password"}`, noToken)
	r.fault(t, 401, "locked_out", "")
	if r.Header().Get("Retry-After") != "900" {
		t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
	}
	elsewhere := func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:5000" }
	f.do("POST", "/api/login", `{"username":"admin","password":"example-password"}`, noToken, elsewhere).want(t, 200, "")
	// A header can not make the caller somebody else.
	f.do("POST", "/api/login", `{"username":"admin","password":"example-password"}`, noToken, header("X-Forwarded-For", "198.51.100.7")).
		fault(t, 401, "locked_out", "")
}

func TestLoginRateOfAnAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config) { c.Limits.Login = limit.Leaking("login", 3, 0.05) }) // newFixture has used one
	good := `{"username":"admin","password":"example-password"}`
	f.do("POST", "/api/login", good, noToken).want(t, 200, "")
	f.do("POST", "/v2/api/login", good, noToken).want(t, 200, "")
	r := f.do("POST", "/api/login", good, noToken)
	r.fault(t, 429, "rate_limited", "")
	if r.Header().Get("Retry-After") != "20" {
		t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
	}
	f.do("POST", "/api/login", good, noToken, func(r *http.Request) { r.RemoteAddr = "192.0.2.9:1" }).want(t, 200, "")
	f.Pass(20 * time.Second)
	f.do("POST", "/api/login", good, noToken).want(t, 200, "")
	f.do("POST", "/api/login", good, noToken).fault(t, 429, "rate_limited", "")
}

// Whoever tries many names with one password, each on a route that takes Basic credentials, tries logins.
func TestWrongBasicCredentialsAreLogins(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config) { c.Limits.Login = limit.Leaking("login", 5, 0.05) }) // newFixture has used one
	jobs := "/api/jobconfigs/" + f.config("sample config", "run.sh") + "/jobs"
	for range 10 {
		f.do("POST", jobs, nil, basic).want(t, 202, "") // the right ones are none
	}
	for i := range 4 {
		f.do("POST", jobs, nil, func(r *http.Request) { r.SetBasicAuth(fmt.Sprint("user", i), "guess") }).fault(t, 401, "bad_credentials", "")
	}
	for _, who := range []with{basic, func(r *http.Request) { r.SetBasicAuth("user9", "guess") }} {
		if r := f.do("POST", jobs, nil, who); r.Code != 429 || r.Header().Get("Retry-After") != "20" {
			t.Errorf("%d %s: %s", r.Code, r.Header().Get("Retry-After"), r.text)
		}
	}
	f.do("POST", jobs, nil, basic, func(r *http.Request) { r.RemoteAddr = "192.0.2.77:1" }).want(t, 202, "")
	f.do("POST", jobs, nil).want(t, 202, "") // a token is no guess
}

func TestCallsOfALoginAreLimitedWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *api.Config) {
		c.Limits.Doors = map[string]limit.Rule{"native": limit.Leaking("native", 5, 1)}
	})
	f.Pass(time.Minute) // the login of the fixture was one
	for range 5 {
		f.do("GET", "/api/jobs", nil).want(t, 200, "")
	}
	r := f.do("POST", "/api/jobconfigs", `{"name":"one too many"}`)
	r.fault(t, 429, "rate_limited", "Too many calls: 5 at most")
	if r.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
	}
	f.token = f.login("admin", "example-password") // another login is another caller
	f.do("GET", "/api/jobs?filter=one", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/jobs", nil, noToken).fault(t, 401, "token_missing", "")
}

func TestProductInfoNeedsNoToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("GET", "/api/product/info", nil, noToken).
		want(t, 200, `{"name":"Waybill","version":"1.2.3","buildDate":"2026-03-17","copyright":"The Waybill authors"}`)
}
