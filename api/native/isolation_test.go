package native_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// colleagues adds a user to account 1 who is no admin: there is no other way yet to make one. It has the admin's password.
type colleagues struct{ control.Users }

const gina = 4711

func (u colleagues) UserByName(ctx context.Context, name string) (job.User, error) {
	if name != "gina" {
		return u.Users.UserByName(ctx, name)
	}
	admin, err := u.Users.UserByName(ctx, "admin")
	admin.ID, admin.Name, admin.Admin = gina, name, false
	return admin, err
}

func (u colleagues) User(ctx context.Context, account, id int64) (job.User, error) {
	if id == gina && account == 1 {
		return u.UserByName(ctx, "gina")
	}
	return u.Users.User(ctx, account, id)
}

// theirs is what the admin of account 1 has: an id for each place of a path.
type theirs struct{ config, objectID, job, delivery, destination, worker, link, key, policy string }

func (f *fixture) theirs(t *testing.T) (all theirs) {
	all.config = f.config("theirs", "run.sh")
	f.do("PATCH", "/api/jobconfigs/"+all.config, `{"callbacks":[{"url":"https://a.example"}]}`).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+all.config+"/schedule", `{"cronSchedule":"0 3 * * *"}`).want(t, 201, "")
	f.do("POST", "/api/jobconfigs/"+all.config+"/subscription", `{"recipients":["a@example.com"]}`).want(t, 201, "")
	for _, owner := range []string{"/account/1", "/users/1"} {
		f.do("POST", "/api"+owner+"/files?key=run.sh", "theirs", header("Content-Type", "")).want(t, 201, "")
	}
	f.do("POST", "/api/account/1/files?key=lib.sh", "theirs", header("Content-Type", "")).want(t, 201, "")
	all.link, _ = f.do("POST", "/api/jobconfigs/"+all.config+"/filelinks", `{"entityType":"ACCOUNT","fileName":"lib.sh"}`).want(t, 201, "").json["linkId"].(string)
	all.objectID, _ = f.do("GET", "/api/jobconfigs/"+all.config, nil).json["objectId"].(string)
	id := f.start(all.config)
	f.raise(id, 3, "r1")
	all.job = string(id)
	deliveries := f.do("GET", "/api/jobs/"+all.job+"/deliveries", nil).want(t, 200, "").json["items"].([]any)
	all.delivery, _ = deliveries[0].(map[string]any)["id"].(string)
	all.policy = f.policy(t, "theirs", "1", "jobconfigs", []string{"*"}, all.config)
	all.destination, _ = f.do("POST", "/api/destinations", `{"name":"south"}`).want(t, 201, "").json["id"].(string)
	destination, err := f.Store.Destination(t.Context(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	all.key, _ = f.do("POST", "/api/apikeys", `{"name":"theirs"}`).want(t, 201, "").json["id"].(string)
	all.worker = f.beat("1@a", destination.TaskQueue).ID
	f.Pass(3 * time.Second) // what is known of workers is by then found out anew
	return all
}

// path puts the ids into a route of the document.
func (all theirs) path(t *testing.T, route string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(route, "/"), "/")
	ids := map[string]string{
		"{id}": map[string]string{"jobconfigs": all.config, "jobs": all.job, "destinations": all.destination, "workers": all.worker, "apikeys": all.key,
			"account": "1", "users": "1", "access": all.policy}[first],
		"{key}": "run.sh", "{recordId}": "r1", "{number}": "1", "{delivery}": all.delivery, "{linkid}": all.link, "{policy}": all.policy, "{messagename}": "reply",
	}
	path := regexp.MustCompile(`\{\w+\}`).ReplaceAllStringFunc(route, func(name string) string {
		if ids[name] == "" {
			t.Errorf("this test does not know what to put into %s", route)
		}
		return ids[name]
	})
	if route == "/account/destination" {
		path += "?destinationId=" + all.destination
	}
	return path
}

// seen is all that the owner is shown of it.
func (f *fixture) seen(t *testing.T, all theirs) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range []string{
		"/jobconfigs/" + all.config, "/jobconfigs/" + all.config + "/files", "/jobconfigs/" + all.config + "/schedule",
		"/jobconfigs/" + all.config + "/schedule/fires", "/jobconfigs/" + all.config + "/subscription", "/jobs/" + all.job,
		"/jobs/" + all.job + "/family", "/jobs/" + all.job + "/errors", "/jobs/" + all.job + "/errors/r1/data", "/jobs/" + all.job + "/deliveries",
		"/account/1/files", "/users/1/files", "/jobs?jobconfigid=" + all.config, "/destinations/" + all.destination, "/workers", "/account", "/apikeys/" + all.key,
	} {
		out[path] = f.do("GET", "/api"+path, nil).want(t, 200, "").text
	}
	return out
}

// A body that would do something on any route that takes one.
func (all theirs) body() string {
	text, err := json.Marshal(map[string]any{
		"recordIds": []string{all.config, all.job, "r1"}, "name": "mine", "description": "mine", "cronSchedule": "0 4 * * *", "all": false,
		"recipients": []string{"mine@example.com"}, "data": "mine", "note": "mine", "from": "2026-03-16T00:00:00Z", "to": "2026-03-17T00:00:00Z",
		"includeRunning": true, "force": true, "entityType": "ACCOUNT", "fileName": "run.sh",
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestNobodyGetsAtWhatIsNotTheirs walks every route of the document with what belongs to somebody else: of another account it is
// not there (404), of another user of the account it is not theirs (403), and nothing of it changes (native.md, 1.5).
func TestNobodyGetsAtWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Sessions.Users, f.Own.Schedule = colleagues{f.Sessions.Users}, &scheduler{}
	all := f.theirs(t)
	f.Account(t, "other", "olga", "example-password")
	admin := f.token
	before := f.seen(t, all)
	for who, refused := range map[string]int{"olga": 404, "gina": 403} {
		f.token = f.login(who, "example-password")
		walked := 0
		for _, route := range f.routes(t) {
			method, path, _ := strings.Cut(route, " ")
			status := refused
			switch {
			case open[path] || path == "/events" && method == "GET":
				continue // told by nobody's id; TestEventsAreOnlyThoseACallerMaySee
			case route == "GET /destinations/{id}" && who == "gina":
				status = 200 // everybody of the account may see them
			case route == "GET /account/{id}/files/entrypoints/{key}" && who == "gina":
				status = 400 // likewise, but it is no archive
			case strings.HasPrefix(route, "GET /account/{id}/files") && who == "gina":
				status = 200
			case path == "/account/destination" && method == "DELETE" && who == "olga":
				status = 404
			}
			r := f.attempt(method, all, all.path(t, path))
			walked++
			if !strings.Contains(path, "{") && !(path == "/account/destination") {
				for _, id := range []string{all.objectID, all.delivery, `"theirs"`} {
					if strings.Contains(r.text, id) {
						t.Errorf("%s: %s shows %s: %s", who, route, id, r.text)
					}
				}
				if r.Code >= 500 {
					t.Errorf("%s: %s answers %d: %s", who, route, r.Code, r.text)
				}
				continue
			}
			if r.Code != status {
				t.Errorf("%s: %s answers %d, want %d: %s", who, route, r.Code, status, r.text)
			}
		}
		if walked < 60 {
			t.Errorf("%s: only %d routes were walked", who, walked)
		}
		f.token = admin
		for path, was := range before {
			if now := f.seen(t, all)[path]; now != was {
				t.Errorf("%s changed %s:\n%s\n%s", who, path, was, now)
			}
		}
	}
}

// open are routes without a place for an id that take a name and a password, or end the caller's own login.
var open = map[string]bool{"/login": true, "/login/refresh": true, "/logout": true}

// attempt makes a call as dangerous as the route allows.
func (f *fixture) attempt(method string, all theirs, path string) reply {
	if strings.Contains(path, "/files") && method != http.MethodGet && method != http.MethodDelete {
		return f.do(method, "/api"+path+"?key=run.sh", "mine", header("Content-Type", ""))
	}
	if method == http.MethodGet {
		return f.do(method, "/api"+path, nil)
	}
	return f.do(method, "/api"+path, all.body())
}

// routes lists the operations of the document, the same order every time; what deletes comes last.
func (f *fixture) routes(t *testing.T) []string {
	t.Helper()
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(f.do("GET", "/openapi.json", nil, noToken).text), &document); err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, methods := range document.Paths {
		for method := range maps.Keys(methods) {
			if method = strings.ToUpper(method); slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method) {
				out = append(out, method+" "+path)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		rank := func(s string) string {
			return map[bool]string{true: "1", false: "0"}[strings.HasPrefix(s, "DELETE")] + s
		}
		return strings.Compare(rank(a), rank(b))
	})
	return out
}
