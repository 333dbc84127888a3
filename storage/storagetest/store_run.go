package storagetest

import (
	"testing"

	"waybill/internal/job"
)

func (n *tenant) attempts(t *testing.T, id job.ID) []job.Attempt {
	t.Helper()
	attempts, err := n.Attempts(t.Context(), n.account.ID, id)
	if err != nil {
		t.Fatalf("Attempts: %v", err)
	}
	return attempts
}

func (n *tenant) steps(t *testing.T, id job.ID) []job.Step {
	t.Helper()
	steps, err := n.Steps(t.Context(), n.account.ID, id)
	if err != nil {
		t.Fatalf("Steps: %v", err)
	}
	return steps
}

func output(name string, size int64) job.Output {
	return job.Output{Name: name, Size: size, SHA256: "ab", Object: "accounts/1/" + name, CreatedAt: at(105)}
}

var runCases = map[string]func(*testing.T, *tenant){
	"a job runs from begin to finish": func(t *testing.T, n *tenant) {
		j, ctx := n.submit(t, func(j *job.Job) { j.Spec.Macros = []job.Macro{{Key: "A", Value: "1"}} }), t.Context()
		begun, lost, err := n.Begin(ctx, n.account.ID, j.ID, 7, "worker-1", at(100))
		if err != nil || lost {
			t.Fatalf("Begin = lost %v, %v", lost, err)
		}
		j.Status, j.Reason, j.Taken, j.Fence, j.Worker = job.Running, job.ReasonInitializing, true, 7, "worker-1"
		j.Attempt, j.ReceivedAt, j.Change = 1, at(100), 2
		same(t, "begun", begun, j)

		if err := n.Started(ctx, n.account.ID, j.ID, 7, "landlock; memory 1 GiB\x00", at(101)); err != nil {
			t.Fatal(err)
		}
		j.Reason, j.StartedAt, j.Change, j.CurrentStep = "", at(101), 3, "main"
		j.Sandbox = "landlock; memory 1 GiB\ufffd"
		same(t, "started", n.now(t, j.ID), j)
		j.CurrentStep = ""
		step := job.Step{Name: "main", Status: job.Running, Attempt: 1, StartedAt: at(101)}
		same(t, "steps", n.steps(t, j.ID), []job.Step{step})

		o := completed()
		o.Outputs = []job.Output{output("b.csv", 0), output("a/é.csv", 12)}
		finished, err := n.Finish(ctx, n.account.ID, j.ID, 7, o)
		if err != nil {
			t.Fatal(err)
		}
		j.Status, j.ReturnCode, j.FinishedAt, j.Change = job.Completed, exit(0), at(110), 4
		same(t, "finished", finished, j)
		same(t, "read", n.now(t, j.ID), j)
		step.Status, step.FinishedAt, step.ReturnCode = job.Completed, at(110), exit(0)
		same(t, "steps", n.steps(t, j.ID), []job.Step{step})
		same(t, "attempts", n.attempts(t, j.ID), []job.Attempt{{
			Number: 1, Fence: 7, Worker: "worker-1", StartedAt: at(100), FinishedAt: at(110), ReturnCode: exit(0),
			Sandbox: j.Sandbox,
		}})
		outputs, err := n.Outputs(ctx, n.account.ID, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "outputs", outputs, []job.Output{output("a/é.csv", 12), output("b.csv", 0)})
	},
	"a failed attempt is queued again until its pause is over": func(t *testing.T, n *tenant) {
		j, ctx := n.begun(t), t.Context()
		if err := n.Started(ctx, n.account.ID, j.ID, 1, "", at(101)); err != nil {
			t.Fatal(err)
		}
		o := failed()
		o.Outputs = []job.Output{output("first.csv", 1)}
		if err := n.Again(ctx, n.account.ID, j.ID, 1, o, at(120)); err != nil {
			t.Fatal(err)
		}
		got := n.now(t, j.ID)
		j.Status, j.Reason, j.Failures, j.ReturnCode, j.Message = job.Queued, "", 1, exit(3), "exit 3"
		j.StartAfter, j.StartedAt, j.Change = at(120), at(101), 4
		same(t, "paused", got, j)
		refused(t, n.Started(ctx, n.account.ID, j.ID, 1, "", at(111)), job.Conflict, job.WordStale)
		_, err := n.Finish(ctx, n.account.ID, j.ID, 1, completed())
		refused(t, err, job.Conflict, job.WordStale)

		begun, lost, err := n.Begin(ctx, n.account.ID, j.ID, 2, "worker-2", at(121))
		if err != nil || lost || begun.Attempt != 2 || !begun.StartAfter.IsZero() || !begun.ReceivedAt.Equal(at(100)) {
			t.Fatalf("Begin = %+v, lost %v, %v", begun, lost, err)
		}
		if err := n.Started(ctx, n.account.ID, j.ID, 2, "", at(122)); err != nil {
			t.Fatal(err)
		}
		same(t, "steps", n.steps(t, j.ID), []job.Step{{Name: "main", Status: job.Running, Attempt: 2, StartedAt: at(122)}})
		o = completed()
		o.Outputs = []job.Output{output("second.csv", 2)}
		finished, err := n.Finish(ctx, n.account.ID, j.ID, 2, o)
		if err != nil || finished.Failures != 1 || finished.Message != "" || !finished.StartedAt.Equal(at(101)) {
			t.Errorf("Finish = %+v, %v", finished, err)
		}
		attempts := n.attempts(t, j.ID)
		if len(attempts) != 2 || attempts[0].Reason != job.ReasonError || attempts[0].Message != "exit 3" ||
			*attempts[0].ReturnCode != 3 || attempts[1].Reason != "" {
			t.Errorf("attempts = %+v", attempts)
		}
		outputs, err := n.Outputs(ctx, n.account.ID, j.ID)
		if err != nil || len(outputs) != 1 || outputs[0].Name != "second.csv" {
			t.Errorf("outputs = %+v, %v, want those of the last attempt", outputs, err)
		}
	},
	"an attempt that never ended is closed as lost": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		begun, lost, err := n.Begin(t.Context(), n.account.ID, j.ID, 2, "worker-2", at(130))
		if err != nil || !lost || begun.Attempt != 2 || begun.Worker != "worker-2" || begun.Failures != 0 {
			t.Fatalf("Begin = %+v, lost %v, %v", begun, lost, err)
		}
		attempts := n.attempts(t, j.ID)
		if len(attempts) != 2 || attempts[0].Reason != job.ReasonWorkerLost || !attempts[0].FinishedAt.Equal(at(130)) ||
			!attempts[1].FinishedAt.IsZero() {
			t.Errorf("attempts = %+v, want the first closed as lost", attempts)
		}
	},
	"a stale fence changes nothing": func(t *testing.T, n *tenant) {
		j, ctx := n.begun(t), t.Context()
		want, _, err := n.Begin(ctx, n.account.ID, j.ID, 5, "worker-2", at(130))
		if err != nil {
			t.Fatal(err)
		}
		for _, fence := range []int64{0, 1, 4, 6} {
			refused(t, n.Started(ctx, n.account.ID, j.ID, fence, "", at(131)), job.Conflict, job.WordStale)
			refused(t, n.Cancelling(ctx, n.account.ID, j.ID, fence, job.ReasonTimeout), job.Conflict, job.WordStale)
			refused(t, n.Again(ctx, n.account.ID, j.ID, fence, failed(), at(140)), job.Conflict, job.WordStale)
			o := completed()
			o.Outputs = []job.Output{output("late.csv", 1)}
			_, err := n.Finish(ctx, n.account.ID, j.ID, fence, o)
			refused(t, err, job.Conflict, job.WordStale)
		}
		for _, fence := range []int64{4, 5} {
			got, _, err := n.Begin(ctx, n.account.ID, j.ID, fence, "worker-3", at(132))
			refused(t, err, job.Conflict, job.WordStale)
			same(t, "returned", got, want)
		}
		same(t, "job", n.now(t, j.ID), want)
		same(t, "attempts", len(n.attempts(t, j.ID)), 2)
		same(t, "steps", len(n.steps(t, j.ID)), 0)
		if outputs, err := n.Outputs(ctx, n.account.ID, j.ID); err != nil || len(outputs) != 0 {
			t.Errorf("outputs = %v, %v, want none", outputs, err)
		}
	},
	"begin on a cancelling job is refused and gives it back": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		want, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(120), 0)
		if err != nil {
			t.Fatal(err)
		}
		got, lost, err := n.Begin(t.Context(), n.account.ID, j.ID, 9, "worker-2", at(130))
		refused(t, err, job.Conflict, job.WordStale)
		same(t, "lost", lost, false)
		same(t, "returned", got, want)
	},
	"a worker turns running into cancelling, once": func(t *testing.T, n *tenant) {
		j, ctx := n.begun(t), t.Context()
		for range 2 {
			if err := n.Cancelling(ctx, n.account.ID, j.ID, 1, job.ReasonTimeout); err != nil {
				t.Fatal(err)
			}
		}
		got := n.now(t, j.ID)
		if got.Status != job.Cancelling || got.Reason != job.ReasonTimeout || got.Change != j.Change+1 {
			t.Errorf("job = %+v, want cancelling for its timeout after one write", got)
		}
		stopped, err := n.Cancel(ctx, n.account.ID, j.ID, n.admin.Ref(), at(140), 0)
		if err != nil || stopped.Reason != job.ReasonTimeout || stopped.StoppedBy != (job.UserRef{}) {
			t.Errorf("Cancel = %+v, %v, want it to stay", stopped, err)
		}
	},
	"a program that starts while its job is cancelling is noted": func(t *testing.T, n *tenant) {
		j, ctx := n.begun(t), t.Context()
		if _, err := n.Cancel(ctx, n.account.ID, j.ID, n.admin.Ref(), at(120), 0); err != nil {
			t.Fatal(err)
		}
		if err := n.Started(ctx, n.account.ID, j.ID, 1, "", at(121)); err != nil {
			t.Fatal(err)
		}
		got := n.now(t, j.ID)
		if got.Status != job.Cancelling || got.Reason != job.ReasonStopped || !got.StartedAt.Equal(at(121)) {
			t.Errorf("job = %+v, want cancelling and started", got)
		}
		same(t, "steps", len(n.steps(t, j.ID)), 1)
	},
	"a stopped job is not tried again": func(t *testing.T, n *tenant) {
		j, ctx := n.begun(t), t.Context()
		if _, err := n.Cancel(ctx, n.account.ID, j.ID, n.admin.Ref(), at(120), 0); err != nil {
			t.Fatal(err)
		}
		refused(t, n.Again(ctx, n.account.ID, j.ID, 1, failed(), at(130)), job.Conflict, job.WordStale)
		same(t, "status", n.now(t, j.ID).Status, job.Cancelling)
	},
	"every ending is stored from running and from cancelling": func(t *testing.T, n *tenant) {
		endings := []job.Outcome{
			completed(), failed(), {Status: job.Cancelled, Reason: job.ReasonStopped, At: at(110)},
			{Status: job.Failed, Reason: job.ReasonTimeout, ReturnCode: exit(143), Message: "timeout", At: at(110)},
		}
		for _, stop := range []bool{false, true} {
			for _, o := range endings {
				j := n.begun(t)
				if stop {
					if _, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(105), 0); err != nil {
						t.Fatal(err)
					}
				}
				got, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, o)
				if err != nil || got.Status != o.Status || got.Reason != o.Reason || got.Message != o.Message ||
					!got.FinishedAt.Equal(o.At) || (got.StoppedBy == n.admin.Ref()) != stop {
					t.Errorf("Finish(%s, stopped %v) = %+v, %v", o.Status, stop, got, err)
				}
				_, err = n.Finish(t.Context(), n.account.ID, j.ID, 1, failed())
				refused(t, err, job.Conflict, job.WordStale)
				same(t, "first ending", n.now(t, j.ID), got)
			}
		}
	},
	"an outcome that is no ending is refused": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		_, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, job.Outcome{Status: job.Running, At: at(110)})
		refused(t, err, job.Invalid, job.WordInvalidField)
	},
	"what a program leaves is stored whatever bytes it holds": func(t *testing.T, n *tenant) {
		o := failed()
		o.Message = "broken \xff\x00 text"
		o.Outputs = []job.Output{output("caf\xe9.csv", 1)}
		got := n.ended(t, o)
		same(t, "message", got.Message, "broken \uFFFD\uFFFD text")
	},
	"cancel and finish at once leave exactly one ending": func(t *testing.T, n *tenant) {
		for range 10 {
			j := n.begun(t)
			errs := atOnce(2, func(i int) error {
				if i == 0 {
					_, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(120), 0)
					return err
				}
				_, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, completed())
				return err
			})
			if errs[1] != nil {
				t.Fatalf("Finish: %v", errs[1])
			}
			got := n.now(t, j.ID)
			if got.Status != job.Completed {
				t.Errorf("status = %s, want the worker's ending", got.Status)
			}
			if errs[0] != nil {
				refused(t, errs[0], job.Conflict, job.WordJobFinished)
			}
			if stopped := got.StoppedBy == n.admin.Ref(); stopped != (errs[0] == nil) {
				t.Errorf("stopped by = %v although cancel answered %v", got.StoppedBy, errs[0])
			}
		}
	},
	"finish, settle and begin at once leave exactly one ending": func(t *testing.T, n *tenant) {
		for range 10 {
			j := n.begun(t)
			lost := job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, At: at(111)}
			errs := atOnce(3, func(i int) error {
				var err error
				switch i {
				case 0:
					_, err = n.Finish(t.Context(), n.account.ID, j.ID, 1, completed())
				case 1:
					_, err = n.Settle(t.Context(), n.account.ID, j.ID, 10, lost)
				case 2:
					_, _, err = n.Begin(t.Context(), n.account.ID, j.ID, 2, "worker-2", at(105))
				}
				return err
			})
			if errs[1] != nil {
				t.Fatalf("Settle: %v", errs[1])
			}
			got := n.now(t, j.ID)
			want := job.Failed
			if errs[0] == nil {
				want = job.Completed
			}
			if got.Status != want {
				t.Errorf("status = %s, want %s (Finish: %v, Begin: %v)", got.Status, want, errs[0], errs[2])
			}
			for _, a := range n.attempts(t, j.ID) {
				if a.FinishedAt.IsZero() {
					t.Errorf("attempt %d is open after the end", a.Number)
				}
			}
		}
	},
	"of ten workers with growing fences at once the last fence holds the job": func(t *testing.T, n *tenant) {
		j := n.submit(t)
		errs := atOnce(10, func(i int) error {
			_, _, err := n.Begin(t.Context(), n.account.ID, j.ID, int64(i+1), "worker", at(100))
			return err
		})
		begun := 0
		for _, err := range errs {
			if err == nil {
				begun++
				continue
			}
			refused(t, err, job.Conflict, job.WordStale)
		}
		got := n.now(t, j.ID)
		same(t, "fence", got.Fence, int64(10))
		same(t, "attempt", got.Attempt, begun)
		open := 0
		for _, a := range n.attempts(t, j.ID) {
			if a.FinishedAt.IsZero() {
				open++
			}
		}
		same(t, "open attempts", open, 1)
	},
}
