package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/standalone/s3gateway"
	"waybill/storage/objectstore"
	"waybill/storage/storagetest"
)

func TestObjectsOnEmbeddedGateway(t *testing.T) {
	storagetest.RunObjects(t, func(t *testing.T) control.Objects { return open(t, startGateway(t, false)) })
}

// The gateway keeps metadata in files where the file system has no extended attributes.
func TestObjectsOnEmbeddedGatewayWithMetadataFiles(t *testing.T) {
	storagetest.RunObjects(t, func(t *testing.T) control.Objects { return open(t, startGateway(t, true)) })
}

// test/bin/with-minio runs this against a real MinIO.
func TestObjectsOnMinIO(t *testing.T) {
	c := minIO(t)
	c.Prefix = "installation-1/"
	storagetest.RunObjects(t, func(t *testing.T) control.Objects { return open(t, c) })
}

// minIO is the MinIO of test/bin/with-minio.
func minIO(tb testing.TB) objectstore.Config {
	tb.Helper()
	raw := os.Getenv("WAYBILL_TEST_S3")
	if raw == "" {
		tb.Skip("WAYBILL_TEST_S3 is not set: no MinIO to test against (run through test/bin/with-minio)")
	}
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	secret, _ := u.User.Password()
	return objectstore.Config{
		Endpoint: u.Host, AccessKey: u.User.Username(), SecretKey: secret, Secure: u.Scheme == "https",
		Bucket: strings.Trim(u.Path, "/"), CreateBucket: true, Checksums: true,
	}
}

func startGateway(tb testing.TB, metadataFiles bool) objectstore.Config {
	tb.Helper()
	dir := tb.TempDir()
	g, err := s3gateway.Start(tb.Context(), s3gateway.Config{
		Dir: dir + "/objects", SidecarDir: dir + "/metadata", MetadataFiles: metadataFiles,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			tb.Error(err)
		}
	})
	c := g.Credentials()
	return objectstore.Config{
		Endpoint: c.Endpoint, AccessKey: c.AccessKey, SecretKey: c.SecretKey, Region: c.Region,
		Bucket: "test-bucket", CreateBucket: true, Checksums: true,
	}
}

func open(tb testing.TB, c objectstore.Config) *objectstore.Store {
	tb.Helper()
	s, err := objectstore.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

func TestOpenAgainFindsTheBucket(t *testing.T) {
	c := startGateway(t, false)
	open(t, c)
	open(t, c)
	c.CreateBucket = false
	if err := open(t, c).Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

func TestOpenFaults(t *testing.T) {
	good := startGateway(t, false)
	for name, c := range map[string]struct {
		change func(*objectstore.Config)
		want   job.Code
	}{
		"no endpoint":         {func(c *objectstore.Config) { c.Endpoint = "" }, job.Invalid},
		"a URL as endpoint":   {func(c *objectstore.Config) { c.Endpoint = "http://127.0.0.1:1/x" }, job.Invalid},
		"no bucket":           {func(c *objectstore.Config) { c.Bucket = "" }, job.Invalid},
		"absent bucket":       {func(c *objectstore.Config) { c.CreateBucket = false }, job.Invalid},
		"no secret":           {func(c *objectstore.Config) { c.SecretKey = "" }, job.Invalid},
		"wrong secret":        {func(c *objectstore.Config) { c.SecretKey = "wrong-secret" }, job.Invalid},
		"nobody at the port":  {func(c *objectstore.Config) { c.Endpoint = "127.0.0.1:1" }, job.Unavailable},
		"nobody has the name": {func(c *objectstore.Config) { c.Endpoint = "nobody.invalid:1" }, job.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			_, err := objectstore.Open(t.Context(), cfg)
			if job.CodeOf(err) != c.want {
				t.Fatalf("Open = %v (%s), want %s", err, job.CodeOf(err), c.want)
			}
			wantDiscreet(t, err, cfg)
		})
	}
}

// wantDiscreet checks that what a caller is shown names neither the endpoint nor a key.
func wantDiscreet(t *testing.T, err error, c objectstore.Config) {
	t.Helper()
	var own *job.Error
	if !errors.As(err, &own) {
		t.Fatalf("%v is no *job.Error", err)
	}
	for _, secret := range []string{c.Endpoint, c.AccessKey, c.SecretKey} {
		if secret != "" && strings.Contains(own.Message, secret) {
			t.Errorf("message %q shows %q", own.Message, secret)
		}
	}
}

func TestStoppedStoreIsUnavailable(t *testing.T) {
	dir := t.TempDir()
	g, err := s3gateway.Start(t.Context(), s3gateway.Config{Dir: dir + "/objects", SidecarDir: dir + "/metadata"})
	if err != nil {
		t.Fatal(err)
	}
	cred := g.Credentials()
	c := objectstore.Config{
		Endpoint: cred.Endpoint, AccessKey: cred.AccessKey, SecretKey: cred.SecretKey, Bucket: "bucket", CreateBucket: true,
	}
	s := open(t, c)
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	wantAllUnavailable(t, s, c)
}

func TestFailingStoreIsUnavailable(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"slow down":      {503, `<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`},
		"internal error": {500, `<Error><Code>InternalError</Code></Error>`},
		"bad gateway":    {502, `<html>`},
		"no bucket":      {404, `<Error><Code>NoSuchBucket</Code></Error>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened := false
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !opened { // the bucket is there
					opened = true
					return
				}
				w.WriteHeader(answer.status)
				if r.Method != http.MethodHead {
					_, _ = w.Write([]byte(answer.body))
				}
			}))
			defer srv.Close()
			c := objectstore.Config{
				Endpoint: strings.TrimPrefix(srv.URL, "http://"), AccessKey: "key", SecretKey: "secret-key", Bucket: "bucket",
			}
			s := open(t, c)
			_, err := s.Put(t.Context(), "key", strings.NewReader("x"), 1)
			if job.CodeOf(err) != job.Unavailable || job.WordOf(err) != job.WordDependencyDown {
				t.Errorf("Put = %v, want unavailable", err)
			}
			wantDiscreet(t, err, c)
		})
	}
}

func wantAllUnavailable(t *testing.T, s *objectstore.Store, c objectstore.Config) {
	t.Helper()
	_, put := s.Put(t.Context(), "key", strings.NewReader("x"), 1)
	_, get := s.Get(t.Context(), "key", 0, -1)
	_, stat := s.Stat(t.Context(), "key")
	list := s.List(t.Context(), "", "", func(control.Object) bool { return true })
	for what, err := range map[string]error{
		"Put": put, "Get": get, "Stat": stat, "List": list, "Delete": s.Delete(t.Context(), "key"), "Ping": s.Ping(t.Context()),
	} {
		if job.CodeOf(err) != job.Unavailable || job.WordOf(err) != job.WordDependencyDown {
			t.Errorf("%s = %v, want unavailable, dependency_down", what, err)
			continue
		}
		wantDiscreet(t, err, c)
	}
}

// A connection that breaks while the body is read must not look like the end of the object.
func TestBrokenReadIsUnavailable(t *testing.T) {
	first := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			return
		}
		w.Header().Set("Content-Length", "100")
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte("half"))
	}))
	defer srv.Close()
	s := open(t, objectstore.Config{
		Endpoint: strings.TrimPrefix(srv.URL, "http://"), AccessKey: "key", SecretKey: "secret-key", Bucket: "bucket",
	})
	rc, err := s.Get(t.Context(), "key", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	buf := make([]byte, 200)
	var n int
	for err == nil {
		var read int
		read, err = rc.Read(buf[n:])
		n += read
	}
	if n != 4 || job.CodeOf(err) != job.Unavailable {
		t.Errorf("read %d bytes, then %v, want 4 and unavailable", n, err)
	}
}

// S3 keeps the parts of an upload that was neither completed nor aborted, and lists them nowhere but here.
func TestCancelledUploadLeavesNoParts(t *testing.T) {
	c := startGateway(t, false)
	s := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := s.Put(ctx, "a/big", &cancelAfter{n: 40 << 20, cancel: cancel}, -1)
	if job.CodeOf(err) != job.Canceled {
		t.Fatalf("Put = %v, want canceled", err)
	}
	client, err := minio.New(c.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Region: c.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; { // the abort may still be under way
		left := 0
		for u := range client.ListIncompleteUploads(t.Context(), c.Bucket, "", true) {
			if u.Err != nil {
				t.Fatal(u.Err)
			}
			left++
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d incomplete uploads are left", left)
		}
	}
}

// cancelAfter yields zeros without end and cancels after n of them.
type cancelAfter struct {
	n      int
	cancel context.CancelFunc
}

func (c *cancelAfter) Read(p []byte) (int, error) {
	if c.n -= len(p); c.n <= 0 {
		c.cancel()
	}
	return len(p), nil
}

// BenchmarkPutSmall is the log of one short job: the object store's share of every job.
func BenchmarkPutSmall(b *testing.B) {
	s := open(b, startGateway(b, false))
	text := strings.Repeat("2026-11-22T00:00:00.000Z line of a log\n", 10)
	for i := 0; b.Loop(); i++ {
		key := fmt.Sprintf("1/jobs/%024d/log/000001", i)
		if _, err := s.Put(b.Context(), key, strings.NewReader(text), -1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetSmall(b *testing.B) {
	s := open(b, startGateway(b, false))
	text := strings.Repeat("2026-11-22T00:00:00.000Z line of a log\n", 10)
	if _, err := s.Put(b.Context(), "key", strings.NewReader(text), -1); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rc, err := s.Get(b.Context(), "key", 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, rc); err != nil {
			b.Fatal(err)
		}
		_ = rc.Close()
	}
}
