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
		ben.Active, ben.ModifiedBy, ben.ModifiedAt = false, n.admin.Ref(), at(50)
		ben, err := n.UpdateUser(ctx, ben)
		if err != nil {
			t.Fatal(err)
		}
		of := func(u job.User) func(*job.Job) { return func(j *job.Job) { j.SubmittedBy = u.Ref() } }
		// As if they had been submitted while the deactivation was stored.
		one, two, runs, others := n.submit(t, of(ben)), n.submit(t, of(ben)), n.submit(t, of(ben)), n.submit(t, of(n.admin))
		if _, _, err := n.Begin(ctx, n.account.ID, runs.ID, 1, "worker", at(2)); err != nil {
			t.Fatal(err)
		}
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
}
