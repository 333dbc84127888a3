package diem_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// The exchanges of the DIEM door's specification, section 5. Ids that the server makes are put in where they are shown.

const byID = `{"id":"` + orders + `"}`

func asked(action string) string { return `{"id":"` + orders + `","action":"` + action + `"}` }

func TestStartStopStatusExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Pending"}`).about(t, "")
	f.call("apijob", asked("stop")).want(t, 200, `{"message":"job already stopped"}`).about(t, "")
	// D-1
	r := f.call("apijob", byID, header("X-Request-Id", "2c5ea4c0-4067-4c1e-8b8d-000000000001")).want(t, 200, `{"message":"job started"}`)
	first := r.run(t)
	if id := r.Header().Get("X-Request-Id"); id != "2c5ea4c0-4067-4c1e-8b8d-000000000001" {
		t.Errorf("X-Request-Id is %s", id)
	}
	if id := r.Header().Get("X-Correlation-ID"); !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("X-Correlation-ID is %s", id)
	}
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Submitted"}`).about(t, first)
	fence := f.Take(t, f.account, first)
	login := f.do("POST", "/api/login", `{"username":"dan@example.com","password":"password-of-dan"}`)
	token := regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(login.text)
	if token == nil {
		t.Fatalf("login: %s", login.text)
	}
	config, err := f.Configs.Get(t.Context(), f.dan, orders)
	if err != nil {
		t.Fatal(err)
	}
	n := strconv.FormatInt(config.ID, 10)
	native := f.do("GET", "/api/jobs/"+string(first), nil, header("Authorization", "Bearer "+token[1]), header("x-api-key", ""))
	for _, part := range []string{
		`"id":"` + string(first) + `"`, `"href":"http://localhost:8080/api/jobs/` + string(first) + `"`, `"status":"RUNNING"`, `"runNumber":1`,
		`"jobConfig":{"id":"` + n + `","name":"orders nightly","href":"http://localhost:8080/api/jobconfigs/` + n + `"}`,
	} {
		if !strings.Contains(native.text, part) {
			t.Errorf("the native record has no %s: %s", part, native.text)
		}
	}
	// D-2
	f.call("apijob", asked("start")).want(t, 200, `{"message":"job already running"}`).about(t, first)
	// D-3
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Running"}`).about(t, first)
	f.call("apijob?action=status", byID).want(t, 200, `{"message":"Running"}`).about(t, first)
	f.call("apijob?action=start", asked("STATUS")).want(t, 200, `{"message":"Running"}`).about(t, first)
	f.do("GET", "/etl-mgr/api/apijob?action=status&id="+orders, nil, header("Content-Type", "")).want(t, 200, `{"message":"Running"}`).about(t, first)
	f.Finish(t, f.account, first, fence, controltest.Exit(0))
	f.call("apijob", `{"id":"`+orders+`","action":"status","jobid":"`+string(first)+`"}`).want(t, 200, `{"message":"Completed"}`).about(t, first)
	f.call("apijob", asked("stop")).want(t, 200, `{"message":"job already stopped"}`).about(t, first)
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Completed"}`)
	// D-4
	second := f.call("apijob", byID).want(t, 200, `{"message":"job started"}`).run(t)
	fence = f.Take(t, f.account, second)
	f.call("apijob", asked("stop")).want(t, 200, `{"message":"job stopped"}`).about(t, second)
	f.call("apijob", asked("stop")).want(t, 200, `{"message":"job stopped"}`).about(t, second)
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Running"}`)
	f.Finish(t, f.account, second, fence, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped})
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Stopped"}`).about(t, second)
	f.call("apijob", asked("stop")).want(t, 200, `{"message":"job already stopped"}`).about(t, second)
	// A queued one, by its run.
	third := f.call("apijob", byID).run(t)
	f.call("apijob", `{"id":"`+orders+`","action":"stop","jobid":"`+string(first)+`"}`).want(t, 200, `{"message":"job already stopped"}`).about(t, first)
	f.call("apijob", `{"id":"`+orders+`","action":"stop","jobid":"`+string(third)+`"}`).want(t, 200, `{"message":"job stopped"}`).about(t, third)
	f.call("apijob", asked("status")).want(t, 200, `{"message":"Stopped"}`)
}

func TestKeyExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	revoked, err := f.Keys.List(t.Context(), f.dan, job.Query{})
	if err != nil {
		t.Fatal(err)
	}
	gone := f.newKey(f.dan, control.APIKeyInput{Name: "gone"})
	all, err := f.Keys.List(t.Context(), f.dan, job.Query{})
	if err != nil || len(all.Items) != len(revoked.Items)+1 {
		t.Fatal(err)
	}
	for _, k := range all.Items {
		if k.Name == "gone" {
			if err := f.Keys.Revoke(t.Context(), f.dan, k.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	parts := strings.Split(f.key, ".")
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(f.key, claims); err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("another secret"))
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	inactive := f.User(t, "uma", "tulips-of-uma")
	idle := f.newKey(job.Actor{AccountID: inactive.AccountID, User: inactive.Ref()}, control.APIKeyInput{Name: "k"})
	if _, err := f.Store.SetUserActive(t.Context(), inactive.AccountID, inactive.ID, false, f.Now()); err != nil {
		t.Fatal(err)
	}
	notFound := `{"message":"Api could not be found"}`
	for name, c := range map[string]struct {
		key    string
		status int
		body   string
	}{
		"D-5 no key":         {"", 403, `{"error":"Forbidden, no api key or valid api key"}`},
		"D-5 no JWT":         {"abc", 403, `{"error":"Forbidden, no id on this token"}`},
		"no opaque key":      {"wbk_anything", 403, `{"error":"Forbidden, no id on this token"}`},
		"D-5 revoked":        {gone, 401, notFound},
		"D-6 forged":         {forged, 401, notFound},
		"D-6 none":           {none, 401, notFound},
		"deactivated maker":  {idle, 401, notFound},
		"D-6 another header": {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS512"}`)) + "." + parts[1] + "." + parts[2], 401, notFound},
	} {
		for _, function := range []string{"apijob", "nope", "fileupload"} { // the check never depends on the function
			if r := f.call(function, byID, header("x-api-key", c.key)); r.Code != c.status || r.text != c.body {
				t.Errorf("%s, %s: %d %s", name, function, r.Code, r.text)
			}
		}
	}
	if n := f.jobs(); n != 0 {
		t.Errorf("%d jobs were made", n)
	}
	opaque := f.newKey(f.dan, control.APIKeyInput{Name: "opaque", Form: job.KeyOpaque})
	f.call("apijob", asked("status"), header("x-api-key", opaque)).want(t, 200, `{"message":"Pending"}`)
}

func TestUnknownThingsExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// D-7
	for _, id := range []string{"000000000000000000000000", "xyz", foreign, "44"} {
		for _, action := range []string{"start", "stop", "status"} {
			f.call("apijob", `{"id":"`+id+`","action":"`+action+`"}`).want(t, 200, `{"error":"document `+id+` could not be found"}`)
		}
	}
	f.call("apijob", `{}`).want(t, 200, `{"error":"document undefined could not be found"}`)
	f.call("apijob", `{"id":"`+orders+`","action":"status","jobid":"69b9209b00000000000000d1"}`).want(t, 200, `{"error":"document 69b9209b00000000000000d1 could not be found"}`)
	// D-8
	f.call("apijob", asked("dance")).want(t, 200, `{"message":"not a valid method","action":"dance"}`)
	f.call("nope", `{}`).want(t, 404, `{"message":"resouce cannot be found"}`)
	f.call("pipelinejob", `{}`).want(t, 404, `{"message":"resouce cannot be found"}`)
	f.call("apijob", "", header("Content-Type", "")).want(t, 404, "Incorrect Content-Type")
	f.do("POST", "/etl-mgr/user/apijob", byID).want(t, 404, `{"message":"resouce cannot be found"}`)
	f.do("POST", "/etl-mgr", byID).want(t, 404, `{"message":"resouce cannot be found"}`)
	// D-11
	f.call("apijob", `{"id":"`+empty+`"}`, header("X-Request-Id", "2c5ea4c0-4067-4c1e-8b8d-000000000005")).
		want(t, 500, `{"message":"An internal error happened. It has been logged with reference: 2c5ea4c0-4067-4c1e-8b8d-000000000005"}`)
	// D-13
	f.call("jobdetail", `{"id":"44"}`).want(t, 404, `{"message":"No or incorrect Document ID Provided"}`)
	f.call("jobdetail", `{}`).want(t, 404, `{"message":"No or incorrect Document ID Provided"}`)
	for _, id := range []string{"000000000000000000000000", foreign} {
		f.call("jobdetail", `{"id":"`+id+`"}`).want(t, 404, `{"message":"document `+id+` not found"}`)
		f.call("jobactions", `{"id":"`+id+`"}`).want(t, 404, `{"message":"document `+id+` not found"}`)
		f.call("pipelinejobs", `{"query":{"id":"`+id+`"}}`).want(t, 404, `{"message":"document `+id+` not found"}`)
	}
	if err := f.Configs.SetActive(t.Context(), f.dan, []string{orders}, false); err != nil {
		t.Fatal(err)
	}
	f.call("apijob", byID).want(t, 200, `{"error":"document `+orders+` is not active"}`)
	if n := f.jobs(); n != 0 {
		t.Errorf("%d jobs were made", n)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	text := header("Content-Type", "text/plain")
	f.call("apijob", asked("status"), text).want(t, 200, `{"message":"Pending"}`)
	f.call("apijob", `{"id"`, text).want(t, 404, "Your request could not be completed, incorrect parsing")
	f.call("apijob", "--x\r\n", header("Content-Type", "multipart/form-data")).want(t, 404, "Your request could not be completed, incorrect parsing")
	f.call("apijob", "--x\r\nnonsense", header("Content-Type", "multipart/form-data; boundary=x")).want(t, 404, "Your request could not be completed, incorrect parsing")
	f.call("apijob", "--x\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n"+orders+"\r\n--x\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nstatus\r\n--x--\r\n",
		header("Content-Type", "multipart/form-data; boundary=x")).want(t, 200, `{"message":"Pending"}`)
	for _, bad := range []string{`{"id"`, `[]`, `null`, `7`, `{"id":"a","id":"b"}`, "{\"id\":\"\xff\"}"} {
		f.call("apijob", bad).want(t, 400, `{"message":"malformed JSON"}`)
	}
	f.call("apijob", `{"id":"`+strings.Repeat("x", 15<<20)+`"}`).want(t, 413, `{"message":"request too large"}`)
	f.call("jobs", `{"rows":"many"}`).want(t, 400, `{"message":"rows must be a whole number"}`)
	f.call("jobs", `{"query":7}`).want(t, 400, `{"message":"query must be an object"}`)

	for given, echoed := range map[string]bool{"abc def": true, "ä": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a\tb": false, "\xff": false} {
		r := f.call("apijob", asked("status"), header("X-Request-Id", given), header("X-Correlation-ID", given), header("X-Org-Protection", "acme"))
		for _, name := range []string{"X-Request-Id", "X-Correlation-ID"} {
			if got := r.Header().Get(name); (got == given) != echoed || got == "" {
				t.Errorf("%s %q is answered with %q", name, given, got)
			}
		}
		if r.Header().Get("X-Org-Protection") != "acme" {
			t.Errorf("X-Org-Protection is %q", r.Header().Get("X-Org-Protection"))
		}
	}
}

func TestCallsOverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f.newKey(f.dan, control.APIKeyInput{Name: "other"})
	for range 100 {
		f.call("apijob", asked("status")).want(t, 200, `{"message":"Pending"}`)
	}
	r := f.call("apijob", byID).want(t, 429, "You have exceeded the 100 requests per minute limit!")
	for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"} {
		if _, err := strconv.Atoi(r.Header().Get(name)); err != nil {
			t.Errorf("%s is %q", name, r.Header().Get(name))
		}
	}
	f.call("apijob", asked("status"), header("x-api-key", other)).want(t, 200, `{"message":"Pending"}`)
	if n := f.jobs(); n != 0 {
		t.Errorf("%d jobs were made", n)
	}
}

// services calls services while a program plays: it gives messages and ends.
func (f *fixture) services(t *testing.T, body string, code int, messages ...job.Message) reply {
	t.Helper()
	answered := make(chan reply, 1)
	go func() {
		answered <- f.call("services", body, header("X-Request-Id", "2c5ea4c0-4067-4c1e-8b8d-000000000003"))
	}()
	for {
		select {
		case r := <-answered:
			return r
		case <-time.After(5 * time.Millisecond):
		}
		list, _, err := f.Store.Jobs(t.Context(), job.Query{
			Scope: job.Scope{AccountID: f.account}, Where: job.Compare{Property: "status", Op: job.Eq, Values: []any{job.Queued}},
		})
		if err != nil {
			t.Error(err)
		}
		for _, j := range list.Items {
			fence := f.Take(t, f.account, j.ID)
			if err := f.Store.Report(t.Context(), f.account, j.ID, fence, job.Report{At: f.Now(), Messages: messages}); err != nil {
				t.Error(err)
			}
			f.Finish(t, f.account, j.ID, fence, controltest.Exit(code))
		}
	}
}

func TestServicesExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	call := `{"id":"` + random + `","params":{"action":"randstring","payload":16,"deep":{"a":[1]}}}`
	// D-10
	f.call("services", `{"id":"bad"}`).want(t, 406, "Invalid id: bad")
	f.call("services", `{}`).want(t, 406, "Invalid id: undefined")
	for _, id := range []string{"000000000000000000000000", foreign} {
		f.call("services", `{"id":"`+id+`"}`).want(t, 404, `{"message":"doc `+id+` not found","status":404}`)
	}
	f.call("services", call).want(t, 503, `{"message":"No Executor is available to handle your request","status":503}`)
	if n := f.jobs(); n != 0 {
		t.Fatalf("%d jobs were made", n)
	}
	f.worker()
	f.call("services", `{"id":"`+random+`","params":[1]}`).want(t, 400, `{"message":"params must be an object"}`)
	// D-9
	out := func(body string) job.Message { return job.Message{Name: "out", Body: body} }
	r := f.services(t, call, 0, out("SayzCPNt9l5YFve2"))
	r.want(t, 200, `{"out":"SayzCPNt9l5YFve2","id":"`+random+`","jobid":"`+random+`","transid":"2c5ea4c0-4067-4c1e-8b8d-000000000003","email":"dan@example.com","name":"rand string"}`)
	j, err := f.Store.Job(t.Context(), f.account, r.run(t))
	if err != nil {
		t.Fatal(err)
	}
	macros := map[string]string{}
	for _, m := range j.Spec.Macros {
		macros[m.Key] = m.Value
	}
	params := `{"action":"randstring","payload":16,"deep":{"a":[1]}}`
	if len(macros) != 3 || macros["action"] != "randstring" || macros["payload"] != "16" || macros["PARAMS"] != params {
		t.Errorf("macros: %v", macros)
	}
	if s := j.Spec; len(s.Arguments) != 1 || s.Arguments[0] != params || !s.Answer || s.TotalTimeout != 10*time.Second || s.Retry.MaximumAttempts > 1 || j.Trigger != job.TriggerDIEM {
		t.Errorf("spec: %+v", s)
	}
	shown := func(out string) string {
		return `{"out":` + out + `,"id":"` + total + `","jobid":"` + total + `","transid":"2c5ea4c0-4067-4c1e-8b8d-000000000003","email":"dan@example.com","name":"count orders"}`
	}
	for body, want := range map[string]string{
		`{"total":3}`: `{"total":3}`, `[1,"<a>"]`: `[1,"<a>"]`, `7`: `7`, `{"out":1,"rows":2}`: `{"out":1,"rows":2}`, "two\nlines": `"two\nlines"`, `{"broken"`: `"{\"broken\""`,
	} {
		f.services(t, `{"id":"`+total+`"}`, 0, out(body)).want(t, 200, shown(want))
	}
	f.services(t, `{"id":"`+total+`"}`, 0).want(t, 200, `{"message":"no data"}`)
	f.services(t, `{"id":"`+total+`"}`, 3).want(t, 200, `{"id":"`+total+`","org":"acme","serviceid":"`+total+`","email":"dan@example.com","error":"The program failed",
		"out":{"message":"An error happened and data cannot be produced"}}`)
	f.services(t, `{"id":"`+empty+`"}`, 0).want(t, 500, `{"message":"An internal error happened. It has been logged with reference: 2c5ea4c0-4067-4c1e-8b8d-000000000003"}`)
	f.Calls.Limit = 30 * time.Millisecond // nobody takes it
	f.call("services", call).want(t, 504, `{"message":"Timeout handling your request","status":504}`)
}

func TestListExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Pass(9*time.Second + 3*time.Minute) // 09:44:07
	first := f.call("apijob", byID).run(t)
	f.Finish(t, f.account, first, f.Take(t, f.account, first), controltest.Exit(0))
	f.Pass(28 * time.Second)
	second := f.call("apijob", byID, header("X-Request-Id", "2c5ea4c0-4067-4c1e-8b8d-000000000006")).run(t)
	fence := f.Take(t, f.account, second)
	f.Pass(12 * time.Second)
	f.Finish(t, f.account, second, fence, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped})
	// D-12
	row := `[{"id":"` + orders + `","name":"orders nightly","description":"","type":"pycustom","href":"/jobdetail/` + orders + `","jobid":"` + orders + `","status":"Stopped",
		"executor":"nodepy","count":0,"email":"dan@example.com","jobstart":"2026-03-17T09:44:35.000Z","jobend":"2026-03-17T09:44:47.000Z","runby":"apicall","runtime":"00:00:12",
		"transid":"2c5ea4c0-4067-4c1e-8b8d-000000000006","source":"","target":"","schedule":"","nbr":1}]`
	f.call("jobs", `{"first":0,"rows":10,"search":"name","reference":"ORDERS N"}`).want(t, 200, row)
	f.call("joblog", `{"query":{"rows":1,"search":"jobid","reference":"`+orders+`"}}`).want(t, 200, `[{"logid":"`+orders+`","jobid":"`+orders+`","runid":"`+string(second)+`",
		"name":"orders nightly","type":"pycustom","executor":"nodepy","runby":"apicall","status":"Stopped","jobstart":"2026-03-17T09:44:35.000Z","jobend":"2026-03-17T09:44:47.000Z",
		"runtime":12,"count":0,"project":{"org":"acme","orgscope":"default"},"transid":"2c5ea4c0-4067-4c1e-8b8d-000000000006","email":"dan@example.com","nbr":2}]`)
	for _, same := range []string{
		`{"status":"Stopped"}`, `{"search":"status","reference":"topp"}`, `{"search":"name","reference":"nightly","status":"Stopped","mine":true,"type":"pycustom"}`,
		`{"query":{"status":["Stopped","Failed"]}}`, `{"sortField":"jobstart","sortOrder":1,"rows":1,"search":"name","reference":"orders nightly"}`,
	} {
		f.call("jobs", same).want(t, 200, row)
	}
	for _, none := range []string{`{"status":"Failed"}`, `{"status":"Dancing"}`, `{"type":"pipeline"}`, `{"type":"spark"}`, `{"scheduled":true}`, `{"tags":["x"]}`, `{"first":100}`, `{"search":"description","reference":"x"}`} {
		f.call("jobs", none).want(t, 200, `[]`)
	}
	names := regexp.MustCompile(`"name":"([^"]+)"`)
	for query, want := range map[string]string{
		`{}`: "count orders,nothing to run,orders nightly,rand string", `{"sortOrder":1}`: "rand string,orders nightly,nothing to run,count orders",
		`{"first":1,"rows":2}`: "nothing to run,orders nightly", `{"status":"Pending"}`: "count orders,nothing to run,rand string",
		`{"search":"sql","reference":"RUN.S"}`: "count orders,orders nightly,rand string", `{"sortField":"jobstart","sortOrder":1,"rows":1}`: "orders nightly",
		`{"search":"status","reference":"e"}`:           "count orders,nothing to run,orders nightly,rand string",
		`{"sortField":"status","sortOrder":1,"rows":1}`: "orders nightly",
		`{"sortField":"runby","sortOrder":1,"rows":1}`:  "orders nightly", `{"sortField":"email","sortOrder":1,"rows":1}`: "orders nightly",
	} {
		var got []string
		for _, m := range names.FindAllStringSubmatch(f.call("jobs", query).text, -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s gives %v, want %s", query, got, want)
		}
	}
	for query, want := range map[string]int{
		`{}`: 2, `{"status":"Completed"}`: 1, `{"status":"Running"}`: 0, `{"mine":true}`: 2, `{"scheduled":true}`: 0, `{"search":"name","reference":"rand"}`: 0, `{"search":"sql","reference":"run.sh"}`: 2,
		`{"type":"pipeline"}`: 0, `{"search":"description","reference":"x"}`: 0, `{"first":1}`: 1,
	} {
		if got := strings.Count(f.call("joblog", query).text, `"logid"`); got != want {
			t.Errorf("joblog %s gives %d, want %d", query, got, want)
		}
	}
}

func TestDetailAndActionExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.call("jobdetail", byID).want(t, 200, `{"id":"`+orders+`","name":"orders nightly","description":"","about":"","type":"pycustom","tags":[],"org":"acme","orgscope":"default",
		"createdbyemail":"dan@example.com","createdbyname":"dan@example.com","createddate":"2026-03-17T09:40:58.000Z","modifiedbyemail":"dan@example.com","modifiedbyname":"dan@example.com",
		"modifieddate":"2026-03-17T09:40:58.000Z","transid":"","status":"Pending","executor":"nodepy","count":0,"email":"","error":"","jobid":"`+orders+`","jobstart":null,"jobend":null,"runby":"",
		"runtime":null,"schedule__cronTime":"","schedule__enabled":false,"schedule__nextExecution":null,"schedule__nextExecutionTime":null,"mail__enabled":false,"mail__delivery":"",
		"mail__recipients":[],"job__params":"","package":"run.sh","log":[],"out":[],"jobs":[]}`)
	f.call("pipelinejobs", byID).want(t, 200, `[]`)
	// D-13
	first := f.call("jobactions", asked("start")).want(t, 200, `true`).run(t)
	f.call("jobactions", byID).want(t, 200, `true`).about(t, first)
	f.call("jobactions", asked("Stop")).want(t, 200, `true`).about(t, first)
	f.call("jobactions", asked("dance")).want(t, 200, `{"message":"not a valid method","action":"dance"}`)
	// A run with steps is a pipeline.
	second := f.call("jobactions", byID).run(t)
	fence := f.Take(t, f.account, second)
	if err := f.Store.Report(t.Context(), f.account, second, fence, job.Report{At: f.Now(), Steps: []job.Step{
		{Name: "extract", Status: job.Completed, StartedAt: f.Now(), FinishedAt: f.Now().Add(61 * time.Second)}, {Index: 1, Name: "load", Status: job.Running, StartedAt: f.Now()},
	}}); err != nil {
		t.Fatal(err)
	}
	f.call("pipelinejobs", `{"query":{"id":"`+orders+`"}}`).want(t, 200, `[
		{"id":"`+orders+`-0","name":"extract","status":"Completed","jobstart":"2026-03-17T09:40:58.000Z","jobend":"2026-03-17T09:41:59.000Z","runtime":"00:01:01","jobid":"`+orders+`","from":[],"required":"all"},
		{"id":"`+orders+`-1","name":"load","status":"Running","jobstart":"2026-03-17T09:40:58.000Z","jobend":null,"runtime":"00:00:00","jobid":"`+orders+`","from":[],"required":"all"}]`)
	if r := f.call("jobs", `{"type":"pipeline"}`); !strings.Contains(r.text, `"executor":"pipeline"`) || !strings.Contains(r.text, `"jobs":true`) {
		t.Errorf("jobs: %s", r.text)
	}
}

func TestFileExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Pass(9*time.Minute + 2*time.Second)
	upload := func(files ...[2]string) (*bytes.Buffer, with) { return form(t, files...) }
	send := func(body *bytes.Buffer, label with) reply {
		return f.do("POST", "/etl-mgr/api/fileupload", body, label)
	}
	// D-14
	send(upload([2]string{"orders.csv", "id,total\n1,10\n2,20\n"})).want(t, 200, `{"message":"files Upload Started","success":true}`)
	f.call("getfiles", `{"selector":"ord"}`).want(t, 200, `[{"createdby":"cos","createddate":"2026-03-17T09:50:00.000Z","id":"orders.csv","file":"orders.csv","name":"orders.csv","org":"acme",
		"selector":"ord","size":19,"type":"application/octet-stream"}]`)
	f.call("filedownload", `{"id":"orders.csv"}`).want(t, 200, `{"filename":"orders.csv","contenttype":"text/csv","data":"id,total\n1,10\n2,20\n"}`)
	r := f.call("filedownload", `{"id":"orders.csv"}`, header("Accept", "application/octet-stream"))
	if r.text != "id,total\n1,10\n2,20\n" || r.Header().Get("Content-Disposition") != `attachment; filename=orders.csv` {
		t.Errorf("as it is: %v %q", r.Header(), r.text)
	}
	f.call("filedelete", `{"id":"orders.csv"}`).want(t, 200, `{"success":true}`)
	f.call("filedelete", `{"id":"orders.csv"}`).want(t, 200, `{"success":true}`)
	f.call("getfiles", `{"selector":"ord"}`).want(t, 200, `[]`)
	f.call("filedownload", `{"id":"orders.csv"}`).want(t, 404, `{"message":"document orders.csv not found"}`)

	send(upload()).want(t, 400, `{"message":"No files have been provided"}`)
	f.call("fileupload", `{}`).want(t, 400, `{"message":"No files have been provided"}`)
	send(upload([2]string{`C:\data\a.bin`, "\xff\x00<\u00e4"}, [2]string{"../../b.txt", "b"})).want(t, 200, `{"message":"files Upload Started","success":true}`)
	f.call("filedownload", `{"id":"a.bin"}`).want(t, 200, `{"filename":"a.bin","contenttype":"application/octet-stream","data":"\u00ff\u0000<\u00c3\u00a4"}`)
	if r := f.call("getfiles", `{}`); strings.Count(r.text, `"file"`) != 2 {
		t.Errorf("all: %s", r.text)
	}
	body, label := upload([2]string{"c.txt", "c"}, [2]string{"d.txt", "d"})
	body.Truncate(body.Len() - 30)
	send(body, label).want(t, 404, "Your request could not be completed, incorrect parsing")
	f.call("getfiles", `{"selector":"c"}`).want(t, 200, `[]`)

	uma, err := (&control.UserAdmin{Store: f.Store, Users: f.Store, Hasher: controltest.Passwords{}, Now: f.Now}).Create(t.Context(), "acme", "uma", "tulips-of-uma", false)
	if err != nil {
		t.Fatal(err)
	}
	general := header("x-api-key", f.newKey(job.Actor{AccountID: uma.AccountID, User: uma.Ref()}, control.APIKeyInput{Name: "k"}))
	f.call("getfiles", `{}`, general).want(t, 200, `[{"name":"You don't have enough rights to view files. Your role level: 20 - required: 40"}]`)
	for _, function := range []string{"filedownload", "filedelete", "fileupload"} {
		f.call(function, `{"id":"a.bin"}`, general).want(t, 403, `{"error":"Forbidden"}`)
	}
	f.call("apijob", byID, general).want(t, 200, `{"error":"document `+orders+` could not be found"}`)
	f.call("jobs", `{}`, general).want(t, 200, `[]`)
}

// What a key may be used for is asked in one place, for all functions.
func TestScopesOfKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	needs := map[string]job.KeyScope{
		"apijob": job.ScopeRun, "apijob?action=stop": job.ScopeRun, "apijob?action=status": job.ScopeRead, "services": job.ScopeRun, "jobactions": job.ScopeRun, "jobs": job.ScopeRead,
		"jobdetail": job.ScopeRead, "joblog": job.ScopeRead, "pipelinejobs": job.ScopeRead, "getfiles": job.ScopeRead, "filedownload": job.ScopeRead, "fileupload": job.ScopeWrite, "filedelete": job.ScopeWrite,
	}
	for _, scope := range job.KeyScopes {
		key := header("x-api-key", f.newKey(f.dan, control.APIKeyInput{Name: string(scope), Scopes: []job.KeyScope{scope}}))
		for function, needed := range needs {
			r := f.call(function, byID, key)
			if refused := r.Code == http.StatusForbidden && r.text == `{"error":"Forbidden"}`; refused == (scope == needed) {
				t.Errorf("%s with %s: %d %s", function, scope, r.Code, r.text)
			}
		}
	}
	limited := header("x-api-key", f.newKey(f.dan, control.APIKeyInput{Name: "limited", Resources: []string{random}}))
	f.call("apijob", asked("status"), limited).want(t, 200, `{"error":"document `+orders+` could not be found"}`)
	f.call("apijob", `{"id":"`+random+`","action":"status"}`, limited).want(t, 200, `{"message":"Pending"}`)
	if r := f.call("jobs", `{}`, limited); strings.Count(r.text, `"id"`) != 1 {
		t.Errorf("jobs: %s", r.text)
	}
	f.call("filedelete", `{"id":"x"}`, limited).want(t, 403, `{"error":"Forbidden"}`)
}

// Every function that would change something leaves an entry in the audit log, however it ends.
func TestActsAreAudited(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, c := range []struct{ function, body, action, result string }{
		{"apijob", byID, "job.start", "ok"}, {"apijob", asked("stop"), "job.stop", "ok"}, {"jobactions", byID, "job.start", "ok"},
		{"apijob", `{"id":"` + foreign + `"}`, "job.start", "failed"}, {"services", `{"id":"` + random + `"}`, "job.start", "failed"}, {"fileupload", `{}`, "file.upload", "failed"}, {"filedelete", `{"id":"x"}`, "file.delete", ""},
	} {
		id := "2c5ea4c0-4067-4c1e-8b8d-0000000001" + strconv.Itoa(10+i)
		f.call(c.function, c.body, header("X-Request-Id", id))
		entries, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{id}}}, true)
		if err != nil || len(entries.Items) != 1 {
			t.Errorf("%s %s: %d entries, %v", c.function, c.body, len(entries.Items), err)
			continue
		}
		if e := entries.Items[0]; e.Action != c.action || (c.result != "" && string(e.Result) != c.result) || e.Actor != "dan@example.com" {
			t.Errorf("%s %s: %+v", c.function, c.body, e)
		}
	}
	f.call("apijob", asked("status"), header("X-Request-Id", "looks"))
	entries, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{"looks"}}}, true)
	if err != nil || len(entries.Items) != 0 {
		t.Errorf("a look left %v, %v", entries.Items, err)
	}
}

// Also one that can not be read, or is refused before it is.
func TestMalformedCallsLeaveAnEntry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, c := range []struct {
		function, body, path, action, reason, actor string
		change                                      with
	}{
		{"apijob", `{"id":`, "", "job.start", "malformed_json", "dan@example.com", header("X", "")},
		{"services", "\xff\xfe", "", "job.start", "", "dan@example.com", header("X", "")},
		{"filedelete", `[1`, "", "file.delete", "malformed_json", "dan@example.com", header("X", "")},
		{"apijob", byID, "?a=%zz", "job.start", "", "dan@example.com", header("X", "")},
		{"apijob", byID, "", "job.start", "invalid_field", "dan@example.com", header("Content-Type", "")},
		{"apijob", byID, "", "job.start", "token_invalid", "", func(r *http.Request) { r.Header.Add("x-api-key", "two") }},
	} {
		id := "2c5ea4c0-4067-4c1e-8b8d-0000000002" + strconv.Itoa(10+i)
		r := f.call(c.function+c.path, c.body, header("X-Request-Id", id), c.change)
		entries, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{id}}}, true)
		if err != nil || len(entries.Items) != 1 {
			t.Errorf("%s %s (%d): %d entries, %v", c.function, c.body, r.Code, len(entries.Items), err)
			continue
		}
		e := entries.Items[0]
		if e.Action != c.action || e.Result == job.AuditOK || e.Reason == "" || c.reason != "" && string(e.Reason) != c.reason || e.Actor != c.actor {
			t.Errorf("%s %s: %+v", c.function, c.body, e)
		}
		if (e.Credential.Kind == job.CredentialKey && job.ValidID(e.Credential.ID)) != (c.actor != "") {
			t.Errorf("%s %s was shown %+v", c.function, c.body, e.Credential)
		}
	}
	if f.jobs() != 0 {
		t.Error("a refused call has started a job")
	}
	if r := f.call("joblog", `{"id":`, header("X-Request-Id", "looks")); r.Code < 400 {
		t.Errorf("%d", r.Code)
	}
	entries, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{"looks"}}}, true)
	if err != nil || len(entries.Items) != 0 {
		t.Errorf("a look left %v, %v", entries.Items, err)
	}
}

// An object store that is away is the door's 503.
func TestObjectStoreAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.Files.Add(t.Context(), f.dan, control.FileOwner{Type: job.EntityAccount, Ref: strconv.FormatInt(f.account, 10)}, control.Upload{Key: "a.txt", Body: strings.NewReader("a")}); err != nil {
		t.Fatal(err)
	}
	f.Objects.Fail = job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	if r := f.call("filedownload", `{"id":"a.txt"}`).want(t, 503, `{"message":"Service Unavailable","status":503}`); r.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
