package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// transport is shared, so that connections are. No proxy of the environment gets between the tests and the program.
var transport = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.MaxIdleConnsPerHost = nil, 64
	return t
}()

// client calls one program as one user.
type client struct {
	base  string
	token string
}

// reply is an answer that was read whole.
type reply struct {
	call   string // METHOD path, for messages
	status int
	header http.Header
	body   []byte
}

// object is a JSON object.
type object map[string]any

// text reads a member by its path, such as "jobConfig.id"; "" when it is not there.
func (o object) text(path string) string {
	var v any = map[string]any(o)
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[name]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// items is the member "items" of a list.
func (o object) items() (all []object) {
	list, _ := o["items"].([]any)
	for _, i := range list {
		if m, ok := i.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// send makes a call. Header values are given in pairs.
func (c *client) send(ctx context.Context, method, path string, body []byte, headers ...string) (*reply, error) {
	resp, err := c.open(ctx, method, path, body, headers...)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return &reply{call: method + " " + path, status: resp.StatusCode, header: resp.Header, body: text}, nil
}

// open makes a call and leaves the reply's body to be read.
func (c *client) open(ctx context.Context, method, path string, body []byte, headers ...string) (*http.Response, error) {
	address := path
	if strings.HasPrefix(path, "/") {
		address = c.base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return transport.RoundTrip(req)
}

// do makes a call that must answer with the status. A body that is not bytes is sent as JSON.
func (c *client) do(t *testing.T, status int, method, path string, body any, headers ...string) *reply {
	t.Helper()
	raw, isRaw := body.([]byte)
	if body != nil && !isRaw {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		headers = append([]string{"Content-Type", "application/json"}, headers...)
	}
	r, err := c.send(t.Context(), method, path, raw, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != status {
		t.Fatalf("%s answers %d, want %d: %s", r.call, r.status, status, r.body)
	}
	return r
}

// get reads a JSON object.
func (c *client) get(t *testing.T, path string, headers ...string) object {
	t.Helper()
	return c.do(t, http.StatusOK, http.MethodGet, path, nil, headers...).object(t)
}

func (r *reply) object(t *testing.T) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(r.body, &o); err != nil {
		t.Fatalf("%s answers with what is no JSON object: %v: %s", r.call, err, r.body)
	}
	return o
}

// login signs in. Logins are limited to 20 a minute for an address (native.md, 1.5), so a 429 is waited out.
func login(ctx context.Context, base, user, password string) (*client, error) {
	c := &client{base: base}
	body, err := json.Marshal(map[string]string{"username": user, "password": password})
	if err != nil {
		return nil, err
	}
	var grant struct {
		Token string `json:"access_token"`
	}
	err = within(ctx, 2*time.Minute, func() error {
		r, err := c.send(ctx, http.MethodPost, "/api/login", body, "Content-Type", "application/json")
		if err != nil {
			return final(err)
		}
		if r.status == http.StatusTooManyRequests {
			return errors.New("too many logins")
		}
		if err := json.Unmarshal(r.body, &grant); err != nil || r.status != http.StatusOK {
			return final(fmt.Errorf("login of %s answers %d: %s", user, r.status, r.body))
		}
		return nil
	})
	c.token = grant.Token
	return c, err
}

// admin is the first user, signed in once for each program.
func (p *program) admin(t *testing.T) *client {
	t.Helper()
	c, err := p.signIn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p *program) signIn(ctx context.Context) (*client, error) {
	p.login.Do(func() {
		p.first, p.loginErr = login(context.WithoutCancel(ctx), p.run.URL, p.run.AdminUser, adminPassword)
	})
	return p.first, p.loginErr
}

var counter atomic.Int64

// unique makes a name that no other test uses.
func unique(prefix string) string { return fmt.Sprintf("%s-%d", prefix, counter.Add(1)) }

// tenant makes an account of the test's own, with the command that operators use, and signs in as its admin.
func (p *program) tenant(t *testing.T, prefix string) *client {
	t.Helper()
	name := unique(prefix)
	user, password := name+"-admin", "tulips of "+name
	if code, out, errs := createAccount(t, p.data, name, user, password); code != 0 {
		t.Fatalf("account create ends with %d: %s%s", code, out, errs)
	}
	c, err := login(t.Context(), p.run.URL, user, password)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func createAccount(t *testing.T, data, name, user, password string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(binary, "account", "create", name, "--admin", user, "--data", data)
	cmd.Env, cmd.Stdin = environment(), strings.NewReader(password+"\n")
	return execute(t, cmd)
}

// setup is a job config with its package.
type setup struct {
	key     string // file key of the package
	content []byte
	entry   string
	config  object // further members of the config
	runtime object // further members of runtimeConfig
}

// script is a package of one shell script.
func script(text string) setup {
	return setup{key: "main.sh", content: []byte("#!/bin/sh\n" + text + "\n"), entry: "main.sh"}
}

// configure makes a job config, uploads its package, and binds the two. It returns the config's id.
func (c *client) configure(t *testing.T, name string, s setup) string {
	t.Helper()
	config := object{"name": name}
	id := c.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs", config).object(t).text("id")
	c.upload(t, id, s.key, s.content)
	runtime := object{"packageName": s.key, "entryPoint": s.entry}
	for k, v := range s.runtime {
		runtime[k] = v
	}
	for k, v := range s.config {
		config[k] = v
	}
	config["runtimeConfig"] = runtime
	c.do(t, http.StatusOK, http.MethodPut, "/api/jobconfigs/"+id, config)
	return id
}

func (c *client) upload(t *testing.T, config, key string, content []byte) object {
	t.Helper()
	path := "/api/jobconfigs/" + config + "/files?key=" + url.QueryEscape(key)
	return c.do(t, http.StatusCreated, http.MethodPost, path, content, "Content-Type", "application/octet-stream").object(t)
}

// submit starts a job.
func (c *client) submit(t *testing.T, config string) object {
	t.Helper()
	return c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil).object(t)
}

// finish waits for the job's end.
func (c *client) finish(t *testing.T, id string, limit time.Duration) (j object) {
	t.Helper()
	eventually(t, limit, func() error {
		j = c.get(t, "/api/jobs/"+id+"?wait=5s")
		if !ended(j.text("status")) {
			return fmt.Errorf("job %s is %s", id, j.text("status"))
		}
		return nil
	})
	return j
}

// reaches waits until the job has the status.
func (c *client) reaches(t *testing.T, id, status string, limit time.Duration) (j object) {
	t.Helper()
	eventually(t, limit, func() error {
		j = c.get(t, "/api/jobs/"+id)
		if j.text("status") == status {
			return nil
		}
		err := fmt.Errorf("job %s is %s, not %s: %v", id, j.text("status"), status, j)
		if ended(j.text("status")) {
			return final(err)
		}
		return err
	})
	return j
}

// ended tells whether a status is one that a job ends in.
func ended(status string) bool {
	switch status {
	case "FINISHED", "ERROR", "FAILED", "CANCELLED":
		return true
	}
	return false
}

// log reads a job's log.
func (c *client) log(t *testing.T, job string) string {
	t.Helper()
	return string(c.do(t, http.StatusOK, http.MethodGet, "/api/jobs/"+job+"/log", nil).body)
}

// output reads one of the files a job left.
func (c *client) output(t *testing.T, job, name string) string {
	t.Helper()
	return string(c.do(t, http.StatusOK, http.MethodGet, "/api/jobs/"+job+"/out/files/"+url.PathEscape(name), nil).body)
}

// expect compares what a test is about and says it in one line.
func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
