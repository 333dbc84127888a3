package native_test

import (
	"archive/zip"
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// The exchanges of the native API specification, section 9. Ids that the server makes are put in where they are shown.

func sampleArchive(t testing.TB) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, text := range map[string]string{
		"META-INF/MANIFEST.MF":                "Manifest-Version: 1.0\r\nMain-Process: Sample-1.0\\integrateXYZ.process.rtc\r\n",
		"Sample-1.0/integrateXYZ.process.rtc": "#!/bin/sh\n",
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// formFile is a multipart upload; parts come in the order given, "file" being the file.
func formFile(t testing.TB, parts ...[2]string) (body *bytes.Buffer, label with) {
	t.Helper()
	body = &bytes.Buffer{}
	m := multipart.NewWriter(body)
	for _, p := range parts {
		if name, ok := strings.CutPrefix(p[0], "file="); ok {
			w, err := m.CreateFormFile("file", name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(p[1])); err != nil {
				t.Fatal(err)
			}
		} else if err := m.WriteField(p[0], p[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return body, header("Content-Type", m.FormDataContentType())
}

const adminRef = `{"id":"1","name":"admin","href":"http://localhost:8080/api/users/1"}`

func TestSignInExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, base := range []string{"/api", "/v2/api"} {
		// N-1
		r := f.do("POST", base+"/login", `{"username":"admin","password":"example-password"}`, noToken)
		r.want(t, 200, `{"token_type":"bearer","expires_in":36000}`)
		if strings.Count(r.json["access_token"].(string), ".") != 2 || r.json["refresh_token"] == "" {
			t.Errorf("tokens: %s", r.text)
		}
		// N-2
		r = f.do("POST", base+"/login", `{"username":"admin","password":"wrong"}`, noToken)
		r.fault(t, 401, "bad_credentials", "Bad credentials")
		r.want(t, 401, `{"timestamp":"Mar 17, 2026 9:40:58 AM","error":"Unauthorized","path":"`+base+`/login"}`)
		f.do("POST", base+"/login", `{"username":"admin"}`, noToken).fault(t, 400, "missing_field", "password is required")
		// N-3
		f.do("GET", base+"/jobconfigs", nil, noToken).fault(t, 401, "token_missing", "Access token is missing")
	}
}

func TestConfigAndPackageExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// N-4
	r := f.do("POST", "/api/jobconfigs", `{"active":true,"name":"sample config","description":"this is sample config created from API"}`)
	shown := `{"active":true,"blocking":false,"favorite":false,"name":"sample config","description":"this is sample config created from API",
		"href":"http://localhost:8080/api/jobconfigs/1","user":` + adminRef + `,"created":"Mar 17, 2026 9:40:58 AM","createdByUser":` + adminRef + `,
		"lastModified":"Mar 17, 2026 9:40:58 AM","lastModifiedByUser":` + adminRef + `,"id":"1"}`
	r.want(t, 201, shown)
	if id, _ := r.json["objectId"].(string); !job.ValidID(id) || r.json["runtimeConfig"] != nil {
		t.Errorf("config: %s", r.text)
	}
	// N-5
	f.do("POST", "/api/jobconfigs", `{"active":true,"name":"Sample Config"}`).
		fault(t, 409, "duplicate_name", "A job config named 'Sample Config' already exists")
	// N-6
	body, label := formFile(t, [2]string{"key", "samplePackage.djar"}, [2]string{"file=x.djar", string(sampleArchive(t))})
	r = f.do("POST", "/api/jobconfigs/1/files", body, label)
	r.want(t, 201, `{"name":"samplePackage.djar","href":"http://localhost:8080/api/jobconfigs/1/files/samplePackage.djar","metadata":{
		"lastModified":"Mar 17, 2026 9:40:58 AM","contentType":"application/octet-stream","entityType":"JOBCONFIG","entityId":"1","linkType":"LOCAL","version":1}}`)
	metadata := r.json["metadata"].(map[string]any)
	if metadata["size"] != float64(len(sampleArchive(t))) || len(metadata["sha256"].(string)) != 64 {
		t.Errorf("metadata: %s", r.text)
	}
	// N-7
	f.do("GET", "/api/jobconfigs/1/files/entrypoints/samplePackage.djar", nil).
		want(t, 200, `{"packageName":"samplePackage.djar","entryPoints":["Sample-1.0/integrateXYZ.process.rtc"]}`)
	f.do("GET", "/api/jobconfigs/1/files/entrypoints/none.djar", nil).fault(t, 404, "not_found", "File 'none.djar' not found on job config 1")
	f.do("POST", "/api/jobconfigs/1/files?key=notes.txt", "notes", header("Content-Type", "application/octet-stream")).want(t, 201, "")
	f.do("GET", "/api/jobconfigs/1/files/entrypoints/notes.txt", nil).fault(t, 400, "invalid_package", "'notes.txt' is not a package")
	// N-8, with the tutorial's label
	f.do("PUT", "/api/jobconfigs/1", `{"active":true,"name":"sample config","description":"this is sample config created from API",
		"runtimeConfig":{"packageName":"samplePackage.djar","entryPoint":"integrateXYZ.process","macros":[{"key":"TARGET","value":"/data/out"}]}}`,
		header("Content-Type", "multipart/form-data")).
		want(t, 200, `{"id":"1","active":true,"blocking":false,"favorite":false,"runtimeConfig":{"packageName":"samplePackage.djar",
		"entryPoint":"integrateXYZ.process","packagePrefix":"configuration\\1","packageArtifactOverride":false,
		"macros":[{"key":"TARGET","value":"/data/out","secure":false,"token":"$(TARGET)"}]},"user":`+adminRef+`}`)
	f.do("GET", "/api/jobconfigs/1/package/entrypoints", nil).want(t, 200, `{"packageName":"samplePackage.djar"}`)
	// N-9
	f.do("PUT", "/api/jobconfigs/1",
		`{"active":true,"name":"sample config","description":"x" "runtimeConfig":{"packageName":"samplePackage.djar"}}`).
		fault(t, 400, "malformed_json", "Invalid JSON at line 1, column 57")
	// N-18, without the alias
	f.do("DELETE", "/api/jobconfigs/1", nil).want(t, 204, "")
	f.do("GET", "/api/jobconfigs/1", nil).fault(t, 404, "not_found", "Job config 1 not found")
}

func TestRunExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	jobs := "/api/jobconfigs/" + config + "/jobs"
	key := header("Idempotency-Key", "run-2026-03-17")
	// N-10: an empty body under a JSON label
	r := f.do("POST", jobs, "", key)
	id := r.json["id"].(string)
	job1 := "http://localhost:8080/api/jobs/" + id
	r.want(t, 202, `{"href":"`+job1+`","scheduled":"Mar 17, 2026 9:40:58 AM","status":"QUEUED","runNumber":1,"attempt":1,"packageVersion":1,
		"finalDestinationId":"1","jobConfig":{"id":"1","name":"sample config","href":"http://localhost:8080/api/jobconfigs/1"},"submittedByUser":`+adminRef+`}`)
	if r.Header().Get("Location") != job1 || r.Header().Get("Idempotency-Replayed") != "" || len(f.Engine.Started()) != 1 {
		t.Errorf("headers %v, started %v", r.Header(), f.Engine.Started())
	}
	r = f.do("POST", jobs, nil, key)
	r.want(t, 202, `{"id":"`+id+`"}`)
	if r.Header().Get("Idempotency-Replayed") != "true" || len(f.Engine.Started()) != 1 {
		t.Errorf("replayed: headers %v, started %v", r.Header(), f.Engine.Started())
	}
	f.Pass(time.Second)
	fence := f.Take(t, 1, job.ID(id))
	f.Pass(5 * time.Second)
	f.Finish(t, 1, job.ID(id), fence, controltest.Exit(0))
	r = f.do("GET", "/api/jobs/"+id, nil, header("Prefer", "dates=rfc3339"))
	r.want(t, 200, `{"href":"`+job1+`","id":"`+id+`","status":"FINISHED","packageName":"run.sh","entryPoint":"main.sh","scheduled":"2026-03-17T09:40:58Z",
		"started":"2026-03-17T09:40:59Z","finished":"2026-03-17T09:41:04Z","duration":"PT5S","returnCode":"0","runNumber":1,"attempt":1,"finalDestinationId":"1"}`)
	if r.Header().Get("Preference-Applied") != "dates=rfc3339" || r.Header().Get("Vary") != "Prefer" {
		t.Errorf("headers: %v", r.Header())
	}
	// N-11
	f.do("POST", jobs, `{"tags":["nightly"]}`, key).fault(t, 409, "idempotency_conflict", "Idempotency-Key was used with a different request")
	// N-12
	f.config("without a package", "")
	f.do("POST", "/api/jobconfigs", `{"name":"inactive","active":false}`).want(t, 201, `{"id":"3","active":false}`)
	f.do("POST", "/api/jobconfigs/2/jobs", nil).fault(t, 400, "package_missing", "Job config 2 names no package")
	f.do("POST", "/api/jobconfigs/3/jobs", nil).fault(t, 409, "inactive_config", "Job config 3 is not active")
	f.do("POST", "/api/jobconfigs/9999/jobs", nil).fault(t, 404, "not_found", "Job config 9999 not found")
	f.do("GET", "/api/jobs", nil).want(t, 200, `{"totalRecords":1}`)
}

func TestStopExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	// N-13
	queued := string(f.start(config))
	f.do("DELETE", "/api/jobs/"+queued, nil).want(t, 202, `{"id":"`+queued+`","status":"CANCELLED","reason":"stopped","stoppedByUser":`+adminRef+`}`)
	f.do("GET", "/api/jobs/"+queued+"/log", nil).fault(t, 404, "log_not_found", "Job "+queued+" was cancelled before it ran and has no log")
	// N-14
	running := f.start(config)
	fence := f.Take(t, 1, running)
	f.do("DELETE", "/api/jobs/"+string(running), nil).want(t, 202, `{"status":"RUNNING","reason":"stopped","stoppedByUser":`+adminRef+`}`)
	f.do("DELETE", "/api/jobs/"+string(running), nil).want(t, 202, `{"status":"RUNNING"}`)
	f.Pass(21 * time.Second)
	f.Finish(t, 1, running, fence, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped})
	f.do("GET", "/api/jobs/"+string(running), nil).
		want(t, 200, `{"status":"FAILED","reason":"stopped","duration":"PT21S","stoppedByUser":`+adminRef+`}`)
	f.do("DELETE", "/api/jobs/"+string(running), nil).fault(t, 409, "job_finished", "Job "+string(running)+" has already finished")
	f.do("GET", "/api/jobs/"+string(running)+"/log", nil).want(t, 200, "")

	third := string(f.start(config))
	f.do("DELETE", "/api/jobs/stop", map[string]any{"recordIds": []string{third, queued, "nonsense"}}).want(t, 202,
		`{"accepted":["`+third+`"],"skipped":[{"id":"`+queued+`","code":"job_finished"},{"id":"nonsense","code":"not_found"}]}`)
}

func TestRetryExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.start(f.config("sample config", "run.sh"))
	f.do("POST", "/api/jobs/"+string(first)+"/retry", nil).fault(t, 409, "job_not_finished", "")
	f.play(first, 3)
	// N-15
	r := f.do("POST", "/api/jobs/"+string(first)+"/retry", `{"scope":"failed_step","runtimeConfig":{"macros":[{"key":"TARGET","value":"/data/b"}]}}`)
	r.want(t, 202, `{"status":"QUEUED","runNumber":2,"attempt":1,"retryOf":"`+string(first)+`","rootJob":"`+string(first)+`","retryNumber":1}`)
	second := job.ID(r.json["id"].(string))
	f.do("POST", "/api/jobs/"+string(first)+"/retry", `{}`).fault(t, 409, "retry_active", "")
	f.play(second, 0)
	if err := f.Store.RollUp(t.Context(), 1, second, f.Now()); err != nil {
		t.Fatal(err)
	}
	for _, member := range []job.ID{first, second} {
		f.do("GET", "/api/jobs/"+string(member)+"/family", nil).want(t, 200, `{"rootJob":"`+string(first)+`","outcome":"FINISHED","items":[
			{"id":"`+string(first)+`","status":"ERROR","reason":"error","returnCode":"3","runNumber":1,"resolvedByJob":"`+string(second)+`"},
			{"id":"`+string(second)+`","status":"FINISHED","returnCode":"0","runNumber":2,"retryOf":"`+string(first)+`","retryNumber":1}]}`)
	}
	f.do("POST", "/api/jobs/"+string(second)+"/retry", `{"scope":"failed_step"}`).fault(t, 409, "nothing_to_retry", "")
	f.do("POST", "/api/jobs/"+string(second)+"/retry", `{"recordIds":["1"]}`).fault(t, 400, "invalid_field", "")
}

func TestListExchange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	var ids []string
	for range 2 {
		id := f.start(config)
		f.Pass(time.Second)
		f.play(id, 0)
		ids = append(ids, string(id))
	}
	f.start(config)
	// N-16
	r := f.do("GET", "/api/jobs?state=finished_ok&jobconfigid="+config+"&offset=0&size=25&sortby=started&direction=desc", nil)
	r.want(t, 200, `{"totalRecords":2,"totalPages":1,"size":25,"pageNumber":0,"sortBy":"started","direction":"desc","warnings":[],"links":{},
		"items":[{"id":"`+ids[1]+`","status":"FINISHED","runNumber":2},{"id":"`+ids[0]+`","status":"FINISHED","runNumber":1}],
		"stats":{"queued":0,"running":0,"finished":2,"error":0,"failed":0,"cancelled":0,"totalJobs":2,"totalDuration":"PT0S"}}`)
	if strings.Contains(r.text, `"filter"`) {
		t.Errorf("echo of a filter that was not sent: %s", r.text)
	}
	f.do("GET", "/api/jobs?filterby=colour&operators=eq&filter=red", nil).fault(t, 400, "unknown_property", "Unknown property 'colour'")
}

func TestOtherAccountsSeeNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	id := string(f.start(config))
	f.Account(t, "other", "eve", "password-of-eve")
	f.token = f.login("eve", "password-of-eve")
	for _, path := range []string{
		"/api/jobconfigs/" + config, "/api/jobconfigs/" + config + "/files", "/api/jobconfigs/" + config + "/files/run.sh",
		"/api/jobconfigs/" + config + "/jobs", "/api/jobs/" + id, "/api/jobs/" + id + "/log", "/api/jobs/" + id + "/events",
		"/api/jobs/" + id + "/steps", "/api/jobs/" + id + "/family", "/api/jobs/" + id + "/package", "/api/jobs/" + id + "/out/files",
	} {
		f.do("GET", path, nil).fault(t, 404, "not_found", "")
	}
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).fault(t, 404, "not_found", "")
	f.do("DELETE", "/api/jobs/"+id, nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/jobs", nil).want(t, 200, `{"totalRecords":0,"items":[]}`)
	f.do("GET", "/api/jobconfigs", nil).want(t, 200, `{"totalRecords":0,"items":[]}`)
	if r := f.do("GET", "/api/jobs/unfinished", nil); r.Code != http.StatusOK || r.text != "[]\n" {
		t.Errorf("unfinished: %d %s", r.Code, r.text)
	}
}
