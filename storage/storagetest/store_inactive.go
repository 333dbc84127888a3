package storagetest

import (
	"slices"
	"testing"

	"waybill/internal/job"
)

// inactiveCases are of control.InactiveJobs, which looks at all accounts.
var inactiveCases = map[string]func(*testing.T, *tenant){
	"what a deactivation left is cancelled later": func(t *testing.T, n *tenant) {
		ctx, ben := t.Context(), n.colleague(t, "ben", false)
		runs := n.begun(t, submittedBy(ben))
		n.deactivate(t, ben)
		// As if they had been submitted while the deactivation was stored.
		one, two, others := n.submit(t, submittedBy(ben)), n.submit(t, submittedBy(ben)), n.submit(t, submittedBy(n.admin))
		for {
			found, err := n.CancelInVain(ctx, at(60), 1)
			if err != nil || found > 1 {
				t.Fatalf("%d found, %v", found, err)
			}
			if found == 0 {
				break
			}
		}
		for id, want := range map[job.ID]job.Status{one.ID: job.Cancelled, two.ID: job.Cancelled, runs.ID: job.Running, others.ID: job.Queued} {
			if j, err := n.Job(ctx, n.account.ID, id); err != nil || j.Status != want || want == job.Cancelled && j.StoppedBy != n.admin.Ref() {
				t.Errorf("%+v, %v, want %s", j, err, want)
			}
		}
		due, err := n.CancelsDue(ctx, "", 1000)
		if err != nil || !slices.ContainsFunc(due, func(j job.Job) bool { return j.ID == one.ID }) {
			t.Errorf("the engine will not be told: %v", err)
		}
	},
	"a worker that comes for what a deactivation left gets nothing": func(t *testing.T, n *tenant) {
		ctx, ben := t.Context(), n.colleague(t, "ben", false)
		runs, pauses := n.begun(t, submittedBy(ben)), n.begun(t, submittedBy(ben))
		n.deactivate(t, ben)
		if err := n.Again(ctx, n.account.ID, pauses.ID, 1, failed(), at(101)); err != nil {
			t.Fatal(err)
		}
		waits := n.submit(t, submittedBy(ben))
		_, _, err := n.Begin(ctx, n.account.ID, pauses.ID, 1, "worker-0", at(102))
		refused(t, err, job.Conflict, job.WordStale)
		if j := n.now(t, pauses.ID); j.Status != job.Queued {
			t.Errorf("a worker that is late ended the job: %+v", j)
		}
		for _, id := range []job.ID{waits.ID, pauses.ID} {
			for fence := range int64(2) { // a second time, too
				before := n.now(t, id)
				got, lost, err := n.Begin(ctx, n.account.ID, id, 2+fence, "worker-2", at(110))
				refused(t, err, job.Conflict, job.WordStale)
				same(t, "returned", got, n.now(t, id))
				if lost || got.Status != job.Cancelled || got.Reason != job.ReasonStopped || got.StoppedBy != n.admin.Ref() || !got.FinishedAt.Equal(at(110)) ||
					got.Attempt != before.Attempt || got.Worker != before.Worker || got.Change != before.Change+1-fence {
					t.Errorf("lost %v, %+v", lost, got)
				}
			}
		}
		if open := n.attempts(t, waits.ID); len(open) != 0 {
			t.Errorf("%+v", open)
		}
		due, err := n.CancelsDue(ctx, "", 1000)
		if err != nil || !slices.ContainsFunc(due, func(j job.Job) bool { return j.ID == waits.ID }) {
			t.Errorf("the engine will not be told: %v", err)
		}
		// What ran when its worker was lost is left to end.
		if j, lost, err := n.Begin(ctx, n.account.ID, runs.ID, 2, "worker-2", at(111)); err != nil || !lost || j.Status != job.Running {
			t.Errorf("%+v, lost %v, %v", j, lost, err)
		}
		again := n.submit(t, submittedBy(ben))
		if _, err := n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID}, true, n.admin.Ref(), at(112)); err != nil {
			t.Fatal(err)
		}
		if j, _, err := n.Begin(ctx, n.account.ID, again.ID, 1, "worker-2", at(113)); err != nil || j.Status != job.Running {
			t.Errorf("of a user who is active again: %+v, %v", j, err)
		}
	},
	"of a worker and a deactivation at once either has the job": func(t *testing.T, n *tenant) {
		ctx, ben := t.Context(), n.colleague(t, "ben", false)
		for try := range 10 {
			j := n.submit(t, submittedBy(ben))
			errs := atOnce(2, func(i int) (err error) {
				if i == 0 {
					_, _, err = n.Begin(ctx, n.account.ID, j.ID, 1, "worker", at(60))
				} else {
					_, err = n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID}, false, n.admin.Ref(), at(60))
				}
				return err
			})
			if errs[1] != nil {
				t.Fatal(errs[1])
			}
			want := job.Running
			if errs[0] != nil {
				refused(t, errs[0], job.Conflict, job.WordStale)
				want = job.Cancelled
			}
			if got := n.now(t, j.ID); got.Status != want {
				t.Errorf("try %d: %s, want %s", try, got.Status, want)
			}
			if _, err := n.SetUsersActive(ctx, n.account.ID, []int64{ben.ID}, true, n.admin.Ref(), at(61)); err != nil {
				t.Fatal(err)
			}
		}
	},
}

// submittedBy has somebody submit a job.
func submittedBy(u job.User) func(*job.Job) { return func(j *job.Job) { j.SubmittedBy = u.Ref() } }

// deactivate is what is stored of a deactivation before the jobs of the user are looked at.
func (n *tenant) deactivate(t *testing.T, u job.User) {
	t.Helper()
	u.Active, u.ModifiedBy, u.ModifiedAt = false, n.admin.Ref(), at(50)
	if _, err := n.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}
