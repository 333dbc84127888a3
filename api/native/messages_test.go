package native_test

import (
	"encoding/json"
	"strings"
	"testing"

	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

func TestMessagesAndValuesOfAJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	path := "/api/jobs/" + string(id)
	f.do("GET", path+"/out", nil).want(t, 200, `{"totalRecords":0,"items":[]}`)
	fence := f.Take(t, 1, id)
	tell := func(r job.Report) {
		t.Helper()
		r.At = f.Now()
		if err := f.Store.Report(t.Context(), 1, id, fence, r); err != nil {
			t.Fatal(err)
		}
	}
	tell(job.Report{
		Messages: []job.Message{
			{Name: "reply to ü?", Body: "<a>\n\"ü\"</a>", Properties: []job.MessageProperty{{Key: "type", Value: "xml"}}}, {Name: "empty"},
		},
		Values: []job.OutValue{{Name: "rows", Value: json.RawMessage("12")}, {Name: "where", Value: json.RawMessage(`{"path":"a"}`)}},
	})
	href := "http://localhost:8080" + path + "/out/reply%20to%20%C3%BC%3F"
	short := `{"name":"reply to ü?","properties":[{"key":"type","value":"xml"}],"size":12,"href":"` + href + `"}`
	f.do("GET", path, nil).want(t, 200, `{"currentStep":"main","outputs":{"rows":12,"where":{"path":"a"}},"outMessages":[{"name":"empty","size":0},`+short+`]}`)
	if r := f.do("GET", path, nil); strings.Contains(r.text, `"body"`) {
		t.Errorf("a job is shown with bodies: %s", r.text)
	}
	if r := f.do("GET", "/api/jobs", nil); strings.Contains(r.text, "outMessages") || strings.Contains(r.text, `"outputs"`) {
		t.Errorf("lists tell of messages: %s", r.text)
	}
	full := strings.Replace(short, `"size"`, `"body":"<a>\n\"ü\"</a>","size"`, 1)
	f.do("GET", path+"/out", nil).want(t, 200, `{"totalRecords":2,"totalPages":1,"sortBy":"name","items":[{"name":"empty","body":""},`+full+`]}`)
	f.do("GET", path+"/out?size=1&sortby=size&direction=desc", nil).want(t, 200, `{"totalRecords":2,"totalPages":2,"items":[`+full+`]}`)
	f.do("GET", path+"/out?filter=REPLY", nil).want(t, 200, `{"totalRecords":1}`)
	f.do("GET", path+"/out?sortby=body", nil).fault(t, 400, "unknown_property", "")
	f.do("GET", path+"/out?cursor=", nil).fault(t, 400, "invalid_field", "")
	one := strings.TrimPrefix(href, "http://localhost:8080")
	f.do("GET", one, nil).want(t, 200, full)
	r := f.do("GET", one+"/text", nil)
	if r.Code != 200 || r.text != "<a>\n\"ü\"</a>" || r.Header().Get("Content-Type") != "text/plain; charset=utf-8" || r.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("text: %d %q %v", r.Code, r.text, r.Header())
	}
	if r := f.do("GET", one+"/text", nil, header("Range", "bytes=1-2")); r.Code != 206 || r.text != "a>" {
		t.Errorf("range: %d %q", r.Code, r.text)
	}
	if again := f.do("GET", one+"/text", nil, header("If-None-Match", r.Header().Get("ETag"))); again.Code != 304 {
		t.Errorf("with its tag: %d", again.Code)
	}
	for _, unknown := range []string{"/out/none", "/out/none/text"} {
		f.do("GET", path+unknown, nil).fault(t, 404, "not_found", "Job "+string(id)+" has given no message 'none'")
	}
	f.do("GET", "/api/jobs/69b9209b00000000000000c1/out/x", nil).fault(t, 404, "not_found", "")
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	f.do("GET", path, nil).want(t, 200, `{"status":"FINISHED","outputs":{"rows":12},"outMessages":[{"name":"empty"},`+short+`]}`)
	if r := f.do("GET", path, nil); strings.Contains(r.text, "currentStep") {
		t.Errorf("a finished job is in a step: %s", r.text)
	}
}

func TestFilesOfARunningJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	out := "/api/jobs/" + string(id) + "/out/files"
	fence := f.Take(t, 1, id)
	err := f.Store.Report(t.Context(), 1, id, fence, job.Report{
		FilesSeen: true, Files: []job.Output{{Name: "a/b.csv", Size: 5, CreatedAt: f.Now()}, {Name: "c", CreatedAt: f.Now()}}, At: f.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.do("GET", out, nil).want(t, 200, `{"totalRecords":2,"items":[{"name":"a/b.csv","final":false,"metadata":{"size":5,"entityType":"JOB_OUTPUT"}},{"name":"c","final":false}]}`)
	if r := f.do("GET", out, nil); strings.Contains(r.text, "sha256") {
		t.Errorf("a growing file has a digest: %s", r.text)
	}
	f.do("GET", out+"/a/b.csv", nil).fault(t, 409, "job_not_finished", "")
	f.do("GET", out+"/none", nil).fault(t, 404, "not_found", "")
	f.Finish(t, 1, id, fence, job.Outcome{Status: job.Completed, Outputs: []job.Output{{Name: "c", Object: "x", CreatedAt: f.Now()}}})
	f.do("GET", out, nil).want(t, 200, `{"totalRecords":1,"items":[{"name":"c","final":true}]}`)
}

func TestInMessagesAreTakenOverByJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	runtime := `{"runtimeConfig":{"inMessages":[{"name":"order","body":"{}","properties":[{"key":"k","value":"v"}]},{"name":"b"}],"outMessageNames":["reply"]}}`
	for range 2 { // what was read can be sent back
		r := f.do("PATCH", "/api/jobconfigs/"+config, runtime)
		r.want(t, 200, `{"runtimeConfig":{"inMessages":[{"name":"order","body":"{}","properties":[{"key":"k","value":"v"}]},{"name":"b","body":""}],"outMessageNames":["reply"]}}`)
		text, err := json.Marshal(map[string]any{"runtimeConfig": r.json["runtimeConfig"]})
		if err != nil {
			t.Fatal(err)
		}
		runtime = string(text)
	}
	of := func(id job.ID) job.Spec {
		t.Helper()
		j, err := f.Store.Job(t.Context(), 1, id)
		if err != nil {
			t.Fatal(err)
		}
		return j.Spec
	}
	names := func(s job.Spec) string {
		var b strings.Builder
		for _, m := range s.InMessages {
			b.WriteString(m.Name + "=" + m.Body + " ")
		}
		return b.String() + strings.Join(s.OutMessageNames, ",")
	}
	plain := f.start(config)
	if got := names(of(plain)); got != "order={} b= reply" || of(plain).InMessages[0].Properties[0] != (job.MessageProperty{Key: "k", Value: "v"}) {
		t.Errorf("the config's: %s", got)
	}
	jobs := "/api/jobconfigs/" + config + "/jobs"
	own := job.ID(f.do("POST", jobs, `{"runtimeConfig":{"inMessages":[{"name":"mine","body":"1","href":"http://x/y"}],"outMessageNames":["other"]}}`).want(t, 202, `{}`).json["id"].(string))
	if got := names(of(own)); got != "mine=1 other" {
		t.Errorf("the start's: %s", got)
	}
	none := job.ID(f.do("POST", jobs, `{"runtimeConfig":{"inMessages":[]}}`).want(t, 202, `{}`).json["id"].(string))
	if got := names(of(none)); got != "reply" {
		t.Errorf("none: %s", got)
	}
	f.Finish(t, 1, own, f.Take(t, 1, own), controltest.Exit(1))
	again := job.ID(f.do("POST", "/api/jobs/"+string(own)+"/retry", nil).want(t, 202, `{}`).json["id"].(string))
	if got := names(of(again)); got != "mine=1 other" {
		t.Errorf("a retry: %s", got)
	}
	f.Finish(t, 1, again, f.Take(t, 1, again), controltest.Exit(1))
	mended := job.ID(f.do("POST", "/api/jobs/"+string(own)+"/retry", `{"runtimeConfig":{"inMessages":[{"name":"mine","body":"2"}]}}`).want(t, 202, `{}`).json["id"].(string))
	if got := names(of(mended)); got != "mine=2 other" {
		t.Errorf("a retry with its own: %s", got)
	}
	large := strings.Repeat("x", job.MaxMessageBody+1)
	f.do("POST", jobs, `{"runtimeConfig":{"inMessages":[{"name":"large","body":"`+large+`"}]}}`).fault(t, 413, "too_large", "inMessages: the body of 'large' is over 768000 bytes")
}
