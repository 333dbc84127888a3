package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// An operator may end the reconciler's workflow: it comes back by itself, and does what only it can do.
func TestTheReconcilerComesBack(t *testing.T) {
	t.Parallel()
	path := temporalCLI(t)
	if path == "" {
		t.Skip("the temporal command is not installed (go install github.com/temporalio/cli/cmd/temporal@v1.5.1)")
	}
	p := start(t, options{data: folder(t)})
	c := p.admin(t)
	temporal := cli{path, p}
	works := func(run string) (now string) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			about := temporal.run(t, "workflow", "describe", "--workflow-id", "reconciler")
			_, rest, _ := strings.Cut(about, `"runId": "`)
			now, _, _ = strings.Cut(rest, `"`)
			if now == "" || now == run || !strings.Contains(about, `"lastHeartbeatTime"`) {
				return fmt.Errorf("nobody has the loop: %s", about)
			}
			return nil
		})
		return now
	}
	first := works("")
	temporal.run(t, "workflow", "terminate", "--workflow-id", "reconciler", "--reason", "test")
	second := works(first)
	temporal.run(t, "workflow", "cancel", "--workflow-id", "reconciler")
	works(second)

	job := c.submit(t, c.configure(t, "sleeper", script("sleep 600"))).text("id")
	c.reaches(t, job, "RUNNING", time.Minute)
	temporal.run(t, "workflow", "terminate", "--workflow-id", "job-"+job, "--reason", "test")
	expect(t, "the reason", c.finish(t, job, time.Minute).text("reason"), "terminated")
	if open := temporal.listed(t, `WorkflowId="reconciler" AND ExecutionStatus="Running"`); len(open) != 1 {
		t.Errorf("%d reconcilers run", len(open))
	}
}
