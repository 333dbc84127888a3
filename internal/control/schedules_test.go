package control_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// called lists the calls that a schedule's fires asked for and that wait to be made, oldest first.
func (w *world) called() (list []job.Delivery) {
	w.t.Helper()
	pending, err := w.Store.(control.Outbox).PendingDeliveries(w.t.Context(), "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range pending {
		if d.Event == job.EventScheduleFired {
			list = append(list, d)
		}
	}
	return list
}

func hooked(w job.Webhook) job.ScheduleRule {
	r := everyMinute()
	r.Name, r.Webhook = "minutely", &w
	return r
}

func TestEachFireCallsItsWebhookOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(hooked(job.Webhook{Method: "put", Endpoint: "https://example.com/x", Payload: "text"}))
	at := w.to(1)
	id := w.fire(c, at, at).JobID
	w.fire(c, at, at) // a repeat
	if err := w.configs.SetActive(t.Context(), w.admin, []string{ref(c)}, false); err != nil {
		t.Fatal(err)
	}
	at = w.to(1)
	w.fire(c, at, at)
	w.fire(c, at, at)
	calls := w.called()
	if len(calls) != 2 || calls[0].JobID != id || calls[1].JobID != "" || calls[0].Key == calls[1].Key {
		t.Fatalf("%+v", calls)
	}
	for _, d := range calls {
		if d.Method != "PUT" || d.Body != "text" || d.Target != "https://example.com/x" || d.ConfigID != c.ID || d.AccountID != w.admin.AccountID || d.Kind != job.DeliveryWebhook {
			t.Errorf("%+v", d)
		}
	}
	list, err := w.Deliveries.List(t.Context(), w.admin, string(id))
	if err != nil || len(list) != 1 || list[0].ID != calls[0].ID {
		t.Errorf("deliveries of the job: %+v, %v", list, err)
	}
}

func TestAWebhookWithoutAPayloadTellsOfTheFire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(hooked(job.Webhook{Endpoint: "https://example.com/x"}))
	if err := w.configs.SetActive(t.Context(), w.admin, []string{ref(c)}, false); err != nil {
		t.Fatal(err)
	}
	at := w.to(1)
	w.fire(c, at, at)
	calls := w.called()
	if len(calls) != 1 || calls[0].Method != "POST" {
		t.Fatalf("%+v", calls)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(calls[0].Body), &body); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"event": "schedule.fired", "jobConfigId": "1", "schedule": "minutely", "fireTime": "2026-03-17T09:41:00Z", "kind": "schedule", "outcome": "refused",
		"message": "Job config 1 is not active", "jobId": nil,
	} {
		if body[name] != want {
			t.Errorf("%s is %v, want %v", name, body[name], want)
		}
	}
}

func TestAGetHasNoBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(hooked(job.Webhook{Method: "GET", Endpoint: "https://example.com/x", Payload: "text"}))
	at := w.to(1)
	w.fire(c, at, at)
	if calls := w.called(); len(calls) != 1 || calls[0].Body != "" || calls[0].Method != "GET" {
		t.Errorf("%+v", calls)
	}
}

func TestTheLastCallOfAWebhookIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	rule := hooked(job.Webhook{Endpoint: "https://example.com/x"})
	c := w.scheduled(rule)
	shown := func() *job.Delivery {
		t.Helper()
		v, err := w.Schedules.Get(ctx, w.admin, ref(c))
		if err != nil {
			t.Fatal(err)
		}
		return v.LastCall
	}
	at := w.to(1)
	w.fire(c, at, at)
	if d := shown(); d != nil {
		t.Errorf("before the first attempt: %+v", d)
	}
	d := w.called()[0]
	run := w.Store.(control.DeliveryRun)
	try := job.DeliveryAttempt{Number: 1, Round: 1, At: w.Now(), Code: 503, Error: "HTTP 503"}
	if err := run.RecordAttempt(ctx, w.admin.AccountID, d.ID, try, job.DeliveryDelivering, w.Now()); err != nil {
		t.Fatal(err)
	}
	if d := shown(); d == nil || d.Code != 503 || d.Error != "HTTP 503" {
		t.Errorf("after an attempt: %+v", d)
	}
	rule.Webhook = &job.Webhook{Endpoint: "https://example.com/other"}
	if v, err := w.Schedules.Replace(ctx, w.admin, ref(c), control.ScheduleInput{Rule: rule}); err != nil || v.LastCall != nil {
		t.Errorf("of another address: %+v, %v", v.LastCall, err)
	}
	rule.Webhook = &job.Webhook{Endpoint: "https://example.com/x"}
	if v, err := w.Schedules.Replace(ctx, w.admin, ref(c), control.ScheduleInput{Rule: rule}); err != nil || v.LastCall == nil || v.LastFire.At != at {
		t.Errorf("put back: %+v, %v", v, err)
	}
	if err := w.Schedules.Delete(ctx, w.admin, ref(c)); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Minute)
	if v, err := w.Schedules.Create(ctx, w.admin, ref(c), control.ScheduleInput{Rule: rule}); err != nil || v.LastCall != nil {
		t.Errorf("of the schedule before: %+v, %v", v.LastCall, err)
	}
}

func TestStoredHeadersGoToNoOtherAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rule := hooked(job.Webhook{Endpoint: "https://example.com/x"})
	c := w.runnable(w.admin, "scheduled")
	in := control.ScheduleInput{Rule: rule, Headers: map[string]string{"X-Key": "secret"}}
	v, err := w.Schedules.Create(t.Context(), w.admin, ref(c), in)
	if err != nil || v.Rule.Webhook.Sealed == "" || strings.Contains(v.Rule.Webhook.Sealed, "secret") {
		t.Fatal(v, err)
	}
	in.Headers = map[string]string{"X-Key": ""}
	kept, err := w.Schedules.Replace(t.Context(), w.admin, ref(c), in)
	if err != nil || kept.Rule.Webhook.Sealed != v.Rule.Webhook.Sealed {
		t.Errorf("not kept: %v, %v", kept, err)
	}
	at := w.to(1)
	w.fire(c, at, at)
	if calls := w.called(); len(calls) != 1 || calls[0].Headers != v.Rule.Webhook.Sealed {
		t.Errorf("%+v", calls)
	}
	in.Rule.Webhook = &job.Webhook{Endpoint: "https://evil.example"}
	_, err = w.Schedules.Replace(t.Context(), w.admin, ref(c), in)
	want(t, err, job.Invalid, job.WordInvalidField)
}

func TestSchedulesOfOthersAreNotTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	general := job.Actor{AccountID: w.admin.AccountID, User: job.UserRef{ID: w.admin.User.ID + 100, Name: "general"}}
	for who, one := range map[string]struct {
		actor job.Actor
		code  job.Code
	}{
		"a user of the account":    {general, job.Forbidden},
		"admin of another account": {w.another("eve"), job.NotFound},
	} {
		ctx, a := t.Context(), one.actor
		past := w.Now().Add(-time.Hour)
		for what, call := range map[string]func() error{
			"get": func() error { _, err := w.Schedules.Get(ctx, a, ref(c)); return err },
			"create": func() error {
				_, err := w.Schedules.Create(ctx, a, ref(c), control.ScheduleInput{Rule: everyMinute()})
				return err
			},
			"replace": func() error {
				_, err := w.Schedules.Replace(ctx, a, ref(c), control.ScheduleInput{Rule: everyMinute()})
				return err
			},
			"pause":    func() error { _, err := w.Schedules.Pause(ctx, a, ref(c), ""); return err },
			"resume":   func() error { _, err := w.Schedules.Resume(ctx, a, ref(c), ""); return err },
			"delete":   func() error { return w.Schedules.Delete(ctx, a, ref(c)) },
			"run":      func() error { return w.Schedules.Run(ctx, a, ref(c)) },
			"backfill": func() error { _, err := w.Schedules.Backfill(ctx, a, ref(c), past, past, ""); return err },
			"next":     func() error { _, err := w.Schedules.NextTimes(ctx, a, ref(c), 1); return err },
			"fires":    func() error { _, err := w.Schedules.LastFires(ctx, a, ref(c), 1); return err },
			"cron":     func() error { return w.Schedules.SetCron(ctx, a, ref(c), "") },
		} {
			if err := call(); job.CodeOf(err) != one.code && !(what == "cron" && err == nil && one.code == job.NotFound) {
				t.Errorf("%s may %s: %v", who, what, err)
			}
		}
	}
	if v, err := w.Schedules.Get(t.Context(), w.admin, ref(c)); err != nil || v.Paused || v.Version != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if fired, _ := w.ScheduleEngine.Fired(); len(fired) != 0 {
		t.Errorf("fired %v", fired)
	}
}

// inactive makes every user inactive.
type inactive struct{ control.Users }

func (u inactive) User(ctx context.Context, account, id int64) (job.User, error) {
	user, err := u.Users.User(ctx, account, id)
	user.Active = false
	return user, err
}

func TestAnInactiveOwnersScheduleFiresNothingAndHisJobsGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	at := w.to(1)
	running := w.fire(c, at, at)
	w.Fires.Users = inactive{w.Fires.Users}
	if again := w.fire(c, at, at); again.JobID != running.JobID || again.Job == nil {
		t.Errorf("the fire under way: %+v", again)
	}
	next := w.to(1)
	if fired := w.fire(c, next, next); fired.Outcome != "refused" || fired.Message != "The owner of the job config, admin, is not active" {
		t.Errorf("%+v", fired)
	}
}

func TestAFireThatMadeNoJobCanBeAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	active := func(yes bool) {
		t.Helper()
		if err := w.configs.SetActive(t.Context(), w.admin, []string{ref(c)}, yes); err != nil {
			t.Fatal(err)
		}
	}
	backfill := func(at time.Time) {
		t.Helper()
		if n, err := w.Schedules.Backfill(t.Context(), w.admin, ref(c), at, at, ""); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
	active(false)
	at := w.to(1)
	w.fire(c, at, at)
	for range 2 { // the second time somebody has mended what was wrong
		w.Pass(time.Minute)
		backfill(at)
		began := w.Now()
		first := w.fire(c, at, began)
		if again := w.fire(c, at, began); again.Outcome != first.Outcome || again.JobID != first.JobID {
			t.Errorf("a repeat: %+v after %+v", again, first)
		}
		active(true)
	}
	if f := w.lastFire(c); f.Outcome != job.FireStarted || f.Kind != job.FireBackfill || !f.At.Equal(at) {
		t.Errorf("%+v", f)
	}
	w.Pass(time.Minute)
	backfill(at)
	w.fire(c, at, w.Now())
	if n := w.jobsMade(); n != 1 {
		t.Errorf("%d jobs for one time", n)
	}
}

func TestARunByHandIsMadeAlsoAtATimeOfThePattern(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   func(w *world, c job.Config)
		in      contract.TakeFireInput // what the engine was told
		outcome string
	}{
		"paused": {func(w *world, c job.Config) {
			if _, err := w.Schedules.Pause(w.t.Context(), w.admin, ref(c), ""); err != nil {
				w.t.Fatal(err)
			}
		}, contract.TakeFireInput{Paused: true}, "started"},
		"paused, and the engine not told": {func(w *world, c job.Config) {
			if _, err := w.Schedules.Pause(w.t.Context(), w.admin, ref(c), ""); err != nil {
				w.t.Fatal(err)
			}
		}, contract.TakeFireInput{}, "skipped"},
		"over": {func(w *world, c job.Config) {
			r := everyMinute()
			r.End = w.Now()
			if _, err := w.Schedules.Replace(w.t.Context(), w.admin, ref(c), control.ScheduleInput{Rule: r}); err != nil {
				w.t.Fatal(err)
			}
		}, contract.TakeFireInput{End: time.Date(2026, 3, 17, 9, 40, 58, 0, time.UTC)}, "started"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := w.scheduled(everyMinute())
			c.spoil(w, config)
			in := c.in
			in.AccountID, in.ConfigID, in.At = w.admin.AccountID, config.ID, w.to(1)
			in.Started = in.At
			fired, err := w.Fires.Take(t.Context(), in)
			if err != nil || fired.Outcome != c.outcome {
				t.Errorf("%+v, %v", fired, err)
			}
		})
	}
}

func TestRunsOfOneSecondAreTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	w.Pass(10 * time.Second)
	at := w.Now().Truncate(time.Second)
	first := w.fire(c, at, at.Add(100*time.Millisecond))
	second := w.fire(c, at, at.Add(700*time.Millisecond)) // the engine starts it once the first is over
	if first.Outcome != "started" || second.Outcome != "started" || first.JobID == second.JobID || w.jobsMade() != 2 {
		t.Errorf("%+v, %+v", first, second)
	}
	if again := w.fire(c, at, at.Add(700*time.Millisecond)); again.JobID != second.JobID || w.jobsMade() != 2 {
		t.Errorf("a repeat: %+v", again)
	}
}

func TestAFireThatWaitedThroughThePauseIsNotARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	at := w.to(1)
	w.Pass(10 * time.Second)
	if _, err := w.Schedules.Pause(t.Context(), w.admin, ref(c), ""); err != nil {
		t.Fatal(err)
	}
	in := contract.TakeFireInput{AccountID: w.admin.AccountID, ConfigID: c.ID, At: at, Started: w.Now(), Paused: true}
	if fired, err := w.Fires.Take(t.Context(), in); err != nil || fired.Outcome != "skipped" {
		t.Errorf("%+v, %v", fired, err)
	}
}

func TestAnEngineThatLostAScheduleIsToldBeforeItFires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	lose := func() {
		w.ScheduleEngine.Operate(func(have map[int64]control.EngineSchedule) { delete(have, c.ID) })
	}
	lose()
	if err := w.Schedules.Run(t.Context(), w.admin, ref(c)); err != nil {
		t.Error(err)
	}
	lose()
	past := w.Now().Add(-time.Hour).Truncate(time.Minute)
	if n, err := w.Schedules.Backfill(t.Context(), w.admin, ref(c), past, past, ""); n != 1 || err != nil {
		t.Error(n, err)
	}
	if runs, fills := w.ScheduleEngine.Fired(); len(runs) != 1 || len(fills) != 1 {
		t.Errorf("runs %v, backfills %v", runs, fills)
	}
}

func TestAReplacedScheduleStaysPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	if _, err := w.Schedules.Pause(t.Context(), w.admin, ref(c), "holiday"); err != nil {
		t.Fatal(err)
	}
	r := everyMinute()
	r.Cron = "*/5 * * * *"
	v, err := w.Schedules.Replace(t.Context(), w.admin, ref(c), control.ScheduleInput{Rule: r})
	if err != nil || !v.Paused || v.Note != "holiday" || v.Rule.Cron != r.Cron {
		t.Errorf("%+v, %v", v, err)
	}
	if err := w.Schedules.SetCron(t.Context(), w.admin, ref(c), "*/7 * * * *"); err != nil {
		t.Fatal(err)
	}
	if s, _ := w.ScheduleEngine.Schedule(c.ID); !s.Paused || s.Note != "holiday" {
		t.Errorf("the engine has %+v", s)
	}
	no := false
	if v, err := w.Schedules.Replace(t.Context(), w.admin, ref(c), control.ScheduleInput{Rule: r, Paused: &no}); err != nil || v.Paused {
		t.Errorf("%+v, %v", v, err)
	}
}
