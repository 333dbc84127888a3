package storagetest

import (
	"strings"
	"sync"
	"testing"

	"waybill/internal/job"
)

func (n *tenant) sharedSchedule(t *testing.T, name string) job.SharedSchedule {
	t.Helper()
	s, err := n.CreateSharedSchedule(t.Context(), job.SharedSchedule{
		AccountID: n.account.ID, Name: name, Plan: job.SharedPlan{Zone: "America/New_York", Start: at(0).Truncate(1e9), Every: "Daily", Frequency: 1},
		Rule:      job.ScheduleRule{Name: name, Kind: job.CronSchedule, Cron: "0 0 2 * * ? *", Zone: "America/New_York", Calendar: &job.Calendar{}},
		CreatedAt: at(1), CreatedBy: n.admin.Ref(), ModifiedAt: at(1), ModifiedBy: n.admin.Name, Change: 1,
	}, 500)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var sharedScheduleCases = map[string]func(*testing.T, *tenant){
	"a shared schedule comes back as it was stored": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		s := n.sharedSchedule(t, "Nächtlich")
		got, err := n.SharedSchedule(ctx, n.account.ID, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "schedule", got, s)
		_, err = n.SharedSchedule(ctx, n.other(t).account.ID, s.ID)
		absent(t, err)
		again := s
		again.Name = strings.ToUpper(s.Name)
		_, err = n.CreateSharedSchedule(ctx, again, 500)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		again.Name = "one too many"
		_, err = n.CreateSharedSchedule(ctx, again, 1)
		refused(t, err, job.Invalid, job.WordInvalidField)
		for name, want := range map[string]int{"NÄCHTLICH": 1, "nächt": 0} {
			if list, err := n.SharedSchedules(ctx, n.account.ID, n.admin.ID, name); err != nil || len(list) != want {
				t.Errorf("named %s: %v, %v", name, list, err)
			}
		}
		for owner, want := range map[int64]int{0: 1, n.admin.ID: 1, n.admin.ID + 1_000_000: 0} {
			if list, err := n.SharedSchedules(ctx, n.account.ID, owner, ""); err != nil || len(list) != want {
				t.Errorf("owner %d: %v, %v", owner, list, err)
			}
		}
		if list, err := n.SharedSchedules(ctx, n.other(t).account.ID, 0, ""); err != nil || len(list) != 0 {
			t.Errorf("another account: %v, %v", list, err)
		}
	},
	"schedules of configs follow the shared one": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		s, own := n.sharedSchedule(t, "followed"), n.create(t, "has its own")
		sch, err := n.FollowSharedSchedule(ctx, n.account.ID, n.config.ID, s.ID, at(2))
		if err != nil || sch.Shared != s.ID || sch.Rule.Cron != s.Rule.Cron || sch.Version == sch.Synced {
			t.Fatalf("%+v, %v", sch, err)
		}
		if _, err := n.CreateSchedule(ctx, n.newSchedule(own.ID)); err != nil {
			t.Fatal(err)
		}
		_, err = n.FollowSharedSchedule(ctx, n.account.ID, own.ID, s.ID, at(2))
		refused(t, err, job.Conflict, job.WordScheduleExists)
		if err := n.MarkSynced(ctx, n.config.ID, sch.Version); err != nil {
			t.Fatal(err)
		}
		s.Rule.Cron, s.Name, s.ModifiedAt = "0 30 3 * * ? *", "followed on", at(3)
		if s, err = n.UpdateSharedSchedule(ctx, s); err != nil {
			t.Fatal(err)
		}
		stale := s
		stale.Change--
		_, err = n.UpdateSharedSchedule(ctx, stale)
		refused(t, err, job.Conflict, job.WordStale)
		now, err := n.Schedule(ctx, n.account.ID, n.config.ID)
		if err != nil || now.Rule.Cron != s.Rule.Cron || now.Rule.Calendar == nil || now.Version == now.Synced || !now.ModifiedAt.Equal(at(3)) {
			t.Errorf("%+v, %v", now, err)
		}
		if other, err := n.Schedule(ctx, n.account.ID, own.ID); err != nil || other.Rule.Cron == s.Rule.Cron || other.Shared != 0 {
			t.Errorf("a schedule of its own: %+v, %v", other, err)
		}
		err = n.DeleteSharedSchedule(ctx, n.account.ID, s.ID)
		refused(t, err, job.Conflict, job.WordScheduleInUse)
		says(t, err, "Schedule 'followed on' is used by task "+n.config.Name)
		absent(t, n.DeleteSharedSchedule(ctx, n.other(t).account.ID, s.ID))
		if on, err := n.SharedScheduleFollowers(ctx, n.account.ID, s.ID); err != nil || len(on) != 1 || on[n.config.ID] != n.config.Owner.ID {
			t.Errorf("followers %v, %v", on, err)
		}
		if on, err := n.SharedScheduleFollowers(ctx, n.other(t).account.ID, s.ID); err != nil || len(on) != 0 {
			t.Errorf("followers of another account's %v, %v", on, err)
		}
		if left, err := n.LeaveSharedSchedule(ctx, n.account.ID, own.ID); err != nil || left {
			t.Errorf("a schedule of its own was taken away: %v, %v", left, err)
		}
		if left, err := n.LeaveSharedSchedule(ctx, n.account.ID, n.config.ID); err != nil || !left {
			t.Errorf("%v, %v", left, err)
		}
		if err := n.DeleteSharedSchedule(ctx, n.account.ID, s.ID); err != nil {
			t.Error(err)
		}
		_, err = n.FollowSharedSchedule(ctx, n.account.ID, n.config.ID, s.ID, at(4))
		absent(t, err)
	},
	"a schedule that is changed by itself is the config's own": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		s := n.sharedSchedule(t, "left")
		sch, err := n.FollowSharedSchedule(ctx, n.account.ID, n.config.ID, s.ID, at(2))
		if err != nil {
			t.Fatal(err)
		}
		sch.Shared = 0
		if _, err := n.UpdateSchedule(ctx, sch, false); err != nil {
			t.Fatal(err)
		}
		if err := n.DeleteSharedSchedule(ctx, n.account.ID, s.ID); err != nil {
			t.Error(err)
		}
	},
	"a config is put on a shared schedule before or after it is changed, never in between": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		s := n.sharedSchedule(t, "busy")
		var configs []job.Config
		for _, name := range []string{"one", "two", "three", "four"} {
			configs = append(configs, n.create(t, name))
		}
		var wg sync.WaitGroup
		for _, c := range configs {
			wg.Go(func() {
				if _, err := n.FollowSharedSchedule(ctx, n.account.ID, c.ID, s.ID, at(2)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			changed := s
			changed.Rule.Cron = "0 45 5 * * ? *"
			if _, err := n.UpdateSharedSchedule(ctx, changed); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for _, c := range configs {
			if sch, err := n.Schedule(ctx, n.account.ID, c.ID); err != nil || sch.Rule.Cron != "0 45 5 * * ? *" {
				t.Errorf("%s: %+v, %v", c.Name, sch.Rule, err)
			}
		}
	},
}
