package native_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/api/native"
	"waybill/internal/job"
)

func TestCallbacksOfAConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.do("POST", "/api/jobconfigs", `{"name":"x","callbacks":[{"url":"https://a.example/x?t=1","events":["job.failed"],"secret":"s3cret"},{"url":"https://b.example"}]}`).
		want(t, 201, `{"callbacks":[{"url":"https://a.example/x?t=1","events":["job.failed"],"signed":true},
			{"url":"https://b.example","events":["job.started","job.completed","job.failed","job.cancelled"],"signed":false}]}`)
	if strings.Contains(made.text, "s3cret") || strings.Contains(made.text, "sealed") {
		t.Errorf("the secret is shown: %s", made.text)
	}
	id := made.json["id"].(string)
	stored := func() string {
		t.Helper()
		c, err := f.Store.Config(t.Context(), 1, 1)
		if err != nil || len(c.Rules.Callbacks) == 0 {
			t.Fatal(c, err)
		}
		return c.Rules.Callbacks[0].Sealed
	}
	first := stored()
	if first == "" || strings.Contains(first, "s3cret") {
		t.Errorf("stored as %q", first)
	}
	signed := func(want bool) {
		t.Helper()
		f.do("GET", "/api/jobconfigs/"+id, nil).want(t, 200, fmt.Sprintf(`{"callbacks":[{"url":"https://a.example/x?t=1","signed":%v}]}`, want))
	}
	f.do("PUT", "/api/jobconfigs/"+id, `{"name":"x","callbacks":[{"url":"https://a.example/x?t=1"}]}`).want(t, 200, "")
	signed(true)
	f.do("PATCH", "/api/jobconfigs/"+id, `{"description":"y"}`).want(t, 200, "")
	if signed(true); stored() != first {
		t.Error("the secret changed")
	}
	f.do("PATCH", "/api/jobconfigs/"+id, `{"callbacks":[{"url":"https://a.example/x?t=1","secret":"other"}]}`).want(t, 200, "")
	if signed(true); stored() == first {
		t.Error("the secret did not change")
	}
	f.do("PATCH", "/api/jobconfigs/"+id, `{"callbacks":[{"url":"https://a.example/x?t=1","secret":null}]}`).want(t, 200, "")
	signed(false)
	if r := f.do("PATCH", "/api/jobconfigs/"+id, `{"callbacks":null}`).want(t, 200, ""); r.json["callbacks"] != nil {
		t.Errorf("cleared: %s", r.text)
	}
	eleven := strings.TrimSuffix(strings.Repeat(`{"url":"https://a.example"},`, 11), ",")
	for body, want := range map[string]string{
		`[{"url":"http://127.0.0.1/x"}]`:                                             "callbacks: url names an address that callbacks may not reach",
		`[{"url":"https://u:p@example.com"}]`:                                        "callbacks: url must not hold a user or password",
		`[{"url":"ftp://example.com"}]`:                                              "callbacks: url begins with https:// or http://",
		`[{"url":"https://a.example"},{"url":"https://a.example"}]`:                  "callbacks names one url twice",
		`[{"url":"https://a.example","events":["job.exploded"]}]`:                    "callbacks: events are job.started, job.completed, job.failed, job.cancelled, not 'job.exploded'",
		`[{"url":"https://a.example","events":["job.failed","job.failed"]}]`:         "callbacks: events names job.failed twice",
		`[{"url":"https://a.example","secret":"` + strings.Repeat("x", 1025) + `"}]`: "callbacks: a secret has at most 1024 bytes of text",
		"[" + eleven + "]": "callbacks has more than 10 entries",
	} {
		f.do("PATCH", "/api/jobconfigs/"+id, `{"callbacks":`+body+`}`).fault(t, 400, "invalid_field", want)
	}
}

func TestDeliveriesOfAJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"callbacks":[{"url":"https://a.example","secret":"s3cret"}]}`).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+config+"/subscription", `{"recipients":["a@example.com"]}`).want(t, 201, "")
	id := f.start(config)
	f.play(id, 3)
	list := f.do("GET", "/api/jobs/"+string(id)+"/deliveries", nil).want(t, 200, `{"items":[
		{"kind":"webhook","event":"job.started","url":"https://a.example","status":"pending","round":1,"attempts":0},
		{"kind":"webhook","event":"job.failed"},{"kind":"mail","event":"job.failed","recipients":["a@example.com"]}]}`)
	if strings.Contains(list.text, "s3cret") || strings.Contains(list.text, "sealed") {
		t.Errorf("the secret is shown: %s", list.text)
	}
	one := list.json["items"].([]any)[1].(map[string]any)["id"].(string)
	path := "/api/jobs/" + string(id) + "/deliveries/" + one
	f.do("POST", path+"/redeliver", nil).fault(t, 409, "delivery_active", "Delivery "+one+" is still being tried")
	failed := job.DeliveryAttempt{Number: 1, Round: 1, At: f.Now(), Duration: 1500 * time.Millisecond, Code: 404, Error: "HTTP 404", Reply: "who?"}
	if err := f.Store.RecordAttempt(t.Context(), 1, one, failed, job.DeliveryFailed, time.Time{}); err != nil {
		t.Fatal(err)
	}
	f.do("GET", path, nil).want(t, 200, `{"status":"failed","attempts":1,"statusCode":404,"error":"HTTP 404","finished":"Mar 17, 2026 9:40:59 AM",
		"log":[{"number":1,"round":1,"time":"Mar 17, 2026 9:40:58 AM","duration":"PT1.5S","statusCode":404,"error":"HTTP 404","reply":"who?"}]}`)
	f.do("POST", path+"/redeliver", nil).want(t, 202, `{"status":"pending","round":2,"attempts":1}`)
	other := f.start(config)
	f.do("GET", "/api/jobs/"+string(other)+"/deliveries/"+one, nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/jobs/"+string(id)+"/deliveries/"+strings.Repeat("0", 24), nil).fault(t, 404, "not_found", "")
	f.Account(t, "other", "olga", "example-password")
	f.token = f.login("olga", "example-password")
	f.do("GET", "/api/jobs/"+string(id)+"/deliveries", nil).fault(t, 404, "not_found", "")
	f.do("GET", path, nil).fault(t, 404, "not_found", "")
	f.do("POST", path+"/redeliver", nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/jobconfigs/"+config+"/subscription", nil).fault(t, 404, "not_found", "")
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := "/api/jobconfigs/" + f.config("sample config", "") + "/subscription"
	f.do("GET", path, nil).fault(t, 404, "not_found", "Job config 1 has no subscription")
	r := f.do("POST", path, `{"jobConfig":{"id":"1"},"active":true,"recipients":[" a@example.com","A@example.com","b@example.com"]}`).
		want(t, 201, `{"id":"1","active":true,"recipients":["a@example.com","b@example.com"],"events":"failure","attachLog":false,
			"jobConfig":{"id":"1","name":"sample config"},"user":{"id":"1"},"warnings":["mail_not_configured"]}`)
	if r.Header().Get("Location") != "http://localhost:8080"+path {
		t.Errorf("Location %q", r.Header().Get("Location"))
	}
	f.do("POST", path, `{"active":false,"recipients":["c@example.com"],"events":"always","attachLog":true}`).want(t, 201, "")
	f.do("GET", path, nil).want(t, 200, `{"active":false,"recipients":["c@example.com"],"events":"always","attachLog":true}`)
	for body, want := range map[string]string{
		`{"recipients":["a@example.com"],"events":"sometimes"}`:                                        "events is success, failure or always",
		`{"recipients":["nobody"]}`:                                                                    "recipients: 'nobody' is not an e-mail address",
		`{"recipients":["Anna <a@example.com>"]}`:                                                      "recipients: 'Anna <a@example.com>' is not an e-mail address",
		`{"recipients":["a@example.com\r\nBcc: b@example.com"]}`:                                       "recipients: 'a@example.comBcc: b@example.com' is not an e-mail address",
		`{"recipients":["a@example.com,b@example.com"]}`:                                               "recipients: 'a@example.com,b@example.com' is not an e-mail address",
		`{"recipients":["` + strings.Join(slices.Repeat([]string{"a@example.com"}, 51), `","`) + `"]}`: "recipients has more than 50 addresses",
	} {
		f.do("POST", path, body).fault(t, 400, "invalid_field", want)
	}
	f.do("POST", path, `{}`).fault(t, 400, "missing_field", "recipients is required")
	f.do("DELETE", path, nil).want(t, 204, "")
	f.do("DELETE", path, nil).fault(t, 404, "not_found", "")
}

func TestJobsAreRenderedOutsideOfCalls(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	f.play(id, 0)
	j, err := f.Store.Job(t.Context(), 1, id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := native.Renderer(func() string { return "http://localhost:8080/" }, false, f.Now)(j)
	if err != nil {
		t.Fatal(err)
	}
	shown := f.do("GET", "/api/jobs/"+string(id), nil).want(t, 200, "")
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "href", "status", "returnCode", "scheduled", "finished", "packageName", "jobLog"} {
		if fmt.Sprint(got[name]) != fmt.Sprint(shown.json[name]) {
			t.Errorf("%s is %v, in a call %v", name, got[name], shown.json[name])
		}
	}
}
