package diem_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"waybill/api"
	"waybill/api/diem"
	"waybill/api/native"
	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/storage/sqlstore/sqltest"
)

// fixture is the DIEM door, beside the native one, over a real SQLite database, called in memory.
type fixture struct {
	*controltest.World
	t       testing.TB
	server  *api.Server
	dan     job.Actor
	key     string
	account int64
}

// The configs of the acceptance exchanges.
const (
	orders  = "5fd3a340b15cc4d3b71b7cc7"
	random  = "60b5219d555eb079f59f4796"
	total   = "60b5219d555eb079f59f4797"
	empty   = "60b5219d555eb079f59f4798"
	foreign = "6400000000000000000000ff"
)

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{World: controltest.New(t, sqltest.Open(t, nil)), t: t}
	var err error
	f.server, err = api.New(api.Config{
		Configs: f.Configs, Files: f.Files, Jobs: f.Jobs, Sessions: f.Sessions, Keys: f.Keys, Runs: f.Runs, Calls: f.Calls, Account: f.Own,
		Destinations: f.Destinations, Workers: f.Workers, Places: f.Places, Feed: f.Feed, Schedules: f.Schedules, EventsKept: time.Hour,
		Deliveries: f.Deliveries, Subscriptions: f.Subscriptions, Audit: f.Audit, BaseURL: func() string { return "http://localhost:8080" },
		CursorKey: bytes.Repeat([]byte{7}, 32), Now: f.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Policies: f.Policies, People: f.People,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, register := range []func(*api.Server) error{native.Register, diem.Register} {
		if err := register(f.server); err != nil {
			t.Fatal(err)
		}
	}
	f.dan = f.Account(t, "acme", "dan@example.com", "password-of-dan")
	f.account = f.dan.AccountID
	f.key = f.newKey(f.dan, control.APIKeyInput{Name: "diem"})
	f.config(f.dan, orders, "orders nightly", true)
	f.config(f.dan, random, "rand string", true)
	f.config(f.dan, total, "count orders", true)
	f.config(f.dan, empty, "nothing to run", false)
	f.config(f.Account(t, "other", "eve", "password-of-eve"), foreign, "of others", true)
	return f
}

func (f *fixture) newKey(a job.Actor, in control.APIKeyInput) string {
	f.t.Helper()
	_, key, err := f.Keys.Create(f.t.Context(), a, in)
	if err != nil {
		f.t.Fatal(err)
	}
	return key
}

func (f *fixture) config(a job.Actor, id, name string, runnable bool) job.Config {
	f.t.Helper()
	in := control.ConfigInput{Name: name, ObjectID: id}
	if runnable {
		in.Runtime = job.RuntimeConfig{PackageName: "run.sh", EntryPoint: "run.sh"}
	}
	c, err := f.Configs.Create(f.t.Context(), a, in)
	if err == nil && runnable {
		_, err = f.Files.Add(f.t.Context(), a, control.OfConfig(id), control.Upload{Key: "run.sh", Body: strings.NewReader("#!/bin/sh\n")})
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// reply is an answer, read.
type reply struct {
	*httptest.ResponseRecorder
	text string
}

// with changes a request before it is made.
type with func(*http.Request)

func header(name, value string) with {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func (f *fixture) do(method, path string, body any, changes ...with) reply {
	f.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	}
	request := httptest.NewRequestWithContext(f.t.Context(), method, path, r)
	request.RemoteAddr = "192.0.2.1:40000"
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("x-api-key", f.key)
	for _, change := range changes {
		change(request)
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, request)
	return reply{ResponseRecorder: w, text: w.Body.String()}
}

// call makes a call of a function.
func (f *fixture) call(function, body string, changes ...with) reply {
	f.t.Helper()
	return f.do("POST", "/etl-mgr/api/"+function, body, changes...)
}

// want checks a reply whole: the specification shows all that is sent. A body that is no JSON is a text.
func (r reply) want(t testing.TB, status int, body string) reply {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.text)
	}
	if r.Header().Get("X-Request-Id") == "" || r.Header().Get("X-Correlation-ID") == "" {
		t.Errorf("ids are missing: %v", r.Header())
	}
	var want, got any
	if json.Unmarshal([]byte(body), &want) != nil {
		if r.text != body || r.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s, %s; want the text %s", r.Header().Get("Content-Type"), r.text, body)
		}
		return r
	}
	if err := json.Unmarshal([]byte(r.text), &got); err != nil || r.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s is no JSON: %q", r.Header().Get("Content-Type"), r.text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", r.text, body)
	}
	return r
}

// run is the run that a reply is about.
func (r reply) run(t testing.TB) job.ID {
	t.Helper()
	id := r.Header().Get("X-Waybill-Job-Id")
	if !job.ValidID(id) {
		t.Fatalf("X-Waybill-Job-Id is %q", id)
	}
	return job.ID(id)
}

// about checks which run a reply is about.
func (r reply) about(t testing.TB, id job.ID) {
	t.Helper()
	if got := r.Header().Get("X-Waybill-Job-Id"); got != string(id) {
		t.Errorf("X-Waybill-Job-Id is %q, want %q", got, id)
	}
}

// worker has a worker of the account's destination give a sign of life.
func (f *fixture) worker() {
	f.t.Helper()
	d, err := f.Store.Destination(f.t.Context(), f.account, 0)
	if err == nil {
		_, err = f.Store.Beat(f.t.Context(), job.Worker{
			ID: "1@a", AccountID: f.account, TaskQueue: d.TaskQueue, Concurrency: 8, Status: job.WorkerOnline, StartedAt: f.Now(), BeatAt: f.Now(),
		})
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.Places.Forget(f.account)
}

// jobs counts the jobs of all accounts.
func (f *fixture) jobs() (n int) {
	f.t.Helper()
	for account := int64(1); account < 5; account++ {
		list, _, err := f.Store.Jobs(f.t.Context(), job.Query{Scope: job.Scope{AccountID: account}})
		if err != nil {
			f.t.Fatal(err)
		}
		n += list.Total
	}
	return n
}
