package wide

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAWorkerWhoseDiskIsFullTakesNoJobs fills the disk of one of two workers: it says so, the other runs the jobs, and it takes jobs
// again by itself when there is room.
func TestAWorkerWhoseDiskIsFullTakesNoJobs(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root can mount a file system for the worker's folder")
	}
	in := install(t, shape{apis: 1, workers: 1})
	work := filepath.Join(in.dir, "small")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", work, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("NOT RUN: no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		for _, n := range in.workers {
			n.put()
		}
		if err := syscall.Unmount(work, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", work, err)
		}
	})
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	small := in.addWorker(t, "--work", work, "--min-free-disk", "16777216", "--metrics-listen", fmt.Sprintf("127.0.0.1:%d", port))
	small.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	if err := small.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := in.admin(t, in.apis[0])
	config := c.configure(t, "plain", program, nil)
	shows := func(status, note, ready, full string) {
		t.Helper()
		err := within(t.Context(), time.Minute, func() error { return small.tells(t.Context(), c, status, note, ready, full) })
		if err != nil {
			t.Fatal(err)
		}
	}
	shows("online", "", "up", "0")
	if in.runOn(t, c, config, 40)[small] == 0 {
		t.Error("with an empty disk it ran no job")
	}

	ballast := filepath.Join(work, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 50<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	shows("draining", "disk_full", "full", "1")
	if ran := in.runOn(t, c, config, 20); ran[small] != 0 || ran[in.workers[0]] == 0 {
		t.Errorf("with a full disk it ran %d jobs, and the other %d", ran[small], ran[in.workers[0]])
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	shows("online", "", "up", "0")
	if in.runOn(t, c, config, 40)[small] == 0 {
		t.Error("with room again it ran no job")
	}
	in.stop(t)
}

// tells compares what is told of a worker: by the API, by its /readyz and by its metric.
func (n *node) tells(ctx context.Context, c *rest, status, note, ready, full string) error {
	at := &rest{base: func() string { return n.url }}
	probe := at.call(ctx, http.MethodGet, "/readyz", nil)
	var body struct{ Checks map[string]string }
	if err := json.Unmarshal(probe.body, &body); err != nil || body.Checks["disk"] != ready || (probe.status == http.StatusOK) != (ready == "up") {
		return fmt.Errorf("want the disk %s: %s (%v)", ready, probe, err)
	}
	if metrics := at.call(ctx, http.MethodGet, "/metrics", nil); !strings.Contains(string(metrics.body), "\nwaybill_worker_disk_full "+full+"\n") {
		return fmt.Errorf("the metric is not %s: %d", full, metrics.status)
	}
	list := c.call(ctx, http.MethodGet, "/api/workers", nil)
	var workers struct {
		Items []struct{ ID, Status, Note string }
	}
	if err := json.Unmarshal(list.body, &workers); err != nil {
		return fmt.Errorf("%w: %s", err, list)
	}
	for _, w := range workers.Items {
		if strings.HasPrefix(w.ID, fmt.Sprintf("%d@", n.pid())) {
			if w.Status != status || w.Note != note {
				return fmt.Errorf("the worker is %s %q, want %s %q", w.Status, w.Note, status, note)
			}
			return nil
		}
	}
	return fmt.Errorf("the worker is not in the list: %s", list)
}

// runOn starts jobs together and counts which worker ran how many of them.
func (in *installation) runOn(t *testing.T, c *rest, config string, jobs int) map[*node]int {
	t.Helper()
	var ids []string
	for range jobs {
		ids = append(ids, c.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", macros("WIDE_SECONDS", "0.3")).text("id"))
	}
	ran := map[*node]int{}
	for _, id := range ids {
		if a := c.finish(t, id, endsWithin); a.text("status") != "FINISHED" {
			t.Fatalf("%s", a)
		}
		var worker string
		if err := in.db.QueryRowContext(t.Context(), "SELECT worker FROM job_attempts WHERE job_id = $1", id).Scan(&worker); err != nil {
			t.Fatal(err)
		}
		ran[in.nodeOf(t, worker)]++
	}
	return ran
}
