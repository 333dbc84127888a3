package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"waybill/internal/job"
)

type sample struct {
	Name   string `json:"name"`
	Number int64  `json:"number"`
	Inner  struct {
		List []struct {
			Key string `json:"key"`
		} `json:"list"`
	} `json:"inner"`
}

func TestPlaceOfAFaultInJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"active":true,"name":"sample config","description":"x" "runtimeConfig":{}}`: "Invalid JSON at line 1, column 57",
		"":                               "Invalid JSON at line 1, column 1",
		"{\n  \"name\": \"x\",\n}":       "Invalid JSON at line 2, column 14",
		"{\"näme\":\"ö\",x":              "Invalid JSON at line 1, column 13",
		"\n\n  nul":                      "Invalid JSON at line 3, column 6",
		`{"inner":{"list":[{"key":7}]}}`: "inner.list[0].key must be a string",
		`{"number":1e3}`:                 "number must be a whole number",
		`{"number":"1"}`:                 "number must be a whole number",
		`{"inner":[]}`:                   "inner must be an object",
		`7`:                              "The body must be an object",
	} {
		err := DecodeJSON([]byte(text), &sample{})
		var e *job.Error
		if !errors.As(err, &e) || e.Message != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	var s sample
	if err := DecodeJSON([]byte(`{"NAME":"no","name":"yes","x":{"name":[1]}}`), &s); err != nil || s.Name != "yes" {
		t.Errorf("%+v %v", s, err)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(`{"name":"x","number":3,"inner":{"list":[{"key":"k"}]}}`)
	f.Add(`{"name":"a","name":"b"}`)
	f.Add("{\"name\":\"\xff\"}")
	f.Add("{\n\"n\u00e4\":[[[[{}]]]],\"inner\":null")
	f.Add(`{"name":"x" "number":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s sample
		err := DecodeJSON([]byte(text), &s)
		if err == nil {
			// What is taken here, the standard library takes too: nobody downstream reads something else.
			if !json.Valid([]byte(text)) {
				t.Fatalf("taken, but not JSON: %q", text)
			}
			return
		}
		var e *job.Error
		if !errors.As(err, &e) || e.Code != job.Invalid || e.Message == "" || len(e.Message) > 1000 {
			t.Fatalf("%q: %v", text, err)
		}
		if e.Word == job.WordMalformedJSON {
			var line, column int
			if n, err := fmt.Sscanf(e.Message, "Invalid JSON at line %d, column %d", &line, &column); n != 2 || err != nil {
				t.Fatalf("%q: %s", text, e.Message)
			}
			lines := strings.Split(text, "\n")
			if line < 1 || line > len(lines) || column < 1 || column > len([]rune(lines[line-1]))+1 {
				t.Fatalf("%q has no line %d, column %d", text, line, column)
			}
		}
	})
}

func TestCallersAreNetworks(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]Caller{
		"2001:db8::1": "address:2001:db8::/64", "2001:db8::2": "address:2001:db8::/64", "2001:db8:0:1::1": "address:2001:db8:0:1::/64",
		"192.0.2.1": "address:192.0.2.1", "@": "address:@",
	} {
		if got := CallerAt(&Request{Address: address}); got != want {
			t.Errorf("%s is counted as %s", address, got)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1", "@": "@",
	} {
		if got := (&Server{}).clientAddress(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%s is %s", remote, got)
		}
	}
}

// A proxy's word is taken only from a proxy that is trusted, and only as far back as trusted proxies wrote it.
func TestClientAddressBehindProxies(t *testing.T) {
	t.Parallel()
	s := &Server{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}}}
	for _, c := range []struct {
		peer, want string
		forwarded  []string
	}{
		{"192.0.2.1:80", "192.0.2.1", []string{"198.51.100.7"}}, // of somebody else
		{"10.0.0.1:80", "198.51.100.7", []string{"198.51.100.7"}},
		{"10.0.0.1:80", "10.0.0.1", nil},
		{"10.0.0.1:80", "198.51.100.7", []string{"203.0.113.9, 198.51.100.7:4711"}},
		{"10.0.0.1:80", "2001:db8:2::5", []string{"[2001:db8:2::5]:4711, [2001:db8:1::1]"}},
		{"10.0.0.1:80", "10.0.0.1", []string{"[]:1"}},
		{"10.0.0.1:80", "10.0.0.1", []string{"not an address"}},
		{"10.0.0.1:80", "198.51.100.7", []string{"203.0.113.9, 198.51.100.7, 10.0.0.2"}}, // the first one is the client's own word
		{"10.0.0.1:80", "198.51.100.7", []string{"203.0.113.9", "198.51.100.7", "10.0.0.2"}},
		{"10.0.0.1:80", "10.0.0.2", []string{"203.0.113.9, , 10.0.0.2"}},
		{"10.0.0.1:80", "10.0.0.9", []string{"10.0.0.9"}},
		{"[::ffff:10.0.0.1]:80", "2001:db8:2::5", []string{"2001:db8:2::5, 2001:db8:1::1"}},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := s.clientAddress(r); got != c.want {
			t.Errorf("%s with %q is %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]Credentials{
		"": {}, "Bearer abc": {Bearer: "abc"}, "bearer  abc ": {Bearer: "abc"}, "Bearer": {}, "Digest abc": {}, "Basic !": {}, "Basic eA==": {},
		"Basic YTpiOmM=": {User: "a", Password: "b:c", Basic: true}, "bAsIc Og==": {Basic: true},
	} {
		h := http.Header{}
		if given != "" {
			h.Set("Authorization", given)
		}
		if got, err := CredentialsOf(h); got != want || err != nil {
			t.Errorf("%q gives %+v, %v", given, got, err)
		}
	}
	two := http.Header{"Authorization": {"Bearer abc", "Bearer def"}}
	if got, err := CredentialsOf(two); got != (Credentials{}) || job.CodeOf(err) != job.Unauthenticated {
		t.Errorf("of two %+v is believed, %v", got, err)
	}
}

// A reply that breaks off half way must not look whole.
func TestContentThatFailsHalfWayBreaksTheReplyOff(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	s := &Server{}
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		r := &Request{door: Door{Fault: plainFault}}
		c.Request = c.Request.WithContext(WithRequest(c.Request.Context(), r))
		c.Header("Content-Type", "application/octet-stream")
		s.ServeContent(c, Content{Size: 1 << 20, Open: func(int64, int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), broken{})), nil
		}})
	})
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		return // not even the header had been sent
	}
	defer func() { _ = answer.Body.Close() }()
	if text, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("%d of %d bytes read without an error", len(text), 1<<20)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the object store went away") }
