package storagetest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

var runsCases = map[string]func(*testing.T, *tenant){
	"of twenty submissions at once that want to be alone one makes a job, and the others are told of it": func(t *testing.T, n *tenant) {
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			made   []job.ID
			others []job.ID
		)
		for range 20 {
			wg.Go(func() {
				j, _, err := n.Submit(t.Context(), control.Submission{Job: n.newJob(), Alone: true})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made = append(made, j.ID)
				case job.WordOf(err) == job.WordRunActive && job.CodeOf(err) == job.Conflict:
					others = append(others, j.ID)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(made) != 1 || len(others) != 19 || slices.ContainsFunc(others, func(id job.ID) bool { return id != made[0] }) {
			t.Fatalf("made %v, told of %v", made, others)
		}
		if j := n.now(t, made[0]); j.RunNumber != 1 {
			t.Errorf("refused ones counted as runs: %d", j.RunNumber)
		}
	},
	"a submission that is refused for an active job leaves its key free": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		first := n.submit(t)
		sub := n.keyed("alone", "digest")
		sub.Alone = true
		_, _, err := n.Submit(ctx, sub)
		refused(t, err, job.Conflict, job.WordRunActive)
		if _, found, err := n.Replay(ctx, n.account.ID, sub.Idempotency, at(1)); found || err != nil {
			t.Errorf("the key is taken: %v, %v", found, err)
		}
		if _, err := n.Cancel(ctx, n.account.ID, first.ID, n.admin.Ref(), at(1), 0); err != nil {
			t.Fatal(err)
		}
		if j, replayed, err := n.Submit(ctx, sub); err != nil || replayed || j.ID != sub.Job.ID {
			t.Errorf("%v, %v, %v", j.ID, replayed, err)
		}
		again := n.newJob() // who does not ask for it is not alone
		if _, _, err := n.Submit(ctx, control.Submission{Job: again}); err != nil {
			t.Error(err)
		}
	},
	"a cancel says what it leaves the program": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		got, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(1), 5*time.Minute)
		if err != nil || got.StopGrace != 5*time.Minute || got.Status != job.Cancelling || n.now(t, j.ID).StopGrace != 5*time.Minute {
			t.Errorf("%+v, %v", got, err)
		}
	},
	"a config is found by its name in any letter case": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		c := n.create(t, "Nächtlich")
		if got, err := n.ConfigByName(ctx, n.account.ID, strings.ToUpper("nächtlich")); err != nil || got.ID != c.ID {
			t.Errorf("%+v, %v", got, err)
		}
		for _, name := range []string{"", "Nachtlich", "\xff", "a\x00"} {
			_, err := n.ConfigByName(ctx, n.account.ID, name)
			absent(t, err)
		}
		_, err := n.other(t).ConfigByName(ctx, n.account.ID+1_000_000, c.Name)
		absent(t, err)
	},
	"the steps of several jobs come at once": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		a, b, queued := n.ended(t, completed()), n.ended(t, failed()), n.submit(t)
		got, err := n.StepsOf(ctx, n.account.ID, []job.ID{a.ID, b.ID, queued.ID, newID()})
		if err != nil || len(got) != 2 || len(got[a.ID]) != 1 || got[a.ID][0].Name != "main" || got[b.ID][0].Status != job.Failed {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := n.StepsOf(ctx, n.other(t).account.ID, []job.ID{a.ID}); err != nil || len(got) != 0 {
			t.Errorf("another account: %+v, %v", got, err)
		}
	},
	"what has ended comes last ended first": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		other := n.create(t, "another one")
		end := func(second int, change ...func(*job.Job)) job.ID {
			o := completed()
			o.At = at(second)
			return n.ended(t, o, change...).ID
		}
		ids := []job.ID{end(300), end(100), end(200, func(j *job.Job) { j.ConfigID, j.ConfigName = other.ID, other.Name })}
		n.submit(t)
		n.begun(t)
		for _, c := range []struct {
			config, run   int64
			offset, limit int
			want          []job.ID
		}{
			{0, 0, 0, 10, []job.ID{ids[0], ids[2], ids[1]}},
			{0, 0, 1, 1, []job.ID{ids[2]}},
			{n.config.ID, 0, 0, 10, []job.ID{ids[0], ids[1]}},
			{n.config.ID, 2, 0, 10, []job.ID{ids[1]}},
			{n.config.ID, 9, 0, 10, nil},
		} {
			list, err := n.Ended(ctx, n.scope(), c.config, c.run, c.offset, c.limit)
			var got []job.ID
			for _, j := range list {
				got = append(got, j.ID)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, %v", c, got, err)
			}
		}
		for _, s := range []job.Scope{n.other(t).scope(), {AccountID: n.account.ID, OwnerID: n.admin.ID + 1_000_000}} {
			if list, err := n.Ended(ctx, s, 0, 0, 0, 10); err != nil || len(list) != 0 {
				t.Errorf("%+v sees %v, %v", s, list, err)
			}
		}
	},
	"a callback of one start is told once, beside one of the config to the same address": func(t *testing.T, n *tenant) {
		j := n.ended(t, completed(), calling(job.Callback{URL: "https://a.example"},
			job.Callback{URL: "https://a.example", Door: "informatica", Events: []string{job.EventJobCompleted, job.EventJobFailed}}))
		list, err := n.Deliveries(t.Context(), n.account.ID, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		doors := map[string]int{}
		for _, d := range list {
			doors[d.Door+" "+d.Event]++
		}
		if len(list) != 3 || doors["informatica job.completed"] != 1 || doors[" job.completed"] != 1 || doors[" job.started"] != 1 {
			t.Errorf("%v", doors)
		}
	},
	"an account keeps its time zone": func(t *testing.T, n *tenant) {
		a := n.account
		a.TimeZone = "America/New_York"
		if _, err := n.UpdateAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got, err := n.Account(t.Context(), a.ID); err != nil || got.TimeZone != a.TimeZone {
			t.Errorf("%+v, %v", got, err)
		}
	},
}
