package wide

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"

	"waybill/test/internal/proxy"
)

// TestAPIIsKilledBetweenRowAndStart ends an API process that has stored jobs, and has neither told Temporal of them, nor noted that it
// could not, nor answered. A repeated call starts such a job; those for which nobody comes again are the reconciler's.
func TestAPIIsKilledBetweenRowAndStart(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 1})
	l := in.drive(t)
	victim, other := in.apis[0], &rest{token: l.client.token, base: func() string { return in.apis[1].url }}
	l.absent.Store(true)
	repeated, left := 0, 0
	for n := range rounds(2, 10) {
		cuts := in.cutsBetween(t, l, victim, n)
		killed := time.Now()
		for i, c := range cuts {
			if i%2 == 0 {
				continue
			}
			// The client comes again, to whom it finds.
			a := other.call(t.Context(), http.MethodPost, l.betweenStart(), betweenBody, "Idempotency-Key", c.key)
			if a.status != http.StatusAccepted || a.header.Get("Idempotency-Replayed") != "true" || a.text("id") != c.id {
				t.Fatalf("the call of job %s that was cut off, again: %s", c.id, a)
			}
			repeated++
			other.finish(t, c.id, endsWithin)
		}
		t.Logf("%d jobs were started by repeated calls; the last of them ended %s after the process was killed", len(cuts)/2, time.Since(killed).Round(time.Millisecond))
		for i, c := range cuts {
			if i%2 == 0 {
				left++
				other.finish(t, c.id, endsWithin)
			}
		}
		t.Logf("%d jobs were started by the reconciler; the last of them ended %s after the process was killed", (len(cuts)+1)/2, time.Since(killed).Round(time.Millisecond))
		if err := victim.insist(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("processes ended between row and start of %d jobs that were asked for again, and of %d that were not", repeated, left)
	l.absent.Store(false)
	l.calm(t)
	in.stop(t)
}

var betweenBody = macros("WIDE_SECONDS", "0.1")

func (l *load) betweenStart() string { return "/api/jobconfigs/" + l.configs["plain"] + "/jobs" }

// cut is a call that stored a job, and whose process ended before anything else.
type cut struct{ key, id string }

// cutsBetween kills the process between row and start of two jobs or more. It may be too late for them: then it is tried again.
func (in *installation) cutsBetween(t *testing.T, l *load, victim *node, round int) []cut {
	t.Helper()
	for try := range 8 {
		cuts := in.killBetween(t, l, victim, fmt.Sprintf("between-%d-%d-", round, try))
		if len(cuts) >= 2 {
			return cuts
		}
		t.Logf("%d jobs were between row and start when the process was killed: once more", len(cuts))
		if err := victim.insist(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the process never ended between row and start")
	return nil
}

// killBetween lets a process take jobs while it does not reach Temporal, kills it, and gives those that are not noted as left to the
// reconciler, were not answered, and have no workflow. All that are stored are accepted.
func (in *installation) killBetween(t *testing.T, l *load, victim *node, prefix string) (cuts []cut) {
	t.Helper()
	// Dropped: what is only held back would reach Temporal when the link is mended, and start them after all.
	back, err := victim.links[engine].Away(proxy.Dropped)
	if err != nil {
		t.Fatal(err)
	}
	const jobs = 10
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered, calls := map[string]bool{}, sync.WaitGroup{}
	var mu sync.Mutex
	at := &rest{token: l.client.token, base: func() string { return victim.url }}
	for k := range jobs {
		calls.Go(func() {
			key := fmt.Sprint(prefix, k)
			a := at.call(ctx, http.MethodPost, l.betweenStart(), betweenBody, "Idempotency-Key", key)
			mu.Lock()
			defer mu.Unlock()
			answered[key] = a.status != 0
		})
	}
	// Killed as soon as some are stored: a second later the process gives up, notes it in the row, and answers.
	err = within(t.Context(), 30*time.Second, func() error {
		var stored int
		err := in.db.QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency_keys WHERE starts_with(idem_key, $1)", prefix).Scan(&stored)
		if err == nil && stored < 4 {
			err = fmt.Errorf("%d of %d jobs are stored", stored, jobs)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.kill(); err != nil {
		t.Fatal(err)
	}
	calls.Wait()
	for _, c := range in.stored(t, prefix) {
		l.accept(c.id, "FINISHED")
		var noted bool
		if err := in.db.QueryRowContext(t.Context(), "SELECT unreachable FROM jobs WHERE id = $1", c.id).Scan(&noted); err != nil {
			t.Fatal(err)
		}
		_, err := in.temporal.DescribeWorkflowExecution(t.Context(), "job-"+c.id, "")
		var absent *serviceerror.NotFound
		if err != nil && !errors.As(err, &absent) {
			t.Fatal(err)
		}
		if !answered[c.key] && !noted && err != nil {
			cuts = append(cuts, c)
		}
	}
	if err := back(); err != nil {
		t.Fatal(err)
	}
	return cuts
}

// stored are the jobs that were started with keys of a prefix.
func (in *installation) stored(t *testing.T, prefix string) (all []cut) {
	t.Helper()
	rows, err := in.db.QueryContext(t.Context(), "SELECT idem_key, job_id FROM idempotency_keys WHERE starts_with(idem_key, $1) ORDER BY idem_key", prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c cut
		if err := rows.Scan(&c.key, &c.id); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
