package wide

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// long is what the longer form of these tests takes (make wide): more rounds, longer outages.
var long = os.Getenv("WAYBILL_WIDE") == "long"

func rounds(short, more int) int {
	if long {
		return more
	}
	return short
}

// TestDatabaseFails restarts and pauses PostgreSQL, and Temporal's tables with it.
func TestDatabaseFails(t *testing.T) {
	in := install(t, shape{apis: 2, workers: 2})
	in.behind(t) // a balancer that asks /readyz must not take from clients what the processes answer
	l := in.drive(t)
	for range rounds(1, 4) {
		pause(t, 4*time.Second)
		t.Log("PostgreSQL restarts")
		if err := in.database.stopWith(syscall.SIGINT); err != nil { // as a restart by the system does: sessions are ended
			t.Fatal(err)
		}
		if err := in.database.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.recovered(t, time.Now())
	}
	pause(t, 2*time.Second)
	t.Log("PostgreSQL is killed, and is away for 5 s")
	if err := in.database.kill(); err != nil {
		t.Fatal(err)
	}
	pause(t, 5*time.Second)
	if err := in.database.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.recovered(t, time.Now())
	pause(t, 2*time.Second)
	t.Log("PostgreSQL is paused for 20 s")
	if err := in.database.freeze(); err != nil {
		t.Fatal(err)
	}
	pause(t, 20*time.Second)
	if err := in.database.thaw(); err != nil {
		t.Fatal(err)
	}
	l.recovered(t, time.Now())
	pause(t, 2*time.Second)
	l.calm(t)
	in.stop(t)
}

// TestObjectStoreFails stops MinIO while packages are uploaded and programs run.
func TestObjectStoreFails(t *testing.T) {
	in := install(t, shape{apis: 2, workers: 2})
	in.behind(t)
	l := in.drive(t)
	pause(t, 4*time.Second)
	before := l.counted()
	if err := in.objects.kill(); err != nil {
		t.Fatal(err)
	}
	lost := []byte(program + "# while it is away\n")
	// A job that is started now finds its package in no cache, and one that runs now can not leave its files.
	a := l.client.call(t.Context(), http.MethodPost, "/api/jobconfigs/"+l.configs["changed"]+"/files?key=main.sh", lost)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("an upload without an object store: %s", a)
	}
	pause(t, time.Duration(rounds(15, 40))*time.Second)
	if err := in.objects.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.recovered(t, time.Now())
	t.Logf("before: %v, after: %v", before, l.counted())
	var stored int
	err := in.db.QueryRowContext(t.Context(), "SELECT count(*) FROM file_versions WHERE size = $1", len(lost)).Scan(&stored)
	if err != nil || stored != 0 {
		t.Errorf("the refused upload left %d versions (%v)", stored, err)
	}
	l.calm(t)
	in.stop(t)
}

// TestTemporalFails kills Temporal, and keeps it away for a minute.
func TestTemporalFails(t *testing.T) {
	in := install(t, shape{apis: 2, workers: 2})
	in.behind(t)
	l := in.drive(t)
	pause(t, 4*time.Second)
	t.Log("Temporal is killed and starts at once")
	if err := in.engine.kill(); err != nil {
		t.Fatal(err)
	}
	if err := in.engine.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.recovered(t, time.Now())
	pause(t, 2*time.Second)
	t.Log("Temporal is away for 60 s")
	if err := in.engine.kill(); err != nil {
		t.Fatal(err)
	}
	back := time.Now().Add(60 * time.Second)
	l.acceptsWithoutTemporal(t)
	pause(t, time.Until(back))
	if err := in.engine.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.recovered(t, time.Now())
	pause(t, 2*time.Second)
	l.calm(t)
	in.stop(t)
}

// acceptsWithoutTemporal: a job is accepted while Temporal is away, and the client is told.
func (l *load) acceptsWithoutTemporal(t *testing.T) {
	t.Helper()
	err := within(t.Context(), time.Minute, func() error {
		a := l.client.call(t.Context(), http.MethodPost, "/api/jobconfigs/"+l.configs["plain"]+"/jobs", macros("WIDE_SECONDS", "0.1"))
		if a.status == http.StatusAccepted {
			l.accept(a.text("id"), "FINISHED")
		}
		if warning := fmt.Sprint(a.object()["warnings"]); a.status != http.StatusAccepted || warning == "<nil>" {
			return fmt.Errorf("%s", a)
		}
		t.Logf("without Temporal a job is accepted after %s: %s", a.took.Round(time.Millisecond), a)
		return nil
	})
	if err != nil {
		t.Errorf("without Temporal no job is accepted with a warning: %v", err)
	}
}

// counted is how many answers there were of each kind.
func (l *load) counted() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := map[string]int{}
	for k, n := range l.counts {
		c[k] = n
	}
	return c
}
