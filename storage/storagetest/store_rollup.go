package storagetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

func scoped(scope job.RetryScope, parent job.ID) func(*job.Job) {
	return func(j *job.Job) { j.RetryOf, j.RetryScope = parent, scope }
}

var rollUpCases = map[string]func(*testing.T, *tenant){
	"records that go through are resolved where they failed": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a", "b", "c", "d"})
		child := n.raise(t, n.again(t, parent.ID, "a", "b", "c"), completed(), []string{"b", "new"})
		for range 2 {
			n.rollUp(t, child.ID)
			same(t, "parent", n.told(t, parent.ID), "a:retry b:superseded c:retry d:open")
			same(t, "child", n.told(t, child.ID), "b:open new:open")
		}
		n.holds(t, parent.ID)
		n.holds(t, child.ID)
		got := n.now(t, parent.ID)
		if got.ResolvedBy != "" || got.ErrorsOpen != 1 || got.ErrorsResolved != 3 || got.Change <= parent.Change {
			t.Errorf("parent = %+v", got)
		}
		e := n.errors(t, parent.ID)[0]
		if e.RetryJob != child.ID || !e.ResolvedAt.Equal(at(300)) || e.ResolvedBy != (job.UserRef{}) {
			t.Errorf("error = %+v", e)
		}
	},
	"a retry of records that did not complete resolves only what it raised again": func(t *testing.T, n *tenant) {
		for _, o := range []job.Outcome{failed(), {Status: job.Cancelled, Reason: job.ReasonStopped, At: at(110)}} {
			parent := n.raising(t, failed(), []string{"a", "b"})
			child := n.raise(t, n.again(t, parent.ID), o, []string{"b"})
			n.rollUp(t, child.ID)
			same(t, "parent", n.told(t, parent.ID), "a:open b:superseded")
			same(t, "child", n.told(t, child.ID), "b:open")
		}
	},
	"a second level completes the first and what is left of the parent": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a", "b"})
		first := n.raise(t, n.again(t, parent.ID), completed(), []string{"b"})
		second := n.raise(t, n.again(t, first.ID), completed(), nil)
		// In the wrong order: the roll-up of the first was missed, and made later.
		n.rollUp(t, second.ID)
		same(t, "parent", n.told(t, parent.ID), "a:open b:retry")
		n.rollUp(t, first.ID)
		same(t, "parent", n.told(t, parent.ID), "a:retry b:retry")
		same(t, "first", n.told(t, first.ID), "b:retry")
		for _, id := range []job.ID{parent.ID, first.ID, second.ID} {
			n.holds(t, id)
			same(t, "open", n.now(t, id).ErrorsOpen, int64(0))
		}
	},
	"a retry of all that completed resolves every error above but those it raised": func(t *testing.T, n *tenant) {
		for _, scope := range []job.RetryScope{"", job.RetryAll, job.RetryFailedStep} {
			parent := n.raising(t, failed(), []string{"a", "b"})
			first := n.raising(t, failed(), []string{"b", "c"}, scoped(job.RetryAll, parent.ID))
			n.rollUp(t, first.ID)
			same(t, "parent", n.told(t, parent.ID), "a:open b:superseded")
			second := n.raising(t, completed(), []string{"c"}, scoped(scope, first.ID))
			n.rollUp(t, second.ID)
			same(t, "parent", n.told(t, parent.ID), "a:retry b:superseded")
			same(t, "first", n.told(t, first.ID), "b:retry c:superseded")
			same(t, "second", n.told(t, second.ID), "c:open")
			same(t, "parent resolved by", n.now(t, parent.ID).ResolvedBy, second.ID)
			same(t, "first resolved by", n.now(t, first.ID).ResolvedBy, second.ID)
			for _, id := range []job.ID{parent.ID, first.ID, second.ID} {
				n.holds(t, id)
			}
		}
	},
	"a retry completes the retries that failed before it, whichever job of the chain it was made of": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a", "b"})
		first := n.raising(t, failed(), []string{"a", "c"}, scoped(job.RetryAll, parent.ID))
		n.rollUp(t, first.ID)
		second := n.raising(t, failed(), []string{"a"}, scoped(job.RetryFailedStep, parent.ID))
		n.rollUp(t, second.ID)
		same(t, "first", n.told(t, first.ID), "a:superseded c:open")
		same(t, "second", n.told(t, second.ID), "a:open")
		active := n.submit(t, retryOf(first.ID)) // not over: it speaks for itself
		third := n.raising(t, completed(), nil, scoped(job.RetryAll, parent.ID))
		n.rollUp(t, third.ID)
		for _, id := range []job.ID{parent.ID, first.ID, second.ID} {
			same(t, "resolved by", n.now(t, id).ResolvedBy, third.ID)
			same(t, "open", n.now(t, id).ErrorsOpen, int64(0))
			n.holds(t, id)
		}
		same(t, "active resolved by", n.now(t, active.ID).ResolvedBy, "")
		after := n.raising(t, completed(), nil, scoped(job.RetryAll, parent.ID))
		n.rollUp(t, after.ID)
		same(t, "completed by itself", n.now(t, third.ID).ResolvedBy, "")
	},
	"what a user resolved stays so": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a", "b"})
		retry := n.again(t, parent.ID)
		if _, err := n.ResolveErrors(t.Context(), n.account.ID, parent.ID, []string{"a"}, n.admin.Ref(), at(105)); err != nil {
			t.Fatal(err)
		}
		child := n.raise(t, retry, completed(), []string{"a"})
		n.rollUp(t, child.ID)
		same(t, "parent", n.told(t, parent.ID), "a:user b:retry")
		same(t, "child", n.told(t, child.ID), "a:open")
	},
	"a retry of records needs some": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a"})
		clean := n.ended(t, failed())
		try := func(of job.ID, records ...string) error {
			j := n.newJob()
			j.RetryOf, j.RetryScope = of, job.RetryFailedRecords
			_, _, err := n.Submit(t.Context(), control.Submission{Job: j, Records: records})
			return err
		}
		refused(t, try(clean.ID), job.Conflict, job.WordNothingToRetry)
		refused(t, try(clean.ID, "a"), job.Invalid, job.WordUnknownRecord)
		refused(t, try(parent.ID, "a", "x"), job.Invalid, job.WordUnknownRecord)
		refused(t, try(parent.ID, "\xff"), job.Invalid, job.WordUnknownRecord)
		family, err := n.Family(t.Context(), n.account.ID, parent.ID)
		if err != nil || len(family) != 1 {
			t.Errorf("family = %v, %v, want nothing left behind", family, err)
		}
		if err := try(parent.ID, "a", "a"); err != nil {
			t.Error(err)
		}
	},
	"of many retries at once one is accepted": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a"})
		jobs := make([]job.Job, 8)
		for i := range jobs {
			jobs[i] = n.newJob()
			jobs[i].RetryOf, jobs[i].RetryScope = parent.ID, []job.RetryScope{job.RetryAll, job.RetryFailedRecords}[i%2]
		}
		accepted := 0
		for _, err := range atOnce(len(jobs), func(i int) error {
			_, _, err := n.Submit(t.Context(), control.Submission{Job: jobs[i]})
			return err
		}) {
			if err == nil {
				accepted++
				continue
			}
			refused(t, err, job.Conflict, job.WordRetryActive)
		}
		same(t, "accepted", accepted, 1)
		forced := atOnce(4, func(int) error {
			j := n.newJob()
			j.ID, j.RetryOf = newID(), parent.ID
			_, _, err := n.Submit(t.Context(), control.Submission{Job: j, Force: true})
			return err
		})
		for _, err := range forced {
			if err != nil {
				t.Error(err)
			}
		}
		family, err := n.Family(t.Context(), n.account.ID, parent.ID)
		if err != nil {
			t.Fatal(err)
		}
		for i, j := range family {
			same(t, "number", j.RetryNumber, i)
		}
		same(t, "family", len(family), 6)
	},
	"a job whose config is deleted can be retried": func(t *testing.T, n *tenant) {
		parent := n.raising(t, failed(), []string{"a"})
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID}); err != nil {
			t.Fatal(err)
		}
		child := n.again(t, parent.ID)
		same(t, "run number", child.RunNumber, parent.RunNumber+1)
		_, _, err := n.Submit(t.Context(), control.Submission{Job: n.newJob()})
		absent(t, err)
	},
	"retry states tell made and active": func(t *testing.T, n *tenant) {
		lone, active, done := n.ended(t, failed()), n.ended(t, failed()), n.ended(t, failed())
		retry := n.submit(t, retryOf(active.ID))
		n.ended(t, failed(), retryOf(done.ID))
		states, err := n.RetryStates(t.Context(), n.account.ID, []job.ID{lone.ID, active.ID, done.ID, "nonsense"})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "states", states, map[job.ID]job.RetryState{active.ID: {Made: true, Active: retry.ID}, done.ID: {Made: true}})
	},
	"counters hold through random histories": func(t *testing.T, n *tenant) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		h := &history{tenant: n, r: rand.New(rand.NewPCG(seed, 1)), raised: map[job.ID]map[string]bool{}}
		h.jobs = append(h.jobs, n.raising(t, failed(), h.some()).ID)
		h.note(t, h.jobs[0])
		for range 60 {
			h.step(t)
			if t.Failed() {
				return
			}
		}
	},
}

// history is a family to which random things happen.
type history struct {
	*tenant
	r      *rand.Rand
	jobs   []job.ID
	raised map[job.ID]map[string]bool // every error a job ever raised
}

// some picks record ids; few, so that the same ones meet again.
func (h *history) some() []string {
	picked := map[string]bool{}
	for range h.r.IntN(6) {
		picked[fmt.Sprintf("r%d", h.r.IntN(9))] = true
	}
	return slices.Sorted(maps.Keys(picked))
}

func (h *history) note(t *testing.T, id job.ID) {
	h.raised[id] = map[string]bool{}
	for _, e := range h.errors(t, id) {
		h.raised[id][e.RecordID] = true
	}
}

func (h *history) step(t *testing.T) {
	t.Helper()
	parent := h.jobs[h.r.IntN(len(h.jobs))]
	switch h.r.IntN(5) {
	case 0: // somebody resolves
		if _, err := h.ResolveErrors(t.Context(), h.account.ID, parent, h.open(t, parent), h.admin.Ref(), at(150)); err != nil {
			t.Fatal(err)
		}
	case 1: // somebody mends
		for _, record := range h.open(t, parent) {
			if _, err := h.SetErrorData(t.Context(), h.account.ID, parent, record, []byte(`{"mended":1}`), at(150)); err != nil {
				t.Fatal(err)
			}
		}
	case 2: // a roll-up, perhaps for the second time
		h.rollUp(t, parent)
	default:
		h.retry(t, parent)
	}
	for _, id := range h.jobs {
		h.holds(t, id)
		if j := h.now(t, id); j.ErrorsOpen+j.ErrorsResolved != int64(len(h.raised[id])) {
			t.Errorf("job %s counts %d + %d errors, and raised %d", id, j.ErrorsOpen, j.ErrorsResolved, len(h.raised[id]))
		}
	}
}

// open picks some of the open errors of a job.
func (h *history) open(t *testing.T, id job.ID) []string {
	picked := []string{}
	for _, e := range h.errors(t, id) {
		if e.Resolved == job.ErrorOpen && h.r.IntN(2) == 0 {
			picked = append(picked, e.RecordID)
		}
	}
	return picked
}

func (h *history) retry(t *testing.T, parent job.ID) {
	j := h.newJob()
	j.RetryOf, j.RetryScope = parent, []job.RetryScope{job.RetryAll, job.RetryFailedStep, job.RetryFailedRecords}[h.r.IntN(3)]
	sub := control.Submission{Job: j}
	if j.RetryScope == job.RetryFailedRecords {
		sub.Records = h.open(t, parent)
	}
	stored, _, err := h.Submit(t.Context(), sub)
	if job.WordOf(err) == job.WordNothingToRetry {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	o := completed()
	if h.r.IntN(3) == 0 {
		o = failed()
	}
	child := h.raise(t, stored, o, h.some())
	h.jobs = append(h.jobs, child.ID)
	h.note(t, child.ID)
	if h.r.IntN(2) == 0 {
		h.rollUp(t, child.ID)
	}
}
