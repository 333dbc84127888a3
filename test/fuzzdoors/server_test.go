package fuzzdoors

import (
	"archive/zip"
	"bytes"
	gocontext "context"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"waybill/api"
	"waybill/api/diem"
	"waybill/api/informatica"
	"waybill/api/native"
	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/internal/limit"
	"waybill/internal/token"
	"waybill/storage/sqlstore"
)

// world is a server with all doors and something of everything in its database.
type world struct {
	*controltest.World
	t      testing.TB
	server *api.Server
	log    *logBuffer
	tables *sql.DB // a look at the tables besides the store's
	pool   map[string][]string
	tokens map[string]string // access tokens by user
	doors  map[string]string // session ids by user
	keys   map[string]string // API keys by user
}

// logBuffer keeps what the server logs: causes of 500s, and panics.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// take gives what was logged since the last take.
func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}

// empty is the file of an empty, migrated database.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "fuzzdoors")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "empty.db")
	ctx := context()
	store, err := sqlstore.Open(ctx, sqlstore.Config{Driver: sqlstore.SQLite, Path: path})
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

const password = "example-password"

func newWorld(t testing.TB) *world {
	t.Helper()
	file, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "doors.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Driver: sqlstore.SQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{World: controltest.New(t, store), t: t, log: &logBuffer{}, pool: map[string][]string{}, tokens: map[string]string{}, doors: map[string]string{}, keys: map[string]string{}}
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
	w.Own.Schedule = retention{}
	next := 0
	w.Jobs.NewID = func() job.ID { next++; return job.ID(fmt.Sprintf("69b9209b0000000000000%03x", 0xc0+next)) } // those of the examples
	w.server, err = api.New(api.Config{
		Configs: w.Configs, Files: w.Files, Jobs: w.Jobs, Sessions: w.Sessions, Keys: w.Keys, Policies: w.Policies, People: w.People, Runs: w.Runs, Calls: w.Calls, Account: w.Own, DoorSessions: w.Doors,
		SharedSchedules: w.SharedSchedules,
		Destinations:    w.Destinations, Workers: w.Workers, Places: w.Places,
		Feed: w.Feed, Schedules: w.Schedules, EventsKept: 7 * 24 * time.Hour,
		Deliveries: w.Deliveries, Subscriptions: w.Subscriptions, Audit: w.Audit,
		Limits:  api.Limits{Doors: map[string]limit.Rule{"native": {}, "diem": {}, "informatica": {}}, Login: limit.Rule{Name: "login"}},
		BaseURL: func() string { return "http://localhost:8080" },
		Product: api.Product{Name: "Waybill", Version: "1.2.3", BuildDate: "2026-03-17", Copyright: "The Waybill authors"}, CursorKey: bytes.Repeat([]byte{7}, 32),
		Now: w.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, register := range []func(*api.Server) error{native.Register, informatica.Register, diem.Register} {
		if err := register(w.server); err != nil {
			t.Fatal(err)
		}
	}
	w.fill()
	return w
}

// retention is an engine that takes the wish for a run.
type retention struct{}

func (retention) Ensure(gocontext.Context, time.Duration) error { return nil }
func (retention) RunNow(gocontext.Context) error                { return nil }

// call makes a call and gives its answer as JSON.
func (w *world) call(status int, method, path string, body any, headers ...string) map[string]any {
	w.t.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		text = b
	case string:
		text = []byte(b)
	default:
		text, _ = json.Marshal(b)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, bytes.NewReader(text))
	r.RemoteAddr = "192.0.2.1:40000"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+w.tokens["admin"])
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, r)
	if answer.Code != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, answer.Code, status, answer.Body)
	}
	var v map[string]any
	_ = json.Unmarshal(answer.Body.Bytes(), &v)
	return v
}

func (w *world) signIn(name string) {
	w.t.Helper()
	w.tokens[name], _ = w.call(200, "POST", "/api/login", map[string]string{"username": name, "password": password})["access_token"].(string)
}

// signedIn tells whether a user's credentials are good still: one of the calls may have been a logout. It signs in anew, if that
// is still possible.
func (w *world) signedIn(name string) bool {
	ctx, from := w.t.Context(), "198.51.100.1"
	if _, err := w.Sessions.Authenticate(ctx, w.tokens[name]); err != nil {
		grant, err := w.Sessions.Login(ctx, name, password, from)
		if err != nil {
			return false
		}
		w.tokens[name] = grant.Access
	}
	if _, err := w.Doors.Authenticate(ctx, w.doors[name]); err != nil {
		login, err := w.Doors.Login(ctx, name, password, from)
		if err != nil {
			return false
		}
		w.doors[name] = login.Session
	}
	if w.keys[name] == "" {
		actor, err := w.Sessions.Authenticate(ctx, w.tokens[name])
		if err != nil {
			return false
		}
		_, key, err := w.Keys.Create(ctx, actor, control.APIKeyInput{Name: "key of " + name})
		if err != nil {
			w.t.Fatal(err)
		}
		w.keys[name] = key
	}
	return true
}

// fill puts something of everything into the database, and its ids into the pool.
func (w *world) fill() {
	t := w.t
	w.User(t, "gina", password)
	w.Account(t, "other", "olga", password)
	for _, name := range []string{"admin", "gina", "olga"} {
		w.signIn(name)
		if !w.signedIn(name) {
			t.Fatalf("%s can not sign in", name)
		}
	}
	raw := []string{"Content-Type", "application/octet-stream"}
	w.call(201, "POST", "/api/account/1/files?key=lib.sh", "lib", raw...)
	w.call(201, "POST", "/api/users/1/files?key=run.sh", "run", raw...)
	names := []string{"orders nightly", "stock hourly", "invoices"}
	for i := range names {
		config := w.call(201, "POST", "/api/jobconfigs", map[string]any{
			"name": names[i], "objectId": fmt.Sprintf("69b9207100000000000000a%d", i+1),
			"runtimeConfig": map[string]any{"packageName": "run.zip", "entryPoint": "main.sh", "macros": []any{map[string]any{"key": "A", "value": "b"}}},
		})
		id, _ := config["id"].(string)
		w.call(201, "POST", "/api/jobconfigs/"+id+"/files?key=run.zip", archive(t), raw...)
		w.add("jobconfigs", id, fmt.Sprint(config["objectId"]))
		w.add("names", names[i])
		for range 2 {
			started := w.call(202, "POST", "/api/jobconfigs/"+id+"/jobs", nil)
			w.add("jobs", fmt.Sprint(started["id"]))
		}
	}
	idle, _ := w.call(201, "POST", "/api/jobconfigs", map[string]any{
		"name": "prices", "objectId": "69b9207100000000000000a4", "runtimeConfig": map[string]any{"packageName": "run.zip", "entryPoint": "main.sh"},
	})["id"].(string)
	w.call(201, "POST", "/api/jobconfigs/"+idle+"/files?key=run.zip", archive(t), raw...)
	w.add("jobconfigs", idle, "69b9207100000000000000a4")
	w.add("names", "prices")
	first, over := w.pool["jobconfigs"][0], job.ID(w.pool["jobs"][0])
	w.call(201, "POST", "/api/jobconfigs/"+first+"/filelinks", map[string]string{"entityType": "ACCOUNT", "fileName": "lib.sh"})
	w.call(201, "POST", "/api/jobconfigs/"+first+"/schedule", map[string]string{"cronSchedule": "0 3 * * *"})
	w.call(201, "POST", "/api/jobconfigs/"+first+"/subscription", map[string]any{"recipients": []string{"a@example.com"}})
	w.call(201, "POST", "/api/destinations", map[string]string{"name": "south"})
	w.add("destinations", "1", "2", "3")
	fence := w.Take(t, 1, over)
	report := job.Report{At: w.Now(), Steps: []job.Step{{Name: "load", Status: job.Running, StartedAt: w.Now()}}}
	for _, id := range []string{"r1", "r2"} {
		report.Errors = append(report.Errors, job.RecordError{RecordID: id, Step: "load", Code: "422", Message: "no", OccurredAt: w.Now(), Data: []byte(`{"id":1}`)})
	}
	if err := w.Store.Report(t.Context(), 1, over, fence, report); err != nil {
		t.Fatal(err)
	}
	w.Logs.Append(over, "2026-03-17T09:40:58.000Z read 120 rows\n")
	w.Finish(t, 1, over, fence, controltest.Exit(3))
	w.Take(t, 1, job.ID(w.pool["jobs"][1])) // and one that runs
	w.add("accounts", "1", "2")
	w.add("users", "1", "2", "3")
	w.add("keys", "run.zip", "run.sh", "lib.sh", "none.sh")
	w.add("records", "r1", "r2")
	w.add("any", "1", "2", "main", "admin", "gina", "olga", password)
}

func (w *world) add(kind string, ids ...string) { w.pool[kind] = append(w.pool[kind], ids...) }

func archive(t testing.TB) []byte {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	f, err := z.Create("main.sh")
	if err == nil {
		_, err = f.Write([]byte("#!/bin/sh\n"))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// unwatched are tables that a refused call may write, and columns that any call may.
var (
	unwatched = map[string]bool{
		"audit_log": true, "login_failures": true, "login_attempts": true, "login_places": true, "call_buckets": true, "token_families": true,
		"door_sessions": true, "sqlite_sequence": true, "goose_db_version": true, "sqlite_stat1": true,
	}
	unwatchedColumns = map[string]bool{"used_at": true, "last_used_at": true, "last_use": true, "last_used": true}
)

// digest is a digest of everything that a refused call must leave as it was.
func (w *world) digest() map[string]uint64 {
	w.t.Helper()
	out := map[string]uint64{}
	for _, name := range w.tableNames() {
		if unwatched[name] {
			continue
		}
		sum := fnv.New64a()
		w.each(name, func(column string, v []byte) {
			if !unwatchedColumns[column] {
				_, _ = sum.Write(append(v, 0))
			}
		})
		out[name] = sum.Sum64()
	}
	return out
}

func (w *world) tableNames() (names []string) {
	w.t.Helper()
	rows, err := w.tables.QueryContext(w.t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		w.t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Close(); err != nil {
		w.t.Fatal(err)
	}
	return names
}

// each sees every value of a table.
func (w *world) each(table string, see func(column string, v []byte)) {
	w.t.Helper()
	rows, err := w.tables.QueryContext(w.t.Context(), "SELECT * FROM "+table)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		w.t.Fatal(err)
	}
	values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			w.t.Fatal(err)
		}
		for i, v := range values {
			see(columns[i], v)
		}
	}
	if rows.Err() != nil {
		w.t.Fatal(rows.Err())
	}
}

// version changes with every commit.
func (w *world) version() (n int64) {
	if err := w.tables.QueryRowContext(w.t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// badTokens are access tokens that nobody may get in with.
func badTokens(now func() time.Time) map[string]string {
	claims := token.Claims{UserID: 1, AccountID: 1, Role: "ROLE_ADMIN", Family: "x", ExpiresAt: now().Add(time.Hour)}
	forged, _ := token.NewSigner(bytes.Repeat([]byte{9}, 32), now).Sign(claims, now())
	claims.ExpiresAt = now().Add(-time.Hour)
	expired, _ := token.NewSigner(make([]byte, 32), now).Sign(claims, now().Add(-2*time.Hour))
	parts := strings.Split(forged, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
	return map[string]string{
		"forged": forged, "expired": expired, "alg none": none, "alg NONE": "eyJhbGciOiJOT05FIn0." + parts[1] + "." + parts[2], "garbage": "a.b.c",
		"huge": strings.Repeat("x", 60_000), "empty": "", "not text": "\x01\xff\xfe.é.ü", "null": "null",
	}
}

var _ http.Handler = (*api.Server)(nil)
