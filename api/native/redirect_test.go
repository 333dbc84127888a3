package native_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"waybill/api"
	"waybill/internal/job"
)

// presigner makes addresses that tell what they were made of.
type presigner struct{ err error }

func (p presigner) Presign(_ context.Context, key, filename, contentType string) (string, error) {
	return "https://objects.example.com/" + key + "#" + filename + "," + contentType, p.err
}

func asItIs(*http.Request) {}

func (f *fixture) put(config, key, content string) {
	f.t.Helper()
	f.do("POST", "/api/jobconfigs/"+config+"/files?key="+key, content, header("Content-Type", "")).want(f.t, 201, "")
}

func withPresigner(c *api.Config) { c.Presigner = presigner{} }

func TestDownloadsAreRedirectedWhenAskedFor(t *testing.T) {
	f := newFixture(t, withPresigner)
	config := f.newConfig(`{"name":"redirected"}`)
	f.put(config, "data/report.csv", "a,b\n")
	f.put(config, "empty.csv", "")
	path := "/api/jobconfigs/" + config + "/files/data/report.csv"
	plain := f.do("GET", path, nil)
	if plain.Code != 200 || plain.text != "a,b\n" {
		t.Fatalf("without being asked: %d %q", plain.Code, plain.text)
	}
	r := f.do("GET", path+"?redirect=true", nil)
	where := r.Header().Get("Location")
	if r.Code != http.StatusTemporaryRedirect || !strings.HasPrefix(where, "https://objects.example.com/accounts/1/blobs/") || !strings.HasSuffix(where, "#report.csv,application/octet-stream") {
		t.Errorf("asked: %d to %q", r.Code, where)
	}
	if r.text != "" || !strings.Contains(r.Header().Get("Cache-Control"), "no-store") {
		t.Errorf("the redirect has body %q and Cache-Control %q", r.text, r.Header().Get("Cache-Control"))
	}
	for name, c := range map[string]struct {
		path   string
		change with
		want   int
	}{
		"what the client has already": {path + "?redirect=true", header("If-None-Match", plain.Header().Get("Etag")), 304},
		"an empty file":               {"/api/jobconfigs/" + config + "/files/empty.csv?redirect=true", asItIs, 200},
		"redirect=false":              {path + "?redirect=false", asItIs, 200},
		"redirect=1":                  {path + "?redirect=1", asItIs, 400},
		"an absent file":              {path + "x?redirect=true", asItIs, 404},
	} {
		if r := f.do("GET", c.path, nil, c.change); r.Code != c.want || r.Header().Get("Location") != "" {
			t.Errorf("%s: %d to %q, want %d and no address", name, r.Code, r.Header().Get("Location"), c.want)
		}
	}
	if r := f.do("GET", path+"?redirect=true", nil, noToken); r.Code != 401 || r.Header().Get("Location") != "" {
		t.Errorf("without a token: %d to %q", r.Code, r.Header().Get("Location"))
	}
}

// An address is as good as the bytes, so nobody gets one to what is another's.
func TestNobodyIsRedirectedToAnothersFiles(t *testing.T) {
	f := newFixture(t, withPresigner)
	all := f.theirs(t)
	paths := []string{"/api/jobconfigs/" + all.config + "/files/run.sh", "/api/jobs/" + all.job + "/package", "/api/account/1/files/run.sh"}
	for _, path := range paths {
		f.do("GET", path+"?redirect=true", nil).want(t, 307, "")
	}
	f.Account(t, "rival", "rita", "example-password")
	f.token = f.login("rita", "example-password")
	for _, path := range paths {
		if r := f.do("GET", path+"?redirect=true", nil); r.Code != 404 && r.Code != 403 || r.Header().Get("Location") != "" {
			t.Errorf("GET %s of another account: %d to %q", path, r.Code, r.Header().Get("Location"))
		}
	}
}

func TestWithoutPublicEndpointDownloadsAreStreamed(t *testing.T) {
	f := newFixture(t)
	config := f.newConfig(`{"name":"streamed"}`)
	f.put(config, "report.csv", "a,b\n")
	if r := f.do("GET", "/api/jobconfigs/"+config+"/files/report.csv?redirect=true", nil); r.Code != 200 || r.text != "a,b\n" {
		t.Errorf("%d %q, want the bytes", r.Code, r.text)
	}
}

func TestFailedSigningIsAnError(t *testing.T) {
	f := newFixture(t, func(c *api.Config) {
		c.Presigner = presigner{job.Errorf(job.Unavailable, job.WordDependencyDown, "The object store is not available.")}
	})
	config := f.newConfig(`{"name":"unsigned"}`)
	f.put(config, "report.csv", "a,b\n")
	if r := f.do("GET", "/api/jobconfigs/"+config+"/files/report.csv?redirect=true", nil); r.Code != 503 || r.Header().Get("Location") != "" {
		t.Errorf("%d to %q, want 503", r.Code, r.Header().Get("Location"))
	}
}
