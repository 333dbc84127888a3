package native_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

func sum(text string) (asHex, asHeader string) {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:]), "sha-256=:" + base64.StdEncoding.EncodeToString(s[:]) + ":"
}

var raw = header("Content-Type", "application/octet-stream")

func TestUploadForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := "/api/jobconfigs/" + f.config("sample config", "") + "/files"
	_, digest := sum("text")
	for name, c := range map[string]struct {
		parts   [][2]string
		query   string
		changes []with
		key     string
	}{
		"key before file":                        {parts: [][2]string{{"key", "a/b.txt"}, {"file=c.txt", "text"}}, key: "a/b.txt"},
		"file before key":                        {parts: [][2]string{{"file=c.txt", "text"}, {"key", "late.txt"}}, key: "late.txt"},
		"no key: the file's own name":            {parts: [][2]string{{"file=own.txt", "text"}}, key: "own.txt"},
		"an empty key is none":                   {parts: [][2]string{{"key", ""}, {"file=own2.txt", "text"}}, key: "own2.txt"},
		"a name with a folder of another system": {parts: [][2]string{{`file=C:\\data\\own3.txt`, "text"}}, key: "own3.txt"},
		"other parts are skipped":                {parts: [][2]string{{"x", "y"}, {"file=c.txt", "text"}, {"z", "z"}, {"key", "k.txt"}}, key: "k.txt"},
		"key in the query":                       {parts: [][2]string{{"file=c.txt", "text"}}, query: "?key=q.txt", key: "q.txt"},
		"digest of the file":                     {parts: [][2]string{{"file=d.txt", "text"}}, changes: []with{header("Content-Digest", digest)}, key: "d.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			body, label := formFile(t, c.parts...)
			r := f.do("POST", files+c.query, body, append(c.changes, label)...)
			r.want(t, 201, `{"name":"`+c.key+`","metadata":{"size":4,"version":1}}`)
			if got := f.do("GET", files+"/"+c.key, nil); got.Code != 200 || got.text != "text" || r.Header().Get("Location") != r.json["href"] {
				t.Errorf("download %d %q, Location %q", got.Code, got.text, r.Header().Get("Location"))
			}
		})
	}
	body, label := formFile(t, [2]string{"file=whole.txt", "text"})
	_, whole := sum(body.String())
	f.do("POST", files, body, label, header("Content-Digest", whole)).want(t, 201, "")

	f.do("POST", files+"?key=raw.bin", "text", raw, header("Content-Digest", "sha-512=:eA==:, "+digest)).want(t, 201, "")
	f.do("POST", files+"?key=none", "text", header("Content-Type", "")).want(t, 201, `{"metadata":{"contentType":"application/octet-stream"}}`)
	f.do("POST", files, "text", raw, header("Content-Disposition", `attachment; filename="named.bin"`)).want(t, 201, `{"name":"named.bin"}`)
	f.do("POST", files+"?key=empty", "", raw).want(t, 201, `{"metadata":{"size":0}}`)
	if r := f.do("GET", files+"/empty", nil); r.Code != 200 || r.text != "" {
		t.Errorf("empty file: %d %q", r.Code, r.text)
	}
}

func TestUploadsThatAreRefusedLeaveNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "")
	files := "/api/jobconfigs/" + config + "/files"
	f.Files.MaxSize = 1000
	_, wrong := sum("other")
	form := func(parts ...[2]string) (any, with) { return formFile(t, parts...) }
	body, label := form([2]string{"file=x.txt", "text"})
	cases := map[string]struct {
		path    string
		body    any
		changes []with
		status  int
		code    string
	}{
		"another type":             {files + "?key=a", "x", []with{header("Content-Type", "text/csv")}, 415, "unsupported_media_type"},
		"a type that is none":      {files + "?key=a", "x", []with{header("Content-Type", ";")}, 415, "unsupported_media_type"},
		"no boundary":              {files + "?key=a", "x", []with{header("Content-Type", "multipart/form-data")}, 415, "unsupported_media_type"},
		"no key":                   {files, "x", []with{raw}, 400, "missing_field"},
		"wrong digest":             {files + "?key=a", "x", []with{raw, header("Content-Digest", wrong)}, 400, "digest_mismatch"},
		"digest that is none":      {files + "?key=a", "x", []with{raw, header("Content-Digest", "sha-256=:x:")}, 400, "invalid_field"},
		"digest with one colon":    {files + "?key=a", "x", []with{raw, header("Content-Digest", strings.Replace(wrong, "=:", "=", 1))}, 400, "invalid_field"},
		"digest without colons":    {files + "?key=a", "x", []with{raw, header("Content-Digest", "sha-256=x")}, 400, "invalid_field"},
		"wrong digest of a form":   {files, body, []with{label, header("Content-Digest", wrong)}, 400, "digest_mismatch"},
		"too large, announced":     {files + "?key=a", strings.Repeat("x", 1001), []with{raw}, 413, "too_large"},
		"too large, not announced": {files + "?key=a", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001))), []with{raw}, 413, "too_large"},
		"broken archive":           {files + "?key=a.djar", "no zip", []with{raw}, 400, "invalid_package"},
		"unknown config":           {"/api/jobconfigs/99/files?key=a", "x", []with{raw}, 404, "not_found"},
	}
	for _, key := range []string{"..", "a/../b", "/a", `a\b`, "a\x01", "entrypoints/a", "a/versions", strings.Repeat("k", 1025), "a//b"} {
		body, label := form([2]string{"file=x", "text"}, [2]string{"key", key})
		c := cases["no key"]
		c.path, c.body, c.changes, c.code = files, body, []with{label}, "invalid_key"
		cases["key "+key[:min(9, len(key))]] = c
	}
	b1, l1 := form([2]string{"key", "a"})
	c := cases["no key"]
	c.body, c.changes = b1, []with{l1}
	cases["form without file"] = c
	b2, l2 := form([2]string{"file=x", "1"}, [2]string{"file=y", "2"})
	c.body, c.changes, c.code = b2, []with{l2}, "invalid_field"
	cases["two files"] = c
	b3, l3 := form([2]string{"key", "a"}, [2]string{"file=x", strings.Repeat("x", 1001)})
	c.body, c.changes, c.status, c.code = b3, []with{l3}, 413, "too_large"
	cases["form with a large file"] = c
	b4, l4 := formFile(t, [2]string{"key", "a"}, [2]string{"file=x", "text"})
	c.body, c.changes, c.status, c.code = b4.String()[:b4.Len()-10], []with{l4}, 400, "invalid_field"
	cases["form broken off"] = c
	for name, c := range cases {
		r := f.do("POST", c.path, c.body, c.changes...)
		if r.Code != c.status || r.json["code"] != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, r.Code, r.text, c.status, c.code)
		}
	}
	f.do("PUT", files+"/none.txt", "x", raw).fault(t, 404, "not_found", "")
	f.do("GET", files, nil).want(t, 200, `{"totalRecords":0}`)
	if f.Objects.Len() != 0 {
		t.Errorf("%d objects are left", f.Objects.Len())
	}
	if left, err := os.ReadDir(f.Files.Spool); err != nil || len(left) != 0 {
		t.Errorf("%d uploads are left on disk, %v", len(left), err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "")
	files := "/api/jobconfigs/" + config + "/files"
	f.do("POST", files+"?key=dir/run.sh", "one", raw).want(t, 201, `{"href":"http://localhost:8080`+files+`/dir/run.sh"}`)
	f.do("PUT", files+"/dir%2Frun.sh", "two", raw).want(t, 200, `{"metadata":{"version":2}}`)
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageName":"dir/run.sh","packageVersion":1}}`).want(t, 200, "")
	for _, path := range []string{files + "/dir%2Frun.sh/versions", files + "/dir/run.sh/versions"} {
		f.do("GET", path, nil).want(t, 200, `{"totalRecords":2,"sortBy":"version","direction":"desc","items":[
			{"version":2,"size":3,"current":true,"pinned":false,"createdByUser":`+adminRef+`},{"version":1,"current":false,"pinned":true}]}`)
	}
	for query, text := range map[string]string{"": "two", "?version=1": "one", "?version=2": "two"} {
		if r := f.do("GET", files+"/dir/run.sh"+query, nil); r.text != text {
			t.Errorf("%s gives %q", query, r.text)
		}
	}
	f.do("GET", files+"/dir/run.sh?version=3", nil).fault(t, 404, "not_found", "")
	f.do("GET", files+"/dir/run.sh?version=0", nil).fault(t, 400, "invalid_field", "")

	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageVersion":null}}`).want(t, 200, "")
	id := f.start(config)
	f.do("POST", files+"?key=dir/run.sh", "three", raw).want(t, 201, `{"metadata":{"version":3}}`)
	if r := f.do("GET", "/api/jobs/"+string(id)+"/package", nil); r.Code != 200 || r.text != "two" {
		t.Errorf("the job's package: %d %q", r.Code, r.text)
	}
	f.do("DELETE", files+"/dir/run.sh", nil).want(t, 204, "")
	f.do("GET", files+"/dir/run.sh", nil).fault(t, 404, "not_found", "")
	f.do("GET", files+"/dir/run.sh/versions", nil).fault(t, 404, "not_found", "")
	if r := f.do("GET", "/api/jobs/"+string(id)+"/package", nil); r.text != "two" {
		t.Errorf("the job's package after the delete: %q", r.text)
	}
	for _, key := range []string{"a+b c%.txt", "ä/ö.txt", "x?y#z"} {
		body, label := formFile(t, [2]string{"key", key}, [2]string{"file=x", key})
		href := f.do("POST", files, body, label).want(t, 201, "").json["href"].(string)
		if r := f.do("GET", strings.TrimPrefix(href, "http://localhost:8080"), nil); r.text != key {
			t.Errorf("%s under %s: %d %q", key, href, r.Code, r.text)
		}
	}
	f.do("GET", files+"/entrypoints/", nil).fault(t, 404, "route_not_found", "")
	f.do("GET", files+"/", nil).fault(t, 404, "route_not_found", "")
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := "/api/jobconfigs/" + f.config("sample config", "") + "/files"
	const text = "0123456789"
	f.do("POST", files+"?key=a.bin", text, raw).want(t, 201, "")
	tag, digest := sum(text)
	tag = `"` + tag + `"`
	r := f.do("GET", files+"/a.bin", nil)
	for name, value := range map[string]string{
		"ETag": tag, "Content-Digest": digest, "Accept-Ranges": "bytes", "Content-Length": "10", "Content-Type": "application/octet-stream",
		"Content-Disposition": "attachment; filename=a.bin", "X-Content-Type-Options": "nosniff",
	} {
		if r.Header().Get(name) != value {
			t.Errorf("%s: %q, want %q", name, r.Header().Get(name), value)
		}
	}
	for name, c := range map[string]struct {
		headers map[string]string
		status  int
		text    string
	}{
		"first bytes":              {map[string]string{"Range": "bytes=0-3"}, 206, "0123"},
		"last bytes":               {map[string]string{"Range": "bytes=-3"}, 206, "789"},
		"from the middle":          {map[string]string{"Range": "bytes=5-"}, 206, "56789"},
		"beyond the end":           {map[string]string{"Range": "bytes=8-100"}, 206, "89"},
		"not bytes":                {map[string]string{"Range": "lines=1-2"}, 200, text},
		"bytes in capitals":        {map[string]string{"Range": "BYTES=0-3"}, 206, "0123"},
		"the last no bytes":        {map[string]string{"Range": "bytes=-0"}, 416, ""},
		"outside":                  {map[string]string{"Range": "bytes=10-"}, 416, ""},
		"If-Range that fits":       {map[string]string{"Range": "bytes=0-3", "If-Range": tag}, 206, "0123"},
		"If-Range of another":      {map[string]string{"Range": "bytes=0-3", "If-Range": `"x"`}, 200, text},
		"If-None-Match":            {map[string]string{"If-None-Match": tag}, 304, ""},
		"If-None-Match of another": {map[string]string{"If-None-Match": `"x"`}, 200, text},
		"If-Match of another":      {map[string]string{"If-Match": `"x"`}, 412, ""},
	} {
		var changes []with
		for name, value := range c.headers {
			changes = append(changes, header(name, value))
		}
		r := f.do("GET", files+"/a.bin", nil, changes...)
		if r.Code != c.status || (c.status < 400 && r.text != c.text) {
			t.Errorf("%s: %d %q", name, r.Code, r.text)
		}
		switch c.status {
		case 206:
			if r.Header().Get("Repr-Digest") != digest || r.Header().Get("Content-Digest") != "" {
				t.Errorf("%s: digests %v", name, r.Header())
			}
		case 416:
			r.fault(t, 416, "invalid_range", "")
			if r.Header().Get("Content-Range") != "bytes */10" {
				t.Errorf("%s: Content-Range %q", name, r.Header().Get("Content-Range"))
			}
		}
	}
	f.Objects.SetFail(job.Errorf(job.Unavailable, job.WordDependencyDown, "The object store does not answer"))
	r = f.do("GET", files+"/a.bin", nil)
	r.fault(t, 503, "dependency_down", "The object store does not answer")
	if r.Header().Get("Retry-After") == "" || r.Header().Get("ETag") != "" || r.Header().Get("Content-Length") != "" {
		t.Errorf("headers %v", r.Header())
	}
}

func TestFileLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := "/api/jobconfigs/" + f.config("sample config", "") + "/files"
	for _, key := range []string{"b.txt", "a.txt", "c.csv"} {
		f.do("POST", files+"?key="+key, strings.Repeat("x", len(key)), raw).want(t, 201, "")
	}
	f.do("GET", files, nil).want(t, 200, `{"totalRecords":3,"items":[{"name":"a.txt"},{"name":"b.txt"},{"name":"c.csv"}]}`)
	f.do("GET", files+"?filter=TXT&sortby=name&direction=desc", nil).want(t, 200, `{"items":[{"name":"b.txt"},{"name":"a.txt"}]}`)
	f.do("GET", files+"?filterby=colour&operators=eq&filter=x", nil).fault(t, 400, "unknown_property", "")
}

func TestOutputFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	outcome := job.Outcome{Status: job.Completed}
	for _, name := range []string{"b/rejected.csv", "a.json", "b/orders.ndjson"} {
		key := "out/" + name
		if _, err := f.Objects.Put(t.Context(), key, strings.NewReader("content of "+name), -1); err != nil {
			t.Fatal(err)
		}
		digest, _ := sum("content of " + name)
		outcome.Outputs = append(outcome.Outputs, job.Output{
			Name: name, Size: int64(len("content of " + name)), SHA256: digest, Object: key, CreatedAt: f.Now(),
		})
	}
	f.Finish(t, 1, id, f.Take(t, 1, id), outcome)
	out := "/api/jobs/" + string(id) + "/out/files"
	f.do("GET", out, nil).want(t, 200, `{"totalRecords":3,"totalPages":1,"items":[{"name":"a.json","href":"http://localhost:8080`+out+`/a.json","final":true,
		"metadata":{"entityType":"JOB_OUTPUT","entityId":"`+string(id)+`","linkType":"LOCAL"}},{"name":"b/orders.ndjson"},{"name":"b/rejected.csv"}]}`)
	f.do("GET", out+"?size=2&offset=1&sortby=size&direction=desc", nil).want(t, 200, `{"totalRecords":3,"totalPages":2,"items":[{"name":"a.json"}]}`)
	f.do("GET", out+"?filter=B/", nil).want(t, 200, `{"totalRecords":2}`)
	f.do("GET", out+"?filterby=colour&operators=eq&filter=x", nil).fault(t, 400, "unknown_property", "Unknown property 'colour'")
	f.do("GET", out+"?sortby=colour", nil).fault(t, 400, "unknown_property", "")
	if r := f.do("GET", out+"/b/orders.ndjson", nil, header("Range", "bytes=0-6")); r.Code != 206 || r.text != "content" {
		t.Errorf("download: %d %q", r.Code, r.text)
	}
	if r := f.do("GET", out+"/b%2Forders.ndjson", nil); r.text != "content of b/orders.ndjson" {
		t.Errorf("download: %d %q", r.Code, r.text)
	}
	f.do("GET", out+"/none", nil).fault(t, 404, "not_found", "Job "+string(id)+" has no output file 'none'")
}

// zeros is an upload that is made up while it is read, and watches the heap meanwhile.
type zeros struct {
	left    int64
	reads   int
	highest uint64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	if z.reads++; z.reads%512 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		z.highest = max(z.highest, m.HeapAlloc)
	}
	return n, nil
}

// Not parallel: other tests would be seen in the heap.
func TestUploadsAreNotHeldInMemory(t *testing.T) {
	f := newFixture(t)
	f.Objects.Forget = true
	files := "/api/jobconfigs/" + f.config("sample config", "") + "/files"
	server := httptest.NewServer(f.server)
	defer server.Close()
	const size = 256 << 20
	send := func(label, key string, body io.Reader) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+files+key, body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", label)
		request.Header.Set("Authorization", "Bearer "+f.token)
		answer, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != 201 || !strings.Contains(string(text), `"size":268435456`) {
			t.Fatalf("%d %s", answer.StatusCode, text)
		}
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, wrap := range map[string]func(io.Reader) (string, string, io.Reader){
		"raw": func(r io.Reader) (string, string, io.Reader) { return "application/octet-stream", "?key=big", r },
		"form, key behind the file": func(r io.Reader) (string, string, io.Reader) {
			return "multipart/form-data; boundary=b", "", io.MultiReader(
				strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"), r,
				strings.NewReader("\r\n--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nlate\r\n--b--\r\n"))
		},
	} {
		z := &zeros{left: size}
		label, key, body := wrap(z)
		start := time.Now()
		send(label, key, body)
		if grown := int64(z.highest) - int64(before.HeapAlloc); grown > 32<<20 {
			t.Errorf("%s: the heap grew by %d MiB", name, grown>>20)
		}
		t.Logf("%s: heap %d MiB at most, %.1fs", name, z.highest>>20, time.Since(start).Seconds())
	}
}
