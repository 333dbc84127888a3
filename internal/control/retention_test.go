package control_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// histories plays the engine: it remembers whose histories it was asked to delete.
type histories struct {
	deleted map[job.ID]int
	fail    func(id job.ID) error
}

func (h *histories) DeleteHistory(_ context.Context, id job.ID) (int, error) {
	if h.fail != nil {
		if err := h.fail(id); err != nil {
			return 0, err
		}
	}
	h.deleted[id]++
	return 1, nil
}

// retained is a World with finished jobs that are over their count, all but one.
type retained struct {
	*controltest.World
	*control.Retention
	engine  *histories
	counted job.Purged
	jobs    []job.ID
}

func newRetained(t *testing.T, jobs int) *retained {
	t.Helper()
	made := newWorld(t)
	store, w := made.store, made.World
	r := &retained{World: w, engine: &histories{deleted: map[job.ID]int{}}}
	r.Retention = &control.Retention{
		Store: store, Blobs: store, Objects: w.Objects, Histories: r.engine, Default: job.Retention{MaxCount: 1}, Now: w.Now,
		Log: slog.New(slog.DiscardHandler), Count: func(p job.Purged) { r.counted = r.counted.Plus(p) },
	}
	admin := job.Actor{AccountID: 1, User: job.UserRef{ID: 1, Name: "admin"}, Admin: true}
	c, err := w.Configs.Create(t.Context(), admin, control.ConfigInput{Name: "c", Runtime: job.RuntimeConfig{PackageName: "p.sh"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Files.Add(t.Context(), admin, control.OfConfig(c.ObjectID), control.Upload{Key: "p.sh", Body: strings.NewReader("echo")}); err != nil {
		t.Fatal(err)
	}
	for range jobs {
		s, err := w.Jobs.Submit(t.Context(), admin, control.SubmitRequest{Config: c.ObjectID})
		if err != nil {
			t.Fatal(err)
		}
		w.Finish(t, 1, s.Job.ID, w.Take(t, 1, s.Job.ID), controltest.Exit(0))
		w.Pass(time.Second)
		for _, name := range []string{"log/1", "log/2", "out/1/a b", "data/x"} {
			if _, err := w.Objects.Put(t.Context(), job.JobPrefix(1, s.Job.ID)+name, strings.NewReader("12345"), 5); err != nil {
				t.Fatal(err)
			}
		}
		r.jobs = append(r.jobs, s.Job.ID)
	}
	w.Pass(time.Minute)
	return r
}

// all runs batches to the end.
func (r *retained) all(t *testing.T) (sum job.Purged, err error) {
	t.Helper()
	started := r.World.Now()
	for mark, calls := (job.RetentionMark{}), 0; !mark.Done; calls++ {
		if calls > 100 {
			t.Fatal("no end")
		}
		var deleted job.Purged
		if mark, deleted, err = r.Batch(t.Context(), started, mark, func() {}); err != nil {
			return sum, err
		}
		sum = sum.Plus(deleted)
	}
	return sum, nil
}

func TestRowsObjectsAndHistoriesGoTogether(t *testing.T) {
	t.Parallel()
	r := newRetained(t, 6)
	sum, err := r.all(t)
	want := job.Purged{Jobs: 5, Histories: 5, Objects: 20, Bytes: 100}
	if err != nil || sum != want || r.counted != want {
		t.Errorf("deleted %+v, counted %+v, %v; want %+v", sum, r.counted, err, want)
	}
	if r.Objects().Len() != 4+1 { // those of the job that is kept, and the package
		t.Errorf("%d objects are left, want 5", r.Objects().Len())
	}
	for i, id := range r.jobs {
		_, err := r.World.Store.Job(t.Context(), 1, id)
		if gone := job.CodeOf(err) == job.NotFound; gone != (i < 5) || gone != (r.engine.deleted[id] == 1) {
			t.Errorf("job %d: row gone %v, histories deleted %d times", i, gone, r.engine.deleted[id])
		}
	}
	last, err := r.Retention.Store.RetentionResult(t.Context(), 1)
	if err != nil || last.Purged != want || !last.Done {
		t.Errorf("result %+v, %v", last, err)
	}
}

func (r *retained) Objects() *controltest.Objects { return r.World.Objects }

func TestWhatAnOutageLeftIsDoneByTheNextRun(t *testing.T) {
	t.Parallel()
	away := job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	for name, part := range map[string]func(r *retained, err error){
		"the engine is away": func(r *retained, err error) {
			r.engine.fail = func(id job.ID) error {
				if id == r.jobs[2] {
					return err
				}
				return nil
			}
		},
		"the object store is away": func(r *retained, err error) { r.Objects().SetFail(err) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRetained(t, 6)
			part(r, away)
			if _, err := r.all(t); job.CodeOf(err) != job.Unavailable {
				t.Fatalf("error %v, want unavailable", err)
			}
			// No half job is seen meanwhile: the rows are gone already.
			if _, err := r.World.Store.Job(t.Context(), 1, r.jobs[2]); job.CodeOf(err) != job.NotFound {
				t.Errorf("row of a job under way: %v", err)
			}
			part(r, nil)
			if _, err := r.all(t); err != nil {
				t.Fatal(err)
			}
			if r.counted.Jobs != 5 || r.Objects().Len() != 5 || len(r.engine.deleted) != 5 {
				t.Errorf("counted %+v, %d objects left, histories of %d jobs deleted", r.counted, r.Objects().Len(), len(r.engine.deleted))
			}
		})
	}
}

func TestAJobThatCanNotBePurgedDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	r := newRetained(t, 6)
	r.engine.fail = func(id job.ID) error {
		if id == r.jobs[2] {
			return job.Errorf(job.Internal, job.WordInternal, "a defect")
		}
		return nil
	}
	sum, err := r.all(t)
	if err != nil || sum.Jobs != 4 || sum.Failed == 0 {
		t.Errorf("deleted %+v, %v; want four jobs and a failure", sum, err)
	}
	r.engine.fail = nil
	if sum, err = r.all(t); err != nil || sum.Jobs != 1 {
		t.Errorf("then %+v, %v; want the one that was left", sum, err)
	}
}

func TestAnEngineWhoseClockIsAheadTakesNothingEarly(t *testing.T) {
	t.Parallel()
	r := newRetained(t, 3)
	r.Default = job.Retention{MaxAge: 24 * time.Hour}
	r.World.Pass(23 * time.Hour)
	ahead := 2 * time.Hour
	run := func() (sum job.Purged) {
		t.Helper()
		started := r.World.Now().Add(ahead)
		for mark, calls := (job.RetentionMark{}), 0; !mark.Done; calls++ {
			next, deleted, err := r.Batch(t.Context(), started, mark, func() {})
			if err != nil || calls > 100 {
				t.Fatalf("batch %d: %v", calls, err)
			}
			mark, sum = next, sum.Plus(deleted)
		}
		last, err := r.Retention.Store.RetentionResult(t.Context(), 1)
		if err != nil || !last.Started.Equal(started) || last.Purged != sum {
			t.Errorf("result %+v, %v; want what was deleted: %+v", last, err, sum)
		}
		return sum
	}
	if sum := run(); sum.Jobs != 0 {
		t.Errorf("deleted %+v, an hour before anything is over its age", sum)
	}
	r.World.Pass(2 * time.Hour)
	if sum := run(); sum.Jobs != 3 {
		t.Errorf("deleted %+v, an hour after all are over their age", sum)
	}
}

func TestAJobThatHasJustEndedIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRetained(t, 3)
	r.World.Pass(-time.Minute)
	if sum, err := r.all(t); err != nil || sum.Jobs != 0 {
		t.Errorf("deleted %+v, %v; want nothing", sum, err)
	}
}
