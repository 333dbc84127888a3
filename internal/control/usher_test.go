package control_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// reminders plays the workflows of jobs that were admitted: fail is what the engine answers for one of them.
type reminders struct {
	told []job.ID
	fail map[job.ID]error
}

func (r *reminders) Remind(_ context.Context, id job.ID) (bool, error) {
	r.told = append(r.told, id)
	return true, r.fail[id]
}

func newUsher(w *world, r *reminders) control.Duty {
	u := &control.Usher{Jobs: w.store, Engine: r, Now: w.Now, Log: w.jobs.Log}
	return u.Duty()
}

// admitted makes a lane with a job that was admitted, and whose lane was lost before it could tell it; others wait behind it.
func (w *world) admitted(name string, waiting int) job.ID {
	w.t.Helper()
	c := w.limited(w.admin, name, job.Rules{Blocking: true})
	first, next := w.submit(c), w.submit(c)
	for range waiting {
		w.submit(c)
	}
	w.finish(first, failed())
	l := job.LaneRef{AccountID: next.AccountID, Lane: next.Lane}
	if state, err := w.store.AdvanceLane(w.t.Context(), l, w.Now()); err != nil || len(state.Changed) != 1 {
		w.t.Fatalf("%+v, %v", state, err)
	}
	return next.ID
}

func TestJobsWhoseLaneWasLostBeforeItToldThemAreTold(t *testing.T) {
	w := newWorld(t)
	alone, before := w.admitted("alone", 0), w.admitted("with others behind it", 2)
	r := &reminders{}
	duty := newUsher(w, r)
	look(t, duty, 1)
	if len(r.told) != 0 {
		t.Errorf("told %v, and their lanes had no time for it", r.told)
	}
	w.Pass(time.Minute)
	look(t, duty, 1)
	if want := []job.ID{alone, before}; !slices.Equal(r.told, want) {
		t.Errorf("told %v, want %v", r.told, want)
	}
	if _, _, err := w.store.Begin(t.Context(), w.admin.AccountID, alone, 1, "worker", w.Now()); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Minute)
	r.told = nil
	look(t, duty, 1)
	if want := []job.ID{before}; !slices.Equal(r.told, want) {
		t.Errorf("told %v, want %v: a worker has the other", r.told, want)
	}
}

func TestTheUsherGoesOnBehindAJobAndStopsAtAnOutage(t *testing.T) {
	w := newWorld(t)
	var ids []job.ID
	for i := range 3 {
		ids = append(ids, w.admitted(fmt.Sprintf("lane %d", i), 0))
	}
	w.Pass(time.Minute)
	r := &reminders{fail: map[job.ID]error{ids[0]: job.Errorf(job.Internal, job.WordInternal, "odd")}}
	duty := newUsher(w, r)
	look(t, duty, 1)
	if !slices.Equal(r.told, ids) {
		t.Errorf("told %v, want %v", r.told, ids)
	}
	r.told, r.fail[ids[1]] = nil, job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	if err := duty.Do(t.Context(), false); job.CodeOf(err) != job.Unavailable || !slices.Equal(r.told, ids[:2]) {
		t.Errorf("told %v, %v", r.told, err)
	}
	r.told, r.fail = nil, nil
	look(t, duty, 2)
	if want := []job.ID{ids[1], ids[2], ids[0], ids[1], ids[2]}; !slices.Equal(r.told, want) {
		t.Errorf("told %v, want %v: on from where it stopped, and then all", r.told, want)
	}
}
