package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// workflowHistory reads a history through the API of the Temporal Web UI, with its payloads as they are and decoded.
func workflowHistory(t *testing.T, p *program, workflow string) string {
	t.Helper()
	address := "/api/v1/namespaces/" + p.run.TemporalNamespace + "/workflows/" + workflow + "/history?maximumPageSize=200"
	status, body := p.ui(t, address)
	if status != http.StatusOK {
		t.Fatalf("GET %s answers %d: %s", address, status, body)
	}
	return body + decodePayloads(body)
}

// openWorkflows lists the workflows that are not closed but the reconciler, which always runs, through the API of the Temporal Web UI.
func openWorkflows(t *testing.T, p *program) (ids []string) {
	t.Helper()
	address := "/api/v1/namespaces/" + p.run.TemporalNamespace + "/workflows?query=" +
		url.QueryEscape(`ExecutionStatus="Running" AND WorkflowType!="Reconciler"`)
	status, body := p.ui(t, address)
	if status != http.StatusOK {
		t.Fatalf("GET %s answers %d: %s", address, status, body)
	}
	var list struct {
		Executions []struct {
			Execution struct {
				WorkflowID string `json:"workflowId"`
			} `json:"execution"`
		} `json:"executions"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, e := range list.Executions {
		ids = append(ids, e.Execution.WorkflowID)
	}
	return ids
}

// temporalCLI finds the real temporal command; "" when the machine has none.
func temporalCLI(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("WAYBILL_TEST_TEMPORAL_CLI"); path != "" {
		return path
	}
	path, err := exec.LookPath("temporal")
	if err != nil {
		t.Log("the temporal command is not installed, so what it does to jobs is not looked at")
		return ""
	}
	return path
}

// cli runs the temporal command against a program.
type cli struct {
	path string
	p    *program
}

func (c cli) run(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "--address", c.p.run.TemporalAddress, "--namespace", c.p.run.TemporalNamespace, "--output", "json", "--color", "never",
		"--tls=false", "--api-key", c.p.token(t))
	cmd := exec.CommandContext(t.Context(), c.path, args...)
	cmd.Env = append(environment(), "HOME="+t.TempDir()) // no settings of the person who runs the tests
	code, out, errs := execute(t, cmd)
	if code != 0 {
		t.Fatalf("temporal %v ends with %d: %s%s", args, code, out, errs)
	}
	return out
}

// listed runs workflow list and gives the workflow ids.
func (c cli) listed(t *testing.T, query string) (ids []string) {
	t.Helper()
	var list []struct {
		Execution struct {
			WorkflowID string `json:"workflowId"`
		} `json:"execution"`
	}
	out := c.run(t, "workflow", "list", "--query", query, "--limit", "1000")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("workflow list %s: %v: %s", query, err, out)
	}
	for _, e := range list {
		ids = append(ids, e.Execution.WorkflowID)
	}
	return ids
}

// lists waits until the query finds exactly the workflows: what is listed lags behind what happened.
func (c cli) lists(t *testing.T, query string, want ...string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, time.Minute, func() error {
		got := c.listed(t, query)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s finds %v, want %v", query, got, want)
		}
		return nil
	})
}

// fromCLIWithin is how soon REST must show what the temporal command did. Three seconds are meant for a cancel, and half
// of one is usual; a machine that runs all tests at once gets more.
const fromCLIWithin = 30 * time.Second

func TestTemporalCommand(t *testing.T) {
	t.Parallel()
	path := temporalCLI(t)
	if path == "" {
		t.Skip("the temporal command is not installed (go install github.com/temporalio/cli/cmd/temporal@v1.5.1)")
	}
	p := sharedProgram(t)
	c := p.tenant(t, "cli")
	temporal := cli{path, p}
	sleeper := c.configure(t, unique("sleeper"), script("echo at work; sleep 600"))
	works := c.configure(t, unique("works"), script(`[ "$MODE" = good ] || exit 3`))

	t.Run("list and describe", func(t *testing.T) {
		t.Parallel()
		first := c.do(t, 200, "POST", "/api/jobconfigs/"+works+"/jobs?wait=60s", nil).object(t).text("id")
		retry := c.do(t, 202, "POST", "/api/jobs/"+first+"/retry",
			object{"runtimeConfig": object{"macros": []object{{"key": "MODE", "value": "good"}}}}).object(t).text("id")
		expect(t, "the status of the retry", c.finish(t, retry, time.Minute).text("status"), "FINISHED")

		mine := fmt.Sprintf(`WaybillJobConfig="%s" AND `, works)
		temporal.lists(t, mine+`WaybillStatus="completed" AND WorkflowType="Job"`, "job-"+retry)
		temporal.lists(t, mine+`WaybillStatus="failed"`, "job-"+first)
		temporal.lists(t, mine+`WaybillRootJob="`+first+`" AND WorkflowType="Job"`, "job-"+first, "job-"+retry)
		temporal.lists(t, mine+`WaybillParentJob="`+first+`" AND WorkflowType="Retry"`, "retry-"+retry)
		temporal.lists(t, `WaybillJob="`+first+`" AND ExecutionStatus="Failed"`, "job-"+first)

		text := temporal.run(t, "workflow", "describe", "--workflow-id", "job-"+first)
		about := text + decodePayloads(text)
		name := c.get(t, "/api/jobconfigs/"+works).text("name")
		for _, part := range []string{"WaybillAccount", "WaybillJobConfig", "WaybillStatus", "WaybillRootJob", works, first, name} {
			if !strings.Contains(about, part) {
				t.Errorf("workflow describe does not hold %s: %s", part, about)
			}
		}
		if query := temporal.run(t, "workflow", "query", "--workflow-id", "job-"+retry, "--type", "status"); !strings.Contains(query, "completed") {
			t.Errorf("the status query does not answer completed: %s", query)
		}
	})

	t.Run("query and cancel", func(t *testing.T) {
		t.Parallel()
		job := c.submit(t, sleeper).text("id")
		c.reaches(t, job, "RUNNING", time.Minute)
		eventually(t, time.Minute, func() error {
			if answer := temporal.run(t, "workflow", "query", "--workflow-id", "job-"+job, "--type", "status"); !strings.Contains(answer, "running") {
				return fmt.Errorf("the status query answers %s", answer)
			}
			return nil
		})
		temporal.lists(t, `WaybillJob="`+job+`" AND WaybillStatus="running"`, "job-"+job)
		temporal.run(t, "workflow", "cancel", "--workflow-id", "job-"+job)
		cancelled := time.Now()
		j := c.finish(t, job, fromCLIWithin)
		t.Logf("seen in REST after %s", time.Since(cancelled).Round(time.Millisecond))
		expect(t, "the status", j.text("status"), "FAILED")
		expect(t, "the reason", j.text("reason"), "stopped")
		noProcess(t, job)
		temporal.lists(t, `WaybillJob="`+job+`" AND ExecutionStatus="Canceled" AND WaybillStatus="cancelled"`, "job-"+job)
	})

	t.Run("cancel a retry", func(t *testing.T) {
		t.Parallel()
		config := c.configure(t, unique("retried"), script(`[ -z "$AGAIN" ] && exit 1; sleep 600`))
		first := c.do(t, 200, "POST", "/api/jobconfigs/"+config+"/jobs?wait=60s", nil).object(t).text("id")
		retry := c.do(t, 202, "POST", "/api/jobs/"+first+"/retry",
			object{"runtimeConfig": object{"macros": []object{{"key": "AGAIN", "value": "1"}}}}).object(t).text("id")
		c.reaches(t, retry, "RUNNING", time.Minute)
		temporal.run(t, "workflow", "cancel", "--workflow-id", "retry-"+retry)
		j := c.finish(t, retry, fromCLIWithin)
		expect(t, "the status", j.text("status"), "FAILED")
		expect(t, "the reason", j.text("reason"), "stopped")
		noProcess(t, retry)
		expect(t, "what the parent says of it", c.get(t, "/api/jobs/"+first).text("resolvedByJob"), "")
	})

	t.Run("terminate", func(t *testing.T) {
		t.Parallel()
		job := c.submit(t, sleeper).text("id")
		c.reaches(t, job, "RUNNING", time.Minute)
		temporal.run(t, "workflow", "terminate", "--workflow-id", "job-"+job, "--reason", "a test")
		j := c.finish(t, job, time.Minute)
		expect(t, "the status", j.text("status"), "FAILED")
		expect(t, "the reason", j.text("reason"), "terminated")
		noProcess(t, job)
	})
}

// queuedFromTemporal cancels and terminates jobs that no worker has had.
func queuedFromTemporal(t *testing.T, p *program, path string, c *client, config string) {
	temporal := cli{path, p}
	cancelled, terminated := c.submit(t, config).text("id"), c.submit(t, config).text("id")
	for _, id := range []string{cancelled, terminated} { // its workflow is started a moment after the job is accepted
		temporal.lists(t, `WaybillJob="`+id+`"`, "job-"+id)
	}
	temporal.run(t, "workflow", "cancel", "--workflow-id", "job-"+cancelled)
	j := c.finish(t, cancelled, fromCLIWithin)
	expect(t, "the status of a queued job cancelled from Temporal", j.text("status"), "CANCELLED")
	expect(t, "its reason", j.text("reason"), "stopped")
	temporal.run(t, "workflow", "terminate", "--workflow-id", "job-"+terminated)
	j = c.finish(t, terminated, time.Minute)
	expect(t, "the status of a queued job terminated from Temporal", j.text("status"), "CANCELLED")
	expect(t, "its reason", j.text("reason"), "terminated")
}
