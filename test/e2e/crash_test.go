package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestCrash submits sixty jobs of about a second each from callers that repeat what got no answer, and kills the program
// twice in the middle of it. Every job that was accepted must end in exactly one terminal status, its effect must have
// happened at least once and be recorded once, and nothing may be left open or running.
func TestCrash(t *testing.T) {
	t.Parallel()
	crash(t, options{data: folder(t)})
}

func crash(t *testing.T, o options) {
	t.Helper()
	const jobs, callers = 60, 4
	first, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[program]
	current.Store(first)
	t.Cleanup(func() { // the last one must stop well; those before it were killed
		if err := current.Load().stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the program's log ends with:\n%s", tail(current.Load().stderr.String(), 40))
		}
	})
	config := first.admin(t).configure(t, "crash", script(`
echo "effect of $JOB_ID in attempt $WAYBILL_ATTEMPT begins"
sleep 1
echo "$JOB_ID" > "$LOCAL_JOB_OUT_DIR/effect.txt"
echo "effect of $JOB_ID in attempt $WAYBILL_ATTEMPT happened"`))

	// One that would outlive the program it was started by: the next start has to end it.
	orphans := first.admin(t).configure(t, "orphan", script(`[ "$WAYBILL_ATTEMPT" -gt 1 ] || sleep 600`))
	orphan := first.admin(t).submit(t, orphans).text("id")
	first.admin(t).reaches(t, orphan, "RUNNING", time.Minute)

	accepted := &ledger{ids: map[string]string{}}
	var submitters sync.WaitGroup
	for caller := range callers {
		submitters.Go(func() {
			for n := caller; n < jobs; n += callers {
				key := fmt.Sprintf("crash-%d", n)
				err := within(t.Context(), 3*time.Minute, func() error { return submitOnce(t, current.Load(), config, key, accepted) })
				if err != nil {
					t.Errorf("submit %s: %v", key, err)
				}
			}
		})
	}
	watch := &watcher{final: map[string]string{}}
	for _, crash := range []struct{ accepted, ended int }{{15, 1}, {30, 20}} {
		p := current.Load()
		c := p.admin(t)
		eventually(t, 2*time.Minute, func() error {
			running := watch.look(t, c)
			if n := accepted.count(); n < crash.accepted || watch.ended() < crash.ended || running < 5 {
				return fmt.Errorf("%d jobs are accepted, %d run, %d have ended", n, running, watch.ended())
			}
			return nil
		})
		p.kill(t)
		t.Logf("killed with %d jobs accepted, %d ended", accepted.count(), watch.ended())
		p, err := launch(o)
		if err != nil {
			t.Fatal(err)
		}
		current.Store(p)
	}
	submitters.Wait()
	expect(t, "accepted jobs", accepted.count(), jobs)
	p := current.Load()
	c := p.admin(t)
	eventually(t, 3*time.Minute, func() error {
		if running := watch.look(t, c); watch.ended() < jobs+1 {
			return fmt.Errorf("%d jobs have ended, %d run: %s", watch.ended(), running, unfinished(t, c))
		}
		return nil
	})
	expect(t, "jobs that were made", c.get(t, "/api/jobs?size=1").text("totalRecords"), jobs+1)
	expect(t, "the orphan's status", c.get(t, "/api/jobs/"+orphan).text("status"), "FINISHED")
	again := 0
	for key, id := range accepted.ids {
		j := c.get(t, "/api/jobs/"+id)
		if j.text("status") != "FINISHED" || j.text("returnCode") != "0" {
			t.Errorf("%s ends as %v", key, j)
			continue
		}
		if j.text("attempt") != "1" {
			again++
		}
		expect(t, "the files of "+key, len(c.get(t, "/api/jobs/"+id+"/out/files").items()), 1)
		expect(t, "the effect of "+key, c.output(t, id, "effect.txt"), id+"\n")
		happened := fmt.Sprintf("effect of %s in attempt %s happened", id, j.text("attempt"))
		if log := c.log(t, id); strings.Count(log, happened) != 1 {
			t.Errorf("the log of %s does not tell once that its recorded attempt %s happened:\n%s", key, j.text("attempt"), log)
		}
		done := 0
		for _, s := range c.get(t, "/api/jobs/"+id+"/steps").items() {
			if s.text("status") == "FINISHED" {
				done++
			}
		}
		expect(t, "successes recorded for "+key, done, 1)
	}
	t.Logf("%d of %d jobs needed more than one attempt", again, jobs)
	if again == 0 {
		t.Error("no job was hit by the crashes, so this test has shown nothing")
	}
	watch.look(t, c) // nothing that had ended has changed
	nothingLeft(t, p, append(accepted.all(), orphan)...)
}

// submitOnce starts a job under a key, which a caller may repeat until it has an answer.
func submitOnce(t *testing.T, p *program, config, key string, accepted *ledger) error {
	c, err := p.signIn(t.Context())
	if err != nil {
		return err
	}
	r, err := c.send(t.Context(), http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil, "Idempotency-Key", key)
	if err != nil {
		return err // it was killed: nobody knows whether the job was accepted
	}
	var j struct{ ID string }
	if err := json.Unmarshal(r.body, &j); err != nil || r.status != http.StatusAccepted {
		return fmt.Errorf("it answers %d: %s", r.status, r.body)
	}
	accepted.add(key, j.ID)
	return nil
}

// ledger is what callers were promised: job ids by key.
type ledger struct {
	mu  sync.Mutex
	ids map[string]string
}

func (l *ledger) add(key, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids[key] = id
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

func (l *ledger) all() (ids []string) {
	for _, id := range l.ids {
		ids = append(ids, id)
	}
	return ids
}

// watcher remembers how jobs ended, and finds those that change afterwards.
type watcher struct{ final map[string]string }

func (w *watcher) ended() int { return len(w.final) }

// look reads the list of all jobs and tells how many run.
func (w *watcher) look(t *testing.T, c *client) (running int) {
	t.Helper()
	seen := map[string]bool{}
	for _, j := range c.get(t, "/api/jobs?size=1000").items() {
		id, now := j.text("id"), j.text("status")
		for _, part := range []string{"reason", "returnCode", "finished", "attempt"} {
			now += " " + j.text(part)
		}
		seen[id] = true
		before, was := w.final[id]
		switch {
		case was && before != now:
			t.Errorf("job %s had ended as %q and is now %q", id, before, now)
		case ended(j.text("status")):
			w.final[id] = now
		case j.text("status") == "RUNNING":
			running++
		}
	}
	for id := range w.final {
		if !seen[id] {
			t.Errorf("job %s had ended and is no longer in the list", id)
		}
	}
	return running
}

// unfinished shows the jobs that have not ended.
func unfinished(t *testing.T, c *client) string {
	t.Helper()
	var ids []string
	r := c.do(t, http.StatusOK, http.MethodGet, "/api/jobs/unfinished", nil)
	if err := json.Unmarshal(r.body, &ids); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range ids[:min(len(ids), 5)] {
		all = append(all, fmt.Sprint(c.get(t, "/api/jobs/"+id)))
	}
	return strings.Join(all, "\n")
}

// nothingLeft waits until no workflow is open and no process of the jobs is left.
func nothingLeft(t *testing.T, p *program, jobs ...string) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		if open := openWorkflows(t, p); len(open) > 0 {
			return fmt.Errorf("workflows are left open: %v", open)
		}
		return nil
	})
	noProcess(t, jobs...)
}

// TestEngineLost deletes the embedded Temporal's files while jobs are queued and running: what was promised is in the
// job table, so everything is dispatched again and ends.
func TestEngineLost(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--workers", "2", "--worker-loss", "3s"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	c := p.admin(t)
	config := c.configure(t, "lost", script(`sleep 3; echo "$JOB_ID" > "$LOCAL_JOB_OUT_DIR/effect.txt"`))
	failing := c.configure(t, "failing", script(`[ -n "$AGAIN" ] || exit 1; sleep 1`))
	failed := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+failing+"/jobs?wait=60s", nil).object(t).text("id")
	var ids []string
	for range 8 {
		ids = append(ids, c.submit(t, config).text("id"))
	}
	retry := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobs/"+failed+"/retry",
		object{"runtimeConfig": object{"macros": []object{{"key": "AGAIN", "value": "1"}}}}).object(t).text("id")
	ids = append(ids, retry)
	c.reaches(t, ids[0], "RUNNING", time.Minute)
	p.kill(t)
	if err := os.RemoveAll(filepath.Join(o.data, "engine")); err != nil {
		t.Fatal(err)
	}
	p = start(t, o)
	c = p.admin(t)
	for _, id := range ids {
		j := c.finish(t, id, 2*time.Minute)
		expect(t, "the status of "+id, j.text("status"), "FINISHED")
		if id != retry {
			expect(t, "the effect of "+id, c.output(t, id, "effect.txt"), id+"\n")
		}
	}
	eventually(t, time.Minute, func() error {
		if by := c.get(t, "/api/jobs/"+failed).text("resolvedByJob"); by != retry {
			return fmt.Errorf("the failed job is resolved by %q, not by its retry %s", by, retry)
		}
		return nil
	})
	expect(t, "the failed job's own status", c.get(t, "/api/jobs/"+failed).text("status"), "ERROR")
	expect(t, "jobs in all", c.get(t, "/api/jobs?size=1").text("totalRecords"), len(ids)+1)
	nothingLeft(t, p, ids...)
}
