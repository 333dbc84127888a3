package wide

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
)

// restWithin is how long the last jobs may take once nothing goes wrong any more.
const restWithin = 5 * time.Minute

// endsWithin is how long a single job may take, on a machine that runs all tests at once.
const endsWithin = 5 * time.Minute

// calm stops the clients, waits until all has come to rest, and asks what must be true after whatever happened.
func (l *load) calm(t *testing.T) {
	t.Helper()
	l.stop()
	l.all.Wait()
	began := time.Now()
	err := within(t.Context(), time.Minute, func() error {
		if a := l.client.call(t.Context(), http.MethodDelete, l.schedule(), nil); a.status >= 300 || a.status == 0 {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if err != nil {
		t.Errorf("the schedule can not be deleted: %v", err)
	}
	if err := l.in.rest(t.Context(), restWithin); err != nil {
		t.Errorf("not everything came to its end: %v", err)
	}
	t.Logf("%d jobs accepted, %v; at rest after %s; the slowest call took %s: %s", len(l.accepted), l.counts,
		time.Since(began).Round(time.Millisecond), l.slowest.took.Round(time.Millisecond), l.slowest.call)
	l.endings(t)
	for n, p := range l.problems {
		if n == 20 {
			t.Errorf("and %d more", len(l.problems)-n)
			break
		}
		t.Error(p)
	}
	if len(l.accepted) == 0 {
		t.Error("no job was accepted, so nothing was tested")
	}
}

// rest waits until no job is unfinished, no retry waits for its roll-up, and no workflow of a job is open.
func (in *installation) rest(ctx context.Context, limit time.Duration) error {
	return within(ctx, limit, func() error {
		var jobs, retries int
		var such string
		err := in.db.QueryRowContext(ctx, `SELECT count(*), coalesce(min(id || ' ' || status), '') FROM jobs WHERE finished_at IS NULL`).Scan(&jobs, &such)
		if err == nil {
			err = in.db.QueryRowContext(ctx, `SELECT count(*) FROM jobs WHERE retry_of <> '' AND NOT rolled_up`).Scan(&retries)
		}
		if err != nil {
			return err
		}
		if jobs > 0 || retries > 0 {
			return fmt.Errorf("%d jobs are unfinished, such as %s; %d retries are not rolled up", jobs, such, retries)
		}
		list, err := in.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: `ExecutionStatus="Running" AND WorkflowType IN ("Job", "Retry", "Lane", "Fire")`,
		})
		if err != nil {
			return err
		}
		var open []string
		for _, e := range list.GetExecutions() {
			open = append(open, e.GetExecution().GetWorkflowId())
		}
		if len(open) > 0 {
			return fmt.Errorf("%d workflows are open: %s", len(open), strings.Join(open, " "))
		}
		return nil
	})
}

// statuses are how REST names what the table says.
var statuses = map[string]string{"completed": "FINISHED", "failed": "ERROR", "cancelled": "CANCELLED"}

// endings: every job that was accepted is there and has ended as it had to; every job at all has ended exactly once.
func (l *load) endings(t *testing.T) {
	t.Helper()
	rows, err := l.in.db.QueryContext(t.Context(), `
		SELECT j.id, j.status, j.reason, j.message, j.resolved_by,
			(SELECT count(*) FROM job_events e WHERE e.job_id = j.id AND e.kind = 'status' AND e.data::json->>'status' IN ('completed', 'failed', 'cancelled', 'FINISHED', 'ERROR', 'FAILED', 'CANCELLED')),
			(SELECT count(*) FROM job_attempts a WHERE a.job_id = j.id),
			(SELECT count(*) FROM job_attempts a WHERE a.job_id = j.id AND a.finished_at IS NULL),
			(SELECT count(*) FROM job_attempts a WHERE a.job_id = j.id AND a.return_code = 0)
		FROM jobs j`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	seen, again := map[string]bool{}, 0
	resolved := map[string]string{}
	for rows.Next() {
		var id, status, reason, message, by string
		var endings, attempts, open, good int
		if err := rows.Scan(&id, &status, &reason, &message, &by, &endings, &attempts, &open, &good); err != nil {
			t.Fatal(err)
		}
		seen[id], resolved[id] = true, by
		again += max(0, attempts-1)
		want := l.accepted[id]
		if want == "" {
			want = "FINISHED" // of the schedule, or accepted without the client hearing of it
			if status == "failed" && reason == "error" {
				want = "ERROR"
			}
		}
		if statuses[status] != want {
			t.Errorf("job %s is %s (%s: %s), want %s", id, status, reason, message, want)
		}
		if endings != 1 || open != 0 || good > 1 {
			t.Errorf("job %s: its events tell %d endings, %d of %d attempts have no end, %d ended well", id, endings, open, attempts, good)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for id := range l.accepted {
		if !seen[id] {
			t.Errorf("job %s was accepted and is not in the table", id)
		}
	}
	for child, parent := range l.parents {
		if resolved[parent] != child {
			t.Errorf("job %s was retried by %s, which ended well, and is resolved by %q", parent, child, resolved[parent])
		}
	}
	t.Logf("%d jobs in the table, %d attempts after a first one", len(seen), again)
}

// recovered measures how long it takes from since until a job is accepted and until it has ended.
func (l *load) recovered(t *testing.T, since time.Time) {
	t.Helper()
	var id string
	err := within(t.Context(), 2*time.Minute, func() error {
		a := l.client.call(t.Context(), http.MethodPost, "/api/jobconfigs/"+l.configs["plain"]+"/jobs", macros("WIDE_SECONDS", "0.1"))
		if id = a.text("id"); a.status != http.StatusAccepted {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("no job is accepted any more: %v", err)
	}
	accepted := time.Since(since)
	l.accept(id, "FINISHED")
	a := l.client.finish(t, id, endsWithin)
	t.Logf("after the fault the first job is accepted after %s and ends after %s, as %s", accepted.Round(time.Millisecond),
		time.Since(since).Round(time.Millisecond), a.text("status"))
}
