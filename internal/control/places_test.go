package control_test

import (
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

func (w *world) worker(id string, d job.Destination, status job.WorkerStatus) {
	w.t.Helper()
	_, err := w.store.Beat(w.t.Context(), job.Worker{
		ID: id, AccountID: d.AccountID, TaskQueue: d.TaskQueue, Concurrency: 1, Status: status, StartedAt: w.Now(), BeatAt: w.Now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) view() *control.PlacesView {
	w.t.Helper()
	v, err := w.Places.View(w.t.Context(), w.admin.AccountID)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func TestADestinationsLifeAndWhoMayChangeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	user := job.Actor{AccountID: w.admin.AccountID, User: job.UserRef{ID: 99, Name: "user"}}
	_, err := w.Destinations.Create(ctx, user, control.DestinationInput{Name: "north"})
	want(t, err, job.Forbidden, job.WordAccessDenied)
	made, err := w.Destinations.Create(ctx, w.admin, control.DestinationInput{Name: "  north ", Description: "far"})
	if err != nil || made.Name != "north" || made.Description != "far" || made.Workers != 0 || made.System {
		t.Fatalf("made %+v, %v", made, err)
	}
	id := "2"
	got, err := w.Destinations.Get(ctx, user, id)
	if err != nil || got != made {
		t.Errorf("a user reads %+v, %v", got, err)
	}
	_, replaced := w.Destinations.Replace(ctx, user, id, control.DestinationInput{Name: "x"})
	for _, err := range []error{
		w.Destinations.Delete(ctx, user, id), w.Destinations.SetDefault(ctx, user, id),
		replaced, w.Destinations.ClearDefault(ctx, user, ""), w.Destinations.ClearDefault(ctx, user, id),
	} {
		want(t, err, job.Forbidden, job.WordAccessDenied)
	}
	for name, word := range map[string]job.Word{"": job.WordMissingField, "a/b": job.WordInvalidField, "a\nb": job.WordInvalidField} {
		_, err := w.Destinations.Create(ctx, w.admin, control.DestinationInput{Name: name})
		want(t, err, job.Invalid, word)
	}
	for _, ref := range []string{"", "0", "-1", "02", "north", "99", "99999999999999999999"} {
		_, err := w.Destinations.Get(ctx, w.admin, ref)
		want(t, err, job.NotFound, job.WordNotFound)
		want(t, w.Destinations.Delete(ctx, w.admin, ref), job.NotFound, job.WordNotFound)
	}
	if err := w.Destinations.SetDefault(ctx, w.admin, id); err != nil {
		t.Fatal(err)
	}
	c := w.runnable(w.admin, "on the default")
	j := w.submit(c)
	if j.Destination != made.ID {
		t.Errorf("the job goes to %d, want the account's default %d", j.Destination, made.ID)
	}
	want(t, w.Destinations.Delete(ctx, w.admin, id), job.Conflict, job.WordDestinationInUse)
	if list, err := w.Destinations.List(ctx, user); err != nil || len(list) != 2 || list[1].Queued != 1 {
		t.Errorf("List = %+v, %v, want one queued job on the second", list, err)
	}
	if err := w.Destinations.ClearDefault(ctx, w.admin, ""); err != nil {
		t.Fatal(err)
	}
	if j := w.submit(c); j.Destination != 1 {
		t.Errorf("without a default the job goes to %d, want the system's", j.Destination)
	}
}

func TestAWorkerIsToldToDrainByAdminsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	d, err := w.store.Destination(ctx, w.admin.AccountID, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.worker("one", d, job.WorkerOnline) // of the shared queue, owned by this account
	if n := w.view().Online(d.ID); n != 1 {
		t.Errorf("%d workers are online, want 1", n)
	}
	_, err = w.Workers.Drain(ctx, job.Actor{AccountID: w.admin.AccountID}, "one")
	want(t, err, job.Forbidden, job.WordAccessDenied)
	got, err := w.Workers.Drain(ctx, w.admin, "one")
	if err != nil || got.StatusAt(w.Now()) != job.WorkerDraining {
		t.Errorf("Drain = %+v, %v", got, err)
	}
	if n := w.view().Online(d.ID); n != 0 {
		t.Errorf("%d workers are online after a drain, want none: what was known must be forgotten", n)
	}
	got, err = w.Workers.Resume(ctx, w.admin, "one")
	if err != nil || got.StatusAt(w.Now()) != job.WorkerOnline {
		t.Errorf("Resume = %+v, %v", got, err)
	}
	_, err = w.Workers.Drain(ctx, w.admin, "two")
	want(t, err, job.NotFound, job.WordNotFound)

	w.Pass(25 * time.Hour)
	if err := w.Workers.PurgeDuty().Do(ctx, false); err != nil {
		t.Fatal(err)
	}
	if list, err := w.Workers.List(ctx, w.admin); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v, want that the worker is forgotten", list, err)
	}
}

func TestWhatIsKnownOfWorkersIsOfTheLastTwoSeconds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, err := w.store.Destination(t.Context(), w.admin.AccountID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if w.view().Online(d.ID) != 0 {
		t.Fatal("a worker is online before there is one")
	}
	w.worker("one", d, job.WorkerOnline)
	if w.view().Online(d.ID) != 0 {
		t.Error("it was looked up again at once")
	}
	w.Pass(2 * time.Second)
	if w.view().Online(d.ID) != 1 {
		t.Error("it was not looked up again")
	}
	w.Pass(job.WorkerSilence + time.Second)
	if w.view().Online(d.ID) != 0 {
		t.Error("a silent worker counts as online")
	}
}

func TestAJobThatNobodyWillRunIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here, err := w.store.Destination(t.Context(), w.admin.AccountID, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := w.Now()
	long, short := now.Add(-31*time.Second), now.Add(-29*time.Second)
	queued := func(at time.Time) job.Job {
		return job.Job{Status: job.Queued, ScheduledAt: at, Destination: here.ID}
	}
	running := job.Job{Status: job.Running, Worker: "gone", ReceivedAt: long, Destination: here.ID}
	paused, laned, unreached := queued(long), queued(long), queued(long)
	paused.StartAfter, laned.Reason, unreached.Unreachable = now.Add(time.Second), job.ReasonSequenced, true
	held := running
	held.Worker = "draining"
	ended := queued(long)
	ended.Status = job.Completed

	w.worker("draining", here, job.WorkerDraining)
	for name, c := range map[string]struct {
		j    job.Job
		want bool
	}{
		"queued for long": {queued(long), true}, "queued a moment ago": {queued(short), false}, "waits for its time": {paused, false},
		"waits in its lane": {laned, false}, "not started yet": {unreached, false}, "its worker went away": {running, true},
		"its worker drains": {held, false}, "has ended": {ended, false},
	} {
		if got := w.view().NoWorker(c.j, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	var unknown *control.PlacesView
	if unknown.NoWorker(queued(long), now) || unknown.Online(1) != 0 || unknown.Name(1) != "" {
		t.Error("a view that knows nothing says something")
	}
	w.worker("here", here, job.WorkerOnline)
	w.Places.Forget(w.admin.AccountID)
	if v := w.view(); v.NoWorker(queued(long), now) || v.NoWorker(running, now) {
		t.Error("with a worker that takes jobs nobody is said to be there")
	}
}

func TestAWorkerFindsItsDestination(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.Destinations.Create(ctx, w.admin, control.DestinationInput{Name: "3"}); err != nil { // looks like an id
		t.Fatal(err)
	}
	other := w.Account(t, "other", "other-admin", "example-password")
	made, err := w.Destinations.Create(ctx, other, control.DestinationInput{Name: "South"})
	if err != nil {
		t.Fatal(err)
	}
	for ref, id := range map[string]int64{"default": 1, "DEFAULT": 1, "default/default": 1, "3": 2, "other/south": made.ID, "1": 1, "4": 4, "other/default": 3} {
		if d, err := w.Places.Find(ctx, ref); err != nil || d.ID != id {
			t.Errorf("Find(%s) = %+v, %v, want %d", ref, d, err, id)
		}
	}
	for _, ref := range []string{"south", "nobody/south", "other/", "/", "", "99"} {
		_, err := w.Places.Find(ctx, ref)
		want(t, err, job.NotFound, job.WordNotFound)
	}
}
