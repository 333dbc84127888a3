package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"waybill/internal/job"
	"waybill/storage/objectstore"
)

func clientOf(t *testing.T, c objectstore.Config) *minio.Core {
	t.Helper()
	core, err := minio.NewCore(c.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// An upload whose process was killed leaves parts that no listing of objects shows.
func TestBrokenUploadsAreEnded(t *testing.T) {
	c := startGateway(t, false)
	c.Prefix = "ours/"
	s, core := open(t, c), clientOf(t, c)
	begin := func(key string) {
		id, err := core.NewMultipartUpload(t.Context(), c.Bucket, key, minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := core.PutObjectPart(t.Context(), c.Bucket, key, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (keys []string) {
		for u := range core.ListIncompleteUploads(t.Context(), c.Bucket, "", true) {
			if u.Err != nil {
				t.Fatal(u.Err)
			}
			keys = append(keys, u.Key)
		}
		return keys
	}
	begin("ours/accounts/1/blobs/aa/1")
	begin("theirs/accounts/1/blobs/aa/1")
	if n, err := s.AbortUploads(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Errorf("AbortUploads of an hour ago = %d, %v; want none", n, err)
	}
	if n, err := s.AbortUploads(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("AbortUploads = %d, %v; want one", n, err)
	}
	if got := left(); len(got) != 1 || got[0] != "theirs/accounts/1/blobs/aa/1" {
		t.Errorf("%q are left, want the upload of somebody else", got)
	}
}

// A connection that is cut, or a context that ends, in the middle of an upload in parts leaves no parts.
func TestAnUploadThatFailsLeavesNoParts(t *testing.T) {
	c := minIO(t)
	var cut atomic.Int64 // parts that get through
	cut.Store(1 << 40)
	to := proxy(t, c.Endpoint)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("partNumber") != "" && cut.Add(-1) < 0 {
			panic(http.ErrAbortHandler)
		}
		to.ServeHTTP(w, r)
	}))
	defer srv.Close()
	direct := clientOf(t, c)
	c.Endpoint = srv.Listener.Addr().String()
	s := open(t, c)
	key := "broken-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	cut.Store(1)
	_, err := s.Put(t.Context(), key, bytes.NewReader(make([]byte, 40<<20)), 40<<20)
	if job.CodeOf(err) != job.Unavailable {
		t.Errorf("Put over a cut connection = %v, want unavailable", err)
	}
	cut.Store(1 << 40)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.Put(ctx, key, io.MultiReader(bytes.NewReader(make([]byte, 20<<20)), ending{cancel}), -1)
	if job.CodeOf(err) != job.Canceled {
		t.Errorf("Put whose context ends = %v, want canceled", err)
	}
	for u := range direct.ListIncompleteUploads(t.Context(), c.Bucket, key, true) { // MinIO lists those of one key
		t.Errorf("an upload of %s is left (%v)", u.Key, u.Err)
	}
	if _, err := s.Stat(t.Context(), key); job.CodeOf(err) != job.NotFound {
		t.Errorf("Stat = %v, want that there is nothing", err)
	}
}

// ending ends a context when it is read.
type ending struct{ cancel func() }

func (e ending) Read([]byte) (int, error) { e.cancel(); return 0, errors.New("no more") }

func TestRulesOfOthersAreLeftAlone(t *testing.T) {
	c := minIO(t)
	c.Bucket = "lifecycle-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	s, core := open(t, c), clientOf(t, c)
	rules := lifecycle.NewConfiguration()
	rules.Rules = []lifecycle.Rule{{ID: "theirs", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: "logs/"}, Expiration: lifecycle.Expiration{Days: 3}}}
	if err := core.SetBucketLifecycle(t.Context(), c.Bucket, rules); err != nil {
		t.Fatal(err)
	}
	if done, why := s.ManageLifecycle(t.Context()); done || !strings.Contains(why, "rules of its own") {
		t.Errorf("ManageLifecycle = %t, %q", done, why)
	}
	got, err := core.GetBucketLifecycle(t.Context(), c.Bucket)
	if err != nil || len(got.Rules) != 1 || got.Rules[0].ID != "theirs" || got.Rules[0].Expiration.Days != 3 {
		t.Errorf("the rules are now %+v, %v", got, err)
	}
}

// A byte that changes on the way there, on the way back or on the disk is an error.
func TestChangedBytesAreNeverServed(t *testing.T) {
	c := minIO(t)
	var flipUp, flipDown atomic.Bool
	to := proxy(t, c.Endpoint)
	to.ModifyResponse = func(r *http.Response) error {
		if flipDown.Load() && r.Request.Method == http.MethodGet {
			r.Body = &flipper{ReadCloser: r.Body}
		}
		return nil
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if flipUp.Load() && r.Method == http.MethodPut {
			r.Body = &flipper{ReadCloser: r.Body}
		}
		to.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c.Endpoint = srv.Listener.Addr().String()
	s := open(t, c)
	for name, size := range map[string]int{"one small": 1000, "one request": 3 << 20, "parts": 20 << 20} {
		t.Run(name, func(t *testing.T) {
			body := bytes.Repeat([]byte("waybill "), size/8)
			flipUp.Store(true)
			_, err := s.Put(t.Context(), "flipped", bytes.NewReader(body), int64(len(body)))
			flipUp.Store(false)
			if job.CodeOf(err) != job.Unavailable {
				t.Errorf("Put of what is changed on the way = %v, want unavailable", err)
			}
			if _, err := s.Stat(t.Context(), "flipped"); job.CodeOf(err) != job.NotFound {
				t.Errorf("it is there all the same: %v", err)
			}
			if _, err := s.Put(t.Context(), "flipped", bytes.NewReader(body), int64(len(body))); err != nil {
				t.Fatal(err)
			}
			flipDown.Store(true)
			defer flipDown.Store(false)
			rc, err := s.Get(t.Context(), "flipped", 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(rc)
			_ = rc.Close()
			if job.WordOf(err) != job.WordCorruptObject || len(got) >= len(body) {
				t.Errorf("read %d of %d bytes, %v; want fewer and %s", len(got), len(body), err, job.WordCorruptObject)
			}
			flipDown.Store(false)
			if err := s.Delete(t.Context(), "flipped"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// flipper changes a bit of the 500th byte.
type flipper struct {
	io.ReadCloser
	n int
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if at := 500 - f.n; at >= 0 && at < n {
		p[at] ^= 1
	}
	f.n += n
	return n, err
}

// The embedded store keeps objects as files, which anything on the machine may change.
func TestAChangedFileOfTheEmbeddedStoreIsNotServed(t *testing.T) {
	c := startGateway(t, false)
	s := open(t, c)
	body := strings.Repeat("waybill ", 1000)
	if _, err := s.Put(t.Context(), "changed", strings.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	var file string
	for _, root := range gatewayFolders(t) {
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && filepath.Base(path) == "changed" {
				file = path
			}
			return nil
		})
	}
	if file == "" {
		t.Skip("the gateway's file is not found")
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("X"), 100); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	rc, err := s.Get(t.Context(), "changed", 0, -1)
	if err == nil {
		_, err = io.ReadAll(rc)
		_ = rc.Close()
	}
	if job.WordOf(err) != job.WordCorruptObject {
		t.Errorf("read = %v, want %s", err, job.WordCorruptObject)
	}
}

// gatewayFolders is where this test's gateways keep their files.
func gatewayFolders(t *testing.T) []string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(t.TempDir()), "*"))
	return found
}

// Memory stays one part, whatever the size. WAYBILL_TEST_UPLOAD has the size in bytes.
func TestALargeUploadNeedsLittleMemory(t *testing.T) {
	size, err := strconv.ParseInt(os.Getenv("WAYBILL_TEST_UPLOAD"), 10, 64)
	if err != nil {
		t.Skip("WAYBILL_TEST_UPLOAD is not set: it says how many bytes to upload")
	}
	s := open(t, minIO(t))
	before := peak(t)
	began := time.Now()
	if _, err := s.Put(t.Context(), "large", io.LimitReader(zeros{}, size), -1); err != nil {
		t.Fatal(err)
	}
	took, after := time.Since(began), peak(t)
	t.Logf("%d MB in %s: %.0f MB/s; peak memory %d MB, before %d MB", size>>20, took.Round(time.Second), float64(size)/1e6/took.Seconds(), after>>10, before>>10)
	if after-before > 100<<10 {
		t.Errorf("peak memory grew from %d to %d KiB", before, after)
	}
	if err := s.Delete(t.Context(), "large"); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// peak is the most memory this process had, in KiB.
func peak(t *testing.T) (kib int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc")
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &kib)
		}
	}
	return kib
}
