package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// openList plays the engine's list of open workflows, a few to a page.
type openList struct {
	mu         sync.Mutex
	all        []control.OpenWorkflow
	size       int
	calls      int
	terminated []string
	fail       error
}

func (l *openList) OpenWorkflows(_ context.Context, page []byte) ([]control.OpenWorkflow, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.fail != nil {
		return nil, nil, l.fail
	}
	at := len(page)
	to := min(at+l.size, len(l.all))
	if to == len(l.all) {
		return l.all[at:to], nil, nil
	}
	return l.all[at:to], make([]byte, to), nil
}

func (l *openList) TerminateWorkflow(_ context.Context, w control.OpenWorkflow, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.terminated = append(l.terminated, w.Workflow)
	return l.fail
}

func (l *openList) add(id job.ID, started time.Time) {
	l.all = append(l.all, control.OpenWorkflow{Job: id, Workflow: "job-" + string(id), Run: "r", Started: started})
}

func newOrphanage(w *world, l *openList) control.Duty {
	o := &control.Orphanage{Engine: l, Known: w.store, Starter: w.engine, Now: w.Now, Log: slog.New(slog.DiscardHandler)}
	return o.Duty()
}

// look runs the duty n times at one moment.
func look(t *testing.T, d control.Duty, n int) {
	t.Helper()
	for range n {
		if err := d.Do(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWorkflowsWithoutAJobAreTerminatedAfterAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &openList{size: 2}
	c := w.runnable(w.admin, "c")
	queued, ended := w.submit(c), w.submit(c)
	w.finish(ended, failed())
	lost := job.ID("69b9209b00000000000000f1")
	young := job.ID("69b9209b00000000000000f2")
	for _, id := range []job.ID{queued.ID, lost, ended.ID} {
		l.add(id, w.Now())
	}
	d := newOrphanage(w, l)
	look(t, d, 2) // all are younger than the grace
	w.Pass(31 * time.Second)
	l.add(young, w.Now())
	w.Pass(30 * time.Second)
	look(t, d, 1)
	if l.terminated != nil && l.terminated[0] != "job-"+string(lost) || len(w.engine.cancels) > 0 {
		t.Errorf("after the first page: terminated %v, cancelled %v", l.terminated, w.engine.cancels)
	}
	look(t, d, 1)
	if fmt.Sprint(l.terminated) != "[job-"+string(lost)+"]" {
		t.Errorf("terminated %v, want only the one without a job", l.terminated)
	}
	if fmt.Sprint(w.engine.cancels) != fmt.Sprintf("[%s]", ended.ID) {
		t.Errorf("cancelled %v, want the one whose job has ended", w.engine.cancels)
	}
	if w.job(queued.ID).Status != job.Queued {
		t.Error("the job that runs was touched")
	}
	// A round is over: there is a rest before the next one.
	calls := l.calls
	look(t, d, 3)
	if l.calls != calls {
		t.Errorf("%d calls while it rests", l.calls-calls)
	}
	w.Pass(time.Hour)
	look(t, d, 2)
	if !slices.Contains(l.terminated, "job-"+string(ended.ID)) {
		t.Errorf("terminated %v: a workflow that did not end for an hour after its job must go", l.terminated)
	}
}

func TestInANamespaceOfSomebodyElseNothingIsEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &openList{size: 10}
	c := w.runnable(w.admin, "c")
	queued, ended := w.submit(c), w.submit(c)
	w.finish(ended, failed())
	theirs := job.ID("69b9209b00000000000000f1")
	l.add(queued.ID, w.Now())
	var taken error
	asked := 0
	o := &control.Orphanage{Engine: l, Known: w.store, Starter: w.engine, Now: w.Now, Log: slog.New(slog.DiscardHandler), Ours: func(context.Context) error {
		asked++
		return taken
	}}
	d := o.Duty()
	w.Pass(2 * time.Minute)
	look(t, d, 1)
	if asked != 0 {
		t.Errorf("asked %d times whose the namespace is though nothing is to be ended", asked)
	}
	l.add(theirs, w.Now().Add(-time.Hour))
	l.add(ended.ID, w.Now().Add(-time.Hour))
	taken = job.Errorf(job.Invalid, job.WordInvalidField, "the namespace is another's")
	for range 3 {
		w.Pass(time.Minute)
		if err := d.Do(t.Context(), false); !errors.Is(err, taken) {
			t.Errorf("error %v, want that the namespace is another's", err)
		}
	}
	if l.terminated != nil || len(w.engine.cancels) > 0 || asked != 3 {
		t.Errorf("terminated %v, cancelled %v, asked %d times", l.terminated, w.engine.cancels, asked)
	}
	taken = nil
	w.Pass(time.Minute)
	look(t, d, 1)
	if fmt.Sprint(l.terminated) != "[job-"+string(theirs)+"]" || fmt.Sprint(w.engine.cancels) != fmt.Sprintf("[%s]", ended.ID) {
		t.Errorf("terminated %v, cancelled %v, in a namespace of one's own", l.terminated, w.engine.cancels)
	}
}

func TestALookThatFailsBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &openList{size: 1}
	for i := range 3 {
		l.add(job.ID(fmt.Sprintf("69b9209b00000000000000f%d", i)), w.Now().Add(-time.Hour))
	}
	d := newOrphanage(w, l)
	look(t, d, 1)
	l.fail = errDown
	if err := d.Do(t.Context(), false); job.CodeOf(err) != job.Unavailable {
		t.Errorf("error %v, want unavailable", err)
	}
	l.fail = nil
	if err := d.Do(t.Context(), true); err != nil { // the engine is back: no rest, and from the first page
		t.Fatal(err)
	}
	if fmt.Sprint(l.terminated) != "[job-69b9209b00000000000000f0 job-69b9209b00000000000000f0]" {
		t.Errorf("terminated %v, want the first page twice", l.terminated)
	}
}

func TestASweepLooksUpOnlyWhatIsNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &openList{size: 7}
	w.mender.Open = l
	c := w.runnable(w.admin, "c")
	var jobs []job.Job
	for range 30 {
		j := w.submit(c)
		jobs = append(jobs, j)
		l.add(j.ID, w.Now())
	}
	counting := &countingEngine{engine: w.engine}
	w.mender.Starter = counting
	// One lost its workflow, one is to be cancelled and one was noted as unreachable: these are looked up.
	gone, unreachable := jobs[3], jobs[4]
	l.all = slices.DeleteFunc(l.all, func(o control.OpenWorkflow) bool { return o.Job == gone.ID })
	delete(w.engine.states, gone.ID)
	if err := w.store.MarkUnreachable(t.Context(), 1, unreachable.ID, true); err != nil {
		t.Fatal(err)
	}
	w.Take(t, 1, jobs[5].ID)
	if _, err := w.store.Cancel(t.Context(), 1, jobs[5].ID, w.admin.User, w.Now(), 0); err != nil {
		t.Fatal(err)
	}
	starts := len(w.engine.starts)
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(counting.asked)
	if want := []job.ID{gone.ID, unreachable.ID, jobs[5].ID}; !slices.Equal(counting.asked, want) {
		t.Errorf("looked up %v, want %v", counting.asked, want)
	}
	if len(w.engine.starts) != starts+1 || w.engine.starts[starts].JobID != gone.ID {
		t.Errorf("started %v", w.engine.starts[starts:])
	}
	if w.job(unreachable.ID).Unreachable || !slices.Contains(w.engine.cancels, jobs[5].ID) {
		t.Error("the note was not taken back, or the cancel not passed on")
	}
	// A list that can not be had costs look-ups, no more.
	l.fail, counting.asked = errDown, nil
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil || len(counting.asked) != 30 {
		t.Errorf("without the list: %d look-ups, %v", len(counting.asked), err)
	}
}

// countingEngine notes what is looked up.
type countingEngine struct {
	*engine
	asked []job.ID
}

func (e *countingEngine) JobState(ctx context.Context, id job.ID, retry bool) (control.EngineState, error) {
	e.mu.Lock()
	e.asked = append(e.asked, id)
	e.mu.Unlock()
	return e.engine.JobState(ctx, id, retry)
}
