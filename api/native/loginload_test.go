package native_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/limit"
	"waybill/internal/password"
)

// TestLoginsStarveNobody: of very many logins at once, from many addresses, with the real cost of a password each, those that there is no
// place for are told so, all others are answered, and meanwhile everybody else is served.
func TestLoginsStarveNobody(t *testing.T) {
	t.Parallel()
	hasher := password.New()
	f := newFixture(t, func(c *api.Config) {
		c.Sessions.Passwords = hasher
		c.Limits.Login = limit.Windows("login", 100_000, time.Minute)
		hash, err := hasher.Hash(t.Context(), "example-password")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.People.Directory.ChangePassword(t.Context(), 1, 1, "", hash, "", job.UserRef{}, time.Now()); err != nil {
			t.Fatal(err)
		}
	})
	logins := 25*runtime.GOMAXPROCS(0) + 100 // more than there are places for: 25 for each processor but one
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		codes = map[int]int{}
		done  = make(chan struct{})
	)
	start := make(chan struct{})
	for i := range logins {
		all.Go(func() {
			<-start
			r := f.do("POST", "/api/login", `{"username":"nobody`+fmt.Sprint(i)+`","password":"a guess at it"}`, noToken, from(fmt.Sprintf("10.%d.%d.1:4000", i/100, i%100)))
			mu.Lock()
			defer mu.Unlock()
			codes[r.Code]++
			if r.Code == 429 && (r.Header().Get("Retry-After") == "" || r.json["code"] != "rate_limited") {
				t.Errorf("%v %s", r.Header(), r.text)
			}
		})
	}
	close(start)
	go func() { all.Wait(); close(done) }()
	served := 0
	for going := true; going; {
		f.do("GET", "/api/user", nil).want(t, 200, "")
		f.do("GET", "/api/jobs", nil).want(t, 200, "")
		served++
		select {
		case <-done:
			going = false
		default:
		}
	}
	if codes[401]+codes[429] != logins || codes[401] == 0 || codes[429] == 0 {
		t.Errorf("%v", codes)
	}
	t.Logf("%d checked, %d refused; %d other rounds served meanwhile", codes[401], codes[429], served)
	f.login("admin", "example-password") // and when it is over it is over
}

// from makes a call come from an address.
func from(address string) with { return func(r *http.Request) { r.RemoteAddr = address } }

func guessing(r *http.Request) { r.SetBasicAuth("nobody", "a guess at it") }

// slow checks passwords when it is let.
type slow struct {
	control.Passwords
	hold chan struct{}
}

func (s slow) Matches(ctx context.Context, given, hash string) (bool, error) {
	<-s.hold
	return s.Passwords.Matches(ctx, given, hash)
}

// TestOneNetworkTakesNoMoreThanItsShare of the places there are.
func TestOneNetworkTakesNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	f := newFixture(t)
	f.Sessions.Passwords = slow{f.Sessions.Passwords, hold}
	var all sync.WaitGroup
	refused := make(chan int, 100)
	for range 40 {
		all.Go(func() {
			r := f.do("POST", "/api/jobs/0123456789abcdef01234567/retry", nil, noToken, from("192.0.2.77:1"), guessing)
			refused <- r.Code
		})
	}
	for range 40 - 12 {
		if code := <-refused; code != 429 {
			t.Errorf("answered %d while twelve are checked", code)
		}
	}
	close(hold)
	all.Wait()
	for range 12 {
		if code := <-refused; code == 429 {
			t.Error("one of the twelve is refused")
		}
	}
}

// TestTheKeysOfTokensArePublished: a token can be checked with nothing but what the server publishes (RFC 7517, 8037).
func TestTheKeysOfTokensArePublished(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("GET", "/.well-known/jwks.json", nil, noToken).want(t, 200, "")
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal([]byte(r.text), &set); err != nil || len(set.Keys) != 1 || r.Header().Get("Cache-Control") != "public, max-age=60" {
		t.Fatalf("%v %v %s", err, r.Header(), r.text)
	}
	k := set.Keys[0]
	x, err := base64.RawURLEncoding.DecodeString(k["x"])
	if err != nil || k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "EdDSA" || k["use"] != "sig" || len(x) != ed25519.PublicKeySize || k["d"] != "" {
		t.Fatalf("%v", k)
	}
	i := strings.LastIndexByte(f.token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(f.token[i+1:])
	if err != nil || !ed25519.Verify(x, []byte(f.token[:i]), signature) {
		t.Error("the key does not fit the token")
	}
}
