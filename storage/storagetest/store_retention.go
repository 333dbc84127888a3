package storagetest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// endedAt is an outcome at a second of its own.
func endedAt(second int, status job.Status) job.Outcome {
	o := completed()
	if status == job.Failed {
		o = failed()
	}
	o.At = at(second)
	return o
}

// expire runs the retention over all accounts in small steps, and gives the ids of what it took, sorted.
func (n *tenant) expire(t *testing.T, r job.RetentionRun, step int) []job.ID {
	t.Helper()
	had := n.purges(t)
	for mark, calls := (job.RetentionMark{}), 0; !mark.Done; calls++ {
		if calls > 1000 {
			t.Fatalf("the retention comes to no end: %+v", mark)
		}
		var err error
		if mark, _, err = n.ExpireJobs(t.Context(), r, mark, step); err != nil {
			t.Fatal(err)
		}
	}
	var taken []job.ID
	for _, id := range n.purges(t) {
		if !slices.Contains(had, id) {
			taken = append(taken, id)
		}
	}
	return taken
}

func (n *tenant) purges(t *testing.T) []job.ID {
	t.Helper()
	var ids []job.ID
	var after job.ID
	for {
		page, err := n.Purges(t.Context(), after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return ids
		}
		for _, p := range page {
			ids = append(ids, p.ID)
			after = p.ID
		}
	}
}

func (n *tenant) keep(t *testing.T, r job.Retention) {
	t.Helper()
	n.account.Retention = r
	a, err := n.UpdateAccount(t.Context(), n.account)
	if err != nil {
		t.Fatal(err)
	}
	n.account = a
}

// configKeeping makes a config with limits of its own.
func (n *tenant) configKeeping(t *testing.T, name string, r job.Retention) job.Config {
	t.Helper()
	c := n.newConfig(name)
	c.Rules.Retention = r
	c, err := n.CreateConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func of(c job.Config) func(*job.Job) {
	return func(j *job.Job) { j.ConfigID, j.ConfigName = c.ID, c.Name }
}

// runAt is a run that begins at the second; everything has settled.
func runAt(second int) job.RetentionRun {
	return job.RetentionRun{Started: at(second), Now: at(second), Settled: at(second)}
}

// startedAt is the run by an engine whose clock says something else.
func startedAt(second int, r job.RetentionRun) job.RetentionRun {
	r.Started = at(second)
	return r
}

func sorted(ids ...job.ID) []job.ID {
	slices.Sort(ids)
	return ids
}

var retentionCases = map[string]func(*testing.T, *tenant){
	"without limits everything is kept": func(t *testing.T, n *tenant) {
		n.ended(t, endedAt(110, job.Completed))
		same(t, "taken", n.expire(t, runAt(1e6), 10), []job.ID(nil))
	},
	"what ended longer ago than the account's age goes": func(t *testing.T, n *tenant) {
		old, edge := n.ended(t, endedAt(110, job.Failed)), n.ended(t, endedAt(200, job.Completed))
		n.submit(t)
		b := n.other(t)
		b.ended(t, endedAt(110, job.Completed))
		n.keep(t, job.Retention{MaxAge: 100 * time.Second})
		same(t, "taken", n.expire(t, startedAt(1e6, runAt(300)), 10), []job.ID{old.ID})
		_, err := n.Job(t.Context(), n.account.ID, old.ID)
		absent(t, err)
		if attempts, err := n.Attempts(t.Context(), n.account.ID, old.ID); job.CodeOf(err) != job.NotFound && len(attempts) > 0 {
			t.Errorf("attempts are left: %v, %v", attempts, err)
		}
		same(t, "kept", n.now(t, edge.ID).Status, job.Completed)
		same(t, "taken next", n.expire(t, runAt(301), 10), []job.ID{edge.ID})
	},
	"the system's limits fill what an account leaves open": func(t *testing.T, n *tenant) {
		mine := n.ended(t, endedAt(110, job.Completed))
		b := n.other(t)
		b.ended(t, endedAt(110, job.Completed))
		b.keep(t, job.Retention{MaxAge: time.Hour})
		r := runAt(300)
		r.Default = job.Retention{MaxAge: time.Minute}
		same(t, "taken", n.expire(t, r, 10), []job.ID{mine.ID})
	},
	"of an account's count the jobs that ended last are kept": func(t *testing.T, n *tenant) {
		second := n.create(t, "second")
		var all []job.ID
		for i := range 6 {
			c := n.config
			if i%2 == 1 {
				c = second
			}
			all = append(all, n.ended(t, endedAt(200-i, job.Completed), of(c)).ID)
		}
		n.begun(t) // unfinished: neither counted nor taken
		n.keep(t, job.Retention{MaxCount: 2})
		same(t, "taken", n.expire(t, runAt(1000), 1), sorted(all[2:]...))
	},
	"a config's own limits win, and its jobs do not count for the account": func(t *testing.T, n *tenant) {
		own := n.configKeeping(t, "own", job.Retention{MaxCount: 3})
		aged := n.configKeeping(t, "aged", job.Retention{MaxAge: time.Hour})
		var mine, theirs []job.ID
		for i := range 5 {
			mine = append(mine, n.ended(t, endedAt(200+i, job.Completed), of(own)).ID)
			theirs = append(theirs, n.ended(t, endedAt(110+i, job.Completed)).ID)
		}
		kept := n.ended(t, endedAt(109, job.Completed), of(aged))
		n.keep(t, job.Retention{MaxAge: 1000 * time.Second})
		// The account's age takes all that ended before 200 s, but for the config with an hour; the config with a count two more.
		got := n.expire(t, runAt(1200), 2)
		same(t, "taken", got, sorted(append(theirs, mine[0], mine[1])...))
		same(t, "kept", n.now(t, kept.ID).ID, kept.ID)
		same(t, "taken later", n.expire(t, runAt(3710), 2), sorted(append(mine[2:], kept.ID)...))
	},
	"limits of a config count where the account has none": func(t *testing.T, n *tenant) {
		own := n.configKeeping(t, "own", job.Retention{MaxCount: 1})
		first, second := n.ended(t, endedAt(110, job.Completed), of(own)), n.ended(t, endedAt(111, job.Completed), of(own))
		n.ended(t, endedAt(100, job.Completed))
		same(t, "taken", n.expire(t, runAt(1000), 10), []job.ID{first.ID})
		own.Rules.Retention = job.Retention{}
		if err := n.UpdateConfig(t.Context(), own, own.ModifiedAt); err != nil {
			t.Fatal(err)
		}
		n.ended(t, endedAt(112, job.Completed), of(own))
		same(t, "taken without", n.expire(t, runAt(1000), 10), []job.ID(nil))
		same(t, "kept", n.now(t, second.ID).ID, second.ID)
	},
	"jobs of a config that was deleted keep to the account's limits": func(t *testing.T, n *tenant) {
		own := n.configKeeping(t, "own", job.Retention{MaxAge: time.Hour})
		gone := n.ended(t, endedAt(110, job.Completed), of(own))
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{own.ID}); err != nil {
			t.Fatal(err)
		}
		n.keep(t, job.Retention{MaxAge: time.Minute})
		same(t, "taken", n.expire(t, runAt(1000), 10), []job.ID{gone.ID})
	},
	"a family goes as a whole, when all of it may": func(t *testing.T, n *tenant) {
		n.keep(t, job.Retention{MaxAge: 100 * time.Second})
		first := n.ended(t, endedAt(110, job.Failed))
		retry := n.ended(t, endedAt(150, job.Failed), retryOf(first.ID))
		same(t, "taken before the roll-up", n.expire(t, runAt(1000), 10), []job.ID(nil))
		if err := n.RollUp(t.Context(), n.account.ID, retry.ID, at(160)); err != nil {
			t.Fatal(err)
		}
		same(t, "taken while the retry is young", n.expire(t, runAt(240), 10), []job.ID(nil))
		live := n.submit(t, retryOf(first.ID))
		same(t, "taken while a retry lives", n.expire(t, runAt(1000), 10), []job.ID(nil))
		if _, err := n.Cancel(t.Context(), n.account.ID, live.ID, n.admin.Ref(), at(170), 0); err != nil {
			t.Fatal(err)
		}
		if err := n.RollUp(t.Context(), n.account.ID, live.ID, at(180)); err != nil {
			t.Fatal(err)
		}
		same(t, "taken", n.expire(t, runAt(1000), 10), sorted(first.ID, retry.ID, live.ID))
		_, err := n.Family(t.Context(), n.account.ID, first.ID)
		absent(t, err)
		_, _, err = n.Submit(t.Context(), n.submission(retryOf(retry.ID)))
		absent(t, err)
	},
	"a job somebody is still to be told of is kept, and its family with it": func(t *testing.T, n *tenant) {
		n.keep(t, job.Retention{MaxAge: time.Second})
		first := n.ended(t, endedAt(110, job.Failed))
		retry := n.ended(t, endedAt(120, job.Completed), retryOf(first.ID), calling(job.Callback{URL: "https://x.example", Events: []string{job.EventJobCompleted}}))
		alone := n.ended(t, endedAt(130, job.Completed), calling(job.Callback{URL: "https://x.example", Events: []string{job.EventJobCompleted}}))
		if err := n.RollUp(t.Context(), n.account.ID, retry.ID, at(140)); err != nil {
			t.Fatal(err)
		}
		same(t, "taken while it is pending", n.expire(t, runAt(1000), 10), []job.ID(nil))
		pending, err := n.PendingDeliveries(t.Context(), "", 10)
		if err != nil || len(pending) != 2 {
			t.Fatalf("pending: %+v, %v", pending, err)
		}
		for _, d := range pending {
			if err := n.MarkDelivering(t.Context(), d.ID, 1, at(150)); err != nil {
				t.Fatal(err)
			}
			same(t, "taken while it is under way", n.expire(t, runAt(1000), 10), []job.ID(nil))
		}
		for _, d := range pending {
			if err := n.EndDelivery(t.Context(), d.ID, 1, "x", at(160)); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "taken", n.expire(t, runAt(1000), 10), sorted(first.ID, retry.ID, alone.ID))
	},
	"what has just ended is left alone": func(t *testing.T, n *tenant) {
		j := n.ended(t, endedAt(110, job.Completed))
		n.ended(t, endedAt(111, job.Completed))
		n.keep(t, job.Retention{MaxCount: 1})
		r := runAt(1000)
		r.Settled = at(110)
		same(t, "taken", n.expire(t, r, 10), []job.ID(nil))
		r.Settled = at(111)
		same(t, "taken", n.expire(t, r, 10), []job.ID{j.ID})
	},
	"a call whose job is gone is neither made again nor answered as if its config were": func(t *testing.T, n *tenant) {
		sub := n.keyed("k", "d")
		made, _, err := n.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		n.settle(t, made.ID, 1, completed())
		n.keep(t, job.Retention{MaxAge: time.Minute})
		same(t, "taken", n.expire(t, runAt(3600), 10), []job.ID{made.ID})
		_, _, err = n.Submit(t.Context(), n.keyed("k", "d"))
		refused(t, err, job.Conflict, job.WordIdempotency)
		_, _, err = n.Replay(t.Context(), n.account.ID, sub.Idempotency, at(3600))
		refused(t, err, job.Conflict, job.WordIdempotency)
	},
	"a purge is counted once, for its account and run": func(t *testing.T, n *tenant) {
		j := n.ended(t, endedAt(110, job.Completed))
		n.keep(t, job.Retention{MaxAge: time.Second})
		r := runAt(1000)
		n.expire(t, r, 10)
		p := job.Purge{ID: j.ID, AccountID: n.account.ID}
		deleted := job.Purged{Jobs: 1, Objects: 3, Bytes: 50, Histories: 1}
		for i, want := range []bool{true, false} {
			if first, err := n.PurgeDone(t.Context(), r, p, deleted); err != nil || first != want {
				t.Errorf("PurgeDone %d = %v, %v, want %v", i, first, err, want)
			}
		}
		got, err := n.RetentionResult(t.Context(), n.account.ID)
		if err != nil || !got.Done || !got.Started.Equal(r.Started) || got.Purged != deleted {
			t.Errorf("result = %+v, %v", got, err)
		}
		n.expire(t, runAt(1001), 10)
		got, err = n.RetentionResult(t.Context(), n.account.ID)
		if err != nil || !got.Done || !got.Started.Equal(at(1001)) || got.Purged != (job.Purged{}) {
			t.Errorf("result of the next run = %+v, %v", got, err)
		}
		_, err = n.RetentionResult(t.Context(), 999_999)
		absent(t, err)
	},
	"random families: never a live one, and the counts are right": randomFamilies,
}

// model is what the test knows of a job.
type model struct {
	id       job.ID
	root     int // index of the family's first
	config   int
	finished int // second; 0: unfinished
	rolledUp bool
}

// randomFamilies makes families at random and compares what is taken with the rule written down again, naively.
func randomFamilies(t *testing.T, n *tenant) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	rules := []job.Retention{{}, {MaxCount: r.IntN(6)}, {MaxAge: time.Duration(r.IntN(400)) * time.Second}}
	configs := []job.Config{n.config, n.configKeeping(t, "b", rules[1]), n.configKeeping(t, "c", rules[2])}
	account := job.Retention{MaxCount: r.IntN(30), MaxAge: time.Duration(r.IntN(900)) * time.Second}
	n.keep(t, account)
	var all []model
	for range 60 {
		m := model{root: len(all), config: r.IntN(len(configs))}
		change := []func(*job.Job){of(configs[m.config])}
		if len(all) > 0 && r.IntN(2) == 0 {
			if parent := all[r.IntN(len(all))]; parent.finished > 0 && !slices.ContainsFunc(all, func(o model) bool {
				return o.root == parent.root && o.finished == 0 // one unfinished retry of a parent is all there may be
			}) {
				m.root, m.config = parent.root, parent.config
				change = []func(*job.Job){of(configs[m.config]), retryOf(parent.id)}
			}
		}
		if r.IntN(12) == 0 {
			m.id = n.submit(t, change...).ID
		} else {
			m.finished = 200 + r.IntN(800)
			m.id = n.ended(t, endedAt(m.finished, job.Failed), change...).ID
		}
		if m.rolledUp = m.root == len(all); !m.rolledUp && m.finished > 0 && r.IntN(10) > 0 {
			m.rolledUp = true
			if err := n.RollUp(t.Context(), n.account.ID, m.id, at(1000)); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, m)
	}
	const now = 1000
	want := expected(all, rules, account, now)
	got := n.expire(t, runAt(now), 1+r.IntN(10))
	same(t, "taken", got, want)
	for _, m := range all {
		_, err := n.Job(t.Context(), n.account.ID, m.id)
		if gone := job.CodeOf(err) == job.NotFound; gone != slices.Contains(want, m.id) {
			t.Errorf("job %s: gone %v (%v)", m.id, gone, err)
		}
	}
}

// expected is what a run takes.
func expected(all []model, rules []job.Retention, account job.Retention, now int) []job.ID {
	newer := func(a, b model) bool { return a.finished > b.finished || a.finished == b.finished && a.id > b.id }
	over := func(m model) bool {
		own := rules[m.config]
		if m.finished == 0 || m.finished >= now {
			return false
		}
		if age := own.Over(account).MaxAge; age > 0 && at(m.finished).Before(at(now).Add(-age)) {
			return true
		}
		count, ahead := own.Over(account).MaxCount, 0
		for _, o := range all {
			sameRule := o.config == m.config || own.MaxCount == 0 && rules[o.config].MaxCount == 0
			if o.finished > 0 && sameRule && newer(o, m) {
				ahead++
			}
		}
		return count > 0 && ahead >= count
	}
	var taken []job.ID
	for _, m := range all {
		if !slices.ContainsFunc(all, func(o model) bool { return o.root == m.root && (!over(o) || !o.rolledUp) }) {
			taken = append(taken, m.id)
		}
	}
	return sorted(taken...)
}

func (n *tenant) submission(change ...func(*job.Job)) control.Submission {
	j := n.newJob()
	for _, c := range change {
		c(&j)
	}
	return control.Submission{Job: j}
}
