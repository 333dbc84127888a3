package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fires lists what came of a config's last fires, newest first.
func (c *client) fires(t *testing.T, config string) []object {
	t.Helper()
	return c.get(t, "/api/jobconfigs/"+config+"/schedule/fires?count=100").items()
}

// fired waits for a fire of an outcome that is not among those seen, and gives it.
func (c *client) fired(t *testing.T, config, kind, outcome string, seen int) (f object) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		var found []object
		for _, one := range c.fires(t, config) {
			if one.text("kind") == kind && one.text("outcome") == outcome {
				found = append(found, one)
			}
		}
		if len(found) <= seen {
			return fmt.Errorf("config %s has %d fires of kind %s that are %s, want more than %d: %v", config, len(found), kind, outcome, seen, c.fires(t, config))
		}
		f = found[0]
		return nil
	})
	return f
}

// TestSchedules plays a schedule's life on a program of its own, whose schedules may fire every second: run now, backfill, pause over REST and
// by the real command, and the loss of the engine's files.
func TestSchedules(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--allow-sub-minute-schedules", "--callbacks-allow-private"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	c := p.admin(t)
	var called atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") == "secret" {
			called.Add(1)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(hook.Close)
	config := c.configure(t, "scheduled", script(`echo fired`))
	path := "/api/jobconfigs/" + config + "/schedule"
	c.do(t, http.StatusCreated, http.MethodPost, path, object{
		"cronSchedule": "0 0 3 ? * MON", "timeZone": object{"id": "Europe/Berlin"},
		"webhookConfig": object{"endpoint": hook.URL, "payload": "{}", "headers": object{"X-Key": "secret"}},
	})

	c.do(t, http.StatusAccepted, http.MethodPost, path+"/run", nil)
	job := c.fired(t, config, "run", "started", 0).text("job.id")
	j := c.finish(t, job, time.Minute)
	expect(t, "the job of the run", j.text("status")+" "+j.text("trigger"), "FINISHED schedule")
	eventually(t, time.Minute, func() error {
		if called.Load() == 0 || c.get(t, path).text("webhookConfig.lastExecutionStatusCode") != "202" {
			return fmt.Errorf("webhook called %d times: %v", called.Load(), c.get(t, path))
		}
		return nil
	})

	from := time.Now().UTC().Add(-21 * 24 * time.Hour).Format(time.RFC3339)
	to := time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)
	fill := c.do(t, http.StatusAccepted, http.MethodPost, path+"/backfill", object{"from": from, "to": to}).object(t)
	expect(t, "fires of three weeks", fill.text("fires"), 3)
	c.fired(t, config, "backfill", "started", 2)

	tool := temporalCLI(t)
	if tool != "" {
		describe := func() (d struct {
			Schedule struct {
				State struct {
					Paused bool   `json:"paused"`
					Notes  string `json:"notes"`
				} `json:"state"`
			} `json:"schedule"`
		}) {
			out := cli{tool, p}.run(t, "schedule", "describe", "--schedule-id", "schedule-"+config)
			if err := json.Unmarshal([]byte(out), &d); err != nil {
				t.Fatal(err, out)
			}
			return d
		}
		c.do(t, http.StatusOK, http.MethodPost, path+"/pause", object{"note": "holiday"})
		if d := describe(); !d.Schedule.State.Paused || d.Schedule.State.Notes != "holiday" {
			t.Errorf("the engine has %+v", d)
		}
		c.do(t, http.StatusOK, http.MethodPost, path+"/resume", nil)
		if d := describe(); d.Schedule.State.Paused {
			t.Errorf("the engine has %+v", d)
		}
		// The command's own default, Skip, does nothing while the job of another such trigger runs.
		cli{tool, p}.run(t, "schedule", "trigger", "--schedule-id", "schedule-"+config, "--overlap-policy", "AllowAll")
		c.fired(t, config, "run", "started", 1)
		if parent := workflowHistory(t, p, "job-"+job); !strings.Contains(parent, `"parentWorkflowExecution"`) || !strings.Contains(parent, `"fire-`+config+"-") {
			t.Errorf("the job is not a child of its fire: %.600s", parent)
		}
	}

	c.do(t, http.StatusOK, http.MethodPut, path, object{"cronSchedule": "* * * * * ?", "overlap": "skip"})
	c.fired(t, config, "schedule", "started", 1)
	p.kill(t)
	if err := os.RemoveAll(filepath.Join(o.data, "engine")); err != nil {
		t.Fatal(err)
	}
	p = start(t, o)
	c = p.admin(t)
	before := len(c.fires(t, config))
	eventually(t, time.Minute, func() error {
		if n := len(c.fires(t, config)); n <= before && n < 100 {
			return fmt.Errorf("%d fires, as before the engine was lost", n)
		}
		return nil
	})
	c.do(t, http.StatusOK, http.MethodPatch, "/api/jobconfigs/"+config, object{"active": false})
	expect(t, "why there is no job", c.fired(t, config, "schedule", "refused", 0).text("message"), "Job config "+config+" is not active")
	c.do(t, http.StatusNoContent, http.MethodDelete, path, nil)
	eventually(t, time.Minute, func() error {
		if open := openWorkflows(t, p); strings.Contains(strings.Join(open, " "), "fire-") {
			return fmt.Errorf("open workflows: %v", open)
		}
		return nil
	})
}
