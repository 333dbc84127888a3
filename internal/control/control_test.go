package control_test

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/xid"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/secret"
	"waybill/internal/token"
	"waybill/storage/sqlstore"
	"waybill/workflows/contract"
)

// world is the use cases over a real SQLite database and a hand-made engine.
type world struct {
	t        *testing.T
	store    *sqlstore.Store
	engine   *engine
	configs  *control.Configs
	jobs     *control.Jobs
	sessions *control.Sessions
	mender   *control.Reconciler
	admin    job.Actor
	mu       sync.Mutex
	now      time.Time
}

func newID() string {
	id := xid.New()
	return hex.EncodeToString(id[:])
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Driver: sqlstore.SQLite, Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.NewKeys(make([]byte, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(keys, "macros")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, engine: &engine{states: map[job.ID]control.EngineState{}}, now: time.Now().UTC().Truncate(time.Second)}
	bell, log := control.NewBell(), slog.New(slog.NewTextHandler(io.Discard, nil))
	limits := control.Limits{Grace: 10 * time.Second, HeartbeatTimeout: 15 * time.Second}
	w.configs = &control.Configs{Reader: store, Writer: store, Sealer: box, Now: w.clock, NewID: newID}
	w.jobs = &control.Jobs{
		Reader: store, Writer: store, Configs: w.configs, Files: store, Users: store, Starter: w.engine, Sealer: box, Bell: bell,
		Limits: limits, Now: w.clock, NewID: func() job.ID { return job.ID(newID()) }, Log: log,
	}
	w.sessions = &control.Sessions{
		Users: store, Tokens: store, Lockouts: store, Passwords: plain{}, Signer: token.NewSigner(make([]byte, 32), w.clock),
		Now: w.clock, NewFamily: newID,
	}
	w.mender = &control.Reconciler{
		Backlog: store, Settlement: store, Writer: store, Users: store, Starter: w.engine, Bell: bell, Limits: limits, Now: w.clock, Log: log,
	}
	w.admin = w.account("default", "admin")
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) account(name, admin string) job.Actor {
	w.t.Helper()
	accounts := control.Accounts{Users: w.store, Hasher: plain{}, Now: w.clock}
	a, u, err := accounts.Create(w.t.Context(), name, admin, "password-of-"+admin, "queue")
	if err != nil {
		w.t.Fatal(err)
	}
	return job.Actor{AccountID: a.ID, User: u.Ref(), Admin: true}
}

// runnable makes a job config with a package in one version.
func (w *world) runnable(a job.Actor, name string) job.Config {
	w.t.Helper()
	c, err := w.configs.Create(w.t.Context(), a, control.ConfigInput{Name: name, Runtime: job.RuntimeConfig{PackageName: "p.sh", EntryPoint: "p.sh"}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.upload(c, 64)
	return c
}

func (w *world) upload(c job.Config, size int64) {
	w.t.Helper()
	_, err := w.store.AddFile(w.t.Context(), job.File{
		AccountID: c.AccountID, EntityType: job.EntityJobConfig, EntityID: c.ID, Key: "p.sh", Size: size,
		SHA256: hex.EncodeToString(make([]byte, 32)), CreatedAt: w.clock(), CreatedBy: c.Owner,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) submit(c job.Config) job.Job {
	w.t.Helper()
	s, err := w.jobs.Submit(w.t.Context(), w.admin, control.SubmitRequest{Config: c.ObjectID})
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Job
}

func (w *world) job(id job.ID) job.Job {
	w.t.Helper()
	j, err := w.store.Job(w.t.Context(), w.admin.AccountID, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// finish plays the worker: it takes the job and ends it.
func (w *world) finish(j job.Job, o job.Outcome) {
	w.t.Helper()
	ctx, fence := w.t.Context(), job.Fence(w.clock(), 1)
	if _, _, err := w.store.Begin(ctx, j.AccountID, j.ID, fence, "worker", w.clock()); err != nil {
		w.t.Fatal(err)
	}
	o.At = w.clock()
	if _, err := w.store.Finish(ctx, j.AccountID, j.ID, fence, o); err != nil {
		w.t.Fatal(err)
	}
}

var exitOne = 1

func failed() job.Outcome {
	return job.Outcome{Status: job.Failed, Reason: job.ReasonError, ReturnCode: &exitOne}
}

// want checks class and word of an error.
func want(t *testing.T, err error, code job.Code, word job.Word) {
	t.Helper()
	if job.CodeOf(err) != code || job.WordOf(err) != word {
		t.Errorf("err = %v (%s %s), want %s %s", err, job.CodeOf(err), job.WordOf(err), code, word)
	}
}

// plain compares passwords as they are: argon2id is slow on purpose.
type plain struct{}

func (plain) Hash(_ context.Context, p string) (string, error) { return "plain:" + p, nil }
func (plain) Matches(_ context.Context, p, hash string) (bool, error) {
	return hash == "plain:"+p, nil
}

// engine is a Starter that remembers.
type engine struct {
	mu         sync.Mutex
	down       bool
	starts     []contract.JobInput
	cancels    []job.ID
	states     map[job.ID]control.EngineState
	terminated []job.ID
	refused    job.ID // whose start the engine refuses for good
}

var errDown = job.Errorf(job.Unavailable, job.WordDependencyDown, "The engine is down")

func (e *engine) ok() error {
	if e.down {
		return errDown
	}
	return nil
}

func (e *engine) StartJob(_ context.Context, in contract.JobInput) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return errDown
	}
	if in.JobID == e.refused {
		return job.Errorf(job.Internal, job.WordInternal, "could not start the job")
	}
	e.starts = append(e.starts, in)
	e.states[in.JobID] = control.EngineOpen
	return nil
}

func (e *engine) CancelJob(_ context.Context, id job.ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancels = append(e.cancels, id)
	return e.ok()
}

func (e *engine) JobState(_ context.Context, id job.ID, _ bool) (control.EngineState, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s, ok := e.states[id]; ok {
		return s, e.ok()
	}
	return control.EngineAbsent, e.ok()
}

func (e *engine) Terminated(context.Context, time.Time) ([]job.ID, error) {
	return e.terminated, e.ok()
}
func (e *engine) Ping(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ok()
}
