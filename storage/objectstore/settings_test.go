package objectstore_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/objectstore"
)

// proxy stands before a MinIO. Signatures cover the host's name, so it is passed on as it came.
func proxy(tb testing.TB, to string) *httputil.ReverseProxy {
	tb.Helper()
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: to})
		r.Out.Host = r.In.Host
	}}
}

// withTLS puts TLS before a MinIO. It gives the file with the authority.
func withTLS(tb testing.TB, c objectstore.Config, newest uint16) (objectstore.Config, string) {
	tb.Helper()
	srv := httptest.NewUnstartedServer(proxy(tb, c.Endpoint))
	srv.TLS = &tls.Config{MaxVersion: newest}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that are meant to fail
	srv.StartTLS()
	tb.Cleanup(srv.Close)
	ca := filepath.Join(tb.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	c.Endpoint, c.Secure = srv.Listener.Addr().String(), true
	return c, ca
}

func roundTrip(t *testing.T, s *objectstore.Store) {
	t.Helper()
	body := strings.Repeat("waybill", 100_000)
	for _, size := range []int64{int64(len(body)), -1} {
		if _, err := s.Put(t.Context(), "round-trip", strings.NewReader(body), size); err != nil {
			t.Fatalf("Put: %v", err)
		}
		rc, err := s.Get(t.Context(), "round-trip", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		_ = rc.Close()
		if err != nil || string(got) != body {
			t.Fatalf("read %d bytes, %v; want the %d that were put", len(got), err, len(body))
		}
	}
	if err := s.Delete(t.Context(), "round-trip"); err != nil {
		t.Fatal(err)
	}
}

func TestStoreBehindTLS(t *testing.T) {
	c, ca := withTLS(t, minIO(t), tls.VersionTLS13)
	t.Run("an authority of one's own is believed", func(t *testing.T) {
		c := c
		c.CAFile, c.TLS13 = ca, true
		roundTrip(t, open(t, c))
	})
	old, oldCA := withTLS(t, minIO(t), tls.VersionTLS12)
	for name, change := range map[string]struct {
		with func() objectstore.Config
		says string
	}{
		"an unknown authority": {func() objectstore.Config { return c }, "--s3-ca-file"},
		"another name": {func() objectstore.Config {
			c := c
			_, port, _ := net.SplitHostPort(c.Endpoint)
			c.CAFile, c.Endpoint = ca, "localhost:"+port
			return c
		}, "--s3-endpoint"},
		"an absent file": {func() objectstore.Config { c := c; c.CAFile = ca + "x"; return c }, "--s3-ca-file"},
		"a file without a certificate": {func() objectstore.Config {
			c := c
			c.CAFile = filepath.Join(t.TempDir(), "none.pem")
			_ = os.WriteFile(c.CAFile, []byte("nothing"), 0o600)
			return c
		}, "--s3-ca-file"},
		"TLS that is too old": {func() objectstore.Config { c := old; c.CAFile, c.TLS13 = oldCA, true; return c }, "--s3-tls-min"},
		"TLS where there is none": {func() objectstore.Config {
			c := minIO(t)
			c.Secure = true
			return c
		}, "leave out --s3-tls"},
		"no TLS where there is": {func() objectstore.Config { c := c; c.Secure = false; return c }, "give --s3-tls"},
	} {
		t.Run(name+" is told", func(t *testing.T) { wantHint(t, change.with(), change.says) })
	}
}

// wantHint checks that Open fails, at once, with what is to be set.
func wantHint(t *testing.T, c objectstore.Config, says string) {
	t.Helper()
	_, err := objectstore.Open(t.Context(), c)
	if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), says) {
		t.Fatalf("Open = %v (%s), want %q", err, job.CodeOf(err), says)
	}
	wantDiscreet(t, err, c)
}

func TestWhatIsWrongWithTheStoreIsExplained(t *testing.T) {
	good := minIO(t)
	open(t, good) // makes the bucket
	for name, c := range map[string]struct {
		change func(*objectstore.Config)
		says   string
	}{
		"an unknown access key":   {func(c *objectstore.Config) { c.AccessKey = "nobody" }, "--s3-access-key"},
		"a wrong secret key":      {func(c *objectstore.Config) { c.SecretKey += "x" }, "WAYBILL_S3_SECRET_KEY"},
		"a wrong session token":   {func(c *objectstore.Config) { c.SessionToken = "x" }, "session token"},
		"the bucket in the host":  {func(c *objectstore.Config) { c.Lookup = objectstore.LookupVirtual; c.Endpoint = "nobody.invalid:9000" }, "--s3-lookup=path"},
		"an absent bucket":        {func(c *objectstore.Config) { c.Bucket, c.CreateBucket = "absent-bucket", false }, "--s3-bucket-create"},
		"an invalid bucket":       {func(c *objectstore.Config) { c.Bucket = "No_Bucket" }, "--s3-bucket"},
		"an unknown key of a KMS": {func(c *objectstore.Config) { c.Encryption, c.EncryptionKey = objectstore.SSEKMS, "absent" }, "--s3-sse-kms-key"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			wantHint(t, cfg, c.says)
		})
	}
}

// What can not be had from a MinIO here: a clock that is off, the region of a cloud.
func TestAnswersOfCloudsAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"a clock that is off": {403, `<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>`, "clock"},
		"another region":      {400, `<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>`, "--s3-region=eu-west-1"},
		"another endpoint":    {301, `<Error><Code>PermanentRedirect</Code></Error>`, "--s3-endpoint"},
		"no rights":           {403, `<Error><Code>AccessDenied</Code></Error>`, "docs/objectstore.md"},
		"keys that are over":  {400, `<Error><Code>ExpiredToken</Code></Error>`, "over"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(c.status)
				if r.Method != http.MethodHead {
					_, _ = io.WriteString(w, c.body)
				}
			}))
			defer srv.Close()
			wantHint(t, objectstore.Config{
				Endpoint: srv.Listener.Addr().String(), Bucket: "bucket", AccessKey: "AKIATEST", SecretKey: "no-such-secret", Region: "us-west-2",
			}, c.says)
		})
	}
}

func TestFullStoreIsUnavailable(t *testing.T) {
	var full atomic.Bool
	to := proxy(t, minIO(t).Endpoint)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if full.Load() {
			w.WriteHeader(http.StatusInsufficientStorage)
			_, _ = io.WriteString(w, `<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free drive threshold.</Message></Error>`)
			return
		}
		to.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c := minIO(t)
	c.Endpoint = srv.Listener.Addr().String()
	s := open(t, c)
	full.Store(true)
	_, err := s.Put(t.Context(), "key", strings.NewReader("x"), 1)
	if job.CodeOf(err) != job.Unavailable || !strings.Contains(err.Error(), "full") {
		t.Errorf("Put = %v, want that the store is full, unavailable", err)
	}
	full.Store(false)
	roundTrip(t, s)
}

// A store that asks for patience is given some, and no more than some.
func TestThrottledRequestsAreRepeated(t *testing.T) {
	var refuse, seen atomic.Int64
	to := proxy(t, minIO(t).Endpoint)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		if refuse.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
			return
		}
		to.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c := minIO(t)
	c.Endpoint = srv.Listener.Addr().String()
	s := open(t, c)
	refuse.Store(2)
	if _, err := s.Put(t.Context(), "throttled", strings.NewReader("x"), 1); err != nil {
		t.Errorf("Put = %v, want the third try to succeed", err)
	}
	refuse.Store(1000)
	seen.Store(0)
	_, err := s.Stat(t.Context(), "throttled")
	if job.CodeOf(err) != job.Unavailable || seen.Load() > 5 {
		t.Errorf("Stat = %v after %d requests, want unavailable after a few", err, seen.Load())
	}
	refuse.Store(0)
	if err := s.Delete(t.Context(), "throttled"); err != nil {
		t.Error(err)
	}
}

func TestPrefixesKeepInstallationsApart(t *testing.T) {
	c := minIO(t)
	plain := open(t, c)
	c.Prefix = "one/"
	one := open(t, c)
	c.Prefix = "two/"
	two := open(t, c)
	for s, text := range map[*objectstore.Store]string{one: "1", two: "2"} {
		if _, err := s.Put(t.Context(), "shared", strings.NewReader(text), 1); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	if err := one.List(t.Context(), "", "", func(o control.Object) bool { keys = append(keys, o.Key); return true }); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 1 || keys[0] != "shared" {
		t.Errorf("one has %q, want its own object alone", keys)
	}
	if _, err := plain.Stat(t.Context(), "two/shared"); err != nil {
		t.Errorf("the bucket has no two/shared: %v", err)
	}
	if err := one.Delete(t.Context(), "shared"); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Stat(t.Context(), "shared"); err != nil {
		t.Errorf("deleting one's object took two's: %v", err)
	}
	_ = two.Delete(t.Context(), "shared")
}

func TestObjectsAreEncryptedByTheStore(t *testing.T) {
	plain := minIO(t)
	client, err := minio.New(plain.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(plain.AccessKey, plain.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		how  objectstore.Encryption
		key  string
		want string
	}{{objectstore.SSES3, "", "AES256"}, {objectstore.SSEKMS, "waybill-test", "aws:kms"}} {
		t.Run(string(c.how), func(t *testing.T) {
			cfg := plain
			cfg.Encryption, cfg.EncryptionKey = c.how, c.key
			s := open(t, cfg)
			for name, size := range map[string]int64{"small": 10, "one request": 2 << 20, "parts": 20 << 20, "parts of unknown size": -1} {
				body := bytes.Repeat([]byte("x"), int(max(size, 20<<20)))
				if size >= 0 {
					body = body[:size]
				}
				if _, err := s.Put(t.Context(), "encrypted", bytes.NewReader(body), size); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				info, err := client.StatObject(t.Context(), cfg.Bucket, "encrypted", minio.StatObjectOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Metadata.Get("X-Amz-Server-Side-Encryption"); got != c.want {
					t.Errorf("%s: encrypted with %q, want %q", name, got, c.want)
				}
				rc, err := s.Get(t.Context(), "encrypted", 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(rc)
				_ = rc.Close()
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s: read %d bytes, %v; want %d", name, len(got), err, len(body))
				}
			}
			_ = s.Delete(t.Context(), "encrypted")
		})
	}
}

// withoutKeys takes what the machine may have of keys out of the environment.
func withoutKeys(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/") // a machine without a role
}

func TestKeysOfTheEnvironment(t *testing.T) {
	c := minIO(t)
	key, secret := c.AccessKey, c.SecretKey
	c.AccessKey, c.SecretKey = "", ""
	t.Run("none", func(t *testing.T) {
		withoutKeys(t)
		wantHint(t, c, "WAYBILL_S3_SECRET_KEY")
	})
	t.Run("variables", func(t *testing.T) {
		withoutKeys(t)
		t.Setenv("AWS_ACCESS_KEY_ID", key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
		roundTrip(t, open(t, c))
	})
	t.Run("a file that changes", func(t *testing.T) {
		withoutKeys(t)
		file := filepath.Join(t.TempDir(), "credentials")
		write := func(key, secret string) {
			text := "[default]\naws_access_key_id = " + key + "\naws_secret_access_key = " + secret + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		write(key, secret)
		s := open(t, c)
		roundTrip(t, s)
		write("somebody-else", "other-secret")
		await(t, "the new keys, which are wrong, to be used", func() bool { return job.CodeOf(s.Ping(t.Context())) == job.Unavailable })
		write(key, secret)
		await(t, "the keys to be right again", func() bool { return s.Ping(t.Context()) == nil })
	})
}

// Keys of a role are temporary: they come with a token, and are asked for again before they end.
func TestKeysOfARole(t *testing.T) {
	c := minIO(t)
	open(t, c)
	key, secret := c.AccessKey, c.SecretKey
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		sts, err := credentials.NewSTSAssumeRole("http://"+c.Endpoint, credentials.STSAssumeRoleOptions{
			AccessKey: key, SecretKey: secret, Location: "us-east-1", DurationSeconds: 900,
		})
		if err != nil {
			t.Error(err)
			return
		}
		v, err := sts.GetWithContext(nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"AccessKeyId": v.AccessKeyID, "SecretAccessKey": v.SecretAccessKey, "Token": v.SessionToken,
			"Expiration": time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339), "Code": "Success",
		})
	}))
	defer srv.Close()
	withoutKeys(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", srv.URL)
	c.AccessKey, c.SecretKey = "", ""
	s := open(t, c)
	roundTrip(t, s)
	await(t, "the keys to be exchanged", func() bool { roundTrip(t, s); return asked.Load() >= 3 })
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
