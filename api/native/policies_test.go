package native_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// as makes calls with somebody's token until the returned function is called.
func (f *fixture) as(token string) (back func()) {
	before := f.token
	f.token = token
	return func() { f.token = before }
}

// general makes a user of account 1 and gives id and token.
func (f *fixture) general(t *testing.T, name string) (id, token string) {
	t.Helper()
	u := f.User(t, name, "example-password")
	return strconv.FormatInt(u.ID, 10), f.login(name, "example-password")
}

// policy makes a policy with one permission, gives it to the user, and gives its id.
func (f *fixture) policy(t *testing.T, name, user, kind string, allowed []string, ids ...string) string {
	t.Helper()
	id, _ := f.do("POST", "/api/access/policies", map[string]any{"name": name, "permissions": []any{
		map[string]any{"resourceType": kind, "allowed": allowed, "resourceIds": ids},
	}}).want(t, 201, "").json["id"].(string)
	if user != "" {
		f.do("PUT", "/api/users/"+user+"/access/policies/"+id, nil).want(t, 200, `{"userId":"`+user+`"}`)
	}
	return id
}

func TestAccessPoliciesAreKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "")
	object, _ := f.do("GET", "/api/jobconfigs/"+config, nil).json["objectId"].(string)
	id := f.policy(t, "Runners", "", "jobconfigs", []string{"execute", "VIEW"}, object, config, "template:7", "template:3f2504e0-4f89-11d3-9a0c-0305e82c3301")
	f.do("GET", "/api/access/policies/"+id, nil).want(t, 200, `{"name":"Runners","global":false,"href":"http://localhost:8080/api/access/policies/`+id+`",
		"allowed":["view","edit","delete"],"createdByUser":{"name":"admin"},
		"permissions":[{"resourceType":"jobconfigs","allowed":["view","execute"],"resourceIds":["`+config+`","template:7","template:3f2504e0-4f89-11d3-9a0c-0305e82c3301"]}]}`)
	f.do("POST", "/api/access/policies", `{"name":"runners"}`).fault(t, 409, "duplicate_name", "An access policy named 'runners' already exists")
	f.do("POST", "/api/access/policies", `{"name":"empty","description":"%_"}`).want(t, 201, `{"permissions":[]}`)
	f.do("GET", "/api/access/policies?filter=%25_", nil).want(t, 200, `{"totalRecords":1,"items":[{"name":"empty"}]}`)
	f.do("GET", "/api/access/policies?size=1&sortby=name&direction=desc&cursor=", nil).want(t, 200, `{"items":[{"name":"Runners"}]}`)

	// What was read can be sent back, also when what it names is gone meanwhile.
	f.do("DELETE", "/api/jobconfigs/"+config, nil).want(t, 204, "")
	read := f.do("GET", "/api/access/policies/"+id, nil).json
	f.do("PUT", "/api/access/policies/"+id, read).want(t, 200, `{"name":"Runners"}`)
	f.do("DELETE", "/api/access/policies/"+id, nil).want(t, 204, "")
	f.do("GET", "/api/access/policies/"+id, nil).fault(t, 404, "not_found", "")

	for body, code := range map[string]string{
		`{}`: "missing_field",
		`{"name":"x","permissions":[{"allowed":["view"],"resourceIds":["*"]}]}`:                                        "missing_field",
		`{"name":"x","permissions":[{"resourceType":"jobconfigs","resourceIds":["*"]}]}`:                               "missing_field",
		`{"name":"x","permissions":[{"resourceType":"jobconfigs","allowed":["view"]}]}`:                                "missing_field",
		`{"name":"x","permissions":[{"resourceType":"users","allowed":["view"],"resourceIds":["*"]}]}`:                 "invalid_field",
		`{"name":"x","permissions":[{"resourceType":"jobconfigs","allowed":["own"],"resourceIds":["*"]}]}`:             "invalid_field",
		`{"name":"x","permissions":[{"resourceType":"accountfiles","allowed":["execute"],"resourceIds":["*"]}]}`:       "invalid_field",
		`{"name":"x","permissions":[{"resourceType":"accountfiles","allowed":["edit"],"resourceIds":["1"]}]}`:          "invalid_field",
		`{"name":"x","permissions":[{"resourceType":"jobconfigs","allowed":["view"],"resourceIds":["1 OR 1"]}]}`:       "invalid_field",
		`{"name":"x","permissions":[{"resourceType":"jobtemplates","allowed":["view"],"resourceIds":["template:1"]}]}`: "invalid_field",
		`{"name":"x","permissions":[{"resourceType":"jobconfigs","allowed":["view"],"resourceIds":["999"]}]}`:          "unknown_record",
		`{"name":"x","permissions":"all"}`: "invalid_field",
	} {
		if r := f.do("POST", "/api/access/policies", body); r.Code != 400 || r.json["code"] != code {
			t.Errorf("%s: %d %s, want %s", body, r.Code, r.text, code)
		}
	}
	f.do("GET", "/api/access/policies", nil).want(t, 200, `{"totalRecords":1}`)
}

func TestPoliciesAreGivenAndTakenAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "run.sh")
	user, gina := f.general(t, "gina")
	ginas := func(method, path string) int {
		t.Helper()
		defer f.as(gina)()
		return f.do(method, path, nil).Code
	}
	if got := ginas("GET", "/api/jobconfigs/"+config); got != 403 {
		t.Errorf("without a policy: %d", got)
	}
	view := f.policy(t, "viewers", user, "jobconfigs", []string{"view"}, config)
	run := f.policy(t, "runners", "", "jobconfigs", []string{"execute"}, "*")
	f.do("POST", "/api/users/"+user+"/access/policies", map[string]any{"accessPolicyIds": []string{run, view}}).want(t, 201,
		`{"userId":"`+user+`","userName":"gina","accessPolicies":{"totalRecords":2,"items":[{"name":"runners"},{"name":"viewers"}]}}`)
	f.do("GET", "/api/users/"+user+"/access/policies?sortby=name&direction=desc", nil).want(t, 200, `{"items":[{"name":"viewers"},{"name":"runners"}]}`)
	f.do("GET", "/api/users/access/policies", nil).want(t, 200, `{"totalRecords":2,"items":[{"id":"`+run+`","userName":"gina"},{"id":"`+view+`","userId":"`+user+`"}]}`)
	if got := ginas("GET", "/api/jobconfigs/"+config); got != 200 {
		t.Errorf("with the policy: %d", got)
	}
	if got := ginas("POST", "/api/jobconfigs/"+config+"/jobs"); got != 202 {
		t.Errorf("with the policy: %d", got)
	}
	f.do("DELETE", "/api/users/"+user+"/access/policies/"+run, nil).want(t, 204, "")
	f.do("DELETE", "/api/users/"+user+"/access/policies/"+run, nil).fault(t, 404, "not_found", "")
	if got := ginas("POST", "/api/jobconfigs/"+config+"/jobs"); got != 403 {
		t.Errorf("taken away: %d", got)
	}
	f.do("DELETE", "/api/access/policies/"+view, nil).want(t, 204, "")
	if got := ginas("GET", "/api/jobconfigs/"+config); got != 403 {
		t.Errorf("deleted: %d", got)
	}
	for path, code := range map[string]int{"/api/users/999/access/policies/" + run: 404, "/api/users/" + user + "/access/policies/999": 404, "/api/users/x/access/policies/1": 404} {
		f.do("PUT", path, nil).want(t, code, "")
	}
	f.do("POST", "/api/users/"+user+"/access/policies", `{"accessPolicyIds":["999"]}`).fault(t, 400, "unknown_record", "")
	f.do("POST", "/api/users/"+user+"/access/policies", `{}`).fault(t, 400, "missing_field", "")

	entries := f.do("GET", "/api/audit?filterby=action&operators=like&filter=accesspolicy.&sortby=timestamp,id&direction=asc,asc&size=50", nil).want(t, 200, "")
	for _, want := range []string{
		`"changes":[{"field":"name","after":"viewers"},{"field":"jobconfigs/` + config + `","after":"view"}]`,
		`"changes":[{"field":"accessPolicies","before":"viewers","after":"viewers, runners"}]`,
		`"changes":[{"field":"accessPolicies","before":"runners, viewers","after":"viewers"}]`,
		`"changes":[{"field":"name","before":"viewers"},{"field":"jobconfigs/` + config + `","before":"view"}]`,
	} {
		if !strings.Contains(entries.text, want) {
			t.Errorf("the audit log lacks %s\n%s", want, entries.text)
		}
	}
}

// what a general user may do with somebody else's config, by the verbs of a policy.
func TestEachVerbAllowsWhatItSays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "run.sh")
	id := f.start(config)
	f.play(id, 1)
	user, gina := f.general(t, "gina")
	calls := map[string]struct {
		verb   string
		method string
		path   string
		body   any
		good   int
	}{
		"get":            {"view", "GET", "/jobconfigs/" + config, nil, 200},
		"files":          {"view", "GET", "/jobconfigs/" + config + "/files", nil, 200},
		"jobs of it":     {"view", "GET", "/jobconfigs/" + config + "/jobs", nil, 200},
		"job":            {"view", "GET", "/jobs/" + string(id), nil, 200},
		"log":            {"view", "GET", "/jobs/" + string(id) + "/log", nil, 200},
		"family":         {"view", "GET", "/jobs/" + string(id) + "/family", nil, 200},
		"rename":         {"edit", "PATCH", "/jobconfigs/" + config, `{"description":"x"}`, 200},
		"upload":         {"edit", "POST", "/jobconfigs/" + config + "/files?key=a.txt", "a", 201},
		"subscribe":      {"edit", "POST", "/jobconfigs/" + config + "/subscription", `{"recipients":["a@example.com"]}`, 201},
		"deactivate":     {"edit", "PATCH", "/jobconfigs/activate", `{"recordIds":["` + config + `"]}`, 200},
		"start":          {"execute", "POST", "/jobconfigs/" + config + "/jobs", nil, 202},
		"retry":          {"execute", "POST", "/jobs/" + string(id) + "/retry", `{"force":true}`, 202},
		"delete":         {"delete", "DELETE", "/jobconfigs/" + config, nil, 204},
		"delete several": {"delete", "DELETE", "/jobconfigs/delete", `{"recordIds":["` + config + `"]}`, 204},
	}
	for _, verb := range []string{"view", "edit", "execute", "create", "delete"} {
		policy := f.policy(t, verb, user, "jobconfigs", []string{verb}, config)
		for name, c := range calls {
			if verb == "delete" && c.verb == "delete" && name != "delete" {
				continue // it can be deleted once
			}
			back := f.as(gina)
			kind := "application/json"
			if name == "upload" {
				kind = ""
			}
			r := f.do(c.method, "/api"+c.path, c.body, header("Content-Type", kind))
			back()
			want := 403
			if verb == c.verb {
				want = c.good
			}
			if r.Code != want && (verb != "delete" || r.Code != 404) {
				t.Errorf("%s with %s: %d, want %d: %s", name, verb, r.Code, want, r.text)
			}
			if r.Code == 403 && (r.json["code"] != "access_denied" || !strings.Contains(r.text, "no access policy lets you "+map[string]string{"view": "view", "edit": "change", "execute": "execute", "delete": "delete"}[c.verb])) {
				t.Errorf("%s with %s: %s", name, verb, r.text)
			}
		}
		f.do("DELETE", "/api/access/policies/"+policy, nil).want(t, 204, "")
	}
}

// Whoever may change a config and not start its jobs does not get them started by a schedule, or in part.
func TestASchedulePutsNobodyAboveTheirRights(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "run.sh")
	user, gina := f.general(t, "gina")
	f.policy(t, "editors", user, "jobconfigs", []string{"view", "edit"}, config)
	back := f.as(gina)
	f.do("POST", "/api/jobconfigs/"+config+"/schedule", `{"cronSchedule":"0 3 * * *"}`).fault(t, 403, "access_denied", "")
	f.do("PUT", "/api/jobconfigs/"+config, `{"name":"changed","schedule":"0 0 3 * * ?"}`).fault(t, 403, "access_denied", "")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"name":"changed","schedule":"0 0 3 * * ?"}`).fault(t, 403, "access_denied", "")
	back()
	f.do("GET", "/api/jobconfigs/"+config, nil).want(t, 200, `{"name":"orders"}`)
	f.do("POST", "/api/jobconfigs/"+config+"/schedule", `{"cronSchedule":"0 0 3 * * ?"}`).want(t, 201, "")
	defer f.as(gina)()
	f.do("POST", "/api/jobconfigs/"+config+"/schedule/run", nil).fault(t, 403, "access_denied", "")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"description":"same","schedule":"0 0 3 * * ?"}`).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+config+"/schedule/pause", nil).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+config+"/schedule/resume", nil).fault(t, 403, "access_denied", "")
	f.do("DELETE", "/api/jobconfigs/"+config+"/schedule", nil).want(t, 204, "")
}

func TestListsOfGeneralUsersHoldWhatTheyWereGiven(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	given, hidden := f.config("given", "run.sh"), f.config("hidden", "run.sh")
	shown, secret := f.start(given), f.start(hidden)
	user, gina := f.general(t, "gina")
	f.policy(t, "viewers", user, "jobconfigs", []string{"view", "execute"}, given)
	defer f.as(gina)()
	mine := f.config("mine", "run.sh")
	own := f.start(mine)
	f.do("GET", "/api/jobconfigs?permissions=true", nil).want(t, 200, `{"totalRecords":2,"items":[{"name":"given","permissions":["view","execute"]},
		{"name":"mine","permissions":["view","edit","delete","execute"]}]}`)
	f.do("GET", "/api/jobconfigs/dropdown", nil).want(t, 200, `{"totalRecords":2}`)
	for _, path := range []string{"/api/jobs", "/api/jobs?state=queued", "/api/jobs?cursor=", "/api/jobs?userid=1", "/api/jobs/pending", "/api/jobs/unfinished"} {
		text := f.do("GET", path, nil).want(t, 200, "").text
		if strings.Contains(text, string(secret)) || !strings.Contains(text, string(shown)) || !strings.Contains(path, "userid") && !strings.Contains(text, string(own)) {
			t.Errorf("%s: %s", path, text)
		}
	}
	f.do("GET", "/api/jobstats", nil).want(t, 200, `{"queued":2,"totalJobs":2}`)
	f.do("GET", "/api/jobs?jobconfigid="+hidden, nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/jobs/"+string(secret), nil).fault(t, 403, "access_denied", "")
	// A job that somebody else starts on one's own config is seen, and can be stopped.
	f.token = f.login("admin", "example-password")
	theirs := f.start(mine)
	f.token = gina
	f.do("GET", "/api/jobs/"+string(theirs), nil).want(t, 200, "")
	f.do("GET", "/api/jobconfigs/"+mine+"/jobs", nil).want(t, 200, `{"totalRecords":2}`)
	f.do("DELETE", "/api/jobs/"+string(theirs), nil).want(t, 202, "")
}

func TestFilesOfTheAccountCanBeGiven(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	user, gina := f.general(t, "gina")
	upload := func() reply {
		defer f.as(gina)()
		return f.do("POST", "/api/account/1/files?key=lib.sh", "x", header("Content-Type", ""))
	}
	upload().fault(t, 403, "access_denied", "")
	f.policy(t, "librarians", user, "accountfiles", []string{"*"}, "*")
	upload().want(t, 201, "")
}

func TestAuthorizeTellsWhy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "run.sh")
	id := string(f.start(config))
	user, gina := f.general(t, "gina")
	policy := f.policy(t, "runners", user, "jobconfigs", []string{"execute"}, "*")
	ask := func(query string) reply { return f.do("GET", "/api/access/authorize?"+query, nil) }
	ask("user="+user+"&action=execute&resourcetype=jobconfigs&resourceid="+config).want(t, 200,
		`{"allowed":true,"reason":"policy","user":{"name":"gina"},"policies":[{"id":"`+policy+`","name":"runners","resourceId":"*"}]}`)
	ask("user="+user+"&action=edit&resourcetype=jobconfigs&resourceid="+config).want(t, 200,
		`{"allowed":false,"reason":"no_policy","message":"Job config `+config+` belongs to another user, and no access policy of the user lets them change it","policies":[]}`)
	ask("action=edit&resourcetype=jobconfigs&resourceid="+config).want(t, 200, `{"allowed":true,"reason":"admin","user":{"name":"admin"}}`)
	ask("user="+user+"&action=execute&resourcetype=jobs&resourceid="+id).want(t, 200, `{"allowed":true,"reason":"policy"}`)
	ask("user="+user+"&action=view&resourcetype=jobs&resourceid="+id).want(t, 200, `{"allowed":false,"reason":"no_policy"}`)
	ask("user="+user+"&action=view&resourcetype=accountfiles").want(t, 200, `{"allowed":true,"reason":"account"}`)
	ask("user="+user+"&action=edit&resourcetype=accountfiles").want(t, 200, `{"allowed":false,"reason":"no_policy"}`)
	ask("user="+user+"&action=create&resourcetype=jobconfigs").want(t, 200, `{"allowed":true,"reason":"owner"}`)
	for query, code := range map[string]int{
		"action=view&resourcetype=jobconfigs&resourceid=999": 404, "action=view&resourcetype=jobs&resourceid=69b9209b00000000000000c1": 404,
		"user=999&action=view&resourcetype=jobconfigs&resourceid=" + config: 404, "action=own&resourcetype=jobconfigs&resourceid=" + config: 400,
		"action=view&resourcetype=nothing&resourceid=1": 400, "action=view&resourcetype=jobconfigs": 400, "resourcetype=jobconfigs": 400,
	} {
		ask(query).want(t, code, "")
	}
	defer f.as(gina)()
	mine := f.config("mine", "")
	ask("action=delete&resourcetype=jobconfigs&resourceid="+mine).want(t, 200, `{"allowed":true,"reason":"owner"}`)
	ask("user=1&action=view&resourcetype=jobconfigs&resourceid="+config).fault(t, 403, "access_denied", "")
	f.do("GET", "/api/access/policies", nil).fault(t, 403, "access_denied", "Access policies are for admins only")
	f.do("GET", "/api/access/permissions?resourcetype=accountfiles", nil).want(t, 200, "")
	f.do("GET", "/api/access/permissions?resourcetype=users", nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/access/permissions", nil).fault(t, 400, "missing_field", "")
	if r := f.do("GET", "/api/access/resourcetypes", nil); strings.TrimSpace(r.text) != `["jobconfigs","jobtemplates","accountfiles"]` {
		t.Errorf("resource types: %s", r.text)
	}
}

// A program is not its submitter: of all that an admin may, the token of an admin's job leaves what jobs need.
func TestAJobsTokenIsGoodForWhatJobsNeed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config, other := f.config("orders", "run.sh"), f.config("other", "run.sh")
	id := f.start(config)
	f.do("POST", "/api/account/1/files?key=lib.sh", "x", header("Content-Type", "")).want(t, 201, "")
	fence := f.Take(t, 1, id)
	j, err := f.Store.Job(t.Context(), 1, id)
	if err != nil {
		t.Fatal(err)
	}
	token, err := control.JobTokens{Signer: f.Sessions.Signer, Now: f.Now}.Issue(j, fence)
	if err != nil {
		t.Fatal(err)
	}
	defer f.as(token)()
	needs := map[string]int{
		"GET /api/jobs/" + string(id): 200, "GET /api/jobs/" + string(id) + "/out": 200, "GET /api/jobs/" + string(id) + "/log": 200,
		"GET /api/jobconfigs/" + config: 200, "GET /api/jobconfigs": 200, "GET /api/jobconfigs/" + config + "/files/run.sh": 200,
		"GET /api/account/1/files/lib.sh": 200, "POST /api/jobconfigs/" + other + "/jobs": 202, "GET /api/account": 200,
	}
	for route, status := range needs {
		method, path, _ := strings.Cut(route, " ")
		if r := f.do(method, path, nil); r.Code != status {
			t.Errorf("%s: %d %s", route, r.Code, r.text)
		}
	}
	f.do("POST", "/api/jobconfigs/"+config+"/files?key=state.json", "{}", header("Content-Type", "")).want(t, 201, "")
	for route, body := range map[string]string{
		"GET /api/audit": "", "GET /api/audit/export": "", "GET /api/access/policies": "", "POST /api/access/policies": `{"name":"x"}`, "GET /api/users/access/policies": "",
		"PUT /api/account": `{}`, "PATCH /api/account": `{}`, "POST /api/destinations": `{"name":"x"}`, "GET /api/workers": "", "POST /api/account/retention/run": "",
		"POST /api/jobconfigs": `{"name":"new"}`, "PATCH /api/jobconfigs/" + config: `{"name":"x"}`, "PUT /api/jobconfigs/" + other: `{"name":"x"}`,
		"DELETE /api/jobconfigs/" + other: "", "PATCH /api/jobconfigs/deactivate": `{"recordIds":["` + other + `"]}`,
		"POST /api/jobconfigs/" + config + "/schedule": `{"cronSchedule":"0 3 * * *"}`, "POST /api/jobconfigs/" + config + "/subscription": `{"recipients":["a@b.example"]}`,
		"POST /api/jobconfigs/" + other + "/files?key=run.sh": "evil", "POST /api/account/1/files?key=lib.sh": "evil", "POST /api/users/1/files?key=lib.sh": "evil",
		"DELETE /api/jobconfigs/" + other + "/files/run.sh": "",
	} {
		method, path, _ := strings.Cut(route, " ")
		kind := "application/json"
		if strings.Contains(path, "/files") {
			kind = ""
		}
		f.do(method, path, body, header("Content-Type", kind)).fault(t, http.StatusForbidden, "access_denied", "")
	}
	f.do("GET", "/api/access/authorize?action=edit&resourcetype=jobconfigs&resourceid="+other, nil).want(t, 200, `{"allowed":false,"reason":"credentials"}`)
	f.do("GET", "/api/access/authorize?action=execute&resourcetype=jobconfigs&resourceid="+other, nil).want(t, 200, `{"allowed":true}`)
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	f.do("GET", "/api/jobs/"+string(id), nil).fault(t, 401, "token_invalid", "")
}

// A stream does not outlive the policy by which its listener sees something.
func TestStreamsEndWhenRightsChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tail(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	config := f.config("orders", "run.sh")
	user, gina := f.general(t, "gina")
	policy := f.policy(t, "viewers", user, "jobconfigs", []string{"view"}, config)
	first := f.start(config)
	admin := f.token
	f.token = gina
	all := f.open(t, server, "/api/events")
	log := f.open(t, server, "/api/jobs/"+string(first)+"/log?follow=true")
	f.token = admin
	f.do("DELETE", "/api/access/policies/"+policy, nil).want(t, 204, "")
	f.Pass(commentEvery)
	second := f.start(config)
	f.play(first, 0)
	if got := statuses(readEvents(t, all.Body, nil), second); len(got) > 0 {
		t.Errorf("after the policy is gone the stream tells %q", got)
	}
	if text, err := io.ReadAll(log.Body); err == nil {
		t.Errorf("after the policy is gone the log is followed to its end: %q", text)
	}
}

func TestUsersShowAndTakeAccessPolicies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "")
	policy := f.policy(t, "viewers", "", "jobconfigs", []string{"view"}, config)
	f.do("POST", "/api/users", `{"username":"nobody","password":"a-long-example-password","accessPolicyId":"999"}`).fault(t, 400, "unknown_record", "")
	f.do("GET", "/api/users?filter=nobody", nil).want(t, 200, `{"totalRecords":0}`)
	made := f.do("POST", "/api/users", `{"username":"gina","password":"a-long-example-password","accessPolicyId":"`+policy+`"}`).want(t, 201,
		`{"username":"gina","accessPolicy":{"id":"`+policy+`","name":"viewers"},"accessPolicies":[{"name":"viewers"}]}`)
	id, _ := made.json["id"].(string)
	if entries := f.do("GET", "/api/audit?filterby=action&operators=eq&filter=user.create", nil); !strings.Contains(entries.text, `"field":"accessPolicies","after":"viewers"`) ||
		!strings.Contains(entries.text, `"field":"password","after":"(set)"`) {
		t.Errorf("the audit log: %s", entries.text)
	}
	more := f.policy(t, "more", "", "jobconfigs", []string{"execute"}, config)
	f.do("PUT", "/api/users/"+id, `{"username":"gina","accessPolicyId":"`+more+`"}`).want(t, 200, `{"accessPolicies":[{"name":"more"},{"name":"viewers"}]}`)
	f.do("GET", "/api/users?filter=gina", nil).want(t, 200, `{"items":[{"accessPolicies":[{"name":"more"},{"name":"viewers"}]}]}`)
	defer f.as(f.login("gina", "a-long-example-password"))()
	f.do("GET", "/api/user", nil).want(t, 200, `{"accessPolicies":[{"name":"more"},{"name":"viewers"}]}`)
	f.do("PUT", "/api/users/"+id, `{"username":"gina","accessPolicyId":"`+more+`"}`).fault(t, 403, "access_denied", "Access policies are for admins only")
}

func TestOnePolicyTooManyChangesNothingOfAUser(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("orders", "")
	made := f.do("POST", "/api/users", `{"username":"gina","firstName":"Gina","password":"a-long-example-password"}`).want(t, 201, `{}`)
	id, _ := made.json["id"].(string)
	last := ""
	for i := range job.MaxUserPolicies {
		last = f.policy(t, fmt.Sprint("policy ", i), "", "jobconfigs", []string{"view"}, config)
		f.do("POST", "/api/users/"+id+"/access/policies", `{"accessPolicyIds":["`+last+`"]}`).want(t, 201, ``)
	}
	more := f.policy(t, "one more", "", "jobconfigs", []string{"view"}, config)
	f.do("PUT", "/api/users/"+id, `{"username":"gina","firstName":"Changed","accessPolicyId":"`+more+`"}`).fault(t, 400, "invalid_field", "A user has at most 50 access policies")
	f.do("GET", "/api/users/"+id, nil).want(t, 200, `{"firstName":"Gina"}`)
	f.do("PUT", "/api/users/"+id, `{"username":"gina","firstName":"Changed","accessPolicyId":"`+last+`"}`).want(t, 200, `{"firstName":"Changed"}`)
}
