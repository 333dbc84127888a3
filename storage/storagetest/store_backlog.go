package storagetest

import (
	"context"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

func ids(jobs []job.Job) []job.ID {
	var list []job.ID
	for _, j := range jobs {
		list = append(list, j.ID)
	}
	return list
}

// backlogCounter is what the metrics ask.
type backlogCounter interface {
	CountBacklog(ctx context.Context, seen time.Time) (job.Backlog, error)
}

var backlogCases = map[string]func(*testing.T, *tenant){
	"jobs that have not ended are counted by what they wait for": func(t *testing.T, n *tenant) {
		first := n.submit(t)
		n.submit(t)
		n.begun(t)
		n.ended(t, completed())
		counter, ok := n.Store.(backlogCounter)
		if !ok {
			t.Fatal("the store does not count")
		}
		got, err := counter.CountBacklog(t.Context(), at(0))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "counts", got, job.Backlog{Queued: 2, Running: 1, Oldest: first.ScheduledAt, WithoutWorker: 2})
	},
	"unfinished jobs of all accounts come oldest id first, page by page": func(t *testing.T, n *tenant) {
		b := n.other(t)
		queued, running := n.submit(t), b.begun(t)
		n.ended(t, completed())
		stopping := n.begun(t)
		if _, err := n.Cancel(t.Context(), n.account.ID, stopping.ID, n.admin.Ref(), at(120), 0); err != nil {
			t.Fatal(err)
		}
		var got []job.ID
		var after job.ID
		for {
			page, err := n.Unfinished(t.Context(), at(1000), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 || len(got) > 3 {
				break
			}
			got = append(got, ids(page)...)
			after = page[len(page)-1].ID
		}
		same(t, "unfinished", got, []job.ID{queued.ID, running.ID, stopping.ID})
	},
	"jobs the engine did not answer for are listed until it does or they end": func(t *testing.T, n *tenant) {
		n.submit(t)
		waiting, reached, gone := n.submit(t), n.submit(t), n.submit(t)
		for _, j := range []job.Job{waiting, reached, gone} {
			if err := n.MarkUnreachable(t.Context(), n.account.ID, j.ID, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.MarkUnreachable(t.Context(), n.account.ID, reached.ID, false); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Cancel(t.Context(), n.account.ID, gone.ID, n.admin.Ref(), at(120), 0); err != nil {
			t.Fatal(err)
		}
		page, err := n.Unreached(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "unreached", ids(page), []job.ID{waiting.ID})
	},
	"a job of any account is found by its id alone": func(t *testing.T, n *tenant) {
		for _, j := range []job.Job{n.submit(t), n.other(t).submit(t)} {
			got, err := n.AnyJob(t.Context(), j.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "job", got, j)
		}
		for _, id := range []job.ID{newID(), "nul\x00"} {
			_, err := n.AnyJob(t.Context(), id)
			absent(t, err)
		}
	},
	"jobs are known by their ids, of any account": func(t *testing.T, n *tenant) {
		queued, done := n.submit(t), n.other(t).ended(t, completed())
		got, err := n.KnownJobs(t.Context(), []job.ID{queued.ID, newID(), done.ID})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "known", got, map[job.ID]control.KnownJob{queued.ID: {}, done.ID: {FinishedAt: at(110)}})
		if got, err = n.KnownJobs(t.Context(), nil); err != nil || len(got) != 0 {
			t.Errorf("of none: %v, %v", got, err)
		}
	},
	"a job written since is not in the backlog": func(t *testing.T, n *tenant) {
		old := n.submit(t)  // written at 1 s
		taken := n.begun(t) // written at 100 s
		page, err := n.Unfinished(t.Context(), at(100), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "written before 100 s", ids(page), []job.ID{old.ID})
		page, err = n.Unfinished(t.Context(), at(100).Add(time.Microsecond), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "written up to 100 s", ids(page), []job.ID{old.ID, taken.ID})
	},
	"retries that ended wait for their roll-up": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		completedRetry := n.ended(t, completed(), retryOf(first.ID))
		failedRetry := n.ended(t, failed(), retryOf(first.ID))
		n.submit(t, retryOf(first.ID))
		page, err := n.NotRolledUp(t.Context(), at(110), control.RollUpMark{}, 10)
		if err != nil || len(page) != 0 {
			t.Errorf("ended before 110 s = %v, %v, want none", ids(page), err)
		}
		page, err = n.NotRolledUp(t.Context(), at(111), control.RollUpMark{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "ended before 111 s", ids(page), []job.ID{completedRetry.ID, failedRetry.ID})
		var walked []job.ID
		for after := (control.RollUpMark{}); ; {
			one, err := n.NotRolledUp(t.Context(), at(111), after, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(one) == 0 {
				break
			}
			walked = append(walked, one[0].ID)
			after = control.RollUpMark{Ended: one[0].FinishedAt, ID: one[0].ID}
		}
		same(t, "one behind the other", walked, ids(page))
		for _, j := range page {
			if err := n.RollUp(t.Context(), j.AccountID, j.ID, at(120)); err != nil {
				t.Fatal(err)
			}
		}
		page, err = n.NotRolledUp(t.Context(), at(1000), control.RollUpMark{}, 10)
		if err != nil || len(page) != 0 {
			t.Errorf("after roll-up = %v, %v, want none", ids(page), err)
		}
	},
	"what is over is purged, the rest stays": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		if _, _, err := n.Submit(ctx, n.keyed("key", "digest")); err != nil {
			t.Fatal(err)
		}
		for id, expires := range map[string]time.Time{"old": at(50), "new": at(51)} {
			f := job.TokenFamily{ID: id, UserID: n.admin.ID, AccountID: n.account.ID, RefreshHash: "h", CreatedAt: start, ExpiresAt: expires}
			if err := n.CreateTokenFamily(ctx, f, ""); err != nil {
				t.Fatal(err)
			}
		}
		for _, subject := range []string{"locked", "counted"} {
			if _, err := n.LoginFailed(ctx, subject, at(0), 10*time.Second, 2, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := n.LoginFailed(ctx, "locked", at(1), 10*time.Second, 2, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := n.PurgeExpired(ctx, at(50)); err != nil {
			t.Fatal(err)
		}
		_, err := n.TokenFamily(ctx, "old")
		absent(t, err)
		if _, err := n.TokenFamily(ctx, "new"); err != nil {
			t.Errorf("a family that is good is gone: %v", err)
		}
		if until, err := n.LockedUntil(ctx, "locked", at(50)); err != nil || !until.Equal(at(61)) {
			t.Errorf("locked until %v, %v, want the lock kept", until, err)
		}
		if _, replayed, err := n.Submit(ctx, n.keyed("key", "digest")); err != nil || !replayed {
			t.Errorf("a key that is good is gone: replayed %v, %v", replayed, err)
		}
		if err := n.PurgeExpired(ctx, at(24*3600)); err != nil {
			t.Fatal(err)
		}
		if _, replayed, err := n.Submit(ctx, n.keyed("key", "digest")); err != nil || replayed {
			t.Errorf("a key that is over is there: replayed %v, %v", replayed, err)
		}
	},
	"attempts to sign in are kept for their time": func(t *testing.T, n *tenant) {
		for _, second := range []int{0, 10} {
			if err := n.AddLogin(t.Context(), job.LoginAttempt{AccountID: n.account.ID, UserID: n.admin.ID, Time: at(second), Success: true, Method: job.LoginSSO}, 10); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.PurgeExpired(t.Context(), at(5).Add(job.LoginsKept)); err != nil {
			t.Fatal(err)
		}
		page, err := n.Logins(t.Context(), job.Query{Scope: n.scope()}, n.admin.ID)
		if err != nil || len(page.Items) != 1 || !page.Items[0].Time.Equal(at(10)) {
			t.Errorf("%+v, %v", page.Items, err)
		}
	},
}
