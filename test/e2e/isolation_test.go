package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestTwoAccounts walks all routes of the API's own document with what belongs to another account: everything there is
// for its owner is not there for others (native.md, 1.5: 404), and lists are empty.
func TestTwoAccounts(t *testing.T) {
	t.Parallel()
	p := sharedProgram(t)
	alpha, beta := p.tenant(t, "alpha"), p.tenant(t, "beta")
	config := alpha.configure(t, "theirs", setup{
		key: "main.djar", entry: "main.process", content: mustZip(t, member{name: "main.process",
			text: "#!/bin/sh\necho working\necho '{\"type\":\"error\",\"recordId\":\"r1\",\"data\":{}}' >> \"$WAYBILL_EVENTS\"\necho '{\"type\":\"message\",\"name\":\"reply\",\"body\":\"theirs\"}' >> \"$WAYBILL_EVENTS\"\n[ -n \"$LONG\" ] && sleep 600\necho result > \"$LOCAL_JOB_OUT_DIR/out.txt\"\n"}),
	})
	alpha.do(t, http.StatusOK, http.MethodPatch, "/api/jobconfigs/"+config, object{"callbacks": []object{{"url": "https://waybill.invalid/"}}})
	alpha.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+config+"/schedule", object{"cronSchedule": "0 3 1 1 *"})
	alpha.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+config+"/subscription", object{"recipients": []string{"a@example.com"}})
	destination := alpha.do(t, http.StatusCreated, http.MethodPost, "/api/destinations", object{"name": "theirs"}).object(t).text("id")
	job := alpha.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+config+"/jobs?wait=60s", nil).object(t)
	expect(t, "the status of the job", job.text("status"), "FINISHED")
	running := alpha.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs",
		object{"runtimeConfig": object{"macros": []object{{"key": "LONG", "value": "1"}}}}).object(t).text("id")
	alpha.reaches(t, running, "RUNNING", time.Minute)
	shown := alpha.get(t, "/api/jobconfigs/"+config)
	objectID, user := shown.text("objectId"), shown.text("user.id")
	account := alpha.get(t, "/api/account").text("id")
	for _, owner := range []string{"/api/account/" + account, "/api/users/" + user} {
		alpha.do(t, http.StatusCreated, http.MethodPost, owner+"/files?key=lib.zip", mustZip(t, member{name: "main.process", text: "#!/bin/sh\n"}))
	}

	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	status, _, text := plainGet(t, p.run.URL+"/openapi.json")
	if err := json.Unmarshal([]byte(text), &document); err != nil || status != http.StatusOK {
		t.Fatalf("/openapi.json answers %d: %v", status, err)
	}
	delivery := alpha.get(t, "/api/jobs/"+job.text("id")+"/deliveries").items()[0].text("id")
	key := alpha.do(t, http.StatusCreated, http.MethodPost, "/api/apikeys", object{"name": "theirs"}).object(t).text("id")
	policy := alpha.do(t, http.StatusCreated, http.MethodPost, "/api/access/policies", object{
		"name": "theirs", "permissions": []object{{"resourceType": "jobconfigs", "allowed": []string{"view"}, "resourceIds": []string{config}}},
	}).object(t).text("id")
	walked := 0
	for path, methods := range document.Paths {
		if methods["get"] == nil || path == "/events" || strings.HasPrefix(path, "/login/") {
			continue // the stream does not end, the job's own does; and single sign-on is not set up
		}
		address := "/api" + path
		switch {
		case strings.HasPrefix(path, "/jobconfigs/"):
			address = strings.NewReplacer("{id}", config, "{key}", "main.djar").Replace(address)
		case strings.HasPrefix(path, "/jobs/"):
			address = strings.NewReplacer("{id}", job.text("id"), "{key}", "out.txt", "{recordId}", "r1", "{number}", "1",
				"{delivery}", delivery, "{messagename}", "reply").Replace(address)
		case strings.HasPrefix(path, "/account/{id}/"):
			address = strings.NewReplacer("{id}", account, "{key}", "lib.zip").Replace(address)
		case path == "/access/permissions":
			address += "?resourcetype=jobtemplates"
		case path == "/access/authorize":
			address += "?resourcetype=jobconfigs&action=create"
		case strings.HasPrefix(path, "/access/policies/"):
			address = strings.Replace(address, "{id}", policy, 1)
		case strings.HasPrefix(path, "/apikeys/"):
			address = strings.Replace(address, "{id}", key, 1)
		case strings.HasPrefix(path, "/users/{userId}/"):
			address = strings.Replace(address, "{userId}", user, 1)
		case strings.HasPrefix(path, "/users/{id}"):
			address = strings.NewReplacer("{id}", user, "{key}", "lib.zip").Replace(address)
		case strings.HasPrefix(path, "/destinations/"):
			address = strings.Replace(address, "{id}", destination, 1)
		}
		if strings.Contains(address, "{") {
			t.Errorf("this test does not know what to put into %s", path)
			continue
		}
		walked++
		alpha.do(t, http.StatusOK, http.MethodGet, address, nil) // else a 404 would say nothing
		if strings.Contains(path, "{") {
			r := beta.do(t, http.StatusNotFound, http.MethodGet, address, nil)
			expect(t, "the code of "+r.call, r.object(t).text("code"), "not_found")
			continue
		}
		body := string(beta.do(t, http.StatusOK, http.MethodGet, address, nil).body)
		for _, id := range []string{job.text("id"), running, objectID, `"theirs"`} {
			if strings.Contains(body, id) {
				t.Errorf("GET %s shows another account's %s: %s", address, id, body)
			}
		}
	}
	if walked < 15 {
		t.Errorf("only %d routes of the document were walked", walked)
	}
	for _, list := range []string{"/api/jobconfigs", "/api/jobs", "/api/jobs?cursor="} {
		expect(t, "the length of "+list, len(beta.get(t, list).items()), 0)
	}
	expect(t, "jobs counted", beta.get(t, "/api/jobstats").text("totalJobs"), 0)

	change := object{"name": "mine now"}
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/jobconfigs/" + objectID, nil},
		{"PUT", "/api/jobconfigs/" + config, change},
		{"PATCH", "/api/jobconfigs/" + config, change},
		{"DELETE", "/api/jobconfigs/" + config, nil},
		{"PUT", "/api/jobconfigs/" + config + "/files/main.txt", []byte("x")},
		{"POST", "/api/jobconfigs/" + config + "/files?key=main.txt", []byte("x")},
		{"DELETE", "/api/jobconfigs/" + config + "/files/main.djar", nil},
		{"POST", "/api/jobconfigs/" + config + "/filelinks", object{"entityType": "ACCOUNT", "fileName": "lib.zip"}},
		{"POST", "/api/account/" + account + "/files?key=lib.zip", []byte("x")},
		{"PUT", "/api/account/" + account + "/files/lib.zip", []byte("x")},
		{"DELETE", "/api/account/" + account + "/files/lib.zip", nil},
		{"POST", "/api/users/" + user + "/files?key=lib.zip", []byte("x")},
		{"DELETE", "/api/users/" + user + "/files/lib.zip", nil},
		{"POST", "/api/jobconfigs/" + config + "/jobs", nil},
		{"DELETE", "/api/jobs/" + running, nil},
		{"POST", "/api/jobs/" + job.text("id") + "/retry", nil},
		{"PATCH", "/api/jobconfigs/deactivate", object{"recordIds": []string{config}}},
		{"DELETE", "/api/jobconfigs/delete", object{"recordIds": []string{config}}},
	} {
		r := beta.do(t, http.StatusNotFound, call.method, call.path, call.body)
		expect(t, "the code of "+r.call, r.object(t).text("code"), "not_found")
	}
	stopped := beta.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/stop", object{"recordIds": []string{running}}).object(t)
	expect(t, "what is stopped of another account", stopped.text("accepted"), "[]")

	// Names are each account's own, and so are filters and cursors.
	beta.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": "theirs"})
	expect(t, "what a filter finds", len(beta.get(t, "/api/jobs?jobconfigid="+config).items()), 0)
	next := alpha.get(t, "/api/jobs?cursor=&size=1").text("links.next")
	if next == "" {
		t.Fatal("a list of two jobs has one page of one")
	}
	link, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	r := beta.do(t, http.StatusBadRequest, http.MethodGet, "/api/jobs?"+link.RawQuery, nil)
	expect(t, "the code of another's cursor", r.object(t).text("code"), "invalid_cursor")

	// Nothing of this has changed what is alpha's.
	expect(t, "the config's name", alpha.get(t, "/api/jobconfigs/"+config).text("name"), "theirs")
	expect(t, "the config is active", alpha.get(t, "/api/jobconfigs/"+config).text("active"), true)
	expect(t, "the running job", alpha.get(t, "/api/jobs/"+running).text("status"), "RUNNING")
	alpha.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/"+running, nil)
	expect(t, "the stopped job", alpha.finish(t, running, time.Minute).text("status"), "FAILED")
}

func mustZip(t *testing.T, members ...member) []byte {
	t.Helper()
	content, err := zipOf(members...)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestAccountCommand is what the command refuses.
func TestAccountCommand(t *testing.T) {
	t.Parallel()
	p := sharedProgram(t)
	name := unique("account")
	if code, out, errs := createAccount(t, p.data, name, name+"-bob", "a good password"); code != 0 || !strings.Contains(out, name) {
		t.Fatalf("it ends with %d: %s%s", code, out, errs)
	}
	for what, args := range map[string][3]string{
		"the same account":     {name, name + "-eve", "a good password"},
		"the same user":        {unique("account"), name + "-bob", "a good password"},
		"a password too short": {unique("account"), unique("carol"), "short"},
		"no password":          {unique("account"), unique("carol"), ""},
	} {
		code, out, errs := createAccount(t, p.data, args[0], args[1], args[2])
		if code == 0 || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "waybill: ") {
			t.Errorf("%s: it ends with %d and says %q, %q", what, code, out, errs)
		}
	}
	if _, err := login(t.Context(), p.run.URL, name+"-bob", "a good password"); err != nil {
		t.Error(fmt.Errorf("the new admin can not sign in: %w", err))
	}
}
