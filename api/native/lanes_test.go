package native_test

import (
	"strings"
	"testing"

	"waybill/internal/job"
)

// lane makes a runnable config with the members given.
func (f *fixture) lane(name, members string) string {
	f.t.Helper()
	id := f.config(name, "run.sh")
	f.do("PATCH", "/api/jobconfigs/"+id, "{"+members+"}").want(f.t, 200, "{"+members+"}")
	return id
}

func TestConfigShowsItsLimitsAsTheyWereSent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.lane("orders", `"concurrency":{"limit":2,"key":"c $(C)","onLimit":"skip"},"queueTimeout":5,"totalTimeout":60`)
	f.do("PATCH", "/api/jobconfigs/"+id, `{"description":"d"}`).
		want(t, 200, `{"concurrency":{"limit":2,"key":"c $(C)","onLimit":"skip"},"queueTimeout":5,"totalTimeout":60,"blocking":false}`)
	f.do("PATCH", "/api/jobconfigs/"+id, `{"blocking":true}`).fault(t, 400, "invalid_field",
		"blocking and concurrency exclude each other: blocking is {limit 1, onLimit queue}")
	r := f.do("PATCH", "/api/jobconfigs/"+id, `{"blocking":true,"concurrency":null,"queueTimeout":0,"totalTimeout":null}`).want(t, 200, `{"blocking":true}`)
	for _, gone := range []string{"concurrency", "queueTimeout", "totalTimeout"} {
		if strings.Contains(r.text, gone) {
			t.Errorf("%s is still there: %s", gone, r.text)
		}
	}
	f.do("PATCH", "/api/jobconfigs/"+id, `{"blocking":false,"concurrency":{"limit":3}}`).want(t, 200, `{"concurrency":{"limit":3,"onLimit":"queue"}}`)
}

func TestWaitingJobShowsItsLaneAndPosition(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.lane("orders", `"blocking":true,"queueTimeout":5,"totalTimeout":60`)
	first := f.start(id)
	f.do("GET", "/api/jobs/"+string(first), nil).want(t, 200, `{"status":"QUEUED","lane":"config:1"}`)
	var last job.ID
	for range 3 {
		r := f.do("POST", "/api/jobconfigs/"+id+"/jobs", nil).want(t, 202, `{"status":"SEQUENCED","reason":"sequenced","lane":"config:1"}`)
		last = job.ID(r.json["id"].(string))
	}
	f.do("GET", "/api/jobs/"+string(last), nil).want(t, 200,
		`{"status":"SEQUENCED","position":3,"queueUntil":"Mar 17, 2026 9:45:58 AM","deadline":"Mar 17, 2026 10:40:58 AM"}`)
	f.do("GET", "/api/jobs?state=queued", nil).want(t, 200, `{"totalRecords":4}`)
	f.do("DELETE", "/api/jobs/"+string(last), nil).want(t, 202, `{"status":"CANCELLED","reason":"stopped"}`)
	f.do("DELETE", "/api/jobs/"+string(last), nil).fault(t, 409, "job_finished", "")
}

func TestStartAtTheLimitIsSkippedOrRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	skip := f.lane("skip", `"concurrency":{"limit":1,"onLimit":"skip"}`)
	first := f.start(skip)
	r := f.do("POST", "/api/jobconfigs/"+skip+"/jobs", nil, header("Idempotency-Key", "k")).want(t, 200, `{"id":"`+string(first)+`"}`)
	if r.Header().Get("X-Waybill-Skipped") != "true" || !strings.HasSuffix(r.Header().Get("Location"), string(first)) {
		t.Errorf("headers %v", r.Header())
	}
	r = f.do("POST", "/api/jobconfigs/"+skip+"/jobs", nil, header("Idempotency-Key", "k")).want(t, 202, `{"id":"`+string(first)+`"}`)
	if r.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("headers %v", r.Header())
	}
	fail := f.lane("fail", `"concurrency":{"limit":1,"onLimit":"fail"}`)
	f.start(fail)
	f.do("POST", "/api/jobconfigs/"+fail+"/jobs", nil).fault(t, 409, "concurrency_limit", "There are as many jobs of this key as may run at once (1)")
	f.do("POST", "/api/jobconfigs/"+fail+"/jobs?ordered=true", nil).want(t, 202, `{"status":"SEQUENCED","position":null}`)
	f.do("GET", "/api/jobs", nil).want(t, 200, `{"totalRecords":3}`)
}

func TestSecureMacroInAKeyIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.lane("orders", `"concurrency":{"limit":1,"key":"$(PIN)","onLimit":"queue"}`)
	r := f.do("POST", "/api/jobconfigs/"+id+"/jobs", `{"runtimeConfig":{"macros":[{"key":"PIN","value":"hush","secure":true}]}}`)
	r.fault(t, 400, "invalid_field", "concurrency.key must not use a secure macro")
	f.do("POST", "/api/jobconfigs/"+id+"/jobs", `{"runtimeConfig":{"macros":[{"key":"PIN","value":"open"}]}}`).want(t, 202, `{"lane":"key:open"}`)
}

func TestBulkStopIncludesRunningJobsWhenAsked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.config("orders", "run.sh")
	queued, running := f.start(id), f.start(id)
	f.Take(t, f.account, running)
	ids := `"recordIds":["` + string(queued) + `","` + string(running) + `"]`
	f.do("DELETE", "/api/jobs/stop", `{`+ids+`}`).want(t, 202, `{"accepted":["`+string(queued)+`"],"skipped":[{"id":"`+string(running)+`","code":"job_running"}]}`)
	f.do("DELETE", "/api/jobs/stop", `{`+ids+`,"includeRunning":true}`).
		want(t, 202, `{"accepted":["`+string(running)+`"],"skipped":[{"id":"`+string(queued)+`","code":"job_finished"}]}`)
	f.do("GET", "/api/jobs/"+string(running), nil).want(t, 200, `{"status":"RUNNING","reason":"stopped"}`)
}
