package native_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// withKey shows an API key instead of an access token.
func withKey(key string) with {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		r.Header.Set("x-api-key", key)
	}
}

func (f *fixture) apiKey(t *testing.T, body string) (id, key string) {
	t.Helper()
	r := f.do("POST", "/api/apikeys", body).want(t, 201, "")
	return r.json["id"].(string), r.json["key"].(string)
}

func TestAnAPIKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, form := range []string{"jwt", "opaque"} {
		r := f.do("POST", "/api/apikeys", `{"name":"nightly `+form+`","description":"for cron","form":"`+form+`","scopes":["read","run"]}`)
		r.want(t, 201, `{"name":"nightly `+form+`","description":"for cron","org":"default","form":"`+form+`","scopes":["run","read"],"user":`+adminRef+`,
			"created":"Mar 17, 2026 9:40:58 AM","expires":"Mar 17, 2027 9:40:58 AM"}`)
		id, key := r.json["id"].(string), r.json["key"].(string)
		if !job.ValidID(id) || len(key) < 50 || (form == "opaque") != strings.HasPrefix(key, "wbk_") || r.Header().Get("Location") != "http://localhost:8080/api/apikeys/"+id {
			t.Errorf("%s, Location %s", r.text, r.Header().Get("Location"))
		}
		for _, path := range []string{"/api/apikeys", "/api/apikeys/" + id} {
			if r := f.do("GET", path, nil).want(t, 200, ""); !strings.Contains(r.text, id) || strings.Contains(r.text, `"key"`) {
				t.Errorf("%s: %s", path, r.text)
			}
		}
		f.do("GET", "/api/apikeys?filterby=form&operators=eq&filter="+form, nil).want(t, 200, `{"totalRecords":1,"items":[{"id":"`+id+`"}]}`)
		// Both headers open the door.
		f.do("GET", "/api/jobconfigs", nil, withKey(key)).want(t, 200, "")
		f.do("GET", "/api/jobconfigs", nil, header("Authorization", "Bearer "+key)).want(t, 200, "")
		if log := f.faults.String(); strings.Contains(log, key) {
			t.Errorf("the log has the key: %s", log)
		}
	}
}

func TestAJWTKeySaysWhatClientsLookAt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id, key := f.apiKey(t, `{"name":"k","expires":"2026-04-01T00:00:00Z"}`)
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(key, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"id": id, "org": "default", "uid": "1", "name": "admin", "email": "admin", "iat": float64(f.Now().Unix()), "exp": float64(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Unix()),
	} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
}

func TestARevokedOrExpiredKeyIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, form := range []string{"jwt", "opaque"} {
		id, key := f.apiKey(t, `{"name":"k","form":"`+form+`"}`)
		f.do("GET", "/api/jobs", nil, withKey(key)).want(t, 200, "")
		f.do("DELETE", "/api/apikeys/"+id, nil).want(t, 204, "")
		f.do("GET", "/api/jobs", nil, withKey(key)).fault(t, 401, "token_invalid", "API key is not valid")
		f.do("GET", "/api/apikeys/"+id, nil).fault(t, 404, "not_found", "")
		f.do("DELETE", "/api/apikeys/"+id, nil).fault(t, 404, "not_found", "")

		_, brief := f.apiKey(t, `{"name":"brief","form":"`+form+`","expires":`+"1773741000"+`}`) // 9:50:00
		f.do("GET", "/api/jobs", nil, withKey(brief)).want(t, 200, "")
		was := f.Now()
		f.Pass(10 * time.Minute)
		f.do("GET", "/api/jobs", nil, withKey(brief)).fault(t, 401, "token_expired", "API key has expired")
		f.Pass(was.Sub(f.Now()))
	}
}

func TestForgedKeysOpenNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, key := f.apiKey(t, `{"name":"k"}`)
	_, opaque := f.apiKey(t, `{"name":"o","form":"opaque"}`)
	parts := strings.Split(key, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, forged := range map[string]string{
		"no JWT": "abc", "none": none + "." + parts[1] + ".", "cut": key[:len(key)-2], "another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"opaque, another secret": opaque[:len(opaque)-4] + "AAAA", "opaque, cut": opaque[:len(opaque)-1], "an access token": f.token,
	} {
		f.do("GET", "/api/jobs", nil, withKey(forged)).fault(t, 401, "token_invalid", "")
		if name != "an access token" {
			f.do("GET", "/api/jobs", nil, header("Authorization", "Bearer "+forged)).fault(t, 401, "token_invalid", "")
		}
	}
	f.do("GET", "/api/jobs", nil, withKey(key), func(r *http.Request) { r.Header.Add("x-api-key", opaque) }).fault(t, 401, "token_invalid", "There is more than one API key")
	both := func(authorization string) with {
		return func(r *http.Request) {
			r.Header.Set("Authorization", authorization)
			r.Header.Set("x-api-key", key)
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:whatever"))
	for _, other := range []string{"Bearer " + f.token, "Bearer " + opaque, "Bearer x", basic, "Basic %%%", "Digest x", "key"} { // also where both are of one user: only one of them was meant
		f.do("GET", "/api/jobs", nil, both(other)).fault(t, 401, "token_invalid", "There are both an API key and an Authorization header")
	}
	for _, same := range []string{"Bearer " + key, "", "Bearer"} {
		f.do("GET", "/api/jobs", nil, both(same)).want(t, 200, "")
	}
	// A key is no password and no refresh token.
	f.do("POST", "/api/login/refresh", map[string]string{"refresh_token": opaque}, noToken).fault(t, 401, "refresh_invalid", "")
}

func TestAKeyActsAsItsMaker(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.User(t, "uma", "tulips-of-uma")
	config := f.config("the admin's", "run.sh")
	admin, _ := f.apiKey(t, `{"name":"the admin's"}`)
	f.token = f.login("uma", "tulips-of-uma")
	id, key := f.apiKey(t, `{"name":"uma's"}`)
	f.do("GET", "/api/jobconfigs/"+config, nil, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("GET", "/api/apikeys/"+admin, nil, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("DELETE", "/api/apikeys/"+admin, nil, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("GET", "/api/apikeys", nil, withKey(key)).want(t, 200, `{"totalRecords":1,"items":[{"id":"`+id+`","user":{"name":"uma"}}]}`)
	f.do("POST", "/api/jobconfigs", `{"name":"uma's"}`, withKey(key)).want(t, 201, `{"user":{"name":"uma"}}`)
	f.token = f.login("admin", "example-password")
	f.do("GET", "/api/apikeys", nil).want(t, 200, `{"totalRecords":2}`)

	if _, err := f.Store.SetUserActive(t.Context(), f.account, u.ID, false, f.Now()); err != nil {
		t.Fatal(err)
	}
	f.do("GET", "/api/jobconfigs", nil, withKey(key)).fault(t, 401, "token_invalid", "") // it ended with its maker

	f.Account(t, "other", "eve", "password-of-eve")
	f.token = f.login("eve", "password-of-eve")
	f.do("GET", "/api/apikeys/"+id, nil).fault(t, 404, "not_found", "")
	f.do("DELETE", "/api/apikeys/"+id, nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/apikeys", nil).want(t, 200, `{"totalRecords":0}`)
}

// Whoever held a key may have made another one with it: that one must not outlive its revocation.
func TestARevokedKeyTakesWithItWhatWasMadeWithIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := func(name, with string) (id, key string) {
		t.Helper()
		r := f.do("POST", "/api/apikeys", `{"name":"`+name+`","form":"opaque"}`, withKey(with)).want(t, 201, "")
		return r.json["id"].(string), r.json["key"].(string)
	}
	id, key := f.apiKey(t, `{"name":"first","scopes":["read","write"],"resources":["`+f.config("one", "")+`"]}`)
	second, key2 := made("second", key)
	third, key3 := made("third", key2)
	_, other := f.apiKey(t, `{"name":"other"}`)
	f.do("GET", "/api/apikeys/"+second, nil).want(t, 200, `{"parent":"`+id+`"}`)
	f.do("GET", "/api/apikeys?filterby=parent&operators=eq&filter="+second, nil).want(t, 200, `{"totalRecords":1,"items":[{"id":"`+third+`","parent":"`+second+`"}]}`)
	if r := f.do("GET", "/api/apikeys/"+id, nil).want(t, 200, ""); strings.Contains(r.text, "parent") {
		t.Errorf("one made with a login: %s", r.text)
	}
	f.do("GET", "/api/jobs", nil, withKey(key3)).want(t, 200, "")
	f.do("DELETE", "/api/apikeys/"+id, nil).want(t, 204, "")
	for _, dead := range []string{key, key2, key3} {
		f.do("GET", "/api/jobs", nil, withKey(dead)).fault(t, 401, "token_invalid", "")
	}
	f.do("GET", "/api/jobs", nil, withKey(other)).want(t, 200, "")
	f.do("GET", "/api/apikeys", nil).want(t, 200, `{"totalRecords":1}`)
	f.do("GET", "/api/audit?filterby=action&operators=eq&filter=apikey.revoke&sortby=resourceId", nil).
		want(t, 200, `{"items":[{"resourceId":"`+id+`"},{"resourceId":"`+second+`"},{"resourceId":"`+third+`"}]}`)
}

func TestAKeyMakesNoGreaterKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.config("one", ""), f.config("two", "")
	_, key := f.apiKey(t, `{"name":"k","scopes":["read","write"],"resources":["`+one+`"],"expires":"2026-04-01T00:00:00Z"}`)
	f.do("POST", "/api/apikeys", `{"name":"more","scopes":["run"]}`, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("POST", "/api/apikeys", `{"name":"more","expires":"2026-04-02T00:00:00Z"}`, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("POST", "/api/apikeys", `{"name":"more","resources":["`+two+`"]}`, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("POST", "/api/apikeys", `{"name":"as much"}`, withKey(key)).
		want(t, 201, `{"scopes":["read","write"],"resources":["`+one+`"],"expires":"Apr 1, 2026 12:00:00 AM"}`)
}

// A key would outlive itself in a user, an admin or a password it makes.
func TestAKeyMakesNoUsersAdminsOrPasswords(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.User(t, "uma", "tulips-of-uma")
	_, key := f.apiKey(t, `{"name":"k"}`)
	path := "/api/users/" + strconv.FormatInt(u.ID, 10)
	for route, body := range map[string]string{
		"POST /api/users":             `{"username":"eve","password":"carnations-of-eve","admin":true}`,
		"PUT " + path:                 `{"admin":true}`,
		"PATCH /api/users/deactivate": `{"recordIds":["` + strconv.FormatInt(u.ID, 10) + `"]}`,
		"PATCH /api/users/activate":   `{"recordIds":["` + strconv.FormatInt(u.ID, 10) + `"]}`,
		"POST " + path + "/password":  `{"newPassword":"carnations-of-eve"}`,
		"POST /api/users/1/password":  `{"oldPassword":"example-password","newPassword":"carnations-of-eve"}`,
	} {
		method, path, _ := strings.Cut(route, " ")
		f.do(method, path, body, withKey(key)).fault(t, 403, "access_denied", "This takes a login: users, their flags and passwords are not changed with an API key or by a job")
	}
	f.do("PUT", path, `{"firstName":"Uma"}`, withKey(key)).want(t, 200, `{"firstName":"Uma","admin":false}`)
	f.do("PUT", path, `{"email":"uma@example.com"}`, withKey(key)).want(t, 200, `{"email":"uma@example.com"}`)
	// Where the provider binds by mail address, to set one is to say who signs in as the user.
	f.People.MailBinds = true
	f.do("PUT", path, `{"email":"eve@example.com"}`, withKey(key)).fault(t, 403, "access_denied", "")
	f.do("PUT", path, `{"email":"uma@example.com","city":"York"}`, withKey(key)).want(t, 200, `{"email":"uma@example.com","city":"York"}`)
	f.do("PUT", path, `{"email":"uma@example.org"}`).want(t, 200, `{"email":"uma@example.org"}`)
	f.do("GET", "/api/users", nil).want(t, 200, `{"totalRecords":2}`)
	f.login("uma", "tulips-of-uma")
}

func TestALesserKeyLooksAfterItselfAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("one", "")
	other, _ := f.apiKey(t, `{"name":"k0"}`)
	for _, limit := range []string{`"resources":["` + config + `"]`, `"scopes":["read","write"]`} {
		id, key := f.apiKey(t, `{"name":"lesser",`+limit+`}`)
		f.do("GET", "/api/apikeys", nil, withKey(key)).want(t, 200, `{"totalRecords":1,"items":[{"id":"`+id+`"}]}`)
		f.do("GET", "/api/apikeys?filterby=name&operators=eq&filter=k0", nil, withKey(key)).want(t, 200, `{"totalRecords":0}`)
		f.do("GET", "/api/apikeys/"+other, nil, withKey(key)).fault(t, 403, "access_denied", "")
		f.do("DELETE", "/api/apikeys/"+other, nil, withKey(key)).fault(t, 403, "access_denied", "")
		f.do("PUT", "/api/users/1", `{"email":"eve@example.com"}`, withKey(key)).fault(t, 403, "access_denied", "")
		f.do("GET", "/api/apikeys/"+id, nil, withKey(key)).want(t, 200, `{"name":"lesser"}`)
		f.do("DELETE", "/api/apikeys/"+id, nil, withKey(key)).want(t, 204, "")
	}
	f.do("GET", "/api/apikeys/"+other, nil).want(t, 200, "")
}

// A schedule starts jobs, so a key that may not start them gives none, changes none and lets none go on.
func TestAKeyThatDoesNotRunMakesNoSchedules(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.config("one", "run.sh"), f.config("two", "run.sh")
	_, key := f.apiKey(t, `{"name":"k","scopes":["read","write"]}`)
	_, runs := f.apiKey(t, `{"name":"k","scopes":["run","write"]}`)
	const nightly, hourly = `{"cronSchedule":"0 0 3 * * ?"}`, `{"cronSchedule":"0 0 * * * ?"}`
	f.do("POST", "/api/jobconfigs/"+one+"/schedule", nightly).want(t, 201, "")
	for route, body := range map[string]string{
		"POST /api/jobconfigs/" + two + "/schedule": nightly, "PUT /api/jobconfigs/" + one + "/schedule": hourly,
		"POST /api/jobconfigs/" + one + "/schedule/resume": ``, "POST /api/jobconfigs": `{"name":"new","schedule":"0 0 3 * * ?"}`,
		"PUT /api/jobconfigs/" + one: `{"name":"one","schedule":"0 0 * * * ?"}`, "PATCH /api/jobconfigs/" + two: `{"schedule":"0 0 3 * * ?"}`,
		"POST /api/jobconfigs/" + one + "/schedule/run": ``,
	} {
		method, path, _ := strings.Cut(route, " ")
		if r := f.do(method, path, body, withKey(key)); r.Code != 403 || !strings.Contains(r.text, "has not the scope run") {
			t.Errorf("%s: %d %s", route, r.Code, r.text)
		}
	}
	f.do("GET", "/api/jobconfigs", nil).want(t, 200, `{"totalRecords":2}`)
	f.do("PATCH", "/api/jobconfigs/"+one, `{"description":"same","schedule":"0 0 3 * * ?"}`, withKey(key)).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+one+"/schedule/pause", nil, withKey(key)).want(t, 200, "")
	f.do("DELETE", "/api/jobconfigs/"+one+"/schedule", nil, withKey(key)).want(t, 204, "")
	f.do("POST", "/api/jobconfigs/"+two+"/schedule", nightly, withKey(runs)).want(t, 201, "")
}

func TestAuthorizeTellsOfTheKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.config("one", ""), f.config("two", "")
	_, key := f.apiKey(t, `{"name":"k","scopes":["read"],"resources":["`+one+`"]}`)
	for question, allowed := range map[string]bool{
		"action=view&resourcetype=jobconfigs&resourceid=" + one: true, "action=view&resourcetype=jobconfigs&resourceid=" + two: false,
		"action=execute&resourcetype=jobconfigs&resourceid=" + one: false, "action=edit&resourcetype=jobconfigs&resourceid=" + one: false,
		"action=view&resourcetype=accountfiles": false, "action=create&resourcetype=jobconfigs": false,
	} {
		reason := "credentials"
		if allowed {
			reason = "admin"
		}
		f.do("GET", "/api/access/authorize?"+question, nil, withKey(key)).want(t, 200, `{"allowed":`+strconv.FormatBool(allowed)+`,"reason":"`+reason+`"}`)
		f.do("GET", "/api/access/authorize?"+question, nil).want(t, 200, `{"allowed":true,"reason":"admin"}`)
	}
}

// What a key starts reaches no further than the key, and neither do the jobs that those start, nor their retries.
func TestAJobOfALimitedKeyIsLimited(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.config("one", "run.sh"), f.config("two", "run.sh")
	_, key := f.apiKey(t, `{"name":"k","resources":["`+one+`"]}`)
	_, both := f.apiKey(t, `{"name":"both","resources":["`+two+`","`+one+`"]}`)
	begun := func(r reply) (id, token string, fence int64) {
		t.Helper()
		id, _ = r.want(t, 202, "").json["id"].(string)
		fence = f.Take(t, 1, job.ID(id))
		j, err := f.Store.Job(t.Context(), 1, job.ID(id))
		if err != nil {
			t.Fatal(err)
		}
		if token, err = (control.JobTokens{Signer: f.Sessions.Signer, Now: f.Now}).Issue(j, fence); err != nil {
			t.Fatal(err)
		}
		return id, token, fence
	}
	limited := func(how, token string) {
		t.Helper()
		defer f.as(token)()
		f.do("GET", "/api/jobconfigs", nil).want(t, 200, `{"totalRecords":1,"items":[{"id":"`+one+`"}]}`)
		for _, route := range []string{"POST /api/jobconfigs/" + two + "/jobs", "GET /api/jobconfigs/" + two, "GET /api/account/1/files"} {
			method, path, _ := strings.Cut(route, " ")
			if r := f.do(method, path, nil); r.Code != 403 {
				t.Errorf("%s: %s: %d %s", how, route, r.Code, r.text)
			}
		}
		f.do("GET", "/api/jobconfigs/"+one, nil).want(t, 200, "")
	}
	first, token, fence := begun(f.do("POST", "/api/jobconfigs/"+one+"/jobs", nil, withKey(key)))
	limited("the job", token)
	back := f.as(token)
	_, child, _ := begun(f.do("POST", "/api/jobconfigs/"+one+"/jobs", nil))
	back()
	limited("a job of the job", child)
	f.Finish(t, 1, job.ID(first), fence, controltest.Exit(1))
	_, again, _ := begun(f.do("POST", "/api/jobs/"+first+"/retry", `{}`, withKey(both)))
	limited("a retry with a key of more", again)

	own, _, fence := begun(f.do("POST", "/api/jobconfigs/"+one+"/jobs", nil))
	f.Finish(t, 1, job.ID(own), fence, controltest.Exit(1))
	_, again, _ = begun(f.do("POST", "/api/jobs/"+own+"/retry", `{}`, withKey(key)))
	limited("a retry of a job without limit", again)
}

func TestBadAPIKeyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, code := range map[string]string{
		`{}`: "missing_field", `{"name":""}`: "missing_field", `{"name":"a\u0000b"}`: "invalid_field", `{"name":"` + strings.Repeat("x", 256) + `"}`: "invalid_field",
		`{"name":"x","scopes":["admin"]}`: "invalid_field", `{"name":"x","scopes":"read"}`: "invalid_field", `{"name":"x","form":"rsa"}`: "invalid_field",
		`{"name":"x","expires":"2026-03-17T09:40:58Z"}`: "invalid_field", `{"name":"x","expires":"tomorrow"}`: "invalid_field", `{"name":"x","expires":"2040-01-01T00:00:00Z"}`: "invalid_field",
		`{"name":"x","resources":["9999"]}`: "invalid_field", `{"name":"x","resources":["nonsense"]}`: "invalid_field", `{"name":"x","description":"a\u0000b"}`: "invalid_field",
		`{"name"`: "malformed_json",
	} {
		f.do("POST", "/api/apikeys", body).fault(t, 400, code, "")
	}
	f.do("GET", "/api/apikeys", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/apikeys/nonsense", nil).fault(t, 404, "not_found", "")
}

func TestTheLastUseOfAKeyIsNotedLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id, key := f.apiKey(t, `{"name":"k"}`)
	f.Pass(time.Hour)
	f.do("GET", "/api/jobs", nil, withKey(key)).want(t, 200, "")
	if r := f.do("GET", "/api/apikeys/"+id, nil).want(t, 200, ""); r.json["lastUsed"] != nil {
		t.Errorf("a call waited for the note: %s", r.text)
	}
	if err := f.Keys.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.do("GET", "/api/apikeys/"+id, nil).want(t, 200, `{"lastUsed":"Mar 17, 2026 10:40:58 AM"}`)
}

// TestScopesOfKeysOverAllRoutes calls every route of the document with keys of one scope each: exactly one of them gets past the
// scope, and which one is said here a second time.
func TestScopesOfKeysOverAllRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	keys := map[string]string{}
	for _, scope := range []string{"run", "read", "write"} {
		_, keys[scope] = f.apiKey(t, `{"name":"`+scope+`","scopes":["`+scope+`"]}`)
	}
	all := f.theirs(t)
	walked := map[string]int{}
	fires := map[string]bool{ // take run as well, see TestAKeyThatDoesNotRunMakesNoSchedules
		"POST /jobconfigs/{id}/schedule": true, "PUT /jobconfigs/{id}/schedule": true, "POST /jobconfigs/{id}/schedule/resume": true,
	}
	for _, route := range f.routes(t) {
		method, path, _ := strings.Cut(route, " ")
		if strings.HasPrefix(path, "/login") || path == "/product/info" || path == "/events" {
			continue // for everybody, or without end
		}
		want := "write"
		switch {
		case method == "GET":
			want = "read"
		case strings.HasSuffix(path, "/jobs") || strings.HasSuffix(path, "/retry") || strings.HasSuffix(path, "/schedule/run") || strings.HasSuffix(path, "/backfill"):
			want = "run"
		case method == "DELETE" && (path == "/jobs/{id}" || path == "/jobs/stop"), strings.Contains(path, "listener"):
			want = "run"
		}
		walked[want]++
		for scope, key := range keys {
			if scope == want {
				continue
			}
			r := f.do(method, "/api"+all.path(t, path), `{}`, withKey(key))
			if r.Code != 403 || r.json["code"] != "access_denied" || r.json["message"] != "The API key has not the scope "+want {
				t.Errorf("%s with the scope %s: %d %s", route, scope, r.Code, r.text)
			}
		}
		if method == "GET" && strings.Contains(path, "events") {
			continue
		}
		if r := f.do(method, "/api"+all.path(t, path), `{}`, withKey(keys[want])); strings.Contains(r.text, "has not the scope") && !fires[route] || r.Code == 401 {
			t.Errorf("%s with its own scope %s: %d %s", route, want, r.Code, r.text)
		}
	}
	if walked["read"] < 40 || walked["run"] < 7 || walked["write"] < 30 {
		t.Errorf("walked %v", walked)
	}
}
