package e2e

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var errStillValid = errors.New("the address is still valid")

// TestDownloadsFromTheStore has a MinIO that clients reach by another address than Waybill does, and a curl that follows.
func TestDownloadsFromTheStore(t *testing.T) {
	t.Parallel()
	s3 := os.Getenv("WAYBILL_TEST_S3")
	if s3 == "" {
		t.Skip("needs WAYBILL_TEST_S3: run it with test/bin/with-minio")
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("needs curl")
	}
	at, err := url.Parse(s3)
	if err != nil {
		t.Fatal(err)
	}
	var served atomic.Int64
	to := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: at.Host})
		r.Out.Host = r.In.Host // it is part of the signature
	}}
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token of the API reaches the object store")
		}
		served.Add(1)
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(public.Close)
	secret, _ := at.User.Password()
	p := start(t, options{
		command: "up", data: folder(t),
		args: []string{"--s3-endpoint", at.Host, "--s3-bucket", "waybill-public", "--s3-prefix", unique("p"), "--s3-public-endpoint", public.URL, "--s3-public-expiry", "10s"},
		env:  []string{"WAYBILL_S3_ACCESS_KEY=" + at.User.Username(), "WAYBILL_S3_SECRET_KEY=" + secret},
	})
	c := p.admin(t)
	text := strings.Repeat("0123456789", 1000)
	config := c.configure(t, "outputs", script("printf %s '"+text+"' > \"$LOCAL_JOB_OUT_DIR/übung 1.txt\""))
	j := c.finish(t, c.submit(t, config).text("id"), time.Minute)
	expect(t, "status", j.text("status"), "FINISHED")
	path := "/api/jobs/" + j.text("id") + "/out/files/" + url.PathEscape("übung 1.txt")

	expect(t, "bytes through the API", c.output(t, j.text("id"), "übung 1.txt"), text)
	expect(t, "requests at the public address so far", served.Load(), int64(0))

	into := filepath.Join(t.TempDir(), "got")
	get := func(flags ...string) string {
		args := append([]string{"-sS", "--fail", "-L", "-o", into, "-D", "-", "-H", "Authorization: Bearer " + c.token, c.base + path + "?redirect=true"}, flags...)
		out, err := exec.Command(curl, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	headers := get()
	got, err := os.ReadFile(into)
	if err != nil || string(got) != text {
		t.Errorf("curl -L brought %d bytes, %v; want %d", len(got), err, len(text))
	}
	for _, want := range []string{" 307 ", "Location: " + public.URL + "/waybill-public/", " 200 ", "filename*=utf-8''%C3%BCbung%201.txt", "application/octet-stream"} {
		if !strings.Contains(strings.ToLower(headers), strings.ToLower(want)) {
			t.Errorf("the headers lack %q:\n%s", want, headers)
		}
	}
	get("-r", "10-19")
	if got, _ := os.ReadFile(into); string(got) != text[10:20] {
		t.Errorf("a range brought %q, want %q", got, text[10:20])
	}
	expect(t, "requests at the public address", served.Load(), int64(2))

	// An address is valid for some seconds and for one object.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, _ := http.NewRequestWithContext(t.Context(), "GET", c.base+path+"?redirect=true", nil)
	request.Header.Set("Authorization", "Bearer "+c.token)
	r, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	address := r.Header.Get("Location")
	expect(t, "another object by the same signature", status(t, strings.Replace(address, "/out/", "/log/", 1)), 403)
	expect(t, "the object", status(t, address), 200)
	eventually(t, time.Minute, func() error {
		if status(t, address) != 403 {
			return errStillValid
		}
		return nil
	})
}
