package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestIdempotentRunAtOnce(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).admin(t)
	config := c.configure(t, unique("at once"), script("echo once"))
	const calls = 8
	var ids [calls]string
	var replayed [calls]bool
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			r, err := c.send(t.Context(), http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil, "Idempotency-Key", "at-once")
			if err != nil || r.status != http.StatusAccepted {
				t.Errorf("call %d: %v %+v", i, err, r)
				return
			}
			var j struct{ ID string }
			if err := json.Unmarshal(r.body, &j); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			ids[i], replayed[i] = j.ID, r.header.Get("Idempotency-Replayed") == "true"
		})
	}
	group.Wait()
	first := 0
	for i := range calls {
		expect(t, "the job of a call", ids[i], ids[0])
		if !replayed[i] {
			first++
		}
	}
	expect(t, "the number of calls that made a job", first, 1)
	expect(t, "the number of jobs", c.get(t, "/api/jobs?jobconfigid="+config).text("totalRecords"), 1)
	expect(t, "the status", c.finish(t, ids[0], time.Minute).text("status"), "FINISHED")
}

// TestOneWorker holds the only place for a job, so that others stay queued.
func TestOneWorker(t *testing.T) {
	t.Parallel()
	p := start(t, options{data: folder(t), args: []string{"--workers", "1"}})
	c := p.admin(t)
	config := c.configure(t, "one at a time", script("echo at work; sleep 600"))
	holder := c.submit(t, config).text("id")
	c.reaches(t, holder, "RUNNING", time.Minute)

	queued := c.submit(t, config).text("id")
	j := c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/"+queued, nil).object(t)
	expect(t, "the status of a stopped queued job", j.text("status"), "CANCELLED")
	expect(t, "its reason", j.text("reason"), "stopped")
	expect(t, "who stopped it", j.text("stoppedByUser.name"), "admin")
	r := c.do(t, http.StatusNotFound, http.MethodGet, "/api/jobs/"+queued+"/log", nil).object(t)
	expect(t, "the code of its missing log", r.text("code"), "log_not_found")
	c.do(t, http.StatusConflict, http.MethodDelete, "/api/jobs/"+queued, nil)

	var bulk []string
	for range 3 {
		bulk = append(bulk, c.submit(t, config).text("id"))
	}
	stopped := c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/stop", object{"recordIds": append(bulk, holder)}).object(t)
	expect(t, "the jobs stopped in bulk", stopped.text("accepted"), bulk)
	for _, id := range bulk {
		expect(t, "the status of a job stopped in bulk", c.get(t, "/api/jobs/"+id).text("status"), "CANCELLED")
	}

	if cli := temporalCLI(t); cli != "" {
		queuedFromTemporal(t, p, cli, c, config)
	}

	after := c.submit(t, c.configure(t, "next", script("echo next"))).text("id")
	followed := make(chan string, 1)
	go func() { // a log is waited for when the job is still queued
		r, err := c.send(t.Context(), http.MethodGet, "/api/jobs/"+after+"/log?follow=true", nil)
		if err != nil {
			followed <- err.Error()
			return
		}
		followed <- string(r.body)
	}()
	held := c.get(t, "/api/jobs/"+after+"?wait=1s") // comes back when the time is over
	expect(t, "the status of the job behind the holder", held.text("status"), "QUEUED")
	c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/"+holder, nil)
	expect(t, "the status of the stopped holder", c.finish(t, holder, time.Minute).text("status"), "FAILED")
	if text := <-followed; !strings.HasSuffix(text, " next\n") {
		t.Errorf("what was followed from the queue on is %q", text)
	}
	expect(t, "the status of the job behind them", c.finish(t, after, time.Minute).text("status"), "FINISHED")
	noProcess(t, append(bulk, holder, queued)...)
}

// TestHundredJobsAtOnce submits more jobs than run at once, from many callers.
func TestHundredJobsAtOnce(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "load")
	config := c.configure(t, "load", script(`echo "$JOB_ID" > "$LOCAL_JOB_OUT_DIR/me.txt"`))
	const jobs, callers = 100, 10
	ids := make(chan string, jobs)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range jobs / callers {
				r, err := c.send(t.Context(), http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil)
				var j struct{ ID string }
				if err == nil {
					err = json.Unmarshal(r.body, &j)
				}
				if err != nil || r.status != http.StatusAccepted {
					t.Errorf("submit: %v %+v", err, r)
					return
				}
				ids <- j.ID
			}
		})
	}
	group.Wait()
	close(ids)
	for id := range ids {
		if j := c.finish(t, id, 2*time.Minute); j.text("status") != "FINISHED" {
			t.Fatalf("job %s ends as %v", id, j)
		}
		expect(t, "the output of a job", c.output(t, id, "me.txt"), id+"\n")
	}
	stats := c.get(t, "/api/jobstats")
	expect(t, "jobs finished", stats.text("finished"), jobs)
	expect(t, "jobs in all", stats.text("totalJobs"), jobs)
	runs := map[string]bool{}
	for _, j := range c.get(t, "/api/jobs?size=1000").items() {
		runs[j.text("runNumber")] = true
	}
	expect(t, "different run numbers", len(runs), jobs)
	var unfinished []string
	r := c.do(t, http.StatusOK, http.MethodGet, "/api/jobs/unfinished", nil)
	if err := json.Unmarshal(r.body, &unfinished); err != nil || len(unfinished) > 0 {
		t.Errorf("unfinished jobs: %s (%v)", r.body, err)
	}
}
