package diem_test

import (
	"net/http"
	"slices"
	"testing"

	"waybill/internal/job"
)

// Once a run is stored it is accepted, and started when the engine is back (docs/diem.md); who waits for an answer is told at once.
func TestStartsWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.worker()
	f.Engine.SetDown(true)
	started := f.call("apijob", asked("start")).want(t, 200, `{"message":"job started"}`).run(t)
	if j := f.stored(started); j.Status != job.Queued || !j.Unreachable {
		t.Errorf("the run is %s, unreachable %v", j.Status, j.Unreachable)
	}
	r := f.call("services", `{"id":"`+random+`"}`).want(t, 503, `{"message":"Service Unavailable","status":503}`)
	if r.Header().Get("Retry-After") == "" {
		t.Errorf("headers %v", r.Header())
	}
	list, _, err := f.Store.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: f.account}, Size: 10})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%d jobs, %v", len(list.Items), err)
	}
	called := list.Items[slices.IndexFunc(list.Items, func(j job.Job) bool { return j.ID != started })]
	if called.Status != job.Cancelled {
		t.Errorf("the call's job is %s", called.Status)
	}
}

// The object store is what workers need: a start does without.
func TestStartsWhileTheObjectStoreIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Objects.SetFail(job.Errorf(job.Unavailable, job.WordDependencyDown, "The object store is down"))
	if j := f.stored(f.call("apijob", asked("start")).want(t, 200, `{"message":"job started"}`).run(t)); j.Status != job.Queued || j.Unreachable {
		t.Errorf("the run is %s, unreachable %v", j.Status, j.Unreachable)
	}
}

// The transid of a run is the X-Request-Id of its own start, through whichever door it came in, and not that of the run it retries.
func TestEveryRunHasATransidOfItsOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	g, err := f.Sessions.Login(t.Context(), "dan@example.com", "password-of-dan", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	native := func(path string, changes ...with) {
		t.Helper()
		changes = append(changes, header("x-api-key", ""), header("Authorization", "Bearer "+g.Access))
		if r := f.do("POST", path, nil, changes...); r.Code != http.StatusAccepted {
			t.Fatalf("%s: %d %s", path, r.Code, r.text)
		}
	}
	newest := func(transid string) job.ID {
		t.Helper()
		_, list, err := f.Runs.Last(t.Context(), f.dan, orders, job.View, 1)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		j := list[0]
		f.Finish(t, f.account, j.ID, f.Take(t, f.account, j.ID), job.Outcome{Status: job.Failed, Reason: job.ReasonError, At: f.Now()})
		if got := f.stored(j.ID).Spec.Caller; got.Request != transid || got.Reference != "" && transid != "the-first" {
			t.Errorf("the run's caller is %+v, want %q", got, transid)
		}
		f.Pass(1e9)
		return j.ID
	}
	f.call("apijob", `{"id":"`+orders+`","jobid":"ref"}`, header("X-Request-Id", "the-first")).want(t, 200, `{"message":"job started"}`)
	first := newest("the-first")
	native("/api/jobs/"+string(first)+"/retry", header("X-Request-Id", "the-second"))
	second := newest("the-second")
	native("/api/jobs/" + string(second) + "/retry")
	newest("") // it has a UUID made of its id
	native("/api/jobconfigs/"+orders+"/jobs", header("X-Request-Id", "the-third"))
	newest("the-third")
}

func (f *fixture) stored(id job.ID) job.Job {
	f.t.Helper()
	j, err := f.Store.Job(f.t.Context(), f.account, id)
	if err != nil {
		f.t.Fatal(err)
	}
	return j
}
