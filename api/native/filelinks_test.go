package native_test

import (
	"strings"
	"testing"
)

func TestLinkedFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("uses the library", "")
	object, _ := f.do("GET", "/api/jobconfigs/"+config, nil).json["objectId"].(string)
	files, links := "/api/jobconfigs/"+config+"/files", "/api/jobconfigs/"+config+"/filelinks"
	f.do("POST", "/api/account/1/files?key=lib/run.sh", "one", raw).
		want(t, 201, `{"href":"http://localhost:8080/api/account/1/files/lib/run.sh","metadata":{"entityType":"ACCOUNT","entityId":"1","linkType":"LOCAL"}}`)

	f.do("POST", links, `{"fileName":"lib/run.sh"}`).fault(t, 400, "missing_field", "entityType is required")
	f.do("POST", links, `{"entityType":"USER","fileName":"lib/run.sh"}`).fault(t, 400, "missing_field", "entityId is required")
	f.do("POST", links, `{"entityType":"ACCOUNT"}`).fault(t, 400, "missing_field", "fileName is required")
	f.do("POST", links, `{"entityType":"TEMP","entityId":"1","fileName":"a"}`).fault(t, 400, "invalid_field", "")
	f.do("POST", links, `{"entityType":"JOBCONFIG","entityId":"`+object+`","fileName":"a"}`).fault(t, 400, "invalid_field", "")
	f.do("POST", links, `{"entityType":"ACCOUNT","entityId":"2","fileName":"lib/run.sh"}`).fault(t, 404, "not_found", "")
	f.do("POST", links, `{"entityType":"ACCOUNT","entityId":"1","fileName":"none.sh"}`).fault(t, 404, "not_found", "File 'none.sh' not found on account 1")

	made := f.do("POST", links, `{"entityType":"ACCOUNT","entityId":"1","fileName":"lib/run.sh","id":"7"}`).want(t, 201,
		`{"name":"lib/run.sh","href":"http://localhost:8080`+files+`/lib/run.sh","metadata":{"entityType":"ACCOUNT","entityId":"1","linkType":"LINK","version":1}}`)
	link, _ := made.json["linkId"].(string)
	if made.Header().Get("Location") != made.json["href"] || made.json["metadata"].(map[string]any)["linkId"] == nil || link == "" {
		t.Errorf("got %s", made.text)
	}
	f.do("POST", links, `{"entityType":"ACCOUNT","entityId":"1","fileName":"lib/run.sh"}`).fault(t, 409, "link_exists", "")
	f.do("POST", files+"?key=lib/run.sh", "mine", raw).fault(t, 409, "link_exists", "")
	f.do("PUT", files+"/lib/run.sh", "mine", raw).fault(t, 409, "link_exists", "")
	f.do("DELETE", files+"/lib/run.sh", nil).fault(t, 409, "link_exists", "")
	f.do("DELETE", "/api/account/1/files/lib/run.sh", nil).fault(t, 409, "link_exists", "File 'lib/run.sh' is linked by job config "+config)
	f.do("POST", files+"?key=own.sh", "own", raw).want(t, 201, "")
	f.do("GET", files, nil).want(t, 200, `{"totalRecords":2,"items":[{"name":"lib/run.sh","linkId":"`+link+`","metadata":{"linkType":"LINK"}},
		{"name":"own.sh","metadata":{"linkType":"LOCAL"}}]}`)
	for _, at := range []string{config, object} {
		if r := f.do("GET", "/api/jobconfigs/"+at+"/files/lib/run.sh", nil); r.text != "one" {
			t.Errorf("read through the link: %d %s", r.Code, r.text)
		}
	}

	// The linked file is the package, in its newest version or a pinned one; a job keeps what it ran.
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageName":"lib/run.sh","entryPoint":"run.sh"}}`).want(t, 200, "")
	first := f.start(config)
	f.do("PUT", "/api/account/1/files/lib/run.sh", "two", raw).want(t, 200, `{"metadata":{"version":2}}`)
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageVersion":3}}`).
		fault(t, 400, "invalid_field", "packageVersion 3 is no version of 'lib/run.sh'; the newest is 2")
	f.do("GET", files+"/lib/run.sh/versions", nil).want(t, 200, `{"totalRecords":2,"items":[{"version":2,"current":true},{"version":1}]}`)
	second := f.start(config)
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageVersion":1}}`).want(t, 200, "")
	third := f.start(config)
	f.do("DELETE", links+"/"+link, nil).want(t, 204, "")
	f.do("DELETE", links+"/"+link, nil).fault(t, 404, "not_found", "")
	f.do("DELETE", links+"/x", nil).fault(t, 404, "not_found", "")
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).fault(t, 400, "package_missing", "Version 1 of package 'lib/run.sh' of job config "+config+" is not uploaded")
	f.do("DELETE", "/api/account/1/files/lib/run.sh", nil).want(t, 204, "")
	for id, want := range map[string]string{string(first): "one", string(second): "two", string(third): "one"} {
		r := f.do("GET", "/api/jobs/"+id+"/package", nil, header("Range", "bytes=0-1"))
		if r.Code != 206 || r.text != want[:2] || r.Header().Get("ETag") == "" {
			t.Errorf("the package of the job: %d %s, want a part of %s", r.Code, r.text, want)
		}
	}
}

func TestAccountAndUserFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gina, token := f.general(t, "gina")
	for _, owner := range []string{"/api/account/1", "/api/users/1"} {
		files := owner + "/files"
		f.do("POST", files+"?key=a.zip", zipOf(t, "run.sh", "exit 0"), raw).want(t, 201, `{"metadata":{"version":1}}`)
		f.do("PUT", files+"/a.zip", zipOf(t, "go.sh", "exit 0"), raw).want(t, 200, `{"metadata":{"version":2}}`)
		f.do("GET", files, nil).want(t, 200, `{"totalRecords":1,"items":[{"name":"a.zip"}]}`)
		f.do("GET", files+"/entrypoints/a.zip", nil).want(t, 200, `{"packageName":"a.zip","entryPoints":["go.sh"]}`)
		f.do("GET", files+"/a.zip/versions", nil).want(t, 200, `{"totalRecords":2}`)
		f.do("GET", files+"/a.zip?version=1", nil).want(t, 200, "")
	}
	for _, none := range []string{"/api/account/2/files", "/api/account/x/files", "/api/users/99/files", "/api/users/01/files"} {
		f.do("GET", none, nil).fault(t, 404, "not_found", "")
	}
	f.token = token
	f.do("GET", "/api/account/1/files/a.zip", nil).want(t, 200, "")
	f.do("DELETE", "/api/account/1/files/a.zip", nil).fault(t, 403, "access_denied", "")
	f.do("POST", "/api/account/1/files?key=b", "x", raw).fault(t, 403, "access_denied", "")
	f.do("GET", "/api/users/1/files", nil).fault(t, 403, "access_denied", "")
	mine := f.config("gina's", "")
	f.do("POST", "/api/jobconfigs/"+mine+"/filelinks", `{"entityType":"USER","entityId":"1","fileName":"a.zip"}`).fault(t, 403, "access_denied", "")
	f.do("POST", "/api/jobconfigs/"+mine+"/filelinks", `{"entityType":"ACCOUNT","fileName":"a.zip"}`).want(t, 201, "")
	if r := f.do("GET", "/api/jobconfigs/"+mine+"/files/entrypoints/a.zip", nil); !strings.Contains(r.text, "go.sh") {
		t.Errorf("through the link: %s", r.text)
	}
	f.do("GET", "/api/users/"+gina+"/files", nil).want(t, 200, `{"totalRecords":0}`)
}

func TestAPinIsAVersionThatIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("pinned", "")
	// Named before it is uploaded, as the package may be.
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageName":"run.sh","packageVersion":2,"entryPoint":"run.sh"}}`).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+config+"/files?key=run.sh", "one", raw).want(t, 201, "")
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).fault(t, 400, "package_missing", "Version 2 of package 'run.sh' of job config "+config+" is not uploaded")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"description":"another member"}`).want(t, 200, "")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageVersion":3}}`).
		fault(t, 400, "invalid_field", "packageVersion 3 is no version of 'run.sh'; the newest is 1")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageVersion":1}}`).want(t, 200, "")
	f.do("POST", "/api/jobconfigs/"+config+"/files?key=run.sh", "two", raw).want(t, 201, "")
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).want(t, 202, `{"packageVersion":1}`)
}
