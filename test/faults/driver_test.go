package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// promise is a job that was accepted.
type promise struct {
	id      string
	kind    *kind
	parent  string // of a retry
	forced  bool
	asked   bool      // somebody asked for its cancel, with whatever result
	stopped time.Time // when a cancel was first said to be accepted
	// It was accepted between these two.
	sent, answered time.Time
	final          string // status, reason, code and attempt as they were first seen after its end
}

// ledger is what clients know.
type ledger struct {
	mu       sync.Mutex
	order    []string
	promises map[string]*promise
	kinds    []*kind
	counts   map[string]int
	problems []mistake // what was wrong at once
}

func newLedger(kinds []*kind) *ledger {
	return &ledger{promises: map[string]*promise{}, kinds: kinds, counts: map[string]int{}}
}

// accept enters a job; it may be there already, since calls are repeated.
func (l *ledger) accept(p promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.promises[p.id] == nil {
		p.answered = time.Now()
		l.promises[p.id] = &p
		l.order = append(l.order, p.id)
	}
}

func (l *ledger) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
}

func (l *ledger) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

func (l *ledger) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, mistake{kind: format, text: fmt.Sprintf(format, args...)})
}

// some gives the ids of up to n jobs, most of them young.
func (l *ledger) some(r *rand.Rand, n int) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) == 0 {
		return nil
	}
	for range n {
		from := len(l.order)
		if r.IntN(3) > 0 {
			from = min(from, 40)
		}
		ids = append(ids, l.order[len(l.order)-1-r.IntN(from)])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (l *ledger) knows(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.promises[id] != nil
}

func (l *ledger) get(id string) promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.promises[id]
}

// stop notes that the cancel of jobs was accepted.
func (l *ledger) stop(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if p := l.promises[id]; p != nil && p.stopped.IsZero() {
			p.stopped = time.Now()
		}
	}
}

func (l *ledger) ask(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.promises[id].asked = true
	}
}

// seen compares a job as it is shown now with what was shown when it had ended first.
func (l *ledger) seen(a answer) (ended bool) {
	status := a.text("status")
	if !slices.Contains([]string{"FINISHED", "ERROR", "FAILED", "CANCELLED"}, status) {
		status = ""
	}
	now := fmt.Sprintf("%s, reason %q, code %q, attempt %s, finished %s",
		status, a.text("reason"), a.text("returnCode"), a.text("attempt"), a.text("finished"))
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.promises[a.text("id")]
	switch {
	case p == nil:
		return status != ""
	case p.final == "" && status != "":
		p.final = now
	case p.final != "" && p.final != now:
		l.problems = append(l.problems, mistake{
			kind: "changed", job: p.id, text: fmt.Sprintf("job %s had ended as %s and is now %s", p.id, p.final, now),
		})
	}
	return status != ""
}

// driver is one client. Its choices come from its seed.
type driver struct {
	*restClient
	*ledger
	name   string
	random *rand.Rand
	calls  int
}

// run does one thing after another until the ledger holds enough jobs, each when there is a turn.
func (d *driver) run(ctx context.Context, turns <-chan struct{}) {
	for range turns {
		if ctx.Err() != nil {
			return
		}
		switch n := d.random.IntN(100); {
		case n < 62:
			d.start(ctx)
		case n < 76:
			d.retryOne(ctx)
		case n < 80:
			d.retryTwice(ctx)
		case n < 91:
			d.cancel(ctx)
		case n < 94:
			d.cancelMany(ctx)
		case n < 96:
			d.retryMany(ctx)
		default:
			d.look(ctx)
		}
	}
}

// key is an Idempotency-Key for most calls.
func (d *driver) key() []string {
	d.calls++
	if d.random.IntN(8) == 0 {
		return nil
	}
	return []string{"Idempotency-Key", fmt.Sprintf("%s-%d", d.name, d.calls)}
}

// once makes a call that makes a job. With a key it is repeated until there is an answer; without one, a call that got no
// answer may have made a job or not.
func (d *driver) once(ctx context.Context, path string, body object, key []string) answer {
	if len(key) == 0 {
		a := d.call(ctx, http.MethodPost, path, body)
		if a.away() {
			d.count("starts without a key that got no answer")
		}
		return a
	}
	tries := 0
	for {
		a := d.call(ctx, http.MethodPost, path, body, key...)
		if tries++; !a.away() || ctx.Err() != nil {
			if tries > 1 {
				d.count("starts that were repeated")
			}
			return a
		}
		select {
		case <-ctx.Done():
			return a
		case <-time.After(time.Duration(100+d.random.IntN(400)) * time.Millisecond):
		}
	}
}

func (d *driver) start(ctx context.Context) {
	k := pick(d.kinds, d.random)
	path, body, key := "/api/jobconfigs/"+k.id+"/jobs", k.body(d.random), d.key()
	if k.ordered && d.random.IntN(3) == 0 {
		path += "?ordered=true"
	}
	replay := d.random.IntN(6) == 0
	sent := time.Now()
	a := d.once(ctx, path, body, key)
	id := a.text("id")
	switch {
	case a.status == http.StatusAccepted && id != "":
		d.accept(promise{id: id, kind: k, sent: sent})
		d.count("accepted")
	case a.status == http.StatusOK && k.onLimit == "skip" && a.header.Get("X-Waybill-Skipped") == "true":
		d.count("skipped at the limit")
		return
	case a.status == http.StatusConflict && k.onLimit == "fail" && a.text("code") == "concurrency_limit":
		d.count("refused at the limit")
		return
	case a.away():
		return
	default:
		d.wrong("a start of %s answers %s", k.name, a)
		return
	}
	if !replay || len(key) == 0 {
		return
	}
	b := d.once(ctx, path, body, key)
	if again := b.text("id"); !b.away() && (again != id || b.header.Get("Idempotency-Replayed") != "true") {
		d.wrong("key %v gave job %s, and then answers %s", key, id, b)
	}
	d.count("replayed")
}

// checkGet tells whether there is a job to look at. One that was accepted is there.
func (d *driver) checkGet(id string, a answer) bool {
	if a.status != http.StatusOK && !a.away() {
		d.wrong("job %s was accepted, and its GET answers %s", id, a)
	}
	return a.status == http.StatusOK
}

// victims chooses jobs to cancel: most of them from those that have not ended.
func (d *driver) victims(ctx context.Context, n int) []string {
	if d.random.IntN(4) == 0 {
		return d.some(d.random, n)
	}
	a := d.call(ctx, http.MethodGet, "/api/jobs/unfinished", nil)
	var ids []string
	if a.status != http.StatusOK || json.Unmarshal(a.body, &ids) != nil {
		return d.some(d.random, n)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !d.knows(id) })
	d.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(n, len(ids))]
}

func (d *driver) cancel(ctx context.Context) {
	for _, id := range d.victims(ctx, 1) {
		d.ask(id)
		a := d.call(ctx, http.MethodDelete, "/api/jobs/"+id, nil)
		switch {
		case a.status == http.StatusAccepted:
			d.stop(id)
			d.count("cancels accepted")
		case a.status == http.StatusConflict && a.text("code") == "job_finished":
			d.count("cancels too late")
		case a.away():
			d.count("cancels without an answer")
		default:
			d.wrong("the cancel of job %s answers %s", id, a)
		}
	}
}

func (d *driver) cancelMany(ctx context.Context) {
	ids := d.victims(ctx, 6)
	if len(ids) == 0 {
		return
	}
	d.ask(ids...)
	a := d.call(ctx, http.MethodDelete, "/api/jobs/stop", object{"recordIds": ids})
	var summary struct {
		Accepted []string
		Skipped  []struct{ ID, Code string }
	}
	switch {
	case a.away():
	case a.status != http.StatusAccepted || json.Unmarshal(a.body, &summary) != nil:
		d.wrong("the cancel of %v answers %s", ids, a)
	case len(summary.Accepted)+len(summary.Skipped) != len(ids):
		d.wrong("the cancel of %d jobs tells what became of %d: %s", len(ids), len(summary.Accepted)+len(summary.Skipped), a)
	default:
		d.stop(summary.Accepted...)
		d.count("bulk cancels")
	}
}

// look reads a few jobs: what had ended must not have changed.
func (d *driver) look(ctx context.Context) {
	for _, id := range d.some(d.random, 3) {
		if a := d.call(ctx, http.MethodGet, "/api/jobs/"+id, nil); d.checkGet(id, a) {
			d.seen(a)
		}
	}
}
