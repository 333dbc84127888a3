package control_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// scheduled makes a runnable config with a schedule.
func (w *world) scheduled(rule job.ScheduleRule) job.Config {
	w.t.Helper()
	c := w.runnable(w.admin, "scheduled")
	if _, err := w.Schedules.Create(w.t.Context(), w.admin, ref(c), control.ScheduleInput{Rule: rule}); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func ref(c job.Config) string { return strconv.FormatInt(c.ID, 10) }

func everyMinute() job.ScheduleRule {
	return job.ScheduleRule{Kind: job.CronSchedule, Cron: "* * * * *"}
}

// fire plays a fire of the engine: at is the time the schedule names, started when the workflow began; it is taken up now.
func (w *world) fire(c job.Config, at, started time.Time) contract.Fired {
	w.t.Helper()
	fired, err := w.Fires.Take(w.t.Context(), contract.TakeFireInput{AccountID: w.admin.AccountID, ConfigID: c.ID, At: at, Started: started})
	if err != nil {
		w.t.Fatal(err)
	}
	return fired
}

func (w *world) lastFire(c job.Config) job.Fire {
	w.t.Helper()
	list, err := w.Schedules.LastFires(w.t.Context(), w.admin, ref(c), 1)
	if err != nil || len(list) == 0 {
		w.t.Fatal(list, err)
	}
	return list[0]
}

// to moves the clock to the next full minute, and n further.
func (w *world) to(n int) time.Time {
	at := w.Now().Truncate(time.Minute).Add(time.Duration(n) * time.Minute)
	w.Pass(at.Sub(w.Now()))
	return at
}

func (w *world) jobsMade() int {
	w.t.Helper()
	list, _, err := w.jobs.List(w.t.Context(), w.admin, job.Query{Size: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Total
}

func TestAFireMakesAJobOfTheOwnerOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	at := w.to(1)
	fired := w.fire(c, at, at)
	if fired.Outcome != "started" || fired.Job == nil || fired.Job.JobID != fired.JobID || fired.Job.TaskQueue == "" {
		t.Fatalf("%+v", fired)
	}
	j := w.job(fired.JobID)
	if j.Trigger != job.TriggerSchedule || !j.FiredAt.Equal(at) || j.SubmittedBy != w.admin.User || j.Status != job.Queued {
		t.Errorf("%+v", j)
	}
	if n := len(w.engine.starts); n != 0 {
		t.Errorf("%d workflows started: the fire runs the job itself", n)
	}
	w.Pass(48 * time.Hour) // keys of clients have expired by then
	if again := w.fire(c, at, at); again.JobID != fired.JobID || again.Job == nil {
		t.Errorf("a repeat: %+v", again)
	}
	w.finish(j, controltest.Exit(0))
	if again := w.fire(c, at, at); again.JobID != fired.JobID || again.Job != nil {
		t.Errorf("a repeat after the end: %+v", again)
	}
	if n := w.jobsMade(); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestFiresThatMakeNoJobSayWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   func(w *world, c job.Config)
		outcome job.FireOutcome
		message string
	}{
		"inactive config": {func(w *world, c job.Config) {
			if err := w.configs.SetActive(w.t.Context(), w.admin, []string{ref(c)}, false); err != nil {
				w.t.Fatal(err)
			}
		}, job.FireRefused, "Job config 1 is not active"},
		"paused while it was on its way": {func(w *world, c job.Config) {
			if _, err := w.Schedules.Pause(w.t.Context(), w.admin, ref(c), ""); err != nil {
				w.t.Fatal(err)
			}
		}, job.FireSkipped, "The schedule is paused"},
		"no package": {func(w *world, c job.Config) {
			if _, err := w.configs.Replace(w.t.Context(), w.admin, ref(c), control.ConfigInput{Name: "x"}); err != nil {
				w.t.Fatal(err)
			}
		}, job.FireRefused, "Job config 1 names no package"},
		"ended": {func(w *world, c job.Config) {
			r := everyMinute()
			r.End = w.Now()
			if _, err := w.Schedules.Replace(w.t.Context(), w.admin, ref(c), control.ScheduleInput{Rule: r}); err != nil {
				w.t.Fatal(err)
			}
		}, job.FireRefused, "The schedule has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := w.scheduled(everyMinute())
			c.spoil(w, config)
			at := w.to(1)
			fired := w.fire(config, at, at)
			if fired.Outcome != string(c.outcome) || fired.Message != c.message || fired.Job != nil || w.jobsMade() != 0 {
				t.Errorf("%+v, %d jobs", fired, w.jobsMade())
			}
			if f := w.lastFire(config); f.Outcome != c.outcome || f.Message != c.message {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestFiresOfWhatIsNoSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(job.ScheduleRule{Kind: job.CronSchedule, Cron: "0 0 0 L * ?"})
	for _, at := range []time.Time{time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)} {
		w.Pass(at.Sub(w.Now()))
		if fired := w.fire(c, at, at); fired.Outcome != contract.FireNotDue {
			t.Errorf("%s: %+v", at, fired)
		}
	}
	if list, err := w.Schedules.LastFires(t.Context(), w.admin, ref(c), 10); err != nil || len(list) != 0 {
		t.Errorf("fires that were none are remembered: %v %v", list, err)
	}
	at := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	w.Pass(at.Sub(w.Now()))
	if fired := w.fire(c, at, at); fired.Outcome != "started" {
		t.Errorf("%+v", fired)
	}
	if err := w.Schedules.Delete(t.Context(), w.admin, ref(c)); err != nil {
		t.Fatal(err)
	}
	if fired := w.fire(c, at.Add(time.Hour), at.Add(time.Hour)); fired.Outcome != contract.FireNotDue || fired.Message == "" {
		t.Errorf("%+v", fired)
	}
}

func TestOneOfManyMissedFiresIsMadeUp(t *testing.T) {
	t.Parallel()
	for _, overlap := range []job.Overlap{"", job.OverlapAllow, job.OverlapCancelOther, job.OverlapQueueOne, job.OverlapSkip} {
		for _, missed := range []int{6, 61} { // the second is longer than the catch-up window
			t.Run(fmt.Sprintf("%s %d", overlap, missed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				r := everyMinute()
				r.Overlap = overlap
				c := w.scheduled(r)
				first, last := w.to(1), time.Duration(missed-1)*time.Minute
				w.Pass(last + 40*time.Second) // nobody took a fire up; the engine began all of them in time
				made := map[string]int{}
				for n := range missed {
					at := first.Add(time.Duration(n) * time.Minute)
					made[w.fire(c, at, at).Outcome]++
				}
				if made["started"] != 1 || made["missed"] != missed-1 {
					t.Errorf("%v", made)
				}
				at := w.job(w.lastJob(c)).FiredAt
				if overlap != job.OverlapSkip && overlap != job.OverlapQueueOne && !at.Equal(first.Add(last)) || w.Now().Sub(at) > job.DefaultCatchUp {
					t.Errorf("made for %s of %s to %s", at, first, first.Add(last))
				}
				at = w.to(1)
				if fired := w.fire(c, at, at); fired.Outcome != "started" {
					t.Errorf("the next one: %+v", fired)
				}
			})
		}
	}
}

// lastJob is the job of the newest fire that made one.
func (w *world) lastJob(c job.Config) job.ID {
	w.t.Helper()
	list, err := w.Schedules.LastFires(w.t.Context(), w.admin, ref(c), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range list {
		if f.JobID != "" {
			return f.JobID
		}
	}
	return ""
}

func TestAMissedFireOlderThanTheWindowIsNotMadeUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(job.ScheduleRule{Kind: job.CronSchedule, Cron: "0 10 * * *"})
	at := time.Date(2026, 3, 17, 10, 0, 0, 0, time.UTC)
	w.Pass(at.Add(11 * time.Minute).Sub(w.Now()))
	if fired := w.fire(c, at, at); fired.Outcome != "missed" {
		t.Errorf("%+v", fired)
	}
	at = at.Add(24 * time.Hour)
	w.Pass(at.Add(9 * time.Minute).Sub(w.Now()))
	if fired := w.fire(c, at, at); fired.Outcome != "started" {
		t.Errorf("%+v", fired)
	}
}

func TestAFireThatWaitedForAJobIsNoMissedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := everyMinute()
	r.Overlap = job.OverlapQueueOne
	c := w.scheduled(r)
	at := w.to(1)
	j := w.job(w.fire(c, at, at).JobID)
	w.Pass(3 * time.Hour) // the job takes long; the engine holds one fire back and drops the others
	w.finish(j, controltest.Exit(0))
	w.Pass(time.Second)
	if fired := w.fire(c, at.Add(time.Minute), w.Now()); fired.Outcome != "started" {
		t.Errorf("%+v", fired)
	}
}

func TestAskedFiresAndBackfillsAreMadeWhateverTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := everyMinute()
	c := w.scheduled(r)
	w.to(10)
	from := w.Now().Add(-5 * time.Minute)
	n, err := w.Schedules.Backfill(t.Context(), w.admin, ref(c), from, w.Now().Add(-time.Minute), "")
	if err != nil || n != 5 {
		t.Fatal(n, err)
	}
	for i := range 5 {
		if fired := w.fire(c, from.Add(time.Duration(i)*time.Minute), w.Now()); fired.Outcome != "started" {
			t.Errorf("backfill %d: %+v", i, fired)
		}
	}
	if f := w.lastFire(c); f.Kind != job.FireBackfill {
		t.Errorf("%+v", f)
	}
	w.Pass(17 * time.Second)
	if fired := w.fire(c, w.Now(), w.Now()); fired.Outcome != "started" || w.lastFire(c).Kind != job.FireAsked {
		t.Errorf("asked: %+v", fired)
	}
	w.Pass(time.Second)
	old := w.Now().Truncate(time.Minute).Add(-24 * time.Hour) // an operator's backfill, of which nobody told us
	if fired := w.fire(c, old, w.Now()); fired.Outcome != "started" || w.lastFire(c).Kind != job.FireBackfill {
		t.Errorf("an operator's: %+v", fired)
	}
}

func TestRunsAreCountedAndCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := everyMinute()
	r.MaxRuns = 2
	c := w.scheduled(r)
	var got []string
	for range 3 {
		at := w.to(1)
		got = append(got, w.fire(c, at, at).Outcome)
	}
	if fmt.Sprint(got) != "[started started refused]" {
		t.Error(got)
	}
	v, err := w.Schedules.Get(t.Context(), w.admin, ref(c))
	if err != nil || !v.Next.IsZero() || v.Runs != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	w.keep(true)
	if s, _ := w.ScheduleEngine.Schedule(c.ID); !s.Paused || s.Note == "" {
		t.Errorf("the engine goes on: %+v", s)
	}
}

func TestTheLimitOfALaneHoldsForSchedules(t *testing.T) {
	t.Parallel()
	for onLimit, want := range map[job.OnLimit]string{job.OnLimitSkip: "skipped", job.OnLimitFail: "refused", job.OnLimitQueue: "started"} {
		w := newWorld(t)
		c := w.scheduled(everyMinute())
		_, err := w.configs.Change(t.Context(), w.admin, ref(c), func(c job.Config) (control.ConfigInput, error) {
			return control.ConfigInput{Name: c.Name, Runtime: c.Runtime, Rules: job.Rules{Concurrency: job.Concurrency{Limit: 1, OnLimit: onLimit}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at := w.to(1)
		w.fire(c, at, at)
		at = w.to(1)
		fired := w.fire(c, at, at)
		if fired.Outcome != want || (want == "started") != (fired.Job != nil && fired.Job.Waiting) {
			t.Errorf("%s: %+v", onLimit, fired)
		}
	}
}

func TestAnOutageIsNoOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	at := w.to(1)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := w.Fires.Take(t.Context(), contract.TakeFireInput{AccountID: w.admin.AccountID, ConfigID: c.ID, At: at, Started: at})
	want(t, err, job.Unavailable, job.WordDependencyDown)
}

// keep runs the keeper once.
func (w *world) keep(back bool) {
	w.t.Helper()
	for _, d := range w.Schedules.Duties() {
		if err := d.Do(w.t.Context(), back); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.Schedules.Duties()[0].Do(w.t.Context(), back); err != nil { // what the comparison found
		w.t.Fatal(err)
	}
}

func TestTheKeeperMakesTheEngineAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ScheduleEngine.SetDown(true)
	c := w.scheduled(everyMinute())
	w.ScheduleEngine.SetDown(false)
	w.keep(true)
	if _, ok := w.ScheduleEngine.Schedule(c.ID); !ok {
		t.Fatal("the engine was not told when it came back")
	}
	w.Pass(time.Minute)
	w.ScheduleEngine.Operate(func(have map[int64]control.EngineSchedule) { // its files were lost; something else is left over
		delete(have, c.ID)
		have[99] = control.EngineSchedule{ConfigID: 99}
	})
	w.keep(true)
	if s, ok := w.ScheduleEngine.Schedule(c.ID); !ok || len(s.Plan.Calendars) == 0 {
		t.Error("a lost schedule was not made again")
	}
	if _, ok := w.ScheduleEngine.Schedule(99); ok {
		t.Error("a schedule without a config was left")
	}
	w.ScheduleEngine.Operate(func(have map[int64]control.EngineSchedule) {
		s := have[c.ID]
		s.Paused, s.Note = true, "by hand"
		have[c.ID] = s
	})
	w.keep(false)
	v, err := w.Schedules.Get(t.Context(), w.admin, ref(c))
	if err != nil || !v.Paused || v.Note != "by hand" {
		t.Errorf("an operator's pause is not taken over: %+v, %v", v, err)
	}
	if err := w.configs.Delete(t.Context(), w.admin, []string{ref(c)}); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.ScheduleEngine.Schedule(c.ID); ok {
		t.Error("the schedule outlived its config")
	}
}
