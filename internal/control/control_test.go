package control_test

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/xid"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
	"waybill/storage/sqlstore/sqltest"
	"waybill/workflows/contract"
)

func newID() string {
	id := xid.New()
	return hex.EncodeToString(id[:])
}

// world is controltest's, over a real SQLite database, with an engine whose states a test can set.
type world struct {
	*controltest.World
	t        *testing.T
	store    *sqlstore.Store
	engine   *engine
	configs  *control.Configs
	jobs     *control.Jobs
	sessions *control.Sessions
	mender   *control.Reconciler
	admin    job.Actor
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := func() time.Time { return controltest.Start } // until there is a world to ask
	store := sqltest.Open(t, func() time.Time { return now() })
	base := controltest.New(t, store)
	now = base.Now
	w := &world{
		World: base, t: t, store: store, engine: &engine{states: map[job.ID]control.EngineState{}},
		configs: base.Configs, jobs: base.Jobs, sessions: base.Sessions,
	}
	w.jobs.Starter = w.engine
	w.mender = &control.Reconciler{
		Backlog: store, Settlement: store, Writer: store, Users: store, Starter: w.engine, Lanes: base.Engine, Bell: w.jobs.Bell, Limits: w.jobs.Limits,
		Now: base.Now, Log: w.jobs.Log,
	}
	u, err := store.UserByName(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.admin = job.Actor{AccountID: u.AccountID, User: u.Ref(), Admin: true}
	return w
}

// another makes a second account with an admin of that name.
func (w *world) another(admin string) job.Actor {
	w.t.Helper()
	return w.Account(w.t, "account-of-"+admin, admin, "password-of-"+admin)
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
		SHA256: hex.EncodeToString(make([]byte, 32)), CreatedAt: w.Now(), CreatedBy: c.Owner,
	})
	if err == nil {
		_, err = w.Objects.Put(w.t.Context(), job.BlobKey(c.AccountID, hex.EncodeToString(make([]byte, 32))), strings.NewReader("x"), 1)
	}
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
	ctx, fence := w.t.Context(), job.Fence(w.Now(), 1)
	if _, _, err := w.store.Begin(ctx, j.AccountID, j.ID, fence, "worker", w.Now()); err != nil {
		w.t.Fatal(err)
	}
	o.At = w.Now()
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

// engine is a Starter that remembers.
type engine struct {
	mu         sync.Mutex
	down       bool
	asked      int // starts, successful or not
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
	e.asked++
	if e.down {
		return errDown
	}
	if in.JobID == e.refused {
		return job.Errorf(job.Internal, job.WordInternal, "could not start the job")
	}
	if _, there := e.states[in.JobID]; there { // already started is not an error
		return nil
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
