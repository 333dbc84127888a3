package objectstore_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/objectstore"
	"waybill/storage/storagetest"
)

// wrongBy gives a store of a machine whose clock is off. minio-go signs by the true one, so everything that the store accepts once
// the two were compared was signed again.
func wrongBy(c objectstore.Config, off time.Duration) objectstore.Config {
	c.Now = func() time.Time { return time.Now().Add(off) }
	return c
}

func TestRequestsAreSignedByTheStoresClock(t *testing.T) {
	t.Run("embedded gateway", func(t *testing.T) {
		storagetest.RunObjects(t, func(t *testing.T) control.Objects { return open(t, wrongBy(startGateway(t, false), -26*time.Hour)) })
	})
	t.Run("MinIO", func(t *testing.T) {
		c := minIO(t)
		c.Prefix = "clocks/"
		storagetest.RunObjects(t, func(t *testing.T) control.Objects { return open(t, wrongBy(c, time.Hour)) })
	})
}

func TestAddressesAreSignedByTheStoresClock(t *testing.T) {
	c := wrongBy(startGateway(t, false), -2*time.Hour)
	c.PublicEndpoint, c.PublicExpiry = "http://"+c.Endpoint, time.Minute
	s := open(t, c)
	const key = "some folder/päckchen+1.txt"
	if _, err := s.Put(t.Context(), key, strings.NewReader("text"), 4); err != nil {
		t.Fatal(err)
	}
	address, err := s.Presign(t.Context(), key, "a name.txt", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != "text" {
		t.Errorf("%s gives %d %q (%v)", address, resp.StatusCode, body, err)
	}
	if at := signedAt(t, resp.Request); time.Since(at).Abs() > time.Minute {
		t.Errorf("signed at %s", at)
	}
}

// signedAt is the time that a request or an address was signed by.
func signedAt(t *testing.T, r *http.Request) time.Time {
	t.Helper()
	text := r.Header.Get("X-Amz-Date")
	if text == "" {
		text = r.URL.Query().Get("X-Amz-Date")
	}
	at, err := time.Parse("20060102T150405Z", text)
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return at
}

// A store refuses what was signed more than 15 minutes off its own clock. Callers do not notice, whichever of the two jumps.
func TestNobodyNoticesAClockThatJumps(t *testing.T) {
	var off atomic.Int64 // of the store
	var refused, stored atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		now := time.Now().Add(time.Duration(off.Load()))
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		switch {
		case signedAt(t, r).Sub(now).Abs() > 15*time.Minute:
			refused.Add(1)
			w.WriteHeader(http.StatusForbidden)
			if r.Method != http.MethodHead {
				fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>RequestTimeTooSkewed</Code></Error>`)
			}
		case r.Method == http.MethodPut:
			stored.Add(1)
			w.Header().Set("ETag", `"1"`)
		case r.Method == http.MethodGet:
			w.Header().Set("Last-Modified", now.UTC().Format(http.TimeFormat))
			w.Header().Set("ETag", `"1"`)
			fmt.Fprint(w, "text")
		}
	}))
	defer server.Close()
	s := open(t, objectstore.Config{Endpoint: strings.TrimPrefix(server.URL, "http://"), AccessKey: "key", SecretKey: "secret", Bucket: "bucket"})
	for n, by := range []time.Duration{time.Hour, -time.Hour, 0} {
		off.Store(int64(by))
		if _, err := s.Put(t.Context(), "key", strings.NewReader("text"), 4); err != nil {
			t.Errorf("%s off: Put: %v", by, err)
		}
		if got := stored.Load(); got != int64(n+1) {
			t.Errorf("%s off: %d objects stored, want %d", by, got, n+1)
		}
		off.Store(int64(by + 5*time.Hour))
		r, err := s.Get(t.Context(), "key", 0, -1)
		if err != nil {
			t.Errorf("%s off: Get: %v", by, err)
			continue
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != "text" {
			t.Errorf("%s off: Get gives %q, %v", by, text, err)
		}
		_ = r.Close()
	}
	if got := refused.Load(); got != 6 {
		t.Errorf("%d requests were refused, want one for each jump", got)
	}
}

// Where somebody on the way could tell another time, this machine's clock is what it is.
func TestATimeFromTheNetworkIsNotBelieved(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at := signedAt(t, r); time.Since(at).Abs() > time.Minute {
			t.Errorf("%s %s was signed for %s", r.Method, r.URL, at)
		}
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
		if r.Method != http.MethodHead {
			fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>RequestTimeTooSkewed</Code></Error>`)
		}
	}))
	defer server.Close()
	to := http.DefaultTransport.(*http.Transport).Clone()
	_, err := objectstore.Open(t.Context(), objectstore.Config{
		Endpoint: "store.example:9000", AccessKey: "key", SecretKey: "secret", Bucket: "bucket",
		Around: func(http.RoundTripper) http.RoundTripper {
			return carrier(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.URL.Host = strings.TrimPrefix(server.URL, "http://")
				return to.RoundTrip(r)
			})
		},
	})
	if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "set the clocks") {
		t.Errorf("Open: %v", err)
	}
}

type carrier func(*http.Request) (*http.Response, error)

func (f carrier) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
