package wide

import (
	"net/http"
	"testing"
	"time"

	"waybill/test/internal/proxy"
)

// TestWorkerIsKilled ends workers with SIGKILL while they run programs.
func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 1, workers: 2})
	l := in.drive(t)
	for n := range rounds(3, 12) {
		w := in.workers[n%2]
		a := l.client.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+l.configs["plain"]+"/jobs", macros("WIDE_SECONDS", "4"))
		l.accept(a.text("id"), "FINISHED")
		pause(t, 2*time.Second)
		if err := w.kill(); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		if n%2 == 0 {
			pause(t, 7*time.Second) // long enough to be taken for lost
		}
		if err := w.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		a = l.client.finish(t, a.text("id"), endsWithin)
		t.Logf("%s was killed; a job of 4 s that ran somewhere ended in attempt %s, %s later", w.name, a.text("attempt"), time.Since(since).Round(time.Millisecond))
	}
	l.recovered(t, time.Now())
	l.calm(t)
	in.stop(t)
}

// TestWorkerIsCutFromTemporal: a worker that no longer reaches Temporal is taken for lost; its job runs elsewhere, and what it still says
// of the job changes nothing.
func TestWorkerIsCutFromTemporal(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 1, workers: 2})
	l := in.drive(t)
	for _, how := range []string{proxy.Dropped, proxy.Frozen, proxy.Refused}[:rounds(2, 3)] {
		a := l.client.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+l.configs["plain"]+"/jobs", macros("WIDE_SECONDS", "12"))
		id := a.text("id")
		l.accept(id, "FINISHED")
		var on string
		err := within(t.Context(), time.Minute, func() error {
			return in.db.QueryRowContext(t.Context(), "SELECT worker FROM job_attempts WHERE job_id = $1", id).Scan(&on)
		})
		if err != nil {
			t.Fatal(err)
		}
		w := in.nodeOf(t, on)
		back, err := w.links[engine].Away(how)
		if err != nil {
			t.Fatal(err)
		}
		cut := time.Now()
		a = l.client.finish(t, id, endsWithin)
		t.Logf("%s: %s was cut from Temporal; its job ended %s later in attempt %s", how, w.name, time.Since(cut).Round(time.Millisecond), a.text("attempt"))
		if a.text("attempt") == "1" {
			t.Errorf("the job was not run elsewhere: %s", a)
		}
		pause(t, 10*time.Second) // the first run would have ended by now
		if err := back(); err != nil {
			t.Fatal(err)
		}
		pause(t, 3*time.Second)
		b := l.client.call(t.Context(), http.MethodGet, "/api/jobs/"+id, nil)
		if string(a.body) != string(b.body) {
			t.Errorf("the slow worker changed the job:\n%s\n%s", a.body, b.body)
		}
	}
	l.recovered(t, time.Now())
	l.calm(t)
	in.stop(t)
}

// nodeOf finds the process that has the worker id.
func (in *installation) nodeOf(t *testing.T, worker string) *node {
	t.Helper()
	for _, n := range in.workers {
		if says("Worker "+worker+" runs")(t.Context(), n.process) == nil {
			return n
		}
	}
	t.Fatalf("no process is the worker %q", worker)
	return nil
}
