package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestDrain stops the program while a job runs: it says that it is going, lets the job end, and loses nothing.
func TestDrain(t *testing.T) {
	t.Parallel()
	data := folder(t)
	p := start(t, options{data: data, args: []string{"--workers", "1"}})
	c := p.admin(t)
	job := c.submit(t, c.configure(t, "slow", script(`
echo at work
while [ ! -e "$TMPDIR/go" ]; do sleep 0.1; done
echo "done" > "$LOCAL_JOB_OUT_DIR/done.txt"`))).text("id")
	c.reaches(t, job, "RUNNING", time.Minute)
	queued := c.submit(t, c.configure(t, "quick", script("true"))).text("id")
	ready(t, p.run.URL)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() error {
		if s := status(t, p.run.URL+"/readyz"); s != http.StatusServiceUnavailable {
			return fmt.Errorf("readiness is %d while it drains", s)
		}
		return nil
	})
	expect(t, "health while it drains", status(t, p.run.URL+"/healthz"), 200)
	expect(t, "the job while it drains", c.get(t, "/api/jobs/"+job).text("status"), "RUNNING")
	if err := os.WriteFile(goAhead(p, job, "1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.ended(); err != nil {
		t.Fatal(err)
	}
	noProcess(t, job, queued)

	c = start(t, options{data: data}).admin(t)
	j := c.get(t, "/api/jobs/"+job)
	expect(t, "the job after the restart", j.text("status"), "FINISHED")
	expect(t, "its attempts", j.text("attempt"), 1)
	expect(t, "its output", c.output(t, job, "done.txt"), "done\n")
	expect(t, "the job that was queued", c.finish(t, queued, time.Minute).text("status"), "FINISHED")
}

// TestDrainIsOver stops the program with less time than the job needs: it is ended, and runs again after the next start.
func TestDrainIsOver(t *testing.T) {
	t.Parallel()
	data := folder(t)
	p := start(t, options{data: data, args: []string{"--drain-timeout", "1s", "--job-grace", "1s"}})
	c := p.admin(t)
	job := c.submit(t, c.configure(t, "long", script(`
echo at work
[ "$WAYBILL_ATTEMPT" -gt 1 ] || sleep 600
echo "$WAYBILL_ATTEMPT" > "$LOCAL_JOB_OUT_DIR/n.txt"`))).text("id")
	c.reaches(t, job, "RUNNING", time.Minute)
	// Calls that are held must not hold the program; what they get is not the point here.
	var held sync.WaitGroup
	for _, path := range []string{"/log?follow=true", "/events"} {
		resp, err := c.open(t.Context(), http.MethodGet, "/api/jobs/"+job+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		held.Go(func() {
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Logf("%s: %v", path, err)
			}
		})
	}
	held.Go(func() {
		if _, err := c.send(t.Context(), http.MethodGet, "/api/jobs/"+job+"?wait=5m", nil); err != nil {
			t.Logf("wait: %v", err)
		}
	})
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	held.Wait()
	noProcess(t, job)
	c = start(t, options{data: data}).admin(t)
	j := c.finish(t, job, 90*time.Second)
	expect(t, "the status", j.text("status"), "FINISHED")
	expect(t, "the attempts", j.text("attempt"), 2)
	expect(t, "the output", c.output(t, job, "n.txt"), "2\n")
}

// TestEndedWhileStarting ends the program at moments of its first start: told to end it does so without a word, and a
// folder that was left half made is no obstacle to the next start.
func TestEndedWhileStarting(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			o := options{data: folder(t)}
			for _, file := range []string{"lock", "waybill.db", "engine", "objects", "work"} {
				p, err := begin(o)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, readyWithin, func() error {
					_, err := os.Stat(filepath.Join(o.data, file))
					return err
				})
				if err := p.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if signal == syscall.SIGKILL {
					<-p.exited
				} else if err := p.ended(); err != nil {
					t.Errorf("told to end when %s was there: %v", file, err)
				}
				if signal == syscall.SIGTERM {
					o.data = folder(t)
				}
			}
			c := start(t, o).admin(t)
			job := c.submit(t, c.configure(t, "first", script("echo first"))).text("id")
			expect(t, "the status of the first job", c.finish(t, job, time.Minute).text("status"), "FINISHED")
		})
	}
}
