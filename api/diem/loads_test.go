package diem_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// sink is a client that throws away what it gets.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

func (f *fixture) download(id string) *http.Request {
	r := httptest.NewRequestWithContext(f.t.Context(), "POST", "/etl-mgr/api/filedownload", strings.NewReader(`{"id":"`+id+`"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("x-api-key", f.key)
	return r
}

// One character of a file may become six bytes of JSON: they are sent as they are made. Not parallel: it looks at what the process allocates.
func TestADownloadAsTextIsNotHeldInMemory(t *testing.T) { //nolint:paralleltest // see above
	f := newFixture(t)
	const size = 15 << 20
	f.file("zeros", strings.Repeat("\x00", size))
	w := &sink{header: http.Header{}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f.server.ServeHTTP(w, f.download("zeros"))
	runtime.ReadMemStats(&after)
	if w.bytes < 6*size {
		t.Fatalf("%d bytes were sent", w.bytes)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

func TestADownloadAsTextIsEveryByteOrBrokenOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var all strings.Builder
	for i := range 256 {
		_ = all.WriteByte(byte(i))
	}
	for _, n := range []int{0, 1, 127, 128, 129, 400} {
		text := strings.Repeat(all.String(), n)
		f.file(fmt.Sprint(n), text)
		var got struct{ Filename, Contenttype, Data string }
		r := f.call("filedownload", fmt.Sprintf(`{"id":"%d"}`, n)).is(t, 200)
		if err := json.Unmarshal([]byte(r.text), &got); err != nil || got.Filename != fmt.Sprint(n) || got.Contenttype != "application/octet-stream" {
			t.Errorf("%d: %v, %.100s", n, err, r.text)
		}
		back := make([]byte, 0, len(text))
		for _, c := range got.Data {
			back = append(back, byte(c))
		}
		if string(back) != text {
			t.Errorf("%d: %d bytes of %d", n, len(back), len(text))
		}
	}
	f.file("short", strings.Repeat("x", 100_000))
	stored, err := f.Files.Get(t.Context(), f.dan, control.FileOwner{Type: job.EntityAccount, Ref: fmt.Sprint(f.account)}, "short", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Objects.Put(t.Context(), job.BlobKey(f.account, stored.SHA256), strings.NewReader(strings.Repeat("x", 50_000)), 50_000); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler { //nolint:errorlint // as net/http wants it
				t.Errorf("not broken off: %.100s", w.Body.String())
			}
		}()
		f.server.ServeHTTP(w, f.download("short"))
	}()
}

// fileLooks counts the files that lists read.
type fileLooks struct {
	control.FileStore
	files int
}

func (l *fileLooks) Files(ctx context.Context, account int64, e job.EntityType, entity int64, q job.Query) (job.List[job.File], error) {
	list, err := l.FileStore.Files(ctx, account, e, entity, q)
	l.files += len(list.Items)
	return list, err
}

// However many files lie in folders below, they are not read: a list that looks at so many only would lose those behind.
func TestGetfilesPassesByFolders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 30 {
		f.file(fmt.Sprintf("in/deep/%d.csv", i), "x")
	}
	f.file("in/deep", "x")
	f.file("in/Über.csv", "x")
	f.file("IN/upper.csv", "x")
	f.file("zz.csv", "x")
	for selector, want := range map[string]string{
		"": "zz.csv", "in/": "in/deep in/Über.csv", "in/d": "in/deep", "in": "", "in/deep/2": "in/deep/2.csv in/deep/20.csv in/deep/21.csv in/deep/22.csv " +
			"in/deep/23.csv in/deep/24.csv in/deep/25.csv in/deep/26.csv in/deep/27.csv in/deep/28.csv in/deep/29.csv",
		"IN/": "IN/upper.csv", "in/deep/": "30", "none": "", "in/deep/2.csv/": "",
	} {
		looks := &fileLooks{FileStore: f.Files.Store}
		f.Files.Store = looks
		var rows []struct{ ID string }
		if err := json.Unmarshal([]byte(f.call("getfiles", `{"selector":"`+selector+`"}`).is(t, 200).text), &rows); err != nil {
			t.Fatal(err)
		}
		f.Files.Store = looks.FileStore
		var ids []string
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		got := strings.Join(ids, " ")
		if selector == "in/deep/" {
			got = fmt.Sprint(len(ids))
		}
		if got != want {
			t.Errorf("%q: %s, want %s", selector, got, want)
		}
		if looks.files > len(rows)+2 { // but for the other case
			t.Errorf("%q: %d files are read to show %d", selector, looks.files, len(rows))
		}
	}
}

// Every call shows a key, is counted and has its headers, also one that no function is reached by (diem.md, 1).
func TestStraysAndBadQueriesAreCallsToo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	org, none := header("X-Org-Protection", "acme"), header("x-api-key", "")
	const nothing, noKey = `{"message":"resouce cannot be found"}`, `{"error":"Forbidden, no api key or valid api key"}`
	for _, c := range []struct{ method, path, answer string }{
		{"POST", "/etl-mgr/user/apijob", nothing}, {"GET", "/etl-mgr/internal/x", nothing}, {"GET", "/etl-mgr", nothing},
		{"TRACE", "/etl-mgr/api/apijob", nothing}, {"GET", "/etl-mgr/api/apijob/x", nothing},
		{"GET", "/etl-mgr/api/apijob?id=%zz", ""}, {"GET", "/etl-mgr/user/x?a=%zz", ""},
	} {
		r := f.do(c.method, c.path, `{}`, org)
		if c.answer == "" {
			r.is(t, 400)
		} else {
			r.want(t, 404, c.answer)
		}
		for _, r := range []reply{
			r, f.do(c.method, c.path, `{}`, org, none).want(t, 403, noKey),
		} {
			if r.Header().Get("X-Org-Protection") != "acme" || r.Header().Get("X-RateLimit-Remaining") == "" {
				t.Errorf("%s %s: %v", c.method, c.path, r.Header())
			}
		}
	}
	f.do("GET", "/api/jobs?filter=%zz", nil, header("x-api-key", "")).is(t, 401)
	f.do("GET", "/api/jobs?filter=%zz", nil).is(t, 400)
}

func (r reply) is(t *testing.T, status int) reply {
	t.Helper()
	if r.Code != status {
		t.Errorf("%d %s, want %d", r.Code, r.text, status)
	}
	return r
}

// A database that is away is the door's 503, and nothing is started.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.Store.(interface{ Close() error }).Close(); err != nil {
		t.Fatal(err)
	}
	for _, function := range []string{"apijob", "services", "jobactions", "jobs", "jobdetail", "joblog", "pipelinejobs", "getfiles", "filedownload", "filedelete", "nope"} {
		r := f.call(function, `{"id":"`+orders+`","action":"start"}`).want(t, 503, `{"message":"Service Unavailable","status":503}`)
		if r.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", function)
		}
	}
	if started := f.Engine.Started(); len(started) > 0 {
		t.Errorf("started: %v", started)
	}
}

// failingStore is away when files are to be put down.
type failingStore struct {
	control.FileStore
	left int
}

var errAway = job.Errorf(job.Unavailable, job.WordDependencyDown, "away")

func (s *failingStore) AddFile(ctx context.Context, file job.File) (job.File, error) {
	if s.left--; s.left < 0 {
		return job.File{}, errAway
	}
	return s.FileStore.AddFile(ctx, file)
}

// failingBlobs is a store of blobs that goes away after some.
type failingBlobs struct {
	control.BlobKeeper
	left int
}

func (s *failingBlobs) HoldBlob(ctx context.Context, account int64, digest string) error {
	if s.left--; s.left < 0 {
		return errAway
	}
	return s.BlobKeeper.HoldBlob(ctx, account, digest)
}

func TestAnUploadThatBreaksDownStoresNoFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Files.Blobs = &failingBlobs{f.Files.Blobs, 1}
	f.Files.Store = &failingStore{f.Files.Store, 1}
	body, label := form(t, [2]string{"a.csv", "a"}, [2]string{"b.csv", "b"})
	f.do("POST", "/etl-mgr/api/fileupload", body, label).want(t, 503, `{"message":"Service Unavailable","status":503}`)
	f.call("getfiles", `{}`).want(t, 200, `[]`)
}
