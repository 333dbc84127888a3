package control_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// limited makes a runnable config with a limit, and macros.
func (w *world) limited(a job.Actor, name string, rules job.Rules, macros ...job.Macro) job.Config {
	w.t.Helper()
	c := w.runnable(a, name)
	c, err := w.configs.Change(w.t.Context(), a, c.ObjectID, func(c job.Config) (control.ConfigInput, error) {
		rt := c.Runtime
		rt.Macros = macros
		return control.ConfigInput{Name: c.Name, Runtime: rt, Rules: rules}, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) start(a job.Actor, r control.SubmitRequest) (control.Submitted, error) {
	return w.jobs.Submit(w.t.Context(), a, r)
}

func TestJobsOfABlockingConfigWaitAndTheirLaneIsStarted(t *testing.T) {
	w := newWorld(t)
	c := w.limited(w.admin, "orders", job.Rules{Blocking: true, QueueTimeout: time.Minute, TotalTimeout: time.Hour})
	first, second := w.submit(c), w.submit(c)
	if first.Lane != "config:1" || first.Waiting() || !second.Waiting() {
		t.Errorf("lanes %q, waiting %v and %v", first.Lane, first.Waiting(), second.Waiting())
	}
	if got := w.Engine.Lanes(); !slices.Equal(got, []string{"ensure config:1"}) {
		t.Errorf("lanes were asked %v", got)
	}
	in := w.engine.starts[1]
	if in.Lane != "config:1" || !in.Waiting || in.LaneSeq != 1 || !in.QueueUntil.Equal(w.Now().Add(time.Minute)) ||
		!in.Deadline.Equal(w.Now().Add(time.Hour)) || w.engine.starts[0].Waiting {
		t.Errorf("started with %+v", in)
	}
	if j := w.job(second.ID); j.Position != 1 {
		t.Errorf("position %d", j.Position)
	}
}

func TestKeyOfALaneTakesTheMacrosOfTheJob(t *testing.T) {
	w := newWorld(t)
	rules := job.Rules{Concurrency: job.Concurrency{Limit: 1, Key: "customer $(CUSTOMER)"}}
	macros := []job.Macro{{Key: "CUSTOMER", Value: "$(GROUP)-1"}, {Key: "GROUP", Value: "a"}, {Key: "PIN", Value: "hush", Secure: true}}
	one, two := w.limited(w.admin, "one", rules, macros...), w.limited(w.admin, "two", rules, macros...)
	if j := w.submit(one); j.Lane != "key:customer a-1" || j.Waiting() {
		t.Errorf("lane %q, waiting %v", j.Lane, j.Waiting())
	}
	if j := w.submit(two); !j.Waiting() {
		t.Error("a second config with the same key does not wait")
	}
	other, err := w.start(w.admin, control.SubmitRequest{Config: "2", Overrides: control.Overrides{Macros: []job.Macro{{Key: "GROUP", Value: "b"}}}})
	if err != nil || other.Job.Lane != "key:customer b-1" || other.Job.Waiting() {
		t.Errorf("with a macro of its own: lane %q, waiting %v, %v", other.Job.Lane, other.Job.Waiting(), err)
	}
	for value, says := range map[string]string{
		"$(PIN)":                 "secure",
		"$(NOBODY)":              "not set",
		"$(CUSTOMER":             "",
		"":                       "1 to 200",
		strings.Repeat("x", 200): "1 to 200",
	} {
		_, err := w.start(w.admin, control.SubmitRequest{Config: "1", Overrides: control.Overrides{Macros: []job.Macro{{Key: "CUSTOMER", Value: value}}}})
		if value == "" || value == "$(CUSTOMER" { // "customer " and a parenthesis are names as good as any
			if err != nil {
				t.Errorf("%q: %v", value, err)
			}
			continue
		}
		want(t, err, job.Invalid, job.WordInvalidField)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestOrderedStartWaitsAlthoughItsConfigHasNoLimit(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	w.submit(c)
	for _, waits := range []bool{false, true} {
		s, err := w.start(w.admin, control.SubmitRequest{Config: c.ObjectID, Ordered: true})
		if err != nil || s.Job.Lane != "config:1" || s.Job.Waiting() != waits {
			t.Errorf("lane %q, waiting %v, %v", s.Job.Lane, s.Job.Waiting(), err)
		}
	}
	if j := w.submit(c); j.Lane != "" || j.Waiting() {
		t.Errorf("a plain start goes through lane %q", j.Lane)
	}
}

func TestOrderedStartQueuesInTheLaneOfItsConfig(t *testing.T) {
	w := newWorld(t)
	c := w.limited(w.admin, "orders", job.Rules{Concurrency: job.Concurrency{Limit: 2, OnLimit: job.OnLimitFail}})
	w.submit(c)
	w.submit(c)
	_, err := w.start(w.admin, control.SubmitRequest{Config: c.ObjectID})
	want(t, err, job.Conflict, job.WordConcurrencyLimit)
	s, err := w.start(w.admin, control.SubmitRequest{Config: c.ObjectID, Ordered: true})
	if err != nil || !s.Job.Waiting() || s.Job.Spec.Concurrency.Limit != 2 {
		t.Errorf("ordered: %+v, %v", s.Job.Spec.Concurrency, err)
	}
}

func TestSkippedStartShowsTheJobThatIsThereButNotAnothersJob(t *testing.T) {
	w := newWorld(t)
	rules := job.Rules{Concurrency: job.Concurrency{Limit: 1, Key: "k", OnLimit: job.OnLimitSkip}}
	c := w.limited(w.admin, "orders", rules)
	first := w.submit(c)
	s, err := w.start(w.admin, control.SubmitRequest{Config: c.ObjectID})
	if err != nil || !s.Skipped || s.Job.ID != first.ID || len(w.engine.starts) != 1 {
		t.Errorf("skipped %v, job %s, %v; %d starts", s.Skipped, s.Job.ID, err, len(w.engine.starts))
	}
	clerk := job.Actor{AccountID: w.admin.AccountID, User: job.UserRef{ID: 99, Name: "clerk"}}
	own := w.limited(clerk, "of the clerk", rules)
	_, err = w.start(clerk, control.SubmitRequest{Config: own.ObjectID})
	want(t, err, job.Conflict, job.WordConcurrencyLimit)
	if err != nil && strings.Contains(err.Error(), string(first.ID)) {
		t.Errorf("%v names a job of another user", err)
	}
}

func TestSkippedStartOverAnothersJobDoesNotUseUpItsKey(t *testing.T) {
	w := newWorld(t)
	rules := job.Rules{Concurrency: job.Concurrency{Limit: 1, Key: "k", OnLimit: job.OnLimitSkip}}
	others := w.submit(w.limited(w.admin, "orders", rules))
	clerk := job.Actor{AccountID: w.admin.AccountID, User: job.UserRef{ID: 99, Name: "clerk"}}
	own := w.limited(clerk, "of the clerk", rules)
	call := control.SubmitRequest{Config: own.ObjectID, IdempotencyKey: "once"}
	for range 2 { // a repeat must not show what the first call kept to itself
		s, err := w.start(clerk, call)
		want(t, err, job.Conflict, job.WordConcurrencyLimit)
		if s.Job.ID != "" {
			t.Errorf("job %s of another user was shown", s.Job.ID)
		}
	}
	w.finish(others, failed())
	if s, err := w.start(clerk, call); err != nil || s.Replayed || s.Job.OwnerID != 99 {
		t.Errorf("after the other's end: %+v, %v", s, err)
	}
}

func TestRetryWaitsInTheLaneOfItsParent(t *testing.T) {
	w := newWorld(t)
	c := w.limited(w.admin, "orders", job.Rules{Concurrency: job.Concurrency{Limit: 1, OnLimit: job.OnLimitSkip}})
	first := w.submit(c)
	w.finish(first, failed())
	w.submit(c)
	s, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID)})
	if err != nil || !s.Job.Waiting() || s.Job.Lane != "config:1" || s.Skipped {
		t.Errorf("retry: %+v, %v", s.Job, err)
	}
}

func TestKeeperPokesLanesThatShouldMoveAndEnsuresTheOthers(t *testing.T) {
	w := newWorld(t)
	stuck := w.limited(w.admin, "stuck", job.Rules{Blocking: true})
	calm := w.limited(w.admin, "calm", job.Rules{Blocking: true})
	first := w.submit(stuck)
	w.submit(stuck)
	w.submit(calm)
	w.submit(calm)
	w.finish(first, failed()) // its poke is lost
	before := len(w.Engine.Lanes())
	keeper := control.LaneKeeper{Store: w.store, Engine: w.Engine, Log: w.jobs.Log}
	if err := keeper.Duty().Do(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	got := w.Engine.Lanes()[before:]
	if !slices.Equal(got, []string{"poke config:1", "ensure config:2"}) {
		t.Errorf("lanes were asked %v", got)
	}
	w.Engine.SetDown(true)
	if err := keeper.Duty().Do(t.Context(), false); job.CodeOf(err) != job.Unavailable {
		t.Errorf("with the engine down: %v", err)
	}
}

func TestReconcilerPokesTheLaneOfAJobItSettles(t *testing.T) {
	w := newWorld(t)
	c := w.limited(w.admin, "orders", job.Rules{Blocking: true})
	first := w.submit(c)
	w.submit(c)
	w.engine.states[first.ID] = control.EngineTerminated
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := w.Engine.Lanes(); !slices.Equal(got, []string{"ensure config:1", "poke config:1"}) {
		t.Errorf("lanes were asked %v", got)
	}
}

func TestWaitingJobIsStartedAgainAsWaiting(t *testing.T) {
	w := newWorld(t)
	c := w.limited(w.admin, "orders", job.Rules{Blocking: true})
	w.submit(c)
	second := w.submit(c)
	w.engine.states = map[job.ID]control.EngineState{} // the engine's files were lost
	w.engine.starts = nil
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	starts := w.engine.starts // several at once, so in no order
	slices.SortFunc(starts, func(a, b contract.JobInput) int { return cmp.Compare(a.RunNumber, b.RunNumber) })
	if len(starts) != 2 || starts[0].Waiting || !starts[1].Waiting || starts[1].JobID != second.ID {
		t.Errorf("started %+v", starts)
	}
}

func TestCancelIsPassedOnUntilTheEngineHasTakenIt(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	late, open, closed := w.submit(c), w.submit(c), w.submit(c)
	w.engine.states = map[job.ID]control.EngineState{open.ID: control.EngineOpen, closed.ID: control.EngineClosed}
	w.engine.down = true
	for _, j := range []job.Job{late, open, closed} {
		if _, err := w.jobs.Cancel(t.Context(), w.admin, string(j.ID)); err != nil {
			t.Fatal(err)
		}
	}
	courier := &control.CancelCourier{Backlog: w.store, Starter: w.engine, Now: w.Now, Log: w.jobs.Log}
	deliver := func(cancelled ...job.ID) {
		t.Helper()
		w.engine.cancels = nil
		if err := courier.Duty().Do(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.engine.cancels, cancelled) {
			t.Errorf("cancelled %v, want %v", w.engine.cancels, cancelled)
		}
	}
	if err := courier.Duty().Do(t.Context(), false); job.CodeOf(err) != job.Unavailable {
		t.Errorf("with the engine down: %v", err)
	}
	w.engine.down = false
	deliver(open.ID)
	deliver()                                     // taken; the one without a workflow is still looked for
	w.engine.states[late.ID] = control.EngineOpen // its start came after its cancel
	deliver(late.ID)
	deliver()

	never := w.submit(c)
	delete(w.engine.states, never.ID)
	if _, err := w.jobs.Cancel(t.Context(), w.admin, string(never.ID)); err != nil {
		t.Fatal(err)
	}
	deliver()
	w.Pass(2 * time.Minute) // nobody will start it any more
	deliver()
	w.engine.states[never.ID] = control.EngineOpen
	deliver()
}

func TestBulkStopTakesRunningJobsWhenAsked(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	queued, running, done := w.submit(c), w.submit(c), w.submit(c)
	if _, _, err := w.store.Begin(t.Context(), running.AccountID, running.ID, job.Fence(w.Now(), 1), "worker", w.Now()); err != nil {
		t.Fatal(err)
	}
	w.finish(done, failed())
	refs := []string{string(queued.ID), string(running.ID), string(done.ID)}
	accepted, skipped, err := w.jobs.CancelMany(t.Context(), w.admin, refs, true)
	if err != nil || !slices.Equal(accepted, refs[:2]) || len(skipped) != 1 || skipped[0] != (control.Skipped{ID: refs[2], Word: job.WordJobFinished}) {
		t.Errorf("accepted %v, skipped %v, %v", accepted, skipped, err)
	}
	if q, r := w.job(queued.ID).Status, w.job(running.ID).Status; q != job.Cancelled || r != job.Cancelling {
		t.Errorf("queued became %s, running %s", q, r)
	}
	if accepted, _, err := w.jobs.CancelMany(t.Context(), w.admin, refs[1:2], true); err != nil || len(accepted) != 1 {
		t.Errorf("a second time: %v, %v", accepted, err)
	}
}
