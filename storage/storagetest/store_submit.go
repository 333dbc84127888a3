package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

func (n *tenant) keyed(key, digest string) control.Submission {
	return control.Submission{Job: n.newJob(), Idempotency: control.Idempotency{
		Key: key, Caller: n.admin.ID, Route: fmt.Sprintf("POST /jobconfigs/%d/jobs", n.config.ID), Digest: digest,
		ExpiresAt: at(24 * 3600),
	}}
}

var submitCases = map[string]func(*testing.T, *tenant){
	"a job comes back as it was submitted, queued and numbered": func(t *testing.T, n *tenant) {
		j := n.newJob()
		j.Tags = []string{"nightly", "Äpfel"}
		j.Unreachable = true
		j.Spec = job.Spec{
			PackageName: "Sample.djar", PackageVersion: 3, PackageSHA256: "ab", PackageSize: 9, EntryPoint: "x.process",
			LogLevel: "INFO", Macros: []job.Macro{{Key: "A", Value: "1"}, {Key: "S", Sealed: "c2VhbGVk", Secure: true}},
			Files: map[string]string{"in.csv": "a;b\x00"}, Timeout: time.Minute, Retry: job.RetryPolicy{MaximumAttempts: 2},
			OnLoss: job.Rerun,
		}
		stored, replayed, err := n.Submit(t.Context(), control.Submission{Job: j})
		if err != nil || replayed {
			t.Fatalf("Submit = replayed %v, %v", replayed, err)
		}
		j.RunNumber, j.Change = 1, 1
		same(t, "submitted", stored, j)
		same(t, "read", n.now(t, j.ID), j)
	},
	"a job of an absent config is not found and leaves nothing": func(t *testing.T, n *tenant) {
		sub := n.keyed("k", "d")
		sub.Job.ConfigID = 999_999
		_, _, err := n.Submit(t.Context(), sub)
		absent(t, err)
		says(t, err, "Job config 999999 not found")
		_, err = n.Job(t.Context(), n.account.ID, sub.Job.ID)
		absent(t, err)
		if _, replayed, err := n.Submit(t.Context(), n.keyed("k", "d")); err != nil || replayed {
			t.Errorf("the key of a refused submission is not free: replayed %v, %v", replayed, err)
		}
	},
	"a job of another account's config is not found": func(t *testing.T, n *tenant) {
		j := n.other(t).newJob()
		j.ConfigID = n.config.ID
		_, _, err := n.Submit(t.Context(), control.Submission{Job: j})
		absent(t, err)
	},
	"a job id is taken once": func(t *testing.T, n *tenant) {
		j := n.submit(t)
		again := n.newJob()
		again.ID = j.ID
		_, _, err := n.Submit(t.Context(), control.Submission{Job: again})
		refused(t, err, job.Conflict, job.WordDuplicateName)
		same(t, "next run number", n.submit(t).RunNumber, 2)
	},
	"an id that is no job id is refused": func(t *testing.T, n *tenant) {
		j := n.newJob()
		j.ID = "x"
		_, _, err := n.Submit(t.Context(), control.Submission{Job: j})
		refused(t, err, job.Invalid, job.WordInvalidField)
	},
	"fifty submissions at once get the run numbers 1 to 50": func(t *testing.T, n *tenant) {
		const jobs = 50
		numbers := make([]int, jobs)
		subs := make([]control.Submission, jobs)
		for i := range subs {
			subs[i] = control.Submission{Job: n.newJob()}
		}
		for _, err := range atOnce(jobs, func(i int) error {
			j, _, err := n.Submit(t.Context(), subs[i])
			numbers[i] = int(j.RunNumber)
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(numbers)
		for i, number := range numbers {
			if number != i+1 {
				t.Fatalf("run numbers = %v, want 1 to %d", numbers, jobs)
			}
		}
	},
	"the same key and digest give back the first job": func(t *testing.T, n *tenant) {
		first, _, err := n.Submit(t.Context(), n.keyed("key", "digest"))
		if err != nil {
			t.Fatal(err)
		}
		again, replayed, err := n.Submit(t.Context(), n.keyed("key", "digest"))
		if err != nil || !replayed {
			t.Fatalf("Submit = replayed %v, %v", replayed, err)
		}
		same(t, "replayed", again, first)
		same(t, "next run number", n.submit(t).RunNumber, 2)
	},
	"the same key with another digest is refused": func(t *testing.T, n *tenant) {
		if _, _, err := n.Submit(t.Context(), n.keyed("key", "digest")); err != nil {
			t.Fatal(err)
		}
		sub := n.keyed("key", "other")
		_, _, err := n.Submit(t.Context(), sub)
		refused(t, err, job.Conflict, job.WordIdempotency)
		says(t, err, "Idempotency-Key was used with a different request")
		_, err = n.Job(t.Context(), n.account.ID, sub.Job.ID)
		absent(t, err)
	},
	"a key serves each caller, route and account apart": func(t *testing.T, n *tenant) {
		subs := []control.Submission{n.keyed("key", "digest"), n.keyed("key", "digest"), n.keyed("key", "digest")}
		subs[1].Idempotency.Caller++
		subs[2].Idempotency.Route += "/retry"
		for i, sub := range subs {
			if _, replayed, err := n.Submit(t.Context(), sub); err != nil || replayed {
				t.Errorf("submission %d: replayed %v, %v, want a job of its own", i, replayed, err)
			}
		}
		b := n.other(t)
		sub := b.keyed("key", "digest")
		sub.Idempotency.Caller, sub.Idempotency.Route = subs[0].Idempotency.Caller, subs[0].Idempotency.Route
		if _, replayed, err := b.Submit(t.Context(), sub); err != nil || replayed {
			t.Errorf("other account: replayed %v, %v, want a job of its own", replayed, err)
		}
	},
	"a replay finds the first job of its key, account and time only": func(t *testing.T, n *tenant) {
		sub := n.keyed("key", "digest")
		replay := func(account int64, i control.Idempotency, now time.Time) (job.ID, bool, error) {
			j, found, err := n.Replay(t.Context(), account, i, now)
			return j.ID, found, err
		}
		if _, found, err := replay(n.account.ID, sub.Idempotency, at(1)); err != nil || found {
			t.Errorf("before the first call: found %v, %v", found, err)
		}
		first, _, err := n.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		if id, found, err := replay(n.account.ID, sub.Idempotency, at(1)); err != nil || !found || id != first.ID {
			t.Errorf("replay = %s, found %v, %v, want %s", id, found, err, first.ID)
		}
		if _, found, err := replay(n.other(t).account.ID, sub.Idempotency, at(1)); err != nil || found {
			t.Errorf("other account: found %v, %v", found, err)
		}
		if _, found, err := replay(n.account.ID, sub.Idempotency, sub.Idempotency.ExpiresAt); err != nil || found {
			t.Errorf("after its time: found %v, %v", found, err)
		}
		other := sub.Idempotency
		other.Digest = "other"
		_, _, err = replay(n.account.ID, other, at(1))
		refused(t, err, job.Conflict, job.WordIdempotency)
	},
	"a key whose time is over is free": func(t *testing.T, n *tenant) {
		first, _, err := n.Submit(t.Context(), n.keyed("key", "digest"))
		if err != nil {
			t.Fatal(err)
		}
		late := n.keyed("key", "other")
		late.Job.ScheduledAt, late.Idempotency.ExpiresAt = at(24*3600), at(48*3600)
		second, replayed, err := n.Submit(t.Context(), late)
		if err != nil || replayed || second.ID == first.ID {
			t.Errorf("Submit = %s, replayed %v, %v, want a new job", second.ID, replayed, err)
		}
	},
	"of twenty submissions with one key at once one makes a job": func(t *testing.T, n *tenant) {
		const calls = 20
		subs, ids := make([]control.Submission, calls), make([]job.ID, calls)
		made := make([]bool, calls)
		for i := range subs {
			subs[i] = n.keyed("key", "digest")
		}
		for _, err := range atOnce(calls, func(i int) error {
			j, replayed, err := n.Submit(t.Context(), subs[i])
			ids[i], made[i] = j.ID, !replayed
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		same(t, "distinct jobs", len(slices.Compact(slices.Sorted(slices.Values(ids)))), 1)
		count := 0
		for _, m := range made {
			if m {
				count++
			}
		}
		same(t, "made", count, 1)
		list, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Size: 10})
		if err != nil || len(list.Items) != 1 {
			t.Errorf("jobs = %d, %v, want 1", len(list.Items), err)
		}
	},
	"a retry joins its parent's chain": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.ended(t, failed(), retryOf(first.ID))
		third := n.ended(t, failed(), retryOf(second.ID))
		fourth := n.submit(t, retryOf(first.ID))
		same(t, "first", [3]any{first.RetryOf, first.Root, first.RetryNumber}, [3]any{job.ID(""), job.ID(""), 0})
		same(t, "second", [3]any{second.RetryOf, second.Root, second.RetryNumber}, [3]any{first.ID, first.ID, 1})
		same(t, "third", [3]any{third.RetryOf, third.Root, third.RetryNumber}, [3]any{second.ID, first.ID, 2})
		same(t, "fourth", [3]any{fourth.RetryOf, fourth.Root, fourth.RetryNumber}, [3]any{first.ID, first.ID, 3})
		for _, member := range []job.ID{first.ID, second.ID, fourth.ID} {
			family, err := n.Family(t.Context(), n.account.ID, member)
			if err != nil {
				t.Fatal(err)
			}
			var ids []job.ID
			for _, j := range family {
				ids = append(ids, j.ID)
			}
			same(t, "family of "+string(member), ids, []job.ID{first.ID, second.ID, third.ID, fourth.ID})
		}
		_, err := n.other(t).Family(t.Context(), n.account.ID+1_000_000, first.ID)
		absent(t, err)
	},
	"a retry of an absent, foreign or unfinished job is refused": func(t *testing.T, n *tenant) {
		j := n.newJob()
		for _, id := range []job.ID{newID(), "nul\x00"} {
			j.RetryOf = id
			_, _, err := n.Submit(t.Context(), control.Submission{Job: j})
			absent(t, err)
		}
		b := n.other(t)
		j = b.newJob()
		j.RetryOf = n.ended(t, failed()).ID
		_, _, err := b.Submit(t.Context(), control.Submission{Job: j})
		absent(t, err)
		j = n.newJob()
		j.RetryOf = n.begun(t).ID
		_, _, err = n.Submit(t.Context(), control.Submission{Job: j, Force: true})
		refused(t, err, job.Conflict, job.WordJobNotFinished)
	},
	"a second retry of a job is refused while the first goes on, unless forced": func(t *testing.T, n *tenant) {
		parent := n.ended(t, failed())
		first := n.submit(t, retryOf(parent.ID))
		sub := control.Submission{Job: n.newJob()}
		sub.Job.RetryOf = parent.ID
		_, _, err := n.Submit(t.Context(), sub)
		refused(t, err, job.Conflict, job.WordRetryActive)
		sub.Force = true
		if _, _, err := n.Submit(t.Context(), sub); err != nil {
			t.Errorf("forced: %v", err)
		}
		for _, id := range []job.ID{first.ID, sub.Job.ID} {
			if _, err := n.Cancel(t.Context(), n.account.ID, id, n.admin.Ref(), at(200), 0); err != nil {
				t.Fatal(err)
			}
		}
		n.submit(t, retryOf(parent.ID)) // both are final: allowed again
	},
	"of ten retries of one job at once one is accepted": func(t *testing.T, n *tenant) {
		parent := n.ended(t, failed())
		subs := make([]control.Submission, 10)
		for i := range subs {
			subs[i] = control.Submission{Job: n.newJob()}
			subs[i].Job.RetryOf = parent.ID
		}
		accepted := 0
		for _, err := range atOnce(len(subs), func(i int) error {
			_, _, err := n.Submit(t.Context(), subs[i])
			return err
		}) {
			if err == nil {
				accepted++
				continue
			}
			refused(t, err, job.Conflict, job.WordRetryActive)
		}
		same(t, "accepted", accepted, 1)
	},
	"a queued job is cancelled at once": func(t *testing.T, n *tenant) {
		j := n.submit(t)
		by := job.UserRef{ID: 5, Name: "five"}
		got, err := n.Cancel(t.Context(), n.account.ID, j.ID, by, at(50), 0)
		if err != nil {
			t.Fatal(err)
		}
		j.Status, j.Reason, j.StoppedBy, j.FinishedAt, j.Change = job.Cancelled, job.ReasonStopped, by, at(50), 2
		same(t, "cancelled", got, j)
		same(t, "read", n.now(t, j.ID), j)
		_, err = n.Cancel(t.Context(), n.account.ID, j.ID, by, at(51), 0)
		refused(t, err, job.Conflict, job.WordJobFinished)
		says(t, err, "Job "+string(j.ID)+" has already finished")
		_, _, err = n.Begin(t.Context(), n.account.ID, j.ID, 1, "w", at(52))
		refused(t, err, job.Conflict, job.WordStale)
	},
	"a running job becomes cancelling and stays so": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		got, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(150), 0)
		if err != nil {
			t.Fatal(err)
		}
		j.Status, j.Reason, j.StoppedBy, j.Change = job.Cancelling, job.ReasonStopped, n.admin.Ref(), j.Change+1
		same(t, "cancelling", got, j)
		again, err := n.Cancel(t.Context(), n.account.ID, j.ID, job.UserRef{ID: 6, Name: "six"}, at(151), 0)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "cancelled again", again, j)
	},
	"an absent or foreign job is not found": func(t *testing.T, n *tenant) {
		j, b, ctx := n.submit(t), n.other(t), t.Context()
		for _, id := range []job.ID{j.ID, newID(), "malformed", "nul\x00", "\xff"} {
			_, err := b.Job(ctx, b.account.ID, id)
			absent(t, err)
			says(t, err, "Job "+string(id)+" not found")
			_, err = b.Cancel(ctx, b.account.ID, id, b.admin.Ref(), at(1), 0)
			absent(t, err)
			absent(t, b.MarkUnreachable(ctx, b.account.ID, id, true))
			_, _, err = b.Begin(ctx, b.account.ID, id, 1, "w", at(1))
			absent(t, err)
			absent(t, b.Started(ctx, b.account.ID, id, 0, "", at(1)))
			absent(t, b.Cancelling(ctx, b.account.ID, id, 0, job.ReasonTimeout))
			absent(t, b.Again(ctx, b.account.ID, id, 0, failed(), at(9)))
			_, err = b.Finish(ctx, b.account.ID, id, 0, failed())
			absent(t, err)
			_, err = b.Settle(ctx, b.account.ID, id, 9, failed())
			absent(t, err)
			absent(t, b.RollUp(ctx, b.account.ID, id, at(1)))
			_, err = b.Family(ctx, b.account.ID, id)
			absent(t, err)
			_, err = b.Steps(ctx, b.account.ID, id)
			absent(t, err)
			_, err = b.Outputs(ctx, b.account.ID, id)
			absent(t, err)
			_, err = b.Attempts(ctx, b.account.ID, id)
			absent(t, err)
		}
		same(t, "job", n.now(t, j.ID), j)
	},
	"unreachable is noted while a job waits and gone when a worker takes it": func(t *testing.T, n *tenant) {
		j, ctx := n.submit(t), t.Context()
		mark := func(down bool, want bool, change int64) {
			t.Helper()
			if err := n.MarkUnreachable(ctx, n.account.ID, j.ID, down); err != nil {
				t.Fatal(err)
			}
			got := n.now(t, j.ID)
			if got.Unreachable != want || got.Change != change {
				t.Errorf("after %v: unreachable %v, change %d, want %v, %d", down, got.Unreachable, got.Change, want, change)
			}
		}
		mark(true, true, 2)
		mark(true, true, 2)
		mark(false, false, 3)
		mark(true, true, 4)
		if taken, _, err := n.Begin(ctx, n.account.ID, j.ID, 1, "w", at(2)); err != nil || taken.Unreachable {
			t.Errorf("Begin = unreachable %v, %v", taken.Unreachable, err)
		}
		mark(true, false, 5)
	},
	"a long list of inputs comes back whole": func(t *testing.T, n *tenant) {
		text := strings.Repeat("0123456789abcdef", 1<<16)
		j := n.submit(t, func(j *job.Job) { j.Spec.Files = map[string]string{"big": text} })
		if got := n.now(t, j.ID).Spec.Files["big"]; got != text {
			t.Errorf("file of %d bytes, want %d", len(got), len(text))
		}
	},
}
