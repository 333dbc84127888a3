package native_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// raise runs a job that raises errors of the records in its second step.
func (f *fixture) raise(id job.ID, code int, records ...string) {
	f.t.Helper()
	fence := f.Take(f.t, f.account, id)
	r := job.Report{At: f.Now(), Warnings: []string{"event_limit: more than 1000 steps (1 line, first line 9)"}, Messages: []job.Message{{Name: "reply"}}, Steps: []job.Step{
		{Name: "extract", Status: job.Completed, StartedAt: f.Now(), FinishedAt: f.Now().Add(time.Second), RecordsRead: 100, RecordsIgnored: 1},
		{Index: 1, Name: "load", Status: job.Running, StartedAt: f.Now(), RecordsWritten: 93, RecordsFailed: 7},
	}}
	for i, record := range records {
		r.Errors = append(r.Errors, job.RecordError{
			RecordID: record, Step: "load", Code: "422", Message: "no " + record, TraceKey: "t" + record,
			OccurredAt: f.Now().Add(time.Duration(i)), Data: []byte(`{"id":"` + record + `"}`),
		})
	}
	if err := f.Store.Report(f.t.Context(), f.account, id, fence, r); err != nil {
		f.t.Fatal(err)
	}
	f.Finish(f.t, f.account, id, fence, controltest.Exit(code))
}

func TestRecordErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	f.raise(id, 3, "r1", "a/b", "r3")
	path := "/api/jobs/" + string(id)
	f.do("GET", path, nil).want(t, 200, `{"recordsRead":100,"recordsWritten":93,"recordsFailed":7,"recordsIgnored":1,"errorsOpen":3,"errorsResolved":0,
		"trigger":"api","triggeredBy":{"id":"1","name":"admin"},"warnings":["event_limit: more than 1000 steps (1 line, first line 9)"]}`)
	f.do("GET", path+"/steps", nil).want(t, 200, `{"items":[
		{"index":0,"name":"extract","status":"FINISHED","attempt":1,"duration":"PT1S","recordsRead":100,"recordsIgnored":1,"errorsOpen":0},
		{"index":1,"name":"load","status":"ERROR","returnCode":"3","recordsWritten":93,"recordsFailed":7,"errorsOpen":3,"errorsResolved":0}]}`)
	f.do("GET", path+"/errors", nil).want(t, 200, `{"totalRecords":3,"sortBy":"occurred","items":[
		{"recordId":"a/b"},{"recordId":"r1","step":"load","attempt":1,"code":"422","message":"no r1","traceKey":"tr1","retriable":true,"resolved":false,"hasData":true},
		{"recordId":"r3"}]}`)
	f.do("GET", path+"/errors?filter=NO%20R3&resolved=false", nil).want(t, 200, `{"totalRecords":1,"items":[{"recordId":"r3"}]}`)
	first := f.do("GET", path+"/errors?cursor=&size=2", nil).want(t, 200, `{"items":[{"recordId":"a/b"},{"recordId":"r1"}]}`)
	next := first.json["links"].(map[string]any)["next"].(string)
	f.do("GET", strings.TrimPrefix(next, "http://localhost:8080"), nil).want(t, 200, `{"items":[{"recordId":"r3"}]}`)
	f.do("GET", path+"/errors?resolved=perhaps", nil).fault(t, 400, "invalid_field", "")
	f.do("GET", path+"/errors?filterby=colour&operators=eq&filter=red", nil).fault(t, 400, "unknown_property", "")

	data := path + "/errors/" + url.PathEscape("a/b") + "/data"
	f.do("GET", data, nil).want(t, 200, `{"recordId":"a/b","data":{"id":"a/b"},"rev":1}`)
	f.do("PUT", data, `{"data": {"id": "a/b", "n": [1.50, null]}}`).want(t, 200, `{"rev":2}`)
	if r := f.do("GET", data, nil); !strings.Contains(r.text, `"data":{"id":"a/b","n":[1.50,null]}`) {
		t.Errorf("the record is not kept as it was sent: %s", r.text)
	}
	f.do("PUT", data, `{"data":null}`).want(t, 200, `{"rev":3,"data":null}`)
	f.do("PUT", data, `{}`).fault(t, 400, "missing_field", "")
	f.do("PUT", data, `{"data":"`+strings.Repeat("x", job.MaxRecordData)+`"}`).fault(t, 413, "too_large", "")
	f.do("GET", path+"/errors/none/data", nil).fault(t, 404, "not_found", "")

	resolve := path + "/errors/resolve"
	f.do("POST", resolve, `{}`).fault(t, 400, "missing_field", "")
	f.do("POST", resolve, `{"recordIds":["r1","x"]}`).fault(t, 400, "unknown_record", "'x' is not an error of job "+string(id))
	f.do("POST", resolve, `{"recordIds":["a/b"]}`).want(t, 200, `{"resolved":1}`)
	f.do("POST", resolve, `{"recordIds":["a/b"]}`).want(t, 200, `{"resolved":0}`)
	f.do("GET", path+"/errors?resolved=true", nil).want(t, 200, `{"totalRecords":1,"items":[{"recordId":"a/b","retriable":false,"resolved":true,
		"resolvedHow":"user","resolvedByUser":{"id":"1","name":"admin"},"resolvedAt":"Mar 17, 2026 9:40:58 AM"}]}`)
	f.do("PUT", data, `{"data":1}`).fault(t, 409, "record_resolved", "")
	f.do("POST", resolve, `{"all":true}`).want(t, 200, `{"resolved":2}`)
	f.do("GET", path, nil).want(t, 200, `{"errorsOpen":0,"errorsResolved":3}`)
}

func TestRetryOfRecordsAndFamilyTotals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	parent := f.start(f.config("sample config", "run.sh"))
	f.raise(parent, 3, "r1", "r2")
	path := "/api/jobs/" + string(parent)
	f.do("POST", path+"/retry", `{"scope":"failed_records","recordIds":["r1","x"]}`).fault(t, 400, "unknown_record", "'x' is not an open error of job "+string(parent))
	r := f.do("POST", path+"/retry", `{"scope":"failed_records"}`).want(t, 202, `{"retryScope":"failed_records","trigger":"retry","triggeredBy":{"id":"1"}}`)
	child := job.ID(r.json["id"].(string))
	f.do("GET", path+"/errors", nil).want(t, 200, `{"items":[{"retryJob":"`+string(child)+`"},{"retryJob":"`+string(child)+`"}]}`)
	f.raise(child, 0, "r2")
	if err := f.Store.RollUp(t.Context(), 1, child, f.Now()); err != nil {
		t.Fatal(err)
	}
	f.do("GET", path+"/errors", nil).want(t, 200, `{"items":[{"recordId":"r1","resolvedHow":"retry"},{"recordId":"r2","resolvedHow":"superseded"}]}`)
	f.do("GET", path+"/family", nil).want(t, 200, `{"outcome":"ERROR","totals":{"recordsRead":200,"recordsWritten":186,"recordsFailed":14,"errorsOpen":1,"errorsResolved":2}}`)
	f.do("POST", "/api/jobs/"+string(child)+"/errors/resolve", `{"all":true}`).want(t, 200, "")
	f.do("GET", path+"/family", nil).want(t, 200, `{"outcome":"FINISHED","totals":{"errorsOpen":0,"errorsResolved":3}}`)
	f.do("POST", path+"/retry", `{"scope":"failed_records"}`).fault(t, 409, "nothing_to_retry", "")
	f.do("POST", path+"/retry", `{"package":"newest"}`).fault(t, 400, "invalid_field", "")
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	path := "/api/jobs/" + string(id)
	f.do("GET", path+"/attempts", nil).want(t, 200, `{"items":[]}`)
	fence := f.Take(t, 1, id)
	f.Logs.Begin(id, fence)
	f.Logs.Append(id, "2026-03-17T09:40:58.000Z one\n")
	o := controltest.Exit(3)
	o.At = f.Now()
	if err := f.Store.Again(t.Context(), 1, id, fence, o, f.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.do("GET", path, nil).want(t, 200, `{"status":"WAITING","startAfter":"Mar 17, 2026 9:41:58 AM","attempt":1}`)
	f.Pass(2 * time.Minute)
	fence = f.Take(t, 1, id)
	f.Logs.Begin(id, fence)
	f.Logs.Append(id, "2026-03-17T09:42:58.000Z two\n")
	f.Pass(5 * time.Second)
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	f.do("GET", path+"/attempts", nil).want(t, 200, `{"items":[
		{"number":1,"started":"Mar 17, 2026 9:40:58 AM","duration":"PT0S","returnCode":"3","reason":"error","message":"The program failed","worker":"worker-1",
			"log":{"bytes":29,"href":"http://localhost:8080`+path+`/attempts/1/log"}},
		{"number":2,"duration":"PT5S","returnCode":"0","log":{"bytes":29}}]}`)
	for n, text := range map[int]string{1: "2026-03-17T09:40:58.000Z one\n", 2: "2026-03-17T09:42:58.000Z two\n"} {
		log := fmt.Sprintf("%s/attempts/%d/log", path, n)
		if r := f.do("GET", log, nil); r.Code != 200 || r.text != text || r.Header().Get("ETag") == "" {
			t.Errorf("log of attempt %d: %d %q", n, r.Code, r.text)
		}
		if r := f.do("GET", log, nil, header("Range", "bytes=25-27")); r.Code != 206 || r.text != text[25:28] {
			t.Errorf("part of the log of attempt %d: %d %q", n, r.Code, r.text)
		}
	}
	if r := f.do("GET", path+"/attempts/2/log?zoneid=Europe/Paris", nil); r.text != "2026-03-17T10:42:58.000+01:00 two\n" {
		t.Errorf("in another zone: %q", r.text)
	}
	if r := f.do("GET", path+"/log", nil); r.text != "2026-03-17T09:40:58.000Z one\n2026-03-17T09:42:58.000Z two\n" {
		t.Errorf("the whole log: %q", r.text)
	}
	for _, n := range []string{"0", "3", "x"} {
		f.do("GET", path+"/attempts/"+n+"/log", nil).fault(t, 404, "not_found", "")
	}
}

func TestBulkRetry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	failed, done, other := f.start(config), f.start(config), f.start(f.config("other", "run.sh"))
	f.play(failed, 3)
	f.play(done, 0)
	f.play(other, 3)
	bulk := func(body string) reply { return f.do("POST", "/api/jobs/retry", body, header("Idempotency-Key", "k1")) }
	f.do("POST", "/api/jobs/retry", `{}`).fault(t, 400, "missing_field", "")
	f.do("POST", "/api/jobs/retry", `{"state":"lost"}`).fault(t, 400, "invalid_field", "")
	f.do("POST", "/api/jobs/retry", `{"state":"finished_error","recordIds":["x"]}`).fault(t, 400, "invalid_field", "")
	body := `{"state":"finished_error","jobconfigid":"` + config + `","scope":"failed_step"}`
	first := bulk(body).want(t, 202, `{"accepted":["`+string(failed)+`"],"retries":[{"retryOf":"`+string(failed)+`"}],"skipped":[],"more":false,"last":"`+string(failed)+`"}`)
	again := bulk(body).want(t, 202, `{"accepted":["`+string(failed)+`"]}`)
	if first.text != again.text {
		t.Errorf("a repeat answers %s, not %s", again.text, first.text)
	}
	f.do("POST", "/api/jobs/retry", body).want(t, 202, `{"accepted":[],"skipped":[{"id":"`+string(failed)+`","code":"retry_active"}]}`)
	f.do("POST", "/api/jobs/retry", `{"recordIds":["`+string(done)+`","`+string(other)+`","x"],"scope":"failed_step"}`).want(t, 202,
		`{"accepted":["`+string(other)+`"],"skipped":[{"id":"`+string(done)+`","code":"nothing_to_retry"},{"id":"x","code":"not_found"}]}`)
}
