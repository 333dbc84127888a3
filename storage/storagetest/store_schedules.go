package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"waybill/internal/job"
)

func (n *tenant) newSchedule(config int64) job.Schedule {
	return job.Schedule{
		ConfigID: config, AccountID: n.account.ID, CreatedAt: start, ModifiedAt: start, Note: "why",
		Rule: job.ScheduleRule{
			Name: "monthly", Kind: job.CronSchedule, Cron: "0 25 13 1 * ? *", Zone: "America/Chicago", Description: "d", Overlap: job.OverlapSkip, CatchUp: time.Hour,
			Jitter: time.Minute, Start: at(1).Truncate(time.Second), End: at(1000).Truncate(time.Second), MaxRuns: 3,
			Webhook: &job.Webhook{Method: "POST", Endpoint: "https://example.com/x", Payload: "{}", Headers: []string{"X-Key"}, Sealed: "c2VhbGVk"},
		},
	}
}

func (n *tenant) scheduled(t *testing.T) job.Schedule {
	t.Helper()
	s, err := n.CreateSchedule(t.Context(), n.newSchedule(n.config.ID))
	if err != nil {
		t.Fatalf("CreateSchedule: %v", err)
	}
	return s
}

func (n *tenant) schedule(t *testing.T) job.Schedule {
	t.Helper()
	s, err := n.Schedule(t.Context(), n.account.ID, n.config.ID)
	if err != nil {
		t.Fatalf("Schedule: %v", err)
	}
	return s
}

var scheduleCases = map[string]func(*testing.T, *tenant){
	"a schedule comes back as it was stored": func(t *testing.T, n *tenant) {
		want := n.scheduled(t)
		if want.Version != 1 || want.Synced != 0 {
			t.Errorf("version %d, synced %d", want.Version, want.Synced)
		}
		same(t, "schedule", n.schedule(t), want)
		list, err := n.SchedulesOf(t.Context(), n.account.ID, []int64{n.config.ID, 1 << 40})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		same(t, "listed", list[0], want)
		if list, err := n.SchedulesOf(t.Context(), n.account.ID, nil); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
	},
	"a config has one schedule, and only one that is there": func(t *testing.T, n *tenant) {
		n.scheduled(t)
		_, err := n.CreateSchedule(t.Context(), n.newSchedule(n.config.ID))
		refused(t, err, job.Conflict, job.WordScheduleExists)
		_, err = n.CreateSchedule(t.Context(), n.newSchedule(1<<40))
		absent(t, err)
	},
	"schedules of other accounts are absent": func(t *testing.T, n *tenant) {
		s := n.scheduled(t)
		b := n.other(t)
		_, err := b.Schedule(t.Context(), b.account.ID, s.ConfigID)
		absent(t, err)
		absent(t, b.DeleteSchedule(t.Context(), b.account.ID, s.ConfigID))
		if list, err := b.SchedulesOf(t.Context(), b.account.ID, []int64{s.ConfigID}); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
		if list, err := b.Fires(t.Context(), b.account.ID, s.ConfigID, 10); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
		theirs := s
		theirs.AccountID = b.account.ID
		_, err = b.CreateSchedule(t.Context(), theirs)
		absent(t, err)
		_, err = b.UpdateSchedule(t.Context(), theirs, false)
		absent(t, err)
		_, err = b.ClaimFire(t.Context(), job.Fire{ConfigID: s.ConfigID, AccountID: b.account.ID, At: start, FiredAt: start, Outcome: job.FirePending}, false)
		absent(t, err)
	},
	"a change counts the version, and the second of two loses": func(t *testing.T, n *tenant) {
		s := n.scheduled(t)
		one, two := s, s
		one.Paused, one.Note, one.ModifiedAt, one.Rule.Cron = true, "holiday", at(5), "0 0 * * *"
		one.Backfills = []job.Backfill{{From: at(1).Truncate(time.Second), To: at(2).Truncate(time.Second)}}
		changed, err := n.UpdateSchedule(t.Context(), one, false)
		if err != nil || changed.Version != 2 {
			t.Fatal(changed.Version, err)
		}
		same(t, "changed", n.schedule(t), changed)
		_, err = n.UpdateSchedule(t.Context(), two, false)
		refused(t, err, job.Conflict, job.WordStale)
		two.ConfigID = 1 << 40
		_, err = n.UpdateSchedule(t.Context(), two, false)
		absent(t, err)
	},
	"what PostgreSQL can not store is refused": func(t *testing.T, n *tenant) {
		s := n.newSchedule(n.config.ID)
		s.Rule.Name = "a\x00b"
		_, err := n.CreateSchedule(t.Context(), s)
		refused(t, err, job.Invalid, job.WordInvalidField)
	},
	"a schedule goes with its config, and by itself": func(t *testing.T, n *tenant) {
		n.scheduled(t)
		n.claim(t, 1)
		if err := n.DeleteSchedule(t.Context(), n.account.ID, n.config.ID); err != nil {
			t.Fatal(err)
		}
		absent(t, n.DeleteSchedule(t.Context(), n.account.ID, n.config.ID))
		n.scheduled(t)
		if list, err := n.Fires(t.Context(), n.account.ID, n.config.ID, 10); err != nil || len(list) != 0 {
			t.Errorf("fires of the schedule before: %v %v", list, err)
		}
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID}); err != nil {
			t.Fatal(err)
		}
		_, err := n.Schedule(t.Context(), n.account.ID, n.config.ID)
		absent(t, err)
	},
	"the engine is told of each version until it knows": func(t *testing.T, n *tenant) {
		s := n.scheduled(t)
		mine := func(list []job.Schedule, err error) bool {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range list {
				if one.ConfigID == s.ConfigID {
					return true
				}
			}
			return false
		}
		unsynced := func() bool { t.Helper(); return mine(n.Unsynced(t.Context(), 0, 1000)) }
		if mine(n.Unsynced(t.Context(), s.ConfigID, 1000)) || !mine(n.Unsynced(t.Context(), s.ConfigID-1, 1)) {
			t.Error("told of behind itself, or not as the first behind the one before")
		}
		if !unsynced() || !mine(n.AllSchedules(t.Context(), s.ConfigID-1, 1)) || mine(n.AllSchedules(t.Context(), s.ConfigID, 1000)) {
			t.Error("not listed, or listed behind itself")
		}
		ctx := t.Context()
		check := func(err error, want bool) {
			t.Helper()
			if err != nil || unsynced() != want {
				t.Errorf("unsynced %v, %v", !want, err)
			}
		}
		check(n.MarkSynced(ctx, s.ConfigID, 1), false)
		check(n.MarkUnsynced(ctx, s.ConfigID), true)
		check(n.MarkSynced(ctx, s.ConfigID, 1), true) // somebody who told the engine of the version before
		check(n.MarkSynced(ctx, s.ConfigID, 2), false)
		check(n.MarkSynced(ctx, s.ConfigID, 1), false)
		check(n.MarkUnsynced(ctx, 1<<40), false)
	},
}

func (n *tenant) newFire(second int) job.Fire {
	return job.Fire{
		ConfigID: n.config.ID, AccountID: n.account.ID, At: at(second), FiredAt: at(second), Begun: at(second), Kind: job.FireDue, Outcome: job.FirePending,
	}
}

func (n *tenant) claim(t *testing.T, second int) job.Fire {
	t.Helper()
	f, err := n.ClaimFire(t.Context(), n.newFire(second), false)
	if err != nil {
		t.Fatalf("ClaimFire: %v", err)
	}
	return f
}

func (n *tenant) endFire(t *testing.T, f job.Fire, o job.FireOutcome, id job.ID) job.Fire {
	t.Helper()
	f.Outcome, f.JobID, f.Message = o, id, string(o)
	if err := n.EndFire(t.Context(), f); err != nil {
		t.Fatalf("EndFire: %v", err)
	}
	return f
}

func (n *tenant) fires(t *testing.T) []job.Fire {
	t.Helper()
	list, err := n.Fires(t.Context(), n.account.ID, n.config.ID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var fireCases = map[string]func(*testing.T, *tenant){
	"a fire is claimed once, whoever comes": func(t *testing.T, n *tenant) {
		n.scheduled(t)
		want := n.claim(t, 1)
		again := n.newFire(1)
		again.FiredAt = at(9)
		got, err := n.ClaimFire(t.Context(), again, true)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "second claim", got, want)
		want = n.endFire(t, want, job.FireStarted, newID())
		other := want
		other.Outcome, other.JobID = job.FireRefused, ""
		if err := n.EndFire(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		same(t, "fires", n.fires(t), []job.Fire{want})
		if s := n.schedule(t); s.Runs != 1 {
			t.Errorf("%d runs", s.Runs)
		}
	},
	"runs come to their limit, and only fires that made a job count": func(t *testing.T, n *tenant) {
		s := n.scheduled(t) // three runs
		if err := n.MarkSynced(t.Context(), s.ConfigID, 1); err != nil {
			t.Fatal(err)
		}
		n.endFire(t, n.claim(t, 1), job.FireStarted, newID())
		n.endFire(t, n.claim(t, 2), job.FireSkipped, "")
		n.endFire(t, n.claim(t, 3), job.FireStarted, newID())
		last := n.claim(t, 4)
		if s := n.schedule(t); s.Runs != 3 || s.Version == s.Synced {
			t.Errorf("%d runs, version %d, synced %d: the engine must hear that there are no more", s.Runs, s.Version, s.Synced)
		}
		if f := n.claim(t, 5); f.Outcome != job.FireRefused || f.Message == "" {
			t.Errorf("%+v", f)
		}
		n.endFire(t, last, job.FireRefused, "")
		if f := n.claim(t, 6); f.Outcome != job.FirePending {
			t.Errorf("a run that came back: %+v", f)
		}
		s = n.schedule(t)
		s.ModifiedAt = at(7)
		if s, err := n.UpdateSchedule(t.Context(), s, true); err != nil || s.Runs != 0 || n.schedule(t).Runs != 0 {
			t.Errorf("reset: %d, %v", s.Runs, err)
		}
	},
	"a fire that made no job makes room for one that is asked for": func(t *testing.T, n *tenant) {
		n.scheduled(t)
		claim := func(f job.Fire, want job.FireOutcome) job.Fire {
			t.Helper()
			got, err := n.ClaimFire(t.Context(), f, false)
			if err != nil || got.Outcome != want {
				t.Fatalf("%+v, %v; want %s", got, err, want)
			}
			return got
		}
		first := n.newFire(1)
		first.Outcome = job.FireMissed
		claim(first, job.FireMissed)
		due := n.newFire(1)
		due.Begun = at(50)
		claim(due, job.FireMissed)
		again := n.newFire(1)
		again.Kind, again.FiredAt, again.Begun = job.FireBackfill, at(60), at(1)
		claim(again, job.FireMissed) // a repeat of the first
		again.Begun = at(60)
		same(t, "asked", claim(again, job.FirePending), again)
		claim(again, job.FirePending)
		n.endFire(t, again, job.FireRefused, "")
		claim(again, job.FireRefused)
		again.Begun, again.FiredAt = at(70), at(70)
		made := n.endFire(t, claim(again, job.FirePending), job.FireStarted, newID())
		again.Begun = at(80)
		same(t, "one that made a job", claim(again, job.FireStarted), made)
		same(t, "fires", n.fires(t), []job.Fire{made})
		if s := n.schedule(t); s.Runs != 1 {
			t.Errorf("%d runs", s.Runs)
		}
	},
	"of fires that were missed together one is made": func(t *testing.T, n *tenant) {
		s := n.newSchedule(n.config.ID)
		s.Rule.MaxRuns = 0
		if _, err := n.CreateSchedule(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		made := make(chan job.Fire, 8)
		for i := range 8 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				f := n.newFire(i)
				f.FiredAt = at(600 + i)
				f, err := n.ClaimFire(context.WithoutCancel(t.Context()), f, true)
				if err != nil {
					t.Error(err)
				}
				made <- f
			}()
		}
		wait.Wait()
		close(made)
		pending := 0
		for f := range made {
			if f.Outcome == job.FirePending {
				pending++
			} else if f.Outcome != job.FireMissed {
				t.Errorf("%+v", f)
			}
		}
		if pending != 1 {
			t.Errorf("%d were made", pending)
		}
		asked := n.newFire(700)
		asked.Kind = job.FireAsked
		if _, err := n.ClaimFire(t.Context(), asked, false); err != nil {
			t.Fatal(err)
		}
		late := n.newFire(650)
		late.FiredAt = at(800)
		if f, err := n.ClaimFire(t.Context(), late, true); err != nil || f.Outcome != job.FirePending {
			t.Errorf("a fire that a user asked for stands for none that was missed: %+v, %v", f, err)
		}
	},
	"the last fires are kept, newest first": func(t *testing.T, n *tenant) {
		n.scheduled(t)
		for i := range job.KeptFires + 5 {
			f := n.newFire(i)
			f.Outcome = job.FireRefused
			if _, err := n.ClaimFire(t.Context(), f, false); err != nil {
				t.Fatal(err)
			}
		}
		list := n.fires(t)
		if len(list) != job.KeptFires || !list[0].At.Equal(at(job.KeptFires+4)) || !list[len(list)-1].At.Equal(at(5)) {
			t.Errorf("%d fires from %s to %s", len(list), list[0].At, list[len(list)-1].At)
		}
		if two, err := n.Fires(t.Context(), n.account.ID, n.config.ID, 2); err != nil || len(two) != 2 {
			t.Error(two, err)
		}
	},
	"a fire of a schedule that is gone is absent": func(t *testing.T, n *tenant) {
		_, err := n.ClaimFire(t.Context(), n.newFire(1), false)
		absent(t, err)
		if err := n.EndFire(t.Context(), n.newFire(1)); err != nil {
			t.Error(err)
		}
	},
}
