package informatica_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/api"
	"waybill/api/informatica"
	"waybill/api/native"
	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/storage/sqlstore/sqltest"
)

const password = "example-password"

// dan is the user of the specification's exchanges.
const dan = "dan@example.com"

// fixture is the door, beside the native one, over a real SQLite database, called in memory.
type fixture struct {
	*controltest.World
	t       testing.TB
	server  *api.Server
	session string
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newFixture is account 1 in New York, with its admin and dan, who is logged in.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{World: controltest.New(t, sqltest.Open(t, nil)), t: t, log: &lockedBuffer{}}
	f.server = f.newServer(f.World)
	f.User(t, dan, password)
	admin := job.Actor{AccountID: 1, User: job.UserRef{ID: 1, Name: "admin"}, Admin: true}
	if _, err := f.Own.Change(t.Context(), admin, func(job.Account) (control.AccountInput, error) {
		return control.AccountInput{TimeZone: "America/New_York"}, nil
	}); err != nil {
		t.Fatal(err)
	}
	f.session = f.login(dan)
	return f
}

// newServer serves a World; two of them are two processes on one database.
func (f *fixture) newServer(w *controltest.World) *api.Server {
	f.t.Helper()
	s, err := api.New(api.Config{
		Configs: w.Configs, Files: w.Files, Jobs: w.Jobs, Sessions: w.Sessions, DoorSessions: w.Doors, People: w.People, Account: w.Own,
		Destinations: w.Destinations, Workers: w.Workers, Places: w.Places, Feed: w.Feed, Schedules: w.Schedules, SharedSchedules: w.SharedSchedules,
		EventsKept: 7 * 24 * time.Hour, Deliveries: w.Deliveries, Subscriptions: w.Subscriptions, Audit: w.Audit, Keys: w.Keys, Policies: w.Policies,
		BaseURL:   func() string { return "http://localhost:8080" },
		Product:   api.Product{Name: "Waybill", Version: "1.2.3"},
		CursorKey: bytes.Repeat([]byte{7}, 32), Now: w.Now, Log: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := native.Register(s); err != nil {
		f.t.Fatal(err)
	}
	if err := informatica.Register(s); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// reply is an answer.
type reply struct {
	*httptest.ResponseRecorder
	text string
}

// with changes a request before it is made.
type with func(*http.Request)

func header(name, value string) with { return func(r *http.Request) { r.Header.Set(name, value) } }

func noSession(r *http.Request) { r.Header.Del("icSessionId") }

func xmlOut(r *http.Request) { r.Header.Set("Accept", "application/xml") }

func xmlIn(r *http.Request) { r.Header.Set("Content-Type", "application/xml") }

func (f *fixture) do(method, path, body string, changes ...with) reply {
	f.t.Helper()
	return f.on(f.server, method, path, body, changes...)
}

func (f *fixture) on(s *api.Server, method, path, body string, changes ...with) reply {
	f.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, in)
	r.RemoteAddr = "192.0.2.1:40000"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("icSessionId", f.session)
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return reply{w, w.Body.String()}
}

func (f *fixture) login(name string) string {
	f.t.Helper()
	r := f.do("POST", "/ma/api/v2/user/login", `{"@type":"login","username":"`+name+`","password":"`+password+`"}`, noSession)
	id, _ := r.object(f.t)["icSessionId"].(string)
	if r.Code != 200 || id == "" {
		f.t.Fatalf("login of %s: %d %s", name, r.Code, r.text)
	}
	return id
}

func (r reply) object(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		t.Fatalf("not an object: %s", r.text)
	}
	return v
}

// want checks status and body. Both formats must say the same, so an XML reply is compared with the JSON rewritten. "?" stands for any text.
func (r reply) want(t testing.TB, status int, expected string) reply {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.text)
	}
	if expected == "" {
		return r
	}
	var want, got any
	if err := json.Unmarshal([]byte(expected), &want); err != nil {
		t.Fatalf("the test's own JSON: %v in %s", err, expected)
	}
	if strings.HasPrefix(r.Header().Get("Content-Type"), "application/xml") {
		got = fromXML(t, r.text)
		want = asInXML(want)
	} else if err := json.Unmarshal([]byte(r.text), &got); err != nil {
		t.Fatalf("not JSON: %s", r.text)
	}
	if faults := differ("", want, got); len(faults) > 0 {
		t.Errorf("%s\n got %s", strings.Join(faults, "\n"), r.text)
	}
	return r
}

func differ(at string, want, got any) (faults []string) {
	if want == "?" && got != nil {
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		have, _ := got.(map[string]any)
		for name := range have {
			if _, ok := want[name]; !ok {
				faults = append(faults, at+"."+name+" is too much")
			}
		}
		for name, value := range want {
			faults = append(faults, differ(at+"."+name, value, have[name])...)
		}
		return faults
	case []any:
		have, ok := got.([]any)
		if !ok || len(have) != len(want) {
			return []string{at + " has another length"}
		}
		for i := range want {
			faults = append(faults, differ(at+"[]", want[i], have[i])...)
		}
		return faults
	}
	if want != got {
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		return []string{at + " is " + string(b) + ", want " + string(a)}
	}
	return nil
}

// asInXML is what JSON looks like when it was sent as XML and read by fromXML: everything is text, lists of one are their member, empty
// lists are not there.
func asInXML(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if list, ok := value.([]any); ok && len(list) == 0 {
				continue
			}
			out[name] = asInXML(value)
		}
		return out
	case []any:
		if len(v) == 1 {
			return asInXML(v[0])
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = asInXML(v[i])
		}
		return out
	case string:
		return v
	default:
		text, _ := json.Marshal(v)
		return string(text)
	}
}

// fromXML reads a reply; "@type" is the name of an element of the top.
func fromXML(t testing.TB, text string) any {
	t.Helper()
	if !strings.HasPrefix(text, `<?xml version="1.0" encoding="UTF-8"?><`) {
		t.Fatalf("not an XML document: %s", text)
	}
	in := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := in.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != "root" {
			return typed(element(t, in), start.Name.Local)
		}
		list := []any{}
		for {
			token, err := in.Token()
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				list = append(list, typed(element(t, in), token.Name.Local))
			case xml.EndElement:
				if len(list) == 1 {
					return list[0]
				}
				return list
			}
		}
	}
}

func typed(v any, name string) any {
	if m, ok := v.(map[string]any); ok {
		m["@type"] = name
		for _, child := range m { // below the top the type is told by nothing
			giveType(child, name)
		}
	}
	return v
}

// giveType puts the type back into children, which have their parent's.
func giveType(v any, name string) {
	if !strings.HasPrefix(name, "activity") {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		v["@type"] = name
	case []any:
		for _, one := range v {
			giveType(one, name)
		}
	}
}

func element(t testing.TB, in *xml.Decoder) any {
	t.Helper()
	text, members := "", map[string]any{}
	for {
		token, err := in.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text += string(token)
		case xml.StartElement:
			child := element(t, in)
			switch before := members[token.Name.Local].(type) {
			case nil:
				members[token.Name.Local] = child
			case []any:
				members[token.Name.Local] = append(before, child)
			default:
				members[token.Name.Local] = []any{before, child}
			}
		case xml.EndElement:
			if len(members) > 0 {
				return members
			}
			return text
		}
	}
}

// fault checks an error object.
func (r reply) fault(t testing.TB, status int, code, description string) {
	t.Helper()
	inBody := status
	if code == "UI_10000" {
		inBody = 403
	}
	if description == "" {
		description = "?"
	}
	text, _ := json.Marshal(map[string]any{"@type": "error", "code": code, "description": description, "statusCode": inBody})
	r.want(t, status, string(text))
}

// actor is dan as a use case knows him.
func (f *fixture) actor() job.Actor {
	f.t.Helper()
	a, err := f.Doors.Authenticate(f.t.Context(), f.session)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// task makes a job config of dan's with a package.
func (f *fixture) task(name, objectID, declared string, change ...func(*control.ConfigInput)) job.Config {
	f.t.Helper()
	in := control.ConfigInput{
		Name: name, ObjectID: objectID, Labels: job.Labels{TaskType: declared},
		Runtime: job.RuntimeConfig{PackageName: "run.sh", EntryPoint: "run.sh"},
	}
	for _, c := range change {
		c(&in)
	}
	c, err := f.Configs.Create(f.t.Context(), f.actor(), in)
	if err != nil {
		f.t.Fatal(err)
	}
	f.file(c, "run.sh", "#!/bin/sh\n")
	return c
}

func (f *fixture) file(c job.Config, key, text string) {
	f.t.Helper()
	_, err := f.Files.Add(f.t.Context(), f.actor(), control.FileOwner{Type: job.EntityJobConfig, Ref: strconv.FormatInt(c.ID, 10)}, control.Upload{
		Key: key, Body: strings.NewReader(text),
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// run finds a job by its config and number.
func (f *fixture) run(c job.Config, number int64) job.Job {
	f.t.Helper()
	list, _, err := f.Store.Jobs(f.t.Context(), job.Query{Scope: job.Scope{AccountID: 1}, Where: job.And{
		job.Compare{Property: "jobConfig.id", Op: job.Eq, Values: []any{c.ID}},
		job.Compare{Property: "runNumber", Op: job.Eq, Values: []any{number}},
	}})
	if err != nil || len(list.Items) != 1 {
		f.t.Fatalf("run %d: %v, %v", number, list.Items, err)
	}
	return list.Items[0]
}

// count has a job's program report records of its one step.
func (f *fixture) count(id job.ID, fence, read, written, failed int64) {
	f.t.Helper()
	err := f.Store.Report(f.t.Context(), 1, id, fence, job.Report{At: f.Now(), Steps: []job.Step{{
		Name: "main", Status: job.Running, Attempt: 1, StartedAt: f.Now(), RecordsRead: read, RecordsWritten: written, RecordsFailed: failed,
	}}})
	if err != nil {
		f.t.Fatal(err)
	}
}
