package wide

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

type object map[string]any

// plain calls addresses; no proxy of the environment gets between.
var plain = func() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.MaxIdleConnsPerHost = nil, 64
	return &http.Client{Transport: t}
}()

// rest calls the REST API as the account's admin. A token of one API process is good at all of them.
type rest struct {
	token string
	base  func() string // whom to ask next
}

// answer is what a call gives. No status: there was none, and nobody knows what came of the call.
type answer struct {
	call   string
	status int
	header http.Header
	body   []byte
	err    error
	took   time.Duration
}

func (a answer) String() string {
	if a.status == 0 {
		return fmt.Sprintf("%s got no answer (%v)", a.call, a.err)
	}
	return fmt.Sprintf("%s answers %d %s", a.call, a.status, bytes.TrimSpace(a.body))
}

// away tells whether the call may be repeated because the server could not take it.
func (a answer) away() bool { return a.status == 0 || a.status == http.StatusServiceUnavailable }

// object is the body; nil when it is none.
func (a answer) object() (o object) {
	_ = json.Unmarshal(a.body, &o)
	return o
}

// text reads a member of the body; "" when it is not there.
func (a answer) text(name string) string {
	if v := a.object()[name]; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// callWithin is longer than any call may take.
const callWithin = time.Minute

func (c *rest) call(ctx context.Context, method, path string, body any, headers ...string) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	a.call = method + " " + path
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	raw, isRaw := body.([]byte)
	if body != nil && !isRaw {
		if raw, a.err = json.Marshal(body); a.err != nil {
			return a
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base()+path, bytes.NewReader(raw))
	if err != nil {
		a.err = err
		return a
	}
	req.Header.Set("Content-Type", "application/json")
	if isRaw {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := plain.Do(req)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	if a.body, a.err = io.ReadAll(resp.Body); a.err == nil {
		a.status, a.header = resp.StatusCode, resp.Header
	}
	return a
}

// must is a call of the set-up: another status than the one that is wanted ends the test.
func (c *rest) must(t testing.TB, status int, method, path string, body any, headers ...string) answer {
	t.Helper()
	a := c.call(t.Context(), method, path, body, headers...)
	if a.status != status {
		t.Fatalf("%s, want %d", a, status)
	}
	return a
}

// admin signs in at an API process.
func (in *installation) admin(t testing.TB, at *node) *rest {
	t.Helper()
	c := &rest{base: func() string { return at.url }}
	c.token = c.must(t, http.StatusOK, http.MethodPost, "/api/login", object{"username": "admin", "password": password}).text("access_token")
	return c
}

// configure makes a job config for a shell script. members are those of the config besides.
func (c *rest) configure(t testing.TB, name, script string, members object) string {
	t.Helper()
	id := c.must(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": name}).text("id")
	c.must(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+id+"/files?key="+url.QueryEscape("main.sh"), []byte(script))
	config := object{"name": name, "runtimeConfig": object{"packageName": "main.sh", "entryPoint": "main.sh"}}
	for k, v := range members {
		config[k] = v
	}
	c.must(t, http.StatusOK, http.MethodPut, "/api/jobconfigs/"+id, config)
	return id
}

// macros is the body of a start that gives macros.
func macros(pairs ...string) object {
	var list []object
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, object{"key": pairs[i], "value": pairs[i+1]})
	}
	return object{"runtimeConfig": object{"macros": list}}
}

// ended tells whether a status is one that a job ends in.
func ended(status string) bool {
	switch status {
	case "FINISHED", "ERROR", "FAILED", "CANCELLED":
		return true
	}
	return false
}

// finish waits for a job's end, through whatever happens to the servers.
func (c *rest) finish(t testing.TB, id string, limit time.Duration) answer {
	t.Helper()
	var a answer
	err := within(t.Context(), limit, func() error {
		if a = c.call(t.Context(), http.MethodGet, "/api/jobs/"+id+"?wait=5s", nil); !ended(a.text("status")) {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
