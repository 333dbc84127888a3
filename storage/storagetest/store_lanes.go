package storagetest

import (
	"fmt"
	"slices"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// inLane puts a job into a lane.
func inLane(lane string, places int, onLimit job.OnLimit) func(*job.Job) {
	return func(j *job.Job) {
		j.Lane, j.Spec.Concurrency = lane, job.Concurrency{Limit: places, OnLimit: onLimit}
	}
}

func (n *tenant) lane(name string) job.LaneRef {
	return job.LaneRef{AccountID: n.account.ID, Lane: name}
}

// queue submits jobs to a lane.
func (n *tenant) queue(t *testing.T, lane string, places, jobs int) []job.ID {
	t.Helper()
	var ids []job.ID
	for range jobs {
		ids = append(ids, n.submit(t, inLane(lane, places, job.OnLimitQueue)).ID)
	}
	return ids
}

func (n *tenant) advance(t *testing.T, lane string) job.LaneState {
	t.Helper()
	state, err := n.AdvanceLane(t.Context(), n.lane(lane), at(200))
	if err != nil {
		t.Fatalf("AdvanceLane: %v", err)
	}
	return state
}

// leave ends a job of a lane.
func (n *tenant) leave(t *testing.T, id job.ID) {
	t.Helper()
	if _, err := n.Settle(t.Context(), n.account.ID, id, 1<<62, completed()); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

func changed(s job.LaneState) []job.ID {
	ids := []job.ID{}
	for _, j := range s.Changed {
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	return ids
}

func (n *tenant) waiting(t *testing.T, ids []job.ID, want ...bool) {
	t.Helper()
	for i, id := range ids {
		j := n.now(t, id)
		if j.Waiting() != want[i] {
			t.Errorf("job %d of the lane: waiting %v, want %v", i, j.Waiting(), want[i])
		}
	}
}

var laneCases = map[string]func(*testing.T, *tenant){
	"jobs beyond the places of a lane wait and are admitted in their order": func(t *testing.T, n *tenant) {
		ids := n.queue(t, "key:a", 2, 6)
		n.waiting(t, ids, false, false, true, true, true, true)
		for i, want := range []int{0, 0, 1, 2, 3, 4} {
			same(t, "position", n.now(t, ids[i]).Position, want)
		}
		same(t, "admitted with all places held", changed(n.advance(t, "key:a")), []job.ID{})
		n.leave(t, ids[1])
		state := n.advance(t, "key:a")
		same(t, "admitted", changed(state), ids[2:3])
		same(t, "to be told", state.Admitted, ids[2:3])
		same(t, "head", state.Head, ids[3:])
		same(t, "places, active", []int{state.Places, state.Active}, []int{2, 2})
		n.waiting(t, ids[2:], false, true, true, true)
		same(t, "position", n.now(t, ids[5]).Position, 3)
		again := n.advance(t, "key:a")
		same(t, "admitted twice", changed(again), []job.ID{})
		same(t, "still to be told", again.Admitted, ids[2:3])
		n.leave(t, ids[0])
		n.leave(t, ids[2])
		same(t, "admitted", changed(n.advance(t, "key:a")), ids[3:5])
	},
	"a job that comes while others wait goes behind them, even at a free place": func(t *testing.T, n *tenant) {
		ids := n.queue(t, "key:a", 1, 2)
		n.leave(t, ids[0])
		last := n.queue(t, "key:a", 1, 1)
		n.waiting(t, last, true)
		same(t, "admitted", changed(n.advance(t, "key:a")), ids[1:])
	},
	"lanes of two names and of two accounts have nothing in common": func(t *testing.T, n *tenant) {
		other := n.other(t)
		n.waiting(t, append(n.queue(t, "key:a", 1, 1), n.queue(t, "key:b", 1, 1)...), false, false)
		other.waiting(t, other.queue(t, "key:a", 1, 2), false, true)
		same(t, "admitted by another account", changed(n.advance(t, "key:a")), []job.ID{})
	},
	"the pause between two attempts keeps the place": func(t *testing.T, n *tenant) {
		first := n.begun(t, inLane("key:a", 1, job.OnLimitQueue))
		second := n.queue(t, "key:a", 1, 1)
		if err := n.Again(t.Context(), n.account.ID, first.ID, 1, failed(), at(300)); err != nil {
			t.Fatal(err)
		}
		same(t, "admitted", changed(n.advance(t, "key:a")), []job.ID{})
		n.waiting(t, append([]job.ID{first.ID}, second...), false, true)
	},
	"a waiting job that is cancelled leaves at once": func(t *testing.T, n *tenant) {
		ids := n.queue(t, "key:a", 1, 4)
		if _, err := n.Cancel(t.Context(), n.account.ID, ids[1], n.admin.Ref(), at(50), 0); err != nil {
			t.Fatal(err)
		}
		same(t, "status", n.now(t, ids[1]).Status, job.Cancelled)
		same(t, "position of the next", n.now(t, ids[2]).Position, 1)
		n.leave(t, ids[0])
		same(t, "admitted", changed(n.advance(t, "key:a")), ids[2:3])
	},
	"an admitted job that is cancelled before it runs frees its place": func(t *testing.T, n *tenant) {
		ids := n.queue(t, "key:a", 1, 3)
		n.leave(t, ids[0])
		n.advance(t, "key:a")
		if _, err := n.Cancel(t.Context(), n.account.ID, ids[1], n.admin.Ref(), at(50), 0); err != nil {
			t.Fatal(err)
		}
		same(t, "admitted", changed(n.advance(t, "key:a")), ids[2:])
	},
	"the limit of the newest submission counts, and not that of a retry": func(t *testing.T, n *tenant) {
		first := n.queue(t, "key:a", 1, 2)
		n.submit(t, inLane("key:a", 3, job.OnLimitQueue))
		same(t, "places", n.advance(t, "key:a").Places, 3)
		n.waiting(t, first, false, false)
		n.leave(t, first[0])
		n.submit(t, inLane("key:a", 1, job.OnLimitQueue), retryOf(first[0]))
		same(t, "places after a retry", n.advance(t, "key:a").Places, 3)
	},
	"skip answers the oldest job of the lane and makes none": func(t *testing.T, n *tenant) {
		first := n.submit(t, inLane("key:a", 1, job.OnLimitSkip))
		sub := n.keyed("k", "d")
		inLane("key:a", 1, job.OnLimitSkip)(&sub.Job)
		for _, replay := range []bool{false, true} {
			got, replayed, err := n.Submit(t.Context(), sub)
			if err != nil || replayed != replay || got.ID != first.ID {
				t.Errorf("Submit = %s, replayed %v, %v; want %s", got.ID, replayed, err, first.ID)
			}
		}
		_, err := n.Job(t.Context(), n.account.ID, sub.Job.ID)
		absent(t, err)
		same(t, "run number of the next", n.submit(t).RunNumber, 2)
		n.leave(t, first.ID)
		same(t, "reason at a free place", n.submit(t, inLane("key:a", 1, job.OnLimitSkip)).Reason, job.ReasonNone)
	},
	"fail refuses and leaves nothing, and its key stays free": func(t *testing.T, n *tenant) {
		first := n.submit(t, inLane("key:a", 1, job.OnLimitFail))
		sub := n.keyed("k", "d")
		inLane("key:a", 1, job.OnLimitFail)(&sub.Job)
		_, _, err := n.Submit(t.Context(), sub)
		refused(t, err, job.Conflict, job.WordConcurrencyLimit)
		n.leave(t, first.ID)
		got, replayed, err := n.Submit(t.Context(), sub)
		if err != nil || replayed || got.ID != sub.Job.ID {
			t.Errorf("Submit = %s, replayed %v, %v", got.ID, replayed, err)
		}
	},
	"a retry queues whatever its lane says of starts": func(t *testing.T, n *tenant) {
		done := n.ended(t, failed(), inLane("key:a", 1, job.OnLimitFail))
		n.submit(t, inLane("key:a", 1, job.OnLimitFail))
		same(t, "reason", n.submit(t, inLane("key:a", 1, job.OnLimitFail), retryOf(done.ID)).Reason, job.ReasonSequenced)
	},
	"forty submissions at once give two places, numbers without gaps, and no place twice": func(t *testing.T, n *tenant) {
		const jobs = 40
		subs := make([]job.Job, jobs)
		for i := range subs {
			subs[i] = n.newJob()
			inLane("key:a", 2, job.OnLimitQueue)(&subs[i])
		}
		seqs := make([]int64, jobs)
		for _, err := range atOnce(jobs, func(i int) error {
			j, _, err := n.Submit(t.Context(), control.Submission{Job: subs[i]})
			seqs[i] = j.LaneSeq
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(seqs)
		for i, seq := range seqs {
			if want := int64(max(0, i-1)); seq != want {
				t.Fatalf("numbers in the lane: %v", seqs)
			}
		}
	},
	"jobs that end and lanes that advance at once never exceed the places": func(t *testing.T, n *tenant) {
		const jobs, places = 24, 3
		ids := n.queue(t, "key:a", places, jobs)
		for _, err := range atOnce(jobs, func(i int) error {
			for range jobs * 50 {
				if !n.now(t, ids[i]).Waiting() {
					break
				}
				state, err := n.AdvanceLane(t.Context(), n.lane("key:a"), at(200))
				if err != nil {
					return err
				}
				if state.Active > places {
					return fmt.Errorf("%d jobs hold %d places", state.Active, places)
				}
			}
			if _, err := n.Settle(t.Context(), n.account.ID, ids[i], 1<<62, completed()); err != nil {
				return err
			}
			_, err := n.AdvanceLane(t.Context(), n.lane("key:a"), at(200))
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		state := n.advance(t, "key:a")
		same(t, "left", []int{state.Active, len(state.Head)}, []int{0, 0})
	},
	"the head of a long lane is cut": func(t *testing.T, n *tenant) {
		ids := n.queue(t, "key:a", 1, job.LaneHead+3)
		state := n.advance(t, "key:a")
		same(t, "head", state.Head, ids[1:job.LaneHead+1])
		same(t, "more", state.More, true)
	},
	"a lane moves when one waits and a place is free": func(t *testing.T, n *tenant) {
		moves := func(want bool) {
			t.Helper()
			got, err := n.LaneMoves(t.Context(), n.lane("key:a"))
			if err != nil || got != want {
				t.Errorf("LaneMoves = %v, %v; want %v", got, err, want)
			}
		}
		moves(false) // no such lane
		ids := n.queue(t, "key:a", 1, 2)
		moves(false)
		n.leave(t, ids[0])
		moves(true)
		n.advance(t, "key:a")
		moves(false)
		n.leave(t, ids[1])
		moves(false)
	},
	"a lane nobody knows has no places and admits nobody": func(t *testing.T, n *tenant) {
		same(t, "state", n.advance(t, "key:none"), job.LaneState{})
	},
	"a job comes back with its lane": func(t *testing.T, n *tenant) {
		n.queue(t, "key:ä b", 1, 1)
		j := n.submit(t, inLane("key:ä b", 1, job.OnLimitQueue))
		got := n.now(t, j.ID)
		same(t, "lane", []any{got.Lane, got.LaneSeq, got.Reason, got.Position}, []any{"key:ä b", int64(1), job.ReasonSequenced, 1})
		list, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Size: 1})
		if err != nil || len(list.Items) != 1 || list.Items[0].Position != 0 {
			t.Errorf("in a list: %+v, %v", list.Items, err)
		}
	},
	"a queued job that no worker had expires": func(t *testing.T, n *tenant) {
		for _, untaken := range []bool{true, false} {
			j := n.submit(t)
			got, err := n.Expire(t.Context(), n.account.ID, j.ID, 1<<40, untaken, late())
			if err != nil || got.Status != job.Failed || got.Reason != job.ReasonTimeout || got.Message != "late" || !got.FinishedAt.Equal(at(150)) {
				t.Errorf("Expire = %+v, %v", got, err)
			}
			again, err := n.Expire(t.Context(), n.account.ID, j.ID, 1<<40, untaken, late())
			if err != nil {
				t.Fatal(err)
			}
			same(t, "a second time", again, got)
			_, _, err = n.Begin(t.Context(), n.account.ID, j.ID, 5, "late", at(160))
			refused(t, err, job.Conflict, job.WordStale)
		}
	},
	"a job that a worker has does not expire": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		got, err := n.Expire(t.Context(), n.account.ID, j.ID, 1<<40, false, late())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "job", got, j)
	},
	"a job in a pause expires by its total time and not by its queue's": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if err := n.Again(t.Context(), n.account.ID, j.ID, 1, failed(), at(300)); err != nil {
			t.Fatal(err)
		}
		if got, err := n.Expire(t.Context(), n.account.ID, j.ID, 1<<40, true, late()); err != nil || got.Status != job.Queued {
			t.Errorf("by the queue's: %s, %v", got.Status, err)
		}
		if got, err := n.Expire(t.Context(), n.account.ID, j.ID, 1<<40, false, late()); err != nil || got.Status != job.Failed {
			t.Errorf("by the total time: %s, %v", got.Status, err)
		}
	},
	"a job of another account does not expire": func(t *testing.T, n *tenant) {
		j := n.submit(t)
		_, err := n.Expire(t.Context(), n.other(t).account.ID, j.ID, 1<<40, false, late())
		absent(t, err)
		same(t, "status", n.now(t, j.ID).Status, job.Queued)
	},
}

func late() job.Outcome {
	return job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout, Message: "late", At: at(150)}
}

// laneBacklogCases span accounts.
var laneBacklogCases = map[string]func(*testing.T, *tenant){
	"lanes in which jobs wait are listed in order, with those that should move": func(t *testing.T, n *tenant) {
		n.queue(t, "key:idle", 1, 1)
		n.queue(t, "key:b", 1, 3)
		free := n.queue(t, "key:a", 1, 2)
		n.leave(t, free[0])
		n.leave(t, n.queue(t, "key:over", 1, 1)[0])
		other := n.other(t)
		other.queue(t, "key:a", 1, 2)
		want := []job.Lane{
			{LaneRef: n.lane("key:a"), Free: true}, {LaneRef: n.lane("key:b")}, {LaneRef: other.lane("key:a")},
		}
		var got []job.Lane
		var after job.LaneRef
		for {
			page, err := n.LanesWaiting(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if len(page) < 2 {
				break
			}
			after = page[1].LaneRef
		}
		same(t, "lanes", got, want)
	},
	"lanes without unfinished jobs are forgotten, the others go on counting": func(t *testing.T, n *tenant) {
		n.leave(t, n.queue(t, "key:a", 1, 1)[0])
		n.queue(t, "key:b", 1, 2)
		purged, err := n.PurgeLanes(t.Context(), 10)
		if err != nil || purged != 1 {
			t.Errorf("PurgeLanes = %d, %v", purged, err)
		}
		same(t, "next of a lane that stays", n.submit(t, inLane("key:b", 1, job.OnLimitQueue)).LaneSeq, 2)
		same(t, "next of one that went", n.submit(t, inLane("key:a", 1, job.OnLimitQueue)).Reason, job.ReasonNone)
	},
	"jobs that were admitted are listed until a worker begins them or they end": func(t *testing.T, n *tenant) {
		places := n.queue(t, "key:a", 2, 5) // two hold a place from the beginning, three wait
		other := n.other(t)
		others := other.queue(t, "key:a", 1, 2)
		idle := func(second int, after job.ID, limit int) []job.ID {
			t.Helper()
			ids, err := n.AdmittedIdle(t.Context(), at(second), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		same(t, "before", len(idle(1000, "", 10)), 0)
		n.leave(t, places[0])
		n.leave(t, places[1])
		n.advance(t, "key:a")
		other.leave(t, others[0])
		other.advance(t, "key:a")
		same(t, "at once", len(idle(200, "", 10)), 0)
		same(t, "later", idle(201, "", 10), []job.ID{places[2], places[3], others[1]})
		same(t, "a page", idle(201, places[2], 1), []job.ID{places[3]})
		if _, _, err := n.Begin(t.Context(), n.account.ID, places[2], 1, "worker", at(201)); err != nil {
			t.Fatal(err)
		}
		if err := n.Again(t.Context(), n.account.ID, places[2], 1, failed(), at(300)); err != nil { // knows its place
			t.Fatal(err)
		}
		n.leave(t, places[3])
		same(t, "after", idle(1000, "", 10), []job.ID{others[1]})
	},
	"cancels are due until they were passed on, for final jobs, too": func(t *testing.T, n *tenant) {
		queued, running := n.submit(t), n.begun(t)
		n.submit(t)
		due := func() (ids []job.ID) {
			t.Helper()
			jobs, err := n.CancelsDue(t.Context(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			return ids
		}
		same(t, "due", len(due()), 0)
		for _, id := range []job.ID{queued.ID, running.ID} {
			if _, err := n.Cancel(t.Context(), n.account.ID, id, n.admin.Ref(), at(50), 0); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "due", due(), []job.ID{queued.ID, running.ID})
		before := n.now(t, queued.ID)
		if err := n.CancelPassedOn(t.Context(), n.account.ID, queued.ID); err != nil {
			t.Fatal(err)
		}
		same(t, "due", due(), []job.ID{running.ID})
		same(t, "the job", n.now(t, queued.ID), before)
		page, err := n.CancelsDue(t.Context(), running.ID, 10)
		if err != nil || len(page) != 0 {
			t.Errorf("after the last: %v, %v", page, err)
		}
	},
	"a lane is purged no sooner than its last job is over": func(t *testing.T, n *tenant) {
		id := n.queue(t, "key:a", 1, 1)[0]
		if purged, err := n.PurgeLanes(t.Context(), 10); err != nil || purged != 0 {
			t.Errorf("PurgeLanes = %d, %v", purged, err)
		}
		n.leave(t, id)
		if purged, err := n.PurgeLanes(t.Context(), 10); err != nil || purged != 1 {
			t.Errorf("PurgeLanes = %d, %v", purged, err)
		}
	},
}
