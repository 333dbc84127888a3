package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// inLane is a job config one of whose jobs runs at a time, for as many seconds as are said or until the test lets it go on.
func inLane(limits object) setup {
	s := script(`echo "begins"
if [ "$SECONDS_TO_SLEEP" = any ]; then
	while [ ! -e "$TMPDIR/go" ]; do sleep 0.1; done
else
	sleep "$SECONDS_TO_SLEEP"
fi
echo "ends"`)
	s.config = limits
	s.runtime = object{"macros": []object{{"key": "SECONDS_TO_SLEEP", "value": "1"}}}
	return s
}

// goAhead is the file that a program waits for which looks for go in its TMPDIR.
func goAhead(p *program, job, attempt string) string {
	return filepath.Join(p.data, "work", "jobs", job+"-"+attempt, "tmp", "go")
}

// letGo has a program go on that waits for its file, whatever attempt it is in, and waits for the job's end.
func (p *program) letGo(t *testing.T, c *client, job string) {
	t.Helper()
	eventually(t, 3*time.Minute, func() error {
		j := c.get(t, "/api/jobs/"+job)
		if ended(j.text("status")) {
			return nil
		}
		if err := os.WriteFile(goAhead(p, job, j.text("attempt")), nil, 0o600); err != nil && !os.IsNotExist(err) {
			return final(err) // the folder of an attempt that was lost, or that is only to begin, is not there
		}
		return fmt.Errorf("job %s is %s", job, j.text("status"))
	})
}

// held submits a job that sleeps for so long.
func (c *client) held(t *testing.T, config, seconds string) string {
	t.Helper()
	return c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs",
		object{"runtimeConfig": object{"macros": []object{{"key": "SECONDS_TO_SLEEP", "value": seconds}}}}).object(t).text("id")
}

// span is when a job's program first began and last ended, by the time stamps of its log.
func (c *client) span(t *testing.T, job string) (begins, ends string) {
	t.Helper()
	for line := range strings.Lines(c.log(t, job)) {
		at, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case text == "begins" && begins == "":
			begins = at
		case text == "ends":
			ends = at
		}
	}
	if begins == "" || ends == "" {
		t.Fatalf("job %s ran from %q to %q", job, begins, ends)
	}
	return begins, ends
}

// TestLane lets ten jobs through a lane with one place while the program is killed, the lane's workflow is terminated, and
// jobs are cancelled from every side. The order must hold, no two may overlap, and nothing may stay behind.
func TestLane(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t)}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cleanUp(t) })
	c := p.admin(t)
	config := c.configure(t, "lane", inLane(object{"concurrency": object{"limit": 1}}))
	ids := []string{c.held(t, config, "any")} // until all is done to the jobs behind it
	for range 9 {
		ids = append(ids, c.submit(t, config).text("id"))
	}
	for i, id := range ids[1:] {
		j := c.get(t, "/api/jobs/"+id)
		expect(t, "the status of a waiting job", j.text("status"), "SEQUENCED")
		expect(t, "its position", j.text("position"), fmt.Sprint(i+1))
	}
	c.reaches(t, ids[0], "RUNNING", time.Minute)
	p.kill(t)
	if p, err = launch(o); err != nil {
		t.Fatal(err)
	}
	c = p.admin(t)

	expect(t, "a waiting job that was stopped", c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/"+ids[3], nil).object(t).text("status"), "CANCELLED")
	expect(t, "the position behind it", c.get(t, "/api/jobs/"+ids[4]).text("position"), "3")
	bulk := c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/stop", object{"recordIds": ids[6:7]}).object(t)
	expect(t, "stopped in bulk", bulk.text("accepted"), ids[6:7])
	cancelled := []string{ids[3], ids[6]}
	if path := temporalCLI(t); path != "" {
		cancelled = append(cancelled, laneFromTemporal(t, cli{path, p}, c, config, ids)...)
	}
	p.letGo(t, c, ids[0])

	last := ""
	for i, id := range ids {
		j := c.finish(t, id, 3*time.Minute)
		if slices.Contains(cancelled, id) {
			expect(t, fmt.Sprintf("the status of job %d", i), j.text("status"), "CANCELLED")
			continue
		}
		expect(t, fmt.Sprintf("the status of job %d", i), j.text("status"), "FINISHED")
		begins, ends := c.span(t, id)
		if begins < last {
			t.Errorf("job %d began %s, before the one before it ended, %s", i, begins, last)
		}
		last = ends
	}
	eventually(t, time.Minute, func() error {
		if open := openWorkflows(t, p); len(open) > 0 {
			return fmt.Errorf("workflows are still open: %v", open)
		}
		return nil
	})
	noProcess(t, ids...)
}

// laneFromTemporal does to a lane and its jobs what the temporal command can do, and returns the jobs it cancelled.
func laneFromTemporal(t *testing.T, temporal cli, c *client, config string, ids []string) (cancelled []string) {
	t.Helper()
	lane := "lane-" + accountOf(t, temporal, ids[9]) + "-config:" + config
	eventually(t, time.Minute, func() error { // the lane's workflow is there again, and answers
		if status := temporal.run(t, "workflow", "query", "--workflow-id", lane, "--type", "status"); !strings.Contains(status, ids[9]) {
			return fmt.Errorf("the lane does not know the last job: %s", status)
		}
		return nil
	})
	place := temporal.run(t, "workflow", "query", "--workflow-id", "job-"+ids[9], "--type", "position")
	if !strings.Contains(place, lane) || !strings.Contains(place, `"waiting": true`) && !strings.Contains(place, `"waiting":true`) {
		t.Errorf("the job does not know its place: %s", place)
	}
	temporal.run(t, "workflow", "terminate", "--workflow-id", lane, "--reason", "a test")
	temporal.run(t, "workflow", "cancel", "--workflow-id", "job-"+ids[5])
	expect(t, "the status of a waiting job cancelled from Temporal", c.finish(t, ids[5], fromCLIWithin).text("status"), "CANCELLED")
	temporal.run(t, "workflow", "terminate", "--workflow-id", "job-"+ids[7], "--reason", "a test")
	expect(t, "the status of a waiting job terminated from Temporal", c.finish(t, ids[7], time.Minute).text("status"), "CANCELLED")
	eventually(t, time.Minute, func() error { // healed
		if open := temporal.listed(t, `WorkflowId="`+lane+`" AND ExecutionStatus="Running"`); len(open) != 1 {
			return fmt.Errorf("no new workflow for the lane: %v", open)
		}
		return nil
	})
	return []string{ids[5], ids[7]}
}

// accountOf is the id of the account a job belongs to, as its workflow shows it.
func accountOf(t *testing.T, temporal cli, job string) string {
	t.Helper()
	for n := 1; n < 100; n++ {
		if len(temporal.listed(t, fmt.Sprintf(`WaybillAccount="%d" AND WaybillJob="%s"`, n, job))) > 0 {
			return fmt.Sprint(n)
		}
	}
	t.Fatalf("job %s has no account", job)
	return ""
}

// TestLimitsOfLanes shows skip and fail, and a key that two configs share.
func TestLimitsOfLanes(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "limits")
	for onLimit, check := range map[string]func(config, first string){
		"skip": func(config, first string) {
			r := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil)
			expect(t, "the job that is there", r.object(t).text("id"), first)
			expect(t, "X-Waybill-Skipped", r.header.Get("X-Waybill-Skipped"), "true")
		},
		"fail": func(config, _ string) {
			r := c.do(t, http.StatusConflict, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil)
			expect(t, "the code", r.object(t).text("code"), "concurrency_limit")
		},
	} {
		key := unique("key")
		limits := object{"concurrency": object{"limit": 1, "key": key + " $(CUSTOMER)", "onLimit": onLimit}}
		one, two := inLane(limits), inLane(limits)
		for _, s := range []setup{one, two} {
			s.runtime["macros"] = append(s.runtime["macros"].([]object), object{"key": "CUSTOMER", "value": "a"})
		}
		config, other := c.configure(t, unique("one"), one), c.configure(t, unique("two"), two)
		first := c.held(t, config, "600")
		c.reaches(t, first, "RUNNING", time.Minute)
		check(other, first)
		c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+other+"/jobs",
			object{"runtimeConfig": object{"macros": []object{{"key": "CUSTOMER", "value": "b"}}}})
		stopped := c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/stop", object{"recordIds": []string{first}, "includeRunning": true}).object(t)
		expect(t, "stopped although it ran", stopped.text("accepted"), []string{first})
		expect(t, "its status", c.finish(t, first, time.Minute).text("status"), "FAILED")
		again := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+other+"/jobs?wait=60s", nil).object(t)
		expect(t, "the status of a start at the free place", again.text("status"), "FINISHED")
	}
}
