package native_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/api"
	"waybill/api/native"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
	"waybill/storage/sqlstore/sqltest"
)

// fixture is the native door over a real SQLite database, called in memory.
type fixture struct {
	*controltest.World
	t       testing.TB
	server  *api.Server
	token   string
	faults  *syncBuffer // what the server logged
	account int64
}

// syncBuffer is a log that may be written and read at once.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func openStore(t testing.TB) *sqlstore.Store {
	t.Helper()
	return sqltest.Open(t, nil)
}

func newFixture(t testing.TB, change ...func(*api.Config)) *fixture {
	t.Helper()
	f := &fixture{World: controltest.New(t, openStore(t)), t: t, faults: &syncBuffer{}, account: 1}
	c := api.Config{
		Configs: f.Configs, Files: f.Files, Jobs: f.Jobs, Sessions: f.Sessions, Keys: f.Keys, Account: f.Own,
		People:       f.People,
		Destinations: f.Destinations, Workers: f.Workers, Places: f.Places,
		Feed: f.Feed, Schedules: f.Schedules, EventsKept: 7 * 24 * time.Hour,
		Deliveries: f.Deliveries, Subscriptions: f.Subscriptions, Audit: f.Audit, Policies: f.Policies,
		BaseURL:   func() string { return "http://localhost:8080" },
		Product:   api.Product{Name: "Waybill", Version: "1.2.3", BuildDate: "2026-03-17", Copyright: "The Waybill authors"},
		CursorKey: bytes.Repeat([]byte{7}, 32), Now: f.Now, Log: slog.New(slog.NewTextHandler(f.faults, nil)),
	}
	for _, fn := range change {
		fn(&c)
	}
	var err error
	if f.server, err = api.New(c); err != nil {
		t.Fatal(err)
	}
	if err := native.Register(f.server); err != nil {
		t.Fatal(err)
	}
	f.token = f.login("admin", "example-password")
	return f
}

func (f *fixture) login(name, password string) string {
	f.t.Helper()
	r := f.do("POST", "/api/login", map[string]string{"username": name, "password": password}, noToken)
	token, _ := r.json["access_token"].(string)
	if r.Code != 200 || token == "" {
		f.t.Fatalf("login of %s: %d %s", name, r.Code, r.text)
	}
	return token
}

// reply is an answer, read.
type reply struct {
	*httptest.ResponseRecorder
	text string
	json map[string]any
}

// with changes a request before it is made.
type with func(*http.Request)

func header(name, value string) with { return func(r *http.Request) { r.Header.Set(name, value) } }

func noToken(r *http.Request) { r.Header.Del("Authorization") }

// do makes a call. The body is a string, bytes or a reader, sent as it is, or a value, sent as JSON.
func (f *fixture) do(method, path string, body any, changes ...with) reply {
	f.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	case io.Reader:
		r = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			f.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	request := httptest.NewRequestWithContext(f.t.Context(), method, path, r)
	request.RemoteAddr = "192.0.2.1:40000"
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+f.token)
	for _, change := range changes {
		change(request)
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, request)
	answer := reply{ResponseRecorder: w, text: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &answer.json); err != nil && !strings.HasPrefix(answer.text, "[") {
			f.t.Fatalf("%s %s: not JSON: %s", method, path, answer.text)
		}
	}
	return answer
}

// want checks status and, as far as they are given, members of a reply.
func (r reply) want(t testing.TB, status int, members string) reply {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.text)
	}
	if members == "" {
		return r
	}
	var expected map[string]any
	if err := json.Unmarshal([]byte(members), &expected); err != nil {
		t.Fatalf("the test's own JSON: %v in %s", err, members)
	}
	for _, difference := range missingFrom("", expected, r.json) {
		t.Errorf("%s\n in %s", difference, r.text)
	}
	return r
}

// fault checks that a reply is an error of the specified shape.
func (r reply) fault(t testing.TB, status int, code, message string) {
	t.Helper()
	r.want(t, status, "")
	if r.json["code"] != code || (message != "" && r.json["message"] != message) {
		t.Errorf("code %v, message %v; want %s, %s", r.json["code"], r.json["message"], code, message)
	}
	if r.json["error"] != http.StatusText(status) || r.json["status"] != float64(status) || r.json["path"] == nil || r.json["timestamp"] == nil {
		t.Errorf("shape: %s", r.text)
	}
	if (status == 401) != (r.Header().Get("WWW-Authenticate") == "Bearer") {
		t.Errorf("WWW-Authenticate is %q with %d", r.Header().Get("WWW-Authenticate"), status)
	}
}

// missingFrom tells what of want is not in got: a reply may hold more than shown, never less.
func missingFrom(at string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok {
			return []string{at + " is not an object"}
		}
		var out []string
		for name, value := range want {
			out = append(out, missingFrom(at+"."+name, value, have[name])...)
		}
		return out
	case []any:
		have, ok := got.([]any)
		if !ok || len(have) != len(want) {
			text, _ := json.Marshal(got)
			return []string{at + " is " + string(text)}
		}
		var out []string
		for i := range want {
			out = append(out, missingFrom(at+"[]", want[i], have[i])...)
		}
		return out
	}
	if want != got {
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		return []string{at + " is " + string(b) + ", want " + string(a)}
	}
	return nil
}

// config makes a job config; a package makes it runnable.
func (f *fixture) config(name, packageName string) string {
	f.t.Helper()
	body := map[string]any{"name": name}
	if packageName != "" {
		body["runtimeConfig"] = map[string]any{"packageName": packageName, "entryPoint": "main.sh"}
	}
	id, _ := f.do("POST", "/api/jobconfigs", body).want(f.t, 201, "").json["id"].(string)
	if packageName != "" {
		f.do("POST", "/api/jobconfigs/"+id+"/files?key="+packageName, "#!/bin/sh\n", header("Content-Type", "")).want(f.t, 201, "")
	}
	return id
}

// start runs a config and gives the job's id.
func (f *fixture) start(config string) job.ID {
	f.t.Helper()
	id, _ := f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).want(f.t, 202, "").json["id"].(string)
	return job.ID(id)
}

// play runs a job to its end as a worker would.
func (f *fixture) play(id job.ID, code int) {
	f.t.Helper()
	f.Finish(f.t, f.account, id, f.Take(f.t, f.account, id), controltest.Exit(code))
}
