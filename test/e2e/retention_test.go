package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// objectsOf lists the files in the object store's folder that belong to a job.
func objectsOf(t *testing.T, data, job string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(data, "objects"), func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) { // others come and go meanwhile
			return nil
		}
		if err == nil && !d.IsDir() && strings.Contains(path, job) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// remembered tells whether the engine knows the workflow, through the API of the Temporal Web UI.
func remembered(t *testing.T, p *program, workflow string) bool {
	t.Helper()
	code, body := p.ui(t, "/api/v1/namespaces/"+p.run.TemporalNamespace+"/workflows/"+workflow)
	if code != http.StatusOK && code != http.StatusNotFound {
		t.Fatalf("%s: %d %s", workflow, code, body)
	}
	return code == http.StatusOK
}

// TestRetention runs ten jobs of a config that keeps three, one of them with a retry, and looks for what is left of the rest:
// rows, logs, output files, workflow histories.
func TestRetention(t *testing.T) {
	t.Parallel()
	p := sharedProgram(t)
	c := p.tenant(t, "retention")
	config := c.configure(t, "kept", script(`echo "log of $JOB_ID"; echo "$JOB_ID" > "$LOCAL_JOB_OUT_DIR/out.txt"; [ -n "$AGAIN" ] || exit 1`))
	c.do(t, http.StatusOK, http.MethodPatch, "/api/jobconfigs/"+config, object{"retention": object{"maxCount": 3}})
	again := object{"runtimeConfig": object{"macros": []object{{"key": "AGAIN", "value": "1"}}}}
	parent := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+config+"/jobs?wait=60s", nil).object(t).text("id")
	child := c.do(t, http.StatusOK, http.MethodPost, "/api/jobs/"+parent+"/retry?wait=60s", again).object(t).text("id")
	gone := []string{parent, child}
	var kept []string
	for i := range 8 {
		id := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+config+"/jobs?wait=60s", again).object(t).text("id")
		if i < 5 {
			gone = append(gone, id)
		} else {
			kept = append(kept, id)
		}
	}
	for _, id := range gone {
		if len(objectsOf(t, p.data, id)) < 2 {
			t.Fatalf("job %s has no log and no output before the retention", id)
		}
	}
	if !remembered(t, p, "job-"+gone[0]) || !remembered(t, p, "retry-"+child) {
		t.Fatal("the engine does not remember the jobs before the retention")
	}
	path := temporalCLI(t)
	eventually(t, 2*time.Minute, func() error {
		if path != "" {
			cli{path: path, p: p}.run(t, "schedule", "trigger", "--schedule-id", "retention")
		} else {
			c.do(t, http.StatusAccepted, http.MethodPost, "/api/account/retention/run", nil)
		}
		for _, id := range gone {
			r, err := c.send(t.Context(), http.MethodGet, "/api/jobs/"+id, nil)
			if err != nil || r.status != http.StatusNotFound {
				return fmt.Errorf("job %s is still there: %v, %v", id, r, err)
			}
			if left := objectsOf(t, p.data, id); len(left) > 0 {
				return fmt.Errorf("objects of job %s are left: %v", id, left)
			}
			if remembered(t, p, "job-"+id) || remembered(t, p, "retry-"+id) {
				return fmt.Errorf("the engine remembers job %s", id)
			}
		}
		return nil
	})
	expect(t, "jobs that are left", c.get(t, "/api/jobs").text("totalRecords"), len(kept))
	for _, id := range kept {
		expect(t, "the log of a job that is kept", strings.Contains(c.log(t, id), "log of "+id), true)
		expect(t, "its output", c.output(t, id, "out.txt"), id+"\n")
		expect(t, "its workflow", remembered(t, p, "job-"+id), true)
	}
	last := c.get(t, "/api/account/retention")
	expect(t, "the last run is told of", last.text("lastRun.done"), "true")
	_, _, metrics := plainGet(t, p.run.URL+"/metrics")
	if !strings.Contains(metrics, "waybill_retention_jobs_total") || strings.Contains(metrics, "waybill_retention_jobs_total 0\n") {
		t.Error("the metrics do not count what was deleted")
	}
	c.do(t, http.StatusAccepted, http.MethodPost, "/api/account/retention/run", nil)
}

// TestEngineLostWithLanes deletes the engine's files while a lane has a job that runs and jobs that wait, and while jobs have
// ended: lanes and schedules are made again, the waiting ones run in their order, and what had ended does not run again.
func TestEngineLostWithLanes(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--workers", "4", "--worker-loss", "3s"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	c := p.admin(t)
	config := c.configure(t, "done", script(`true`))
	lane := c.configure(t, "lane", script(`sleep 2`))
	c.do(t, http.StatusOK, http.MethodPatch, "/api/jobconfigs/"+lane, object{"blocking": true})
	done := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+config+"/jobs?wait=60s", nil).object(t)
	var waiting []string
	for range 4 {
		waiting = append(waiting, c.submit(t, lane).text("id"))
	}
	c.reaches(t, waiting[0], "RUNNING", time.Minute)
	expect(t, "the last of the lane", c.get(t, "/api/jobs/"+waiting[3]).text("status"), "SEQUENCED")
	p.kill(t)
	if err := os.RemoveAll(filepath.Join(o.data, "engine")); err != nil {
		t.Fatal(err)
	}
	p = start(t, o)
	c = p.admin(t)
	var before string
	for _, id := range waiting {
		j := c.finish(t, id, 2*time.Minute)
		expect(t, "the status of "+id, j.text("status"), "FINISHED")
		if at := c.get(t, "/api/jobs/"+id, "Prefer", "dates=rfc3339").text("started"); at < before {
			t.Errorf("job %s started at %s, before the one ahead of it in the lane", id, at)
		} else {
			before = at
		}
	}
	now := c.get(t, "/api/jobs/"+done.text("id"))
	for _, what := range []string{"status", "started", "finished", "attempt"} {
		expect(t, what+" of the job that had ended", now.text(what), done.text(what))
	}
	expect(t, "its workflow", remembered(t, p, "job-"+done.text("id")), false)
	eventually(t, time.Minute, func() error {
		code, body := p.ui(t, "/api/v1/namespaces/"+p.run.TemporalNamespace+"/schedules/retention")
		if code != http.StatusOK {
			return fmt.Errorf("the schedule of the retention: %d %s", code, body)
		}
		return nil
	})
}

// TestDatabasePutBack puts the database back to a copy from before some jobs were submitted: their workflows, which the
// engine still has, are ended.
func TestDatabasePutBack(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--workers", "4", "--worker-loss", "3s"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	c := p.admin(t)
	lane := c.configure(t, "lane", script(`sleep 300`))
	c.do(t, http.StatusOK, http.MethodPatch, "/api/jobconfigs/"+lane, object{"blocking": true})
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(o.data, "waybill.db")
	older, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = launch(o); err != nil {
		t.Fatal(err)
	}
	c = p.admin(t)
	running, waits := c.submit(t, lane).text("id"), c.submit(t, lane).text("id")
	c.reaches(t, running, "RUNNING", time.Minute)
	c.reaches(t, waits, "SEQUENCED", time.Minute)
	p.kill(t)
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(database + beside); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(database, older, 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, o)
	c = p.admin(t)
	expect(t, "jobs in the older database", c.get(t, "/api/jobs").text("totalRecords"), 0)
	eventually(t, 3*time.Minute, func() error {
		if open := openWorkflows(t, p); len(open) > 0 {
			return fmt.Errorf("workflows are left open: %v", open)
		}
		return nil
	})
	noProcess(t, running, waits)
	// The lane is free again.
	id := c.submit(t, lane).text("id")
	c.reaches(t, id, "RUNNING", time.Minute)
	c.do(t, http.StatusAccepted, http.MethodDelete, "/api/jobs/"+id, nil)
	c.finish(t, id, time.Minute)
}
