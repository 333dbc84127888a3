package native_test

import (
	"strings"
	"testing"
)

func TestPutReplacesAndPatchChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := `{"name":"full","description":"d","active":false,"destinationId":"1","timeout":5,"tags":["a","b","a"],"agentId":"ag","integrationId":"in",
		"profileId":"pr","taskType":"MTT","onWorkerLoss":"fail","blocking":false,"schedule":null,"macrosets":[],"callbacks":[],"concurrency":null,"resources":{},
		"jobTemplateId":"","unknown":{"x":[1]},
		"retryPolicy":{"maximumAttempts":3,"initialInterval":"PT1M","backoffCoefficient":1.5,"maximumInterval":"1h30m","nonRetryableExitCodes":[2,3]},
		"runtimeConfig":{"packageName":"p.sh","packageVersion":2,"entryPoint":"e","logLevel":"DEBUG","packageArtifactOverride":true,"packageEntityType":"JOBCONFIG",
		"packageEntityId":"7","macros":[{"key":"A","value":"1"},{"key":"S","value":"hush","secure":true,"description":"secret"}],"inMessages":[],"outMessageNames":[]}}`
	shown := `{"id":"1","name":"full","description":"d","active":false,"destinationId":"1","destination":{"id":"1","href":"http://localhost:8080/api/destinations/1"},
		"timeout":5,"tags":["a","b"],"agentId":"ag","agent":{"id":"ag"},"integrationId":"in","profileId":"pr","taskType":"MTT","onWorkerLoss":"fail",
		"retryPolicy":{"maximumAttempts":3,"initialInterval":"1m","backoffCoefficient":1.5,"maximumInterval":"1h30m","nonRetryableExitCodes":[2,3]},
		"runtimeConfig":{"packageName":"p.sh","packageVersion":2,"entryPoint":"e","logLevel":"DEBUG","packageArtifactOverride":true,"packageEntityType":"JOBCONFIG",
		"packageEntityId":"7","packagePrefix":"configuration\\1","macros":[{"key":"A","value":"1","secure":false,"token":"$(A)"},
		{"key":"S","secure":true,"description":"secret","token":"$(S)"}]}}`
	r := f.do("POST", "/api/jobconfigs", all).want(t, 201, shown)
	if r.Header().Get("Location") != "http://localhost:8080/api/jobconfigs/1" {
		t.Errorf("Location %q", r.Header().Get("Location"))
	}
	object := r.json["objectId"].(string)
	for _, path := range []string{"/api/jobconfigs/1", "/api/jobconfigs/" + object, "/v2/api/jobconfigs/" + object} {
		r := f.do("GET", path, nil).want(t, 200, shown)
		if strings.Contains(r.text, "hush") || strings.Contains(r.text, "sealed") {
			t.Errorf("a secret is shown: %s", r.text)
		}
	}
	// What was read can be sent back, and the secret survives it.
	f.do("PUT", "/api/jobconfigs/1", f.do("GET", "/api/jobconfigs/1", nil).text).want(t, 200, shown)
	c, err := f.Store.Config(t.Context(), 1, 1)
	if err != nil || c.Runtime.Macros[1].Sealed == "" {
		t.Fatalf("%+v %v", c, err)
	}
	f.do("PATCH", "/api/jobconfigs/1", `{"description":null,"timeout":null,"active":null,"tags":null,"runtimeConfig":{"logLevel":"INFO","macros":[{"key":"S","secure":true}]}}`).
		want(t, 200, `{"name":"full","active":true,"runtimeConfig":{"packageName":"p.sh","packageVersion":2,"logLevel":"INFO","macros":[{"key":"S","secure":true}]}}`)
	r = f.do("GET", "/api/jobconfigs/1", nil)
	if r.json["description"] != nil || r.json["timeout"] != nil || r.json["tags"] != nil || r.json["agentId"] != "ag" {
		t.Errorf("null does not clear, or something else did: %s", r.text)
	}
	if again, err := f.Store.Config(t.Context(), 1, 1); err != nil || again.Runtime.Macros[0].Sealed != c.Runtime.Macros[1].Sealed {
		t.Errorf("the secret is gone: %+v %v", again.Runtime.Macros, err)
	}
	f.do("PATCH", "/api/jobconfigs/1", `{"runtimeConfig":{"packageName":"q.sh"}}`).want(t, 200, `{"runtimeConfig":{"packageName":"q.sh"}}`)
	if r = f.do("GET", "/api/jobconfigs/1", nil); r.json["runtimeConfig"].(map[string]any)["packageVersion"] != nil {
		t.Errorf("another package keeps the pinned version: %s", r.text)
	}
	f.do("PATCH", "/api/jobconfigs/1", `{"runtimeConfig":{"macros":[{"key":"S","value":"x"}]}}`).fault(t, 400, "invalid_field", "Macro 'S' is secure and can not be made plain")
	f.do("PUT", "/api/jobconfigs/1", `{"name":"bare","objectId":"000000000000000000000000"}`).want(t, 200, `{"name":"bare","active":true,"objectId":"`+object+`"}`)
	r = f.do("GET", "/api/jobconfigs/1", nil)
	for _, gone := range []string{"description", "timeout", "runtimeConfig", "retryPolicy", "agentId", "destinationId", "onWorkerLoss", "taskType"} {
		if r.json[gone] != nil {
			t.Errorf("PUT kept %s: %s", gone, r.text)
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config("sample config", "")
	for body, want := range map[string]string{
		`{}`:                             "missing_field name is required",
		`null`:                           "missing_field name is required",
		`{"NAME":"x"}`:                   "missing_field name is required",
		`{"name":null}`:                  "missing_field name is required",
		`{"name":"  "}`:                  "missing_field name is required",
		`{"name":1}`:                     "invalid_field name must be a string",
		`{"name":"x","active":"yes"}`:    "invalid_field active must be true or false",
		`{"name":"x","timeout":1.5}`:     "invalid_field timeout must be a whole number",
		`{"name":"x","timeout":1e400}`:   "invalid_field timeout must be a whole number",
		`{"name":"x","timeout":-1}`:      "invalid_field timeout is a number of minutes, 0 for no limit",
		`{"name":"x","tags":"a"}`:        "invalid_field tags must be an array",
		`{"name":"x","tags":["a",1]}`:    "invalid_field tags[1] must be a string",
		`{"name":"x","runtimeConfig":5}`: "invalid_field runtimeConfig must be an object",
		`{"name":"x","runtimeConfig":{"macros":[{"key":1}]}}`:                                     "invalid_field runtimeConfig.macros[0].key must be a string",
		`{"name":"x","runtimeConfig":{"packageVersion":0}}`:                                       "invalid_field runtimeConfig.packageVersion is 1 or more",
		`{"name":"x","runtimeConfig":{"logLevel":"LOUD"}}`:                                        "invalid_field logLevel is SEVERE, WARNING, INFO or DEBUG",
		`{"name":"x","destinationId":"0x1"}`:                                                      "invalid_field destinationId is not an id",
		`{"name":"x","onWorkerLoss":"panic"}`:                                                     "invalid_field onWorkerLoss is rerun or fail",
		`{"name":"x","retryPolicy":{"maximumAttempts":0}}`:                                        "invalid_field retryPolicy.maximumAttempts is 1 or more",
		`{"name":"x","retryPolicy":{"initialInterval":"x"}}`:                                      "invalid_field retryPolicy.initialInterval is a duration such as 10s, 5m or PT10S",
		`{"name":"x","blocking":1}`:                                                               "invalid_field blocking must be true or false",
		`{"name":"x","concurrency":{}}`:                                                           "invalid_field concurrency.limit is 1 or more",
		`{"name":"x","concurrency":{"limit":-1}}`:                                                 "invalid_field concurrency.limit is 1 or more",
		`{"name":"x","concurrency":{"limit":1001}}`:                                               "invalid_field concurrency.limit is between 1 and 1000",
		`{"name":"x","concurrency":{"limit":1,"onLimit":"x"}}`:                                    "invalid_field concurrency.onLimit is queue, skip or fail",
		`{"name":"x","concurrency":{"limit":1,"key":"a\nb"}}`:                                     "invalid_field concurrency.key has at most 1000 bytes and no control characters",
		`{"name":"x","concurrency":{"limit":1},"blocking":true}`:                                  "invalid_field blocking and concurrency exclude each other: blocking is {limit 1, onLimit queue}",
		`{"name":"x","queueTimeout":-1}`:                                                          "invalid_field queueTimeout is a number of minutes, 0 for no limit",
		`{"name":"x","totalTimeout":527041}`:                                                      "invalid_field totalTimeout is between 0 and 527040 minutes",
		`{"name":"x","schedule":"* * * * * ?"}`:                                                   "invalid_cron cronSchedule fires more than once a minute",
		`{"name":"x","callbacks":[{}]}`:                                                           "missing_field callbacks: url is required",
		`{"name":"x","resources":{"cpus":0}}`:                                                     "invalid_field resources.cpus is more than 0; null leaves it to the package and the worker",
		`{"name":"x","resources":{"cpus":1e300}}`:                                                 "invalid_field resources.cpus is a number above 0 and at most 4096",
		`{"name":"x","resources":{"cpus":"1"}}`:                                                   "invalid_field resources.cpus must be a number",
		`{"name":"x","resources":{"memoryMiB":15}}`:                                               "invalid_field resources.memoryMiB is between 16 and 67108864",
		`{"name":"x","resources":{"memoryMiB":-1}}`:                                               "invalid_field resources.memoryMiB is a whole number from 0 to 2147483647",
		`{"name":"x","resources":{"memoryMiB":1.5}}`:                                              "invalid_field resources.memoryMiB must be a whole number",
		`{"name":"x","resources":{"processes":0}}`:                                                "invalid_field resources.processes is 1 or more; null leaves it to the package and the worker",
		`{"name":"x","resources":{"openFiles":3}}`:                                                "invalid_field resources.openFiles is between 16 and 1048576",
		`{"name":"x","resources":{"diskMiB":1073741825}}`:                                         "invalid_field resources.diskMiB is between 1 and 1073741824",
		`{"name":"x","resources":{"network":"lan"}}`:                                              "invalid_field resources.network is full or none",
		`{"name":"x","runtimeConfig":{"resources":{"cpus":0}}}`:                                   "invalid_field resources.cpus is more than 0; null leaves it to the package and the worker",
		`{"name":"x","macrosets":["1"]}`:                                                          "invalid_field macrosets is not supported yet",
		`{"name":"x","jobTemplateId":"1"}`:                                                        "invalid_field jobTemplateId is not supported yet",
		`{"name":"x","runtimeConfig":{"inMessages":[{}]}}`:                                        "missing_field inMessages: name is required",
		`{"name":"x","runtimeConfig":{"inMessages":[{"name":"a"},{"name":"A"}]}}`:                 "invalid_field inMessages names 'A' twice",
		`{"name":"x","runtimeConfig":{"inMessages":[{"name":"a","properties":[{"value":"x"}]}]}}`: "invalid_field inMessages: 'a': the key of a property has 1 to 255 bytes and no control characters",
		`{"name":"x","runtimeConfig":{"outMessageNames":["a/b"]}}`:                                "invalid_field outMessageNames: a name has 1 to 255 bytes, no control characters, no slashes, no space at its ends, and is not 'files'",
		`[]`:                                   "invalid_field The body must be an object",
		`"x"`:                                  "invalid_field The body must be an object",
		``:                                     "malformed_json Invalid JSON at line 1, column 1",
		`{"name":"x"`:                          "malformed_json Invalid JSON at line 1, column 12",
		"{\n \"name\": \"ä\" x}":               "malformed_json Invalid JSON at line 2, column 14",
		`{"name":"x"} {}`:                      "malformed_json Invalid JSON at line 1, column 14",
		`{"name":"x","name":"y"}`:              "malformed_json Invalid JSON at line 1, column 13",
		"{\"name\":\"\xff\"}":                  "malformed_json Invalid JSON at line 1, column 10",
		`{"name":"\ud800"}`:                    "malformed_json Invalid JSON at line 1, column 10",
		`{"name":'x'}`:                         "malformed_json Invalid JSON at line 1, column 9",
		`{"x":` + strings.Repeat("[", 100_000): "malformed_json",
		`{"x":"` + strings.Repeat("a", 1<<20) + `"}`: "too_large The body is larger than 1048576 bytes",
	} {
		r := f.do("POST", "/api/jobconfigs", body)
		code, message, _ := strings.Cut(want, " ")
		status := 400
		if code == "too_large" {
			status = 413
		}
		if r.Code != status || r.json["code"] != code || (message != "" && r.json["message"] != message) {
			t.Errorf("%.80s: %d %s\n want %s", body, r.Code, r.text, want)
		}
	}
	for method, path := range map[string]string{"POST": "/api/jobconfigs", "PUT": "/api/jobconfigs/1"} {
		r := f.do(method, path, `"name"`, header("Content-Type", "text/plain"))
		r.fault(t, 415, "unsupported_media_type", "")
	}
	f.do("POST", "/api/jobconfigs", `{"name":"x"}`, header("Content-Type", "multipart/form-data")).fault(t, 415, "unsupported_media_type", "")
	f.do("PATCH", "/api/jobconfigs/1", "\n\t {\"name\":\"renamed\"}", header("Content-Type", "")).want(t, 200, `{"name":"renamed"}`)
	f.do("GET", "/api/jobconfigs", nil).want(t, 200, `{"totalRecords":1}`)
}

func TestBulkChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"a", "b", "c"} {
		f.config(name, "")
	}
	object := f.do("GET", "/api/jobconfigs/2", nil).json["objectId"].(string)
	both := map[string]any{"recordIds": []string{"1", object}}
	f.do("PATCH", "/api/jobconfigs/deactivate", both).want(t, 200, "")
	f.do("GET", "/api/jobconfigs?active=false", nil).want(t, 200, `{"totalRecords":2}`)
	f.do("PATCH", "/api/jobconfigs/activate", both).want(t, 200, "")
	f.do("GET", "/api/jobconfigs?active=true", nil).want(t, 200, `{"totalRecords":3}`)
	f.do("PATCH", "/api/jobconfigs/deactivate", `{"recordIds":["1","99"]}`).fault(t, 404, "not_found", "Job config 99 not found")
	f.do("DELETE", "/api/jobconfigs/delete", `{"recordIds":["1","99"]}`).fault(t, 404, "not_found", "")
	f.do("GET", "/api/jobconfigs?active=true", nil).want(t, 200, `{"totalRecords":3}`)
	f.do("DELETE", "/api/jobconfigs/delete", both).want(t, 204, "")
	f.do("GET", "/api/jobconfigs", nil).want(t, 200, `{"totalRecords":1,"items":[{"name":"c"}]}`)
	f.do("DELETE", "/api/jobconfigs/delete", `{}`).fault(t, 400, "missing_field", "recordIds is required")
	for _, id := range []string{"0", "01", "-1", "x", "99999999999999999999", strings.Repeat("A", 24)} {
		f.do("GET", "/api/jobconfigs/"+id, nil).fault(t, 404, "not_found", "")
	}
}

func TestStartsThatAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jobs := "/api/jobconfigs/" + f.config("sample config", "run.sh") + "/jobs"
	for name, c := range map[string]struct {
		query, body string
		header      with
		code        string
	}{
		"ordered":            {"?ordered=1", "", header("X", "x"), "invalid_field"},
		"wait":               {"?wait=soon", "", header("X", "x"), "invalid_field"},
		"negative wait":      {"?wait=-1s", "", header("X", "x"), "invalid_field"},
		"empty key":          {"", "", header("Idempotency-Key", ""), "invalid_field"},
		"long key":           {"", "", header("Idempotency-Key", strings.Repeat("k", 256)), "invalid_field"},
		"unprintable key":    {"", "", header("Idempotency-Key", "a\tb"), "invalid_field"},
		"macrosets":          {"", `{"macrosets":["1"]}`, header("X", "x"), "invalid_field"},
		"inMessages":         {"", `{"runtimeConfig":{"inMessages":[{"name":"../m"}]}}`, header("X", "x"), "invalid_field"},
		"version":            {"", `{"runtimeConfig":{"packageVersion":-1}}`, header("X", "x"), "invalid_field"},
		"a version unknown":  {"", `{"runtimeConfig":{"packageVersion":7}}`, header("X", "x"), "package_missing"},
		"a package unknown":  {"", `{"runtimeConfig":{"packageName":"other.sh"}}`, header("X", "x"), "package_missing"},
		"jobFiles":           {"", `{"jobFiles":{"../x":"y"}}`, header("X", "x"), "invalid_field"},
		"jobFiles of a type": {"", `{"jobFiles":{"x":1}}`, header("X", "x"), "invalid_field"},
		"malformed":          {"", `{`, header("X", "x"), "malformed_json"},
	} {
		r := f.do("POST", jobs+c.query, c.body, c.header)
		if r.Code != 400 || r.json["code"] != c.code {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
	}
	f.do("POST", jobs, "x", header("Content-Type", "text/plain")).fault(t, 415, "unsupported_media_type", "")
	f.do("GET", "/api/jobs", nil).want(t, 200, `{"totalRecords":0}`)
	if len(f.Engine.Started()) != 0 {
		t.Errorf("started %v", f.Engine.Started())
	}
	f.do("POST", jobs+"?ordered=false", `null`, header("Content-Type", "application/json; charset=utf-8")).want(t, 202, "")
	f.do("POST", jobs, "", header("Content-Type", "")).want(t, 202, "")
	r := f.do("POST", jobs, `{"tags":["t1"],"jobFiles":{"in.txt":"x"},"runtimeConfig":{"entryPoint":"other.sh","macros":[{"key":"A","value":"1"}]}}`)
	r.want(t, 202, `{"entryPoint":"other.sh","tags":["t1"],"runNumber":3}`)
	f.Engine.SetDown(true)
	f.do("POST", jobs, nil).want(t, 202, `{"status":"QUEUED","warnings":["engine_unreachable"]}`)
}
