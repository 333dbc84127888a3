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
