package tenancy

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the tables, beside the store

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/internal/limit"
	"waybill/storage/sqlstore"
)

const password = "example-password"

// world is a server with all doors, and an account that has one of everything.
type world struct {
	*controltest.World
	t      *testing.T
	server *api.Server
	tables *sql.DB
	theirs map[string]string // what the first account's admin has, by the names that routes have for it
	marks  []string          // texts that nobody else may be shown
	named  map[string]bool   // those of them that the present caller has sent
}

// caller is somebody with the credentials of each door.
type caller struct {
	name                string
	token, key, session string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "doors.db")
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Driver: sqlstore.SQLite, Path: path})
	if err == nil {
		err = store.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &world{World: controltest.New(t, store), t: t}
	if w.tables, err = sql.Open("sqlite", "file:"+path+"?mode=ro"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.tables.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Own.Schedule = idle{}
	if w.server, err = api.New(w.config()); err != nil {
		t.Fatal(err)
	}
	for name, d := range doors {
		if err := d.register(w.server); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	w.fill()
	return w
}

// idle is the engine of the retention.
type idle struct{}

func (idle) Ensure(context.Context, time.Duration) error { return nil }
func (idle) RunNow(context.Context) error                { return nil }

func (w *world) config() api.Config {
	unlimited := api.Limits{Doors: map[string]limit.Rule{}, Login: limit.Rule{Name: "login"}}
	for name := range doors {
		unlimited.Doors[name] = limit.Rule{}
	}
	return api.Config{
		Limits:          unlimited,
		SharedSchedules: w.SharedSchedules,
		Configs:         w.Configs, Files: w.Files, Jobs: w.Jobs, Sessions: w.Sessions, Keys: w.Keys, Runs: w.Runs, Calls: w.Calls, People: w.People, Account: w.Own, DoorSessions: w.Doors,
		Destinations: w.Destinations, Workers: w.Workers, Places: w.Places, Policies: w.Policies,
		Feed: w.Feed, Schedules: w.Schedules, EventsKept: 7 * 24 * time.Hour,
		Deliveries: w.Deliveries, Subscriptions: w.Subscriptions, Audit: w.Audit,
		BaseURL:   func() string { return "http://localhost:8080" },
		Product:   api.Product{Name: "Waybill", Version: "1.2.3", BuildDate: "2026-03-17", Copyright: "The Waybill authors"},
		CursorKey: bytes.Repeat([]byte{7}, 32), Now: w.Now, Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// call is a request of the walk.
type call struct {
	method, path, kind string
	body               []byte
	headers            map[string]string
	endless            bool
}

// answer is what came of it.
type answer struct {
	status int
	text   string
	json   map[string]any
}

// send makes a call. Streams that would not end are left after a moment.
func (w *world) send(c call) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, c.method, c.path, bytes.NewReader(c.body))
	r.RemoteAddr = "192.0.2.1:40000"
	r.Header.Set("Content-Type", c.kind)
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	if c.endless {
		w.server.ServeHTTP(&firstWords{ResponseRecorder: rec, left: cancel}, r)
	} else {
		w.server.ServeHTTP(rec, r)
	}
	a := answer{status: rec.Code, text: rec.Body.String()}
	_ = json.Unmarshal(rec.Body.Bytes(), &a.json) // not all of it is JSON
	return a
}

// firstWords hears a stream for a moment from its first words on, however long those take: what it would tell comes with them.
type firstWords struct {
	*httptest.ResponseRecorder
	begun sync.Once
	left  func()
}

func (f *firstWords) Write(b []byte) (int, error) {
	f.begins()
	return f.ResponseRecorder.Write(b)
}

func (f *firstWords) WriteString(s string) (int, error) {
	f.begins()
	return f.ResponseRecorder.WriteString(s)
}

func (f *firstWords) begins() {
	f.begun.Do(func() { time.AfterFunc(200*time.Millisecond, f.left) })
}

// as is a call of the native door with somebody's token, which must succeed.
func (w *world) as(token, method, path string, body any) answer {
	w.t.Helper()
	c := call{method: method, path: "/api" + path, kind: "application/json", headers: map[string]string{"Authorization": "Bearer " + token}}
	switch b := body.(type) {
	case nil:
	case io.Reader:
		c.kind = ""
		c.body, _ = io.ReadAll(b)
	case string:
		c.body = []byte(b)
	default:
		c.body, _ = json.Marshal(b)
	}
	a := w.send(c)
	if a.status < 200 || a.status > 299 {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.text)
	}
	return a
}

func (w *world) login(name string) string {
	w.t.Helper()
	g, err := w.Sessions.Login(w.t.Context(), name, password, "192.0.2.1")
	if err != nil {
		w.t.Fatal(err)
	}
	return g.Access
}

// caller gives somebody credentials for all doors.
func (w *world) caller(name string) caller {
	w.t.Helper()
	c := caller{name: name, token: w.login(name)}
	c.key, _ = w.as(c.token, "POST", "/apikeys", `{"name":"walk"}`).json["key"].(string)
	login, err := w.Doors.Login(w.t.Context(), name, password, "192.0.2.1")
	if err != nil {
		w.t.Fatal(err)
	}
	c.session = login.Session
	return c
}

// fill gives the first account one of everything.
func (w *world) fill() {
	w.t.Helper()
	admin := w.login("admin")
	id := func(a answer, name string) string {
		w.t.Helper()
		text, _ := a.json[name].(string)
		if text == "" {
			w.t.Fatalf("no %s in %s", name, a.text)
		}
		return text
	}
	w.theirs = map[string]string{"account": "1", "user": "1", "key": "run.sh", "record": "r1", "attempt": "1", "message": "reply", "type": "dashboard"}
	config := w.as(admin, "POST", "/jobconfigs", `{"name":"theirs-orders","description":"theirs-text","runtimeConfig":{"packageName":"run.sh"},"callbacks":[{"url":"https://a.example"}]}`)
	w.theirs["config"], w.theirs["object"] = id(config, "id"), id(config, "objectId")
	at := "/jobconfigs/" + w.theirs["config"]
	for _, owner := range []string{at, "/account/1", "/users/1"} {
		w.as(admin, "POST", owner+"/files?key=run.sh", strings.NewReader("#!/bin/sh\n# theirs-file"))
	}
	w.as(admin, "POST", "/account/1/files?key=lib.sh", strings.NewReader("theirs-file"))
	w.theirs["link"] = id(w.as(admin, "POST", at+"/filelinks", `{"entityType":"ACCOUNT","fileName":"lib.sh"}`), "linkId")
	w.as(admin, "POST", at+"/schedule", `{"cronSchedule":"0 3 * * *"}`)
	w.as(admin, "POST", at+"/subscription", `{"recipients":["theirs@example.com"]}`)
	w.theirs["job"] = w.ended(admin)
	running := id(w.as(admin, "POST", at+"/jobs", nil), "id")
	w.Take(w.t, 1, job.ID(running))
	w.theirs["running"] = running
	w.theirs["queued"] = id(w.as(admin, "POST", at+"/jobs", nil), "id")
	list, _ := w.as(admin, "GET", "/jobs/"+w.theirs["job"]+"/deliveries", nil).json["items"].([]any)
	if len(list) == 0 {
		w.t.Fatal("no delivery")
	}
	w.theirs["delivery"], _ = list[0].(map[string]any)["id"].(string)
	w.theirs["destination"] = id(w.as(admin, "POST", "/destinations", `{"name":"theirs-south"}`), "id")
	w.theirs["worker"] = w.worker()
	w.theirs["apikey"] = id(w.as(admin, "POST", "/apikeys", `{"name":"theirs-key"}`), "id")
	w.theirs["policy"] = id(w.as(admin, "POST", "/access/policies", `{"name":"theirs-policy","permissions":[{"resourceType":"jobconfigs","allowed":["view"],"resourceIds":["*"]}]}`), "id")
	w.as(admin, "PUT", "/users/1/access/policies/"+w.theirs["policy"], nil)
	shared, err := w.SharedSchedules.Create(w.t.Context(), job.Actor{AccountID: 1, User: job.UserRef{ID: 1, Name: "admin"}, Admin: true}, control.SharedInput{
		Name: "theirs-nightly", Plan: job.SharedPlan{Start: w.Now(), Every: "Daily"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.theirs["shared"] = strconv.FormatInt(shared.ID, 10)
	w.Pass(3 * time.Second) // what is known of workers is found out anew
	w.marks = []string{
		w.theirs["object"], w.theirs["job"], running, w.theirs["queued"], w.theirs["delivery"], w.theirs["apikey"], "theirs-orders", "theirs-text",
		"theirs@example.com", "theirs-key", "theirs-policy", "theirs-nightly", "theirs-message", "theirs-data",
	}
}

// ended is a job that has left something of everything.
func (w *world) ended(admin string) string {
	w.t.Helper()
	ctx := w.t.Context()
	id, _ := w.as(admin, "POST", "/jobconfigs/"+w.theirs["config"]+"/jobs", nil).json["id"].(string)
	fence := w.Take(w.t, 1, job.ID(id))
	report := job.Report{
		At:       w.Now(),
		Errors:   []job.RecordError{{RecordID: "r1", Step: "main", Code: "1", Message: "theirs-message", OccurredAt: w.Now(), Data: []byte(`{"id":"theirs-data"}`)}},
		Messages: []job.Message{{Name: "reply", Body: "theirs-message"}},
	}
	if err := w.Store.Report(ctx, 1, job.ID(id), fence, report); err != nil {
		w.t.Fatal(err)
	}
	w.Logs.Begin(job.ID(id), fence)
	w.Logs.Append(job.ID(id), "theirs-message\n")
	object, err := w.Objects.Put(ctx, "outputs/"+id+"/run.sh", strings.NewReader("theirs-data"), -1)
	if err != nil {
		w.t.Fatal(err)
	}
	o := controltest.Exit(3)
	o.Outputs = []job.Output{{Name: "run.sh", Size: object.Size, Object: object.Key}}
	w.Finish(w.t, 1, job.ID(id), fence, o)
	return id
}

func (w *world) worker() string {
	w.t.Helper()
	d, err := w.Store.Destination(w.t.Context(), 1, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	worker := job.Worker{ID: "1@theirs", AccountID: 1, TaskQueue: d.TaskQueue, Hostname: "a", Concurrency: 1, Status: job.WorkerOnline, StartedAt: w.Now(), BeatAt: w.Now()}
	if _, err := w.Store.Beat(w.t.Context(), worker); err != nil {
		w.t.Fatal(err)
	}
	return worker.ID
}

// byTheWay are tables that calls write to whoever makes them, and that hold nothing of the first account's doing.
var byTheWay = []string{"audit_log", "door_sessions", "login_places", "login_attempts", "login_failures", "token_families", "sqlite_sequence", "goose_db_version", "installation"}

// state is all that the first account has: the rows of every table that are its, or whose owner the table does not tell.
func (w *world) state() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, table := range w.names("SELECT name FROM sqlite_master WHERE type = 'table'") {
		if slices.Contains(byTheWay, table) || strings.HasPrefix(table, "sqlite_") {
			continue
		}
		where := ""
		switch columns := w.names("SELECT name FROM pragma_table_info('" + table + "')"); {
		case slices.Contains(columns, "account_id"):
			where = " WHERE account_id = 1"
		case table == "accounts":
			where = " WHERE id = 1"
		case slices.Contains(columns, "job_id"):
			where = " WHERE job_id IN (SELECT id FROM jobs WHERE account_id = 1)"
		}
		if where != "" && slices.Contains(w.names("SELECT name FROM pragma_table_info('"+table+"')"), "owner_id") {
			where += " AND owner_id = 1" // what a general user makes is their own
		}
		out[table] = w.dump("SELECT * FROM " + table + where)
	}
	return out
}

func (w *world) names(query string) (list []string) {
	w.t.Helper()
	rows, err := w.tables.QueryContext(w.t.Context(), query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, name)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) dump(query string) string {
	w.t.Helper()
	rows, err := w.tables.QueryContext(w.t.Context(), query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			w.t.Fatal(err)
		}
		line := ""
		for i, column := range columns {
			if column != "used_at" && column != "beat_at" { // signs of life
				line += fmt.Sprintf("%s=%v ", column, values[i])
			}
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
