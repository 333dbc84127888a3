package wide

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The program of the jobs: works for a while, and fails as it is told, in its first attempts or always.
const program = `#!/bin/sh
echo "attempt $WAYBILL_ATTEMPT works for $WIDE_SECONDS s"
sleep "$WIDE_SECONDS"
echo "attempt $WAYBILL_ATTEMPT" > "$LOCAL_JOB_OUT_DIR/attempt.txt"
if [ "$WAYBILL_ATTEMPT" -le "${WIDE_FAILURES:-0}" ]; then exit 3; fi
exit "${WIDE_CODE:-0}"
`

const (
	clients = 4
	// turn is how often each client does something.
	turn = time.Second
	// answerWithin bounds every call, whatever is away. Waiting for a job is bounded by its own time besides.
	answerWithin = 30 * time.Second
	waitFor      = 5 * time.Second
)

// load is clients at work, and what they know.
type load struct {
	in      *installation
	client  *rest
	configs map[string]string // ids by name
	stop    context.CancelFunc
	all     sync.WaitGroup
	next    atomic.Int64 // whom to ask

	// absent: an API process is down on purpose, so calls may find nobody, or lose their connection.
	absent atomic.Bool

	mu       sync.Mutex
	accepted map[string]string // job ids, and the status they must end in
	failing  []string          // of these, those to retry
	parents  map[string]string // by retry: what it completes
	counts   map[string]int
	slowest  answer
	problems []string
}

// drive configures jobs and starts the clients.
func (in *installation) drive(t *testing.T) *load {
	t.Helper()
	l := &load{in: in, accepted: map[string]string{}, parents: map[string]string{}, counts: map[string]int{}}
	l.client = in.admin(t, in.apis[0])
	l.client.base = func() string { return in.apis[int(l.next.Add(1))%len(in.apis)].url }
	policy := object{"maximumAttempts": 3, "initialInterval": "1s", "backoffCoefficient": 1.0, "maximumInterval": "1s"}
	l.configs = map[string]string{}
	for name, members := range map[string]object{
		"plain":   nil,
		"flaky":   {"retryPolicy": policy},
		"lane":    {"concurrency": object{"limit": 2, "key": "wide", "onLimit": "queue"}},
		"changed": nil,
	} {
		l.configs[name] = l.client.configure(t, name, program, members)
	}
	l.configs["schedule"] = l.client.configure(t, "schedule", strings.ReplaceAll(program, "$WIDE_SECONDS", "0.2"), nil)
	l.client.must(t, http.StatusCreated, http.MethodPost, l.schedule(), object{"cronSchedule": "*/2 * * * * ?", "overlap": "skip"})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l.stop = cancel
	t.Cleanup(func() { cancel(); l.all.Wait() })
	for n := range clients {
		l.all.Go(func() { l.work(ctx, rand.New(rand.NewPCG(uint64(n), 5))) })
	}
	return l
}

func (l *load) schedule() string { return "/api/jobconfigs/" + l.configs["schedule"] + "/schedule" }

// work does one thing after another.
func (l *load) work(ctx context.Context, r *rand.Rand) {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		short := fmt.Sprintf("%.1f", 0.1+0.9*r.Float64())
		switch n := r.IntN(100); {
		case n < 25:
			l.start(ctx, r, "plain", "FINISHED", "WIDE_SECONDS", short)
		case n < 37:
			l.start(ctx, r, "plain", "FINISHED", "WIDE_SECONDS", fmt.Sprint(1+r.IntN(5)))
		case n < 47:
			l.start(ctx, r, "flaky", "FINISHED", "WIDE_SECONDS", short, "WIDE_FAILURES", fmt.Sprint(r.IntN(2)))
		case n < 57:
			l.start(ctx, r, "lane", "FINISHED", "WIDE_SECONDS", short)
		case n < 65:
			l.start(ctx, r, "plain", "ERROR", "WIDE_SECONDS", short, "WIDE_CODE", "4")
		case n < 75:
			l.retry(ctx, r)
		case n < 82:
			l.upload(ctx, r)
		case n < 94:
			l.wait(ctx, r)
		default:
			l.ask(ctx, http.MethodGet, "/api/jobs?count=20", nil)
		}
	}
}

// ask makes a call and looks at how it is answered: with success, or with what tells the client when to come again.
func (l *load) ask(ctx context.Context, method, path string, body any, headers ...string) answer {
	a := l.client.call(ctx, method, path, body, headers...)
	if ctx.Err() != nil {
		return a // the load was stopped, so the call was cut off
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.took > l.slowest.took {
		l.slowest = a
	}
	switch {
	case a.status == 0 && l.absent.Load():
		l.counts["no answer, process away"]++
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "":
		l.problems = append(l.problems, fmt.Sprintf("without Retry-After: %s", a))
	case a.status == http.StatusServiceUnavailable:
		l.counts["503"]++
	case a.status == 0 || a.status >= 500:
		l.problems = append(l.problems, fmt.Sprintf("after %s: %s", a.took.Round(time.Millisecond), a))
	case a.took > answerWithin:
		l.problems = append(l.problems, fmt.Sprintf("only after %s: %s", a.took.Round(time.Millisecond), a))
	default:
		l.counts[fmt.Sprint(a.status)]++
	}
	return a
}

// wrong notes what is wrong with an answer that came in time.
func (l *load) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// insist repeats a call with its key until it is taken.
func (l *load) insist(ctx context.Context, r *rand.Rand, path string, body any) (answer, bool) {
	key := fmt.Sprintf("key-%d-%d", r.Uint64(), time.Now().UnixNano())
	for {
		a := l.ask(ctx, http.MethodPost, path, body, "Idempotency-Key", key)
		if ctx.Err() != nil {
			return a, false
		}
		if !a.away() {
			return a, true
		}
		select {
		case <-ctx.Done():
			return a, false
		case <-time.After(time.Second):
		}
	}
}

func (l *load) start(ctx context.Context, r *rand.Rand, config, ends string, values ...string) {
	a, there := l.insist(ctx, r, "/api/jobconfigs/"+l.configs[config]+"/jobs", macros(values...))
	if !there {
		return
	}
	if a.status != http.StatusAccepted || a.text("id") == "" {
		l.wrong("a start: %s", a)
		return
	}
	l.accept(a.text("id"), ends)
}

func (l *load) accept(id, ends string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[id] = ends
	if ends != "FINISHED" {
		l.failing = append(l.failing, id)
	}
}

// retry makes a job again that has failed, so that this time it succeeds.
func (l *load) retry(ctx context.Context, r *rand.Rand) {
	l.mu.Lock()
	var parent string
	if len(l.failing) > 0 {
		parent = l.failing[0]
	}
	l.mu.Unlock()
	if parent == "" {
		return
	}
	if a := l.ask(ctx, http.MethodGet, "/api/jobs/"+parent, nil); a.status != http.StatusOK || !ended(a.text("status")) {
		return
	}
	l.mu.Lock()
	mine := slices.Contains(l.failing, parent)
	l.failing = slices.DeleteFunc(l.failing, func(id string) bool { return id == parent })
	l.mu.Unlock()
	if !mine {
		return
	}
	a, there := l.insist(ctx, r, "/api/jobs/"+parent+"/retry", macros("WIDE_SECONDS", "0.3", "WIDE_CODE", "0"))
	switch {
	case !there:
	case a.status != http.StatusAccepted:
		l.wrong("a retry: %s", a)
	default:
		l.accept(a.text("id"), "FINISHED")
		l.mu.Lock()
		l.parents[a.text("id")] = parent
		l.mu.Unlock()
	}
}

// upload gives a config a new package.
func (l *load) upload(ctx context.Context, r *rand.Rand) {
	text := program + "# " + strings.Repeat(fmt.Sprintf("%016x", r.Uint64()), 4096) + "\n"
	a := l.ask(ctx, http.MethodPost, "/api/jobconfigs/"+l.configs["changed"]+"/files?key=main.sh", []byte(text))
	switch {
	case a.away() || ctx.Err() != nil:
	case a.status != http.StatusCreated:
		l.wrong("an upload: %s", a)
	default:
		l.start(ctx, r, "changed", "FINISHED", "WIDE_SECONDS", "0.1")
	}
}

// wait waits for a job. One that was accepted is there.
func (l *load) wait(ctx context.Context, r *rand.Rand) {
	l.mu.Lock()
	ids := slices.Collect(maps.Keys(l.accepted))
	l.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	id := ids[r.IntN(len(ids))]
	a := l.ask(ctx, http.MethodGet, fmt.Sprintf("/api/jobs/%s?wait=%s", id, waitFor), nil)
	if ctx.Err() == nil && !a.away() && a.status != http.StatusOK {
		l.wrong("job %s was accepted: %s", id, a)
	}
}
