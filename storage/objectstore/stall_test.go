package objectstore_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/storage/objectstore"
)

const (
	// stall is the time limit in these tests: long enough for a store that does answer, on any machine.
	stall = 5 * time.Second
	// stuck is when a call is taken to wait for ever.
	stuck = time.Minute
)

// hanging is a store whose bucket is there, and that does to other requests what serve does. left is closed when the test is over.
func hanging(t *testing.T, serve func(w http.ResponseWriter, r *http.Request, left <-chan struct{})) *objectstore.Store {
	t.Helper()
	left := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"1"`)
		if r.Method != http.MethodHead {
			serve(w, r, left)
		}
	}))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetReadBuffer(64 << 10) // what nobody reads is not taken by the system either
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(left) }) // before the server waits for its requests
	return open(t, objectstore.Config{
		Endpoint: strings.TrimPrefix(server.URL, "http://"), AccessKey: "key", SecretKey: "secret-key", Bucket: "bucket", Timeout: stall,
	})
}

// bounded calls do, which must tell within the time that a test has that the store is not available.
func bounded(t *testing.T, do func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan error, 1)
	go func() { told <- do(ctx) }()
	select {
	case err := <-told:
		if job.CodeOf(err) != job.Unavailable || job.WordOf(err) != job.WordDependencyDown {
			t.Errorf("%v, want unavailable, dependency_down", err)
		}
	case <-time.After(stuck):
		t.Errorf("it waits longer than %s, with a time limit of %s", stuck, stall)
	}
}

func TestAnAnswerThatStopsInTheMiddleIsUnavailable(t *testing.T) {
	t.Parallel()
	const half = 1 << 20
	s := hanging(t, func(w http.ResponseWriter, r *http.Request, left <-chan struct{}) {
		w.Header().Set("Content-Length", "2097152")
		_, _ = w.Write(make([]byte, half))
		w.(http.Flusher).Flush()
		<-left
	})
	bounded(t, func(ctx context.Context) error {
		rc, err := s.Get(ctx, "key", 0, -1)
		if err != nil {
			t.Errorf("Get: %v", err)
			return err
		}
		defer rc.Close()
		n, err := io.Copy(io.Discard, rc)
		if n != half {
			t.Errorf("%d bytes were read, want %d", n, half)
		}
		return err
	})
}

func TestAListThatStopsInTheMiddleIsUnavailable(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := hanging(t, func(w http.ResponseWriter, r *http.Request, left <-chan struct{}) {
		asked.Add(1)
		_, _ = io.WriteString(w, `<?xml version="1.0"?><ListBucketResult><Contents><Key>a</Key>`)
		w.(http.Flusher).Flush()
		<-left
	})
	bounded(t, func(ctx context.Context) error { return s.List(ctx, "", "", nil) })
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestABodyThatIsNotTakenIsUnavailable(t *testing.T) {
	t.Parallel()
	s := hanging(t, func(w http.ResponseWriter, r *http.Request, left <-chan struct{}) {
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		<-left
	})
	const size = 15 << 20 // one request, and more than the system takes by itself
	bounded(t, func(ctx context.Context) error {
		_, err := s.Put(ctx, "key", io.LimitReader(nulls{}, size), size)
		return err
	})
}

type nulls struct{}

func (nulls) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A request that is not answered costs the time limit once: minio-go would repeat it twice.
func TestARequestThatIsNotAnsweredIsNotRepeated(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := hanging(t, func(w http.ResponseWriter, r *http.Request, left <-chan struct{}) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-left
	})
	for what, do := range map[string]func(ctx context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, "key", 0, -1); return err },
		"Put":    func(ctx context.Context) error { _, err := s.Put(ctx, "key", strings.NewReader("x"), 1); return err },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, "key") },
	} {
		asked.Store(0)
		bounded(t, do)
		if n := asked.Load(); n != 1 {
			t.Errorf("%s: %d requests, want one", what, n)
		}
	}
}

// What goes on is not ended, however long it takes: a reader that takes its time, a connection that lies idle.
func TestTimeThatIsNotTheStoresIsNotLimited(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	const size = 8 << 20 // more than lies in buffers on the way
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"1"`)
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "8388608")
			_, _ = io.CopyN(w, nulls{}, size)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s := open(t, objectstore.Config{
		Endpoint: strings.TrimPrefix(server.URL, "http://"), AccessKey: "key", SecretKey: "secret-key", Bucket: "bucket", Timeout: stall,
	})
	for n := range 2 {
		rc, err := s.Get(t.Context(), "key", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		begun, err := io.CopyN(io.Discard, rc, 1000)
		if n == 0 {
			<-time.After(stall + stall/2)
		}
		rest, end := io.Copy(io.Discard, rc)
		if err != nil || end != nil || begun+rest != size {
			t.Errorf("%d and %d bytes were read (%v, %v)", begun, rest, err, end)
		}
		_ = rc.Close()
		if n == 0 {
			<-time.After(stall + stall/2) // the connection lies idle
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections: an idle one was given up", n)
	}
}
