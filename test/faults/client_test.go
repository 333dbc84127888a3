package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

type object map[string]any

// restClient calls the REST API as the admin. What it calls may be away at any time.
type restClient struct {
	base, token string
	http        *http.Client
}

func newClient(base string) *restClient {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.MaxIdleConnsPerHost = nil, 32
	return &restClient{base: base, http: &http.Client{Transport: t}}
}

// answer is what a call gives. No status: there was none, and nobody knows what came of the call.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// away tells whether the call may be repeated because the server could not take it.
func (a answer) away() bool { return a.status == 0 || a.status == http.StatusServiceUnavailable }

func (a answer) String() string {
	if a.status == 0 {
		return fmt.Sprintf("no answer (%v)", a.err)
	}
	return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body))
}

// text reads members of the body; "" when it is not there.
func (a answer) text(name string) string {
	var o object
	if json.Unmarshal(a.body, &o) != nil || o[name] == nil {
		return ""
	}
	return fmt.Sprint(o[name])
}

const callWithin = 20 * time.Second

func (c *restClient) call(ctx context.Context, method, path string, body any, headers ...string) answer {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	raw, isRaw := body.([]byte)
	if body != nil && !isRaw {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return answer{err: err}
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(raw))
	if err != nil {
		return answer{err: err}
	}
	if body != nil && !isRaw {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{err: err}
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: text}
}

// insist repeats a call until the server takes it.
func (c *restClient) insist(ctx context.Context, method, path string, body any, headers ...string) answer {
	for {
		a := c.call(ctx, method, path, body, headers...)
		if !a.away() || ctx.Err() != nil {
			return a
		}
		select {
		case <-ctx.Done():
			return a
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// must is insist for calls of the set-up, where another status is the end.
func (c *restClient) must(ctx context.Context, status int, method, path string, body any, headers ...string) (answer, error) {
	a := c.insist(ctx, method, path, body, headers...)
	if a.status != status {
		return a, fmt.Errorf("%s %s answers %s, want %d", method, path, a, status)
	}
	return a, nil
}

func (c *restClient) login(ctx context.Context) error {
	a, err := c.must(ctx, http.StatusOK, http.MethodPost, "/api/login", object{"username": "admin", "password": password})
	c.token = a.text("access_token")
	return err
}
