package storagetest

import (
	"testing"

	"waybill/internal/job"
)

func lostWorker() job.Outcome {
	return job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, Message: "The worker was lost", At: at(200)}
}

func (n *tenant) settle(t *testing.T, id job.ID, fence int64, o job.Outcome) job.Job {
	t.Helper()
	j, err := n.Settle(t.Context(), n.account.ID, id, fence, o)
	if err != nil {
		t.Fatalf("Settle: %v", err)
	}
	same(t, "settled and stored", n.now(t, id), j)
	return j
}

var settleCases = map[string]func(*testing.T, *tenant){
	"a queued or running job ends as the workflow says": func(t *testing.T, n *tenant) {
		for _, o := range []job.Outcome{
			lostWorker(), {Status: job.Cancelled, Reason: job.ReasonStopped, At: at(200)}, {Status: job.Completed, ReturnCode: exit(0), At: at(200)},
		} {
			for _, j := range []job.Job{n.submit(t), n.begun(t)} {
				want := j
				want.Status, want.Reason, want.ReturnCode, want.Message = o.Status, o.Reason, o.ReturnCode, o.Message
				want.FinishedAt, want.Fence, want.Change = at(200), 10, j.Change+1
				same(t, "settled from "+string(j.Status), n.settle(t, j.ID, 10, o), want)
			}
		}
	},
	"settling closes attempts and steps and shuts workers out": func(t *testing.T, n *tenant) {
		j, ctx := n.begun(t), t.Context()
		if err := n.Started(ctx, n.account.ID, j.ID, 1, "", at(101)); err != nil {
			t.Fatal(err)
		}
		want := n.settle(t, j.ID, 10, lostWorker())
		attempts, steps := n.attempts(t, j.ID), n.steps(t, j.ID)
		if len(attempts) != 1 || attempts[0].Reason != job.ReasonWorkerLost || !attempts[0].FinishedAt.Equal(at(200)) {
			t.Errorf("attempts = %+v", attempts)
		}
		if len(steps) != 1 || steps[0].Status != job.Failed || !steps[0].FinishedAt.Equal(at(200)) {
			t.Errorf("steps = %+v", steps)
		}
		_, err := n.Finish(ctx, n.account.ID, j.ID, 1, completed())
		refused(t, err, job.Conflict, job.WordStale)
		_, _, err = n.Begin(ctx, n.account.ID, j.ID, 99, "late", at(201))
		refused(t, err, job.Conflict, job.WordStale)
		same(t, "job", n.now(t, j.ID), want)
	},
	"a final job stays as it is however often it is settled": func(t *testing.T, n *tenant) {
		j := n.ended(t, completed())
		for range 2 {
			same(t, "settled", n.settle(t, j.ID, 10, lostWorker()), j)
		}
	},
	"a job that a user stopped is settled as cancelled": func(t *testing.T, n *tenant) {
		for _, o := range []job.Outcome{lostWorker(), {Status: job.Completed, ReturnCode: exit(0), At: at(200)}} {
			j := n.begun(t)
			if _, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(120), 0); err != nil {
				t.Fatal(err)
			}
			got := n.settle(t, j.ID, 10, o)
			if got.Status != job.Cancelled || got.Reason != job.ReasonStopped || got.StoppedBy != n.admin.Ref() ||
				got.ReturnCode != nil {
				t.Errorf("settled = %+v, want cancelled, stopped", got)
			}
		}
	},
	"a job over its time is settled as failed": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if err := n.Cancelling(t.Context(), n.account.ID, j.ID, 1, job.ReasonTimeout); err != nil {
			t.Fatal(err)
		}
		got := n.settle(t, j.ID, 10, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped, At: at(200)})
		if got.Status != job.Failed || got.Reason != job.ReasonTimeout {
			t.Errorf("settled = %s, %s, want failed, timeout", got.Status, got.Reason)
		}
	},
	"a larger fence is kept": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if _, _, err := n.Begin(t.Context(), n.account.ID, j.ID, 50, "worker-2", at(102)); err != nil {
			t.Fatal(err)
		}
		same(t, "fence", n.settle(t, j.ID, 10, lostWorker()).Fence, int64(50))
	},
	"an outcome that is no ending is refused": func(t *testing.T, n *tenant) {
		_, err := n.Settle(t.Context(), n.account.ID, n.submit(t).ID, 1, job.Outcome{Status: job.Queued, At: at(1)})
		refused(t, err, job.Invalid, job.WordInvalidField)
	},
	"a retry that completed resolves all above it, once": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.ended(t, failed(), retryOf(first.ID))
		side := n.ended(t, failed(), retryOf(first.ID)) // of the same chain, made earlier
		third := n.ended(t, completed(), retryOf(second.ID))
		for _, when := range []int{300, 400} {
			if err := n.RollUp(t.Context(), n.account.ID, third.ID, at(when)); err != nil {
				t.Fatal(err)
			}
		}
		for _, j := range []job.Job{first, second, side} {
			j.ResolvedBy, j.ResolvedAt, j.Change = third.ID, at(300), j.Change+1
			same(t, "above", n.now(t, j.ID), j)
		}
		got := n.now(t, third.ID)
		same(t, "resolved by", got.ResolvedBy, job.ID(""))
		same(t, "change", got.Change, third.Change+1)
	},
	"the first resolution stays": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.ended(t, completed(), retryOf(first.ID))
		third := n.ended(t, completed(), retryOf(second.ID))
		for _, id := range []job.ID{second.ID, third.ID} {
			if err := n.RollUp(t.Context(), n.account.ID, id, at(300)); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "first resolved by", n.now(t, first.ID).ResolvedBy, second.ID)
		same(t, "second resolved by", n.now(t, second.ID).ResolvedBy, third.ID)
	},
	"a retry that failed resolves nothing": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.ended(t, failed(), retryOf(first.ID))
		if err := n.RollUp(t.Context(), n.account.ID, second.ID, at(300)); err != nil {
			t.Fatal(err)
		}
		same(t, "first", n.now(t, first.ID), first)
	},
	"a retry that goes on is not rolled up": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.submit(t, retryOf(first.ID))
		refused(t, n.RollUp(t.Context(), n.account.ID, second.ID, at(300)), job.Conflict, job.WordJobNotFinished)
	},
	"rolling up a first run does nothing": func(t *testing.T, n *tenant) {
		first := n.ended(t, completed())
		if err := n.RollUp(t.Context(), n.account.ID, first.ID, at(300)); err != nil {
			t.Fatal(err)
		}
		same(t, "first", n.now(t, first.ID), first)
	},
	"ten roll-ups at once resolve once": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.ended(t, completed(), retryOf(first.ID))
		for _, err := range atOnce(10, func(i int) error { return n.RollUp(t.Context(), n.account.ID, second.ID, at(300+i)) }) {
			if err != nil {
				t.Fatal(err)
			}
		}
		same(t, "writes to the parent", n.now(t, first.ID).Change, first.Change+1)
		same(t, "writes to the retry", n.now(t, second.ID).Change, second.Change+1)
	},
}
