package storagetest

import (
	"encoding/json"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// eventsOf reads all events of a scope, in steps of two.
func (n *tenant) eventsOf(t *testing.T, q control.EventQuery) (all []job.Event) {
	t.Helper()
	q.Limit = 2
	for {
		events, upTo, err := n.Events(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, events...)
		if upTo.Tx < q.After.Tx || (upTo.Tx == q.After.Tx && upTo.Seq < q.After.Seq) {
			t.Fatalf("the mark went back from %v to %v", q.After, upTo)
		}
		q.After = upTo
		if len(events) < 2 {
			return all
		}
	}
}

// settledEvents waits until the stream holds want events of the scope and gives them: other tests may hold transactions
// open, which PostgreSQL's stream waits for.
func (n *tenant) settledEvents(t *testing.T, q control.EventQuery, want int) []job.Event {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		all := n.eventsOf(t, q)
		if len(all) == want {
			return all
		}
		if len(all) > want || time.Now().After(deadline) {
			t.Fatalf("%d events, want %d: %+v", len(all), want, all)
		}
	}
}

func changeOf(t *testing.T, e job.Event) job.StatusChange {
	t.Helper()
	var c job.StatusChange
	if err := json.Unmarshal([]byte(e.Data), &c); err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return c
}

var eventCases = map[string]func(*testing.T, *tenant){
	"every change of a job is told once, in order": func(t *testing.T, n *tenant) {
		j := n.ended(t, failed())
		events := n.settledEvents(t, control.EventQuery{Scope: n.scope()}, 4)
		zero := 3
		for i, want := range []job.StatusChange{
			{Status: job.Queued, ConfigID: n.config.ID},
			{Status: job.Running, Reason: job.ReasonInitializing, Taken: true, Attempt: 1, Worker: "worker-1", ConfigID: n.config.ID},
			{Status: job.Running, Taken: true, Attempt: 1, Worker: "worker-1", ConfigID: n.config.ID},
			{Status: job.Failed, Reason: job.ReasonError, Taken: true, Attempt: 1, Worker: "worker-1", ReturnCode: &zero, ConfigID: n.config.ID},
		} {
			same(t, "change", changeOf(t, events[i]), want)
			if e := events[i]; e.JobID != j.ID || e.AccountID != n.account.ID || e.Kind != job.EventStatus {
				t.Errorf("event %d is %+v", i, e)
			}
			if i > 0 && !less(events[i-1].At, events[i].At) {
				t.Errorf("marks do not grow: %v, %v", events[i-1].At, events[i].At)
			}
		}
		if !events[3].Time.Equal(at(110)) {
			t.Errorf("the end was at %v", events[3].Time)
		}
		last, found, err := n.LastStatus(t.Context(), n.account.ID, j.ID)
		if err != nil || !found || last != events[3] {
			t.Errorf("last status: %+v, %v, %v", last, found, err)
		}
		after := n.eventsOf(t, control.EventQuery{Scope: n.scope(), After: events[1].At})
		same(t, "behind the second", after, events[2:])
	},
	"an account, an owner, a config and a job have streams of their own": func(t *testing.T, n *tenant) {
		second := n.create(t, "second")
		a := n.submit(t)
		b := n.submit(t, func(j *job.Job) { j.OwnerID = 4711 })
		c := n.submit(t, func(j *job.Job) { j.ConfigID = second.ID })
		n.other(t).submit(t)
		all := n.settledEvents(t, control.EventQuery{Scope: n.scope()}, 3)
		for name, one := range map[string]struct {
			query control.EventQuery
			want  []job.ID
		}{
			"account":  {control.EventQuery{Scope: n.scope()}, []job.ID{a.ID, b.ID, c.ID}},
			"owner":    {control.EventQuery{Scope: job.Scope{AccountID: n.account.ID, OwnerID: 4711}}, []job.ID{b.ID}},
			"config":   {control.EventQuery{Scope: n.scope(), Of: second.ID}, []job.ID{c.ID}},
			"job":      {control.EventQuery{Scope: n.scope(), Job: a.ID}, []job.ID{a.ID}},
			"nobody":   {control.EventQuery{}, nil},
			"foreign":  {control.EventQuery{Scope: job.Scope{AccountID: n.account.ID + 1000}, Job: a.ID}, nil},
			"the rest": {control.EventQuery{Scope: n.scope(), After: all[1].At}, []job.ID{c.ID}},
		} {
			var got []job.ID
			for _, e := range n.eventsOf(t, one.query) {
				got = append(got, e.JobID)
			}
			same(t, name, got, one.want)
		}
		if _, found, err := n.LastStatus(t.Context(), n.account.ID+1000, a.ID); found || err != nil {
			t.Errorf("another account sees the last status: %v %v", found, err)
		}
		if _, found, err := n.LastStatus(t.Context(), n.account.ID, "no id"); found || err != nil {
			t.Errorf("what is no id has a status: %v %v", found, err)
		}
	},
	"a roll-up is told on every job it completes": func(t *testing.T, n *tenant) {
		first := n.ended(t, failed())
		second := n.ended(t, failed(), retryOf(first.ID))
		third := n.ended(t, completed(), retryOf(second.ID))
		for range 2 {
			if err := n.RollUp(t.Context(), n.account.ID, third.ID, at(300)); err != nil {
				t.Fatal(err)
			}
		}
		told := map[job.ID]int{}
		for _, e := range n.settledEvents(t, control.EventQuery{Scope: n.scope()}, 14)[12:] {
			if e.Kind != job.EventResolved || e.Data != `{"by":"`+string(third.ID)+`"}` {
				t.Errorf("event %+v", e)
			}
			told[e.JobID]++
		}
		same(t, "told", told, map[job.ID]int{first.ID: 1, second.ID: 1})
	},
	"a transaction that fails tells nothing": func(t *testing.T, n *tenant) {
		j := n.submit(t)
		_, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, completed())
		refused(t, err, job.Conflict, job.WordStale)
		n.settledEvents(t, control.EventQuery{Scope: n.scope()}, 1)
	},
}

func less(a, b job.EventMark) bool { return a.Tx < b.Tx || (a.Tx == b.Tx && a.Seq < b.Seq) }

// purgeCases look at the whole stream, so each has a store alone.
var purgeCases = map[string]func(*testing.T, *tenant){
	"old events go, however many; young ones stay": func(t *testing.T, n *tenant) {
		for range 1205 {
			n.submit(t) // a second apart, from 1 on
		}
		gone, err := n.PurgeEvents(t.Context(), at(1203))
		if err != nil || gone != 1202 {
			t.Fatalf("%d gone, %v", gone, err)
		}
		if gone, err := n.PurgeEvents(t.Context(), at(1203)); err != nil || gone != 0 {
			t.Errorf("%d gone at the second time, %v", gone, err)
		}
		n.settledEvents(t, control.EventQuery{All: true}, 3)
		before, err := n.LatestEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if gone, err := n.PurgeEvents(t.Context(), at(9999)); err != nil || gone != 3 {
			t.Errorf("%d gone at the end, %v", gone, err)
		}
		mark, err := n.LatestEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if before.Behind(mark) {
			t.Errorf("the purge put the end back from %v to %v", before, mark)
		}
		j := n.submit(t)
		events := n.settledEvents(t, control.EventQuery{All: true, After: mark}, 1)
		if events[0].JobID != j.ID {
			t.Errorf("after the purge: %+v", events)
		}
	},
}
