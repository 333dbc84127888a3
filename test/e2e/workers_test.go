package e2e

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// workerProcess is a `waybill worker`.
type workerProcess struct {
	*program
	id string // as the registry has it
}

// startWorker starts a worker process on a data folder and waits until it says that it takes jobs.
func startWorker(t *testing.T, data string, args ...string) *workerProcess {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"worker", "--data", data}, args...)...)
	cmd.Env = environment()
	p := &program{data: data, cmd: cmd, stdout: &text{}, stderr: &text{}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // its state is looked at by those who end it
	}()
	w := &workerProcess{program: p}
	t.Cleanup(func() {
		w.end(t)
		if t.Failed() {
			t.Logf("the worker's log ends with:\n%s", tail(p.stderr.String(), 20))
		}
	})
	eventually(t, readyWithin, func() error {
		select {
		case <-p.exited:
			return final(fmt.Errorf("the worker ended: %s\n%s", cmd.ProcessState, p.stderr))
		default:
		}
		if _, err := fmt.Sscanf(p.stdout.String(), "Worker %s runs jobs", &w.id); err != nil {
			return fmt.Errorf("the worker has said %q", p.stdout.String())
		}
		return nil
	})
	return w
}

// end stops the worker with SIGTERM, unless it has ended; it must end well.
func (w *workerProcess) end(t *testing.T) {
	t.Helper()
	select {
	case <-w.exited:
		return
	default:
	}
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.exited:
	case <-time.After(stopWithin):
		_ = w.cmd.Process.Signal(syscall.SIGQUIT)
		<-w.exited
		t.Errorf("the worker did not stop within %s of SIGTERM:\n%s", stopWithin, tail(w.stderr.String(), 200))
		return
	}
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the worker stopped with %s:\n%s", w.cmd.ProcessState, tail(w.stderr.String(), 40))
	}
}

// worker is what the registry tells of a worker.
func (c *client) worker(t *testing.T, id string) object {
	t.Helper()
	for _, w := range c.get(t, "/api/workers").items() {
		if w.text("id") == id {
			return w
		}
	}
	t.Fatalf("worker %s is not registered", id)
	return nil
}

// becomes waits until the registry tells a status of the worker.
func (c *client) becomes(t *testing.T, id, status string, limit time.Duration) {
	t.Helper()
	eventually(t, limit, func() error {
		if w := c.worker(t, id); w.text("status") != status {
			return fmt.Errorf("worker %s is %s, want %s", id, w.text("status"), status)
		}
		return nil
	})
}

// on is a setup whose jobs go to a destination.
func (s setup) on(destination string) setup {
	s.config = object{"destinationId": destination}
	return s
}

// longOnce is a script that would run for ever in its first attempt.
const longOnce = `
echo "attempt $WAYBILL_ATTEMPT begins"
[ "$WAYBILL_ATTEMPT" -gt 1 ] || sleep 600
echo "attempt $WAYBILL_ATTEMPT ends"`

// TestWorkers runs two worker processes on one destination. One is killed while it runs a job, which then runs once more on
// the other; the other outlives a kill of the program beside it with its job undisturbed, and is drained over REST.
func TestWorkers(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--no-worker"}}
	p := start(t, o)
	c := p.admin(t)
	pool := c.do(t, 201, "POST", "/api/destinations", map[string]any{"name": "pool"}).object(t).text("id")
	workers := map[string]*workerProcess{}
	for range 2 {
		w := startWorker(t, o.data, "--destination", "pool", "--concurrency", "2", "--labels", "zone=a")
		workers[w.id] = w
	}
	expect(t, "the destination's workers", c.get(t, "/api/destinations/"+pool).text("workers"), 2)

	job := c.submit(t, c.configure(t, "killed", script(longOnce).on(pool))).text("id")
	first := c.reaches(t, job, "RUNNING", time.Minute).text("worker")
	victim := workers[first]
	if victim == nil {
		t.Fatalf("the job runs on %q, which is neither worker", first)
	}
	delete(workers, first)
	var other *workerProcess
	for _, other = range workers {
	}
	victim.kill(t)
	j := c.finish(t, job, 2*time.Minute)
	expect(t, "the killed worker's job", j.text("status"), "FINISHED")
	expect(t, "its attempts", j.text("attempt"), 2)
	expect(t, "its second worker", j.text("worker"), other.id)
	if log := c.log(t, job); strings.Count(log, "attempt 2 ends") != 1 || strings.Contains(log, "attempt 1 ends") {
		t.Errorf("the log of the job that ran again:\n%s", log)
	}
	c.becomes(t, victim.id, "offline", time.Minute)
	noProcess(t, job)

	// The program is killed and comes back; a job that ran meanwhile ends in its first attempt.
	slow := c.configure(t, "slow", script(`sleep 8; echo "attempt $WAYBILL_ATTEMPT ends"`).on(pool))
	job = c.submit(t, slow).text("id")
	c.reaches(t, job, "RUNNING", time.Minute)
	p.kill(t)
	p = start(t, o)
	c = p.admin(t)
	j = c.finish(t, job, 2*time.Minute)
	expect(t, "the job that outlived the program", j.text("status"), "FINISHED")
	expect(t, "its attempts", j.text("attempt"), 1)
	expect(t, "its worker", j.text("worker"), other.id)

	// A drain lets the running job end and takes no other.
	job = c.submit(t, slow).text("id")
	c.reaches(t, job, "RUNNING", time.Minute)
	r := c.do(t, 202, "POST", "/api/workers/"+url.PathEscape(other.id)+"/drain", nil).object(t)
	expect(t, "the worker that is asked to drain", r.text("status"), "draining")
	eventually(t, time.Minute, func() error {
		if !strings.Contains(other.stderr.String(), "asked to drain") {
			return fmt.Errorf("the worker has not heard of it")
		}
		return nil
	})
	waits := c.submit(t, slow).text("id")
	j = c.finish(t, job, time.Minute)
	expect(t, "the drained worker's job", j.text("status")+" "+j.text("attempt")+" "+j.text("worker"), "FINISHED 1 "+other.id)
	expect(t, "the job after it", c.get(t, "/api/jobs/"+waits).text("status"), "QUEUED")
	third := startWorker(t, o.data, "--destination", pool)
	j = c.finish(t, waits, time.Minute)
	expect(t, "the job after it", j.text("status")+" "+j.text("attempt")+" "+j.text("worker"), "FINISHED 1 "+third.id)

	third.end(t)
	c.becomes(t, third.id, "offline", time.Minute)
	c.do(t, 202, "POST", "/api/workers/"+url.PathEscape(other.id)+"/resume", nil)
	job = c.submit(t, slow).text("id")
	expect(t, "the job after a resume", c.finish(t, job, time.Minute).text("worker"), other.id)
	noProcess(t, job, waits)
}

// TestDrainTimeOfAWorkerIsOver ends a worker with less time than its job needs: the job runs once more, elsewhere.
func TestDrainTimeOfAWorkerIsOver(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--no-worker"}}
	c := start(t, o).admin(t)
	one := startWorker(t, o.data, "--drain-timeout", "1s", "--job-grace", "1s")
	job := c.submit(t, c.configure(t, "long", script(longOnce))).text("id")
	expect(t, "the first worker", c.reaches(t, job, "RUNNING", time.Minute).text("worker"), one.id)
	two := startWorker(t, o.data)
	one.end(t)
	j := c.finish(t, job, time.Minute)
	expect(t, "the moved job", j.text("status")+" "+j.text("attempt")+" "+j.text("worker"), "FINISHED 2 "+two.id)
	noProcess(t, job)
}

// TestNoWorker submits a job to a destination that nobody serves: it says so, and runs once somebody does.
func TestNoWorker(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--no-worker"}}
	c := start(t, o).admin(t)
	place := c.do(t, 201, "POST", "/api/destinations", map[string]any{"name": "nobody's"}).object(t).text("id")
	job := c.submit(t, c.configure(t, "lonely", script(`echo here`).on(place))).text("id")
	expect(t, "the job's reason at first", c.get(t, "/api/jobs/"+job).text("reason"), "")
	eventually(t, time.Minute, func() error {
		j := c.get(t, "/api/jobs/"+job)
		if j.text("status") != "QUEUED" || j.text("reason") != "no_worker" || fmt.Sprint(j["warnings"]) != "[no_worker]" {
			return fmt.Errorf("the job says %v", j)
		}
		return nil
	})
	c.do(t, 409, "DELETE", "/api/destinations/"+place, nil)
	w := startWorker(t, o.data, "--destination", "default/NOBODY'S")
	j := c.finish(t, job, time.Minute)
	expect(t, "the job once there is a worker", j.text("status")+" "+j.text("attempt")+" "+j.text("worker"), "FINISHED 1 "+w.id)
}

// TestWorkerIsRefused checks what a worker says that can not work.
func TestWorkerIsRefused(t *testing.T) {
	t.Parallel()
	worker := func(env []string, args ...string) *exec.Cmd {
		cmd := exec.Command(binary, append([]string{"worker"}, args...)...)
		cmd.Env = append(environment(), env...)
		return cmd
	}
	p := sharedProgram(t)
	refused(t, "an unknown destination", worker(nil, "--data", p.data, "--destination", "atlantis"), 1, "atlantis")
	// It would fail the jobs of others, whose secrets it can not open.
	refused(t, "another master key", worker([]string{"WAYBILL_MASTER_KEY=" + strings.Repeat("ab", 32)}, "--data", p.data), 1,
		"(WAYBILL_MASTER_KEY, else master.key in the data folder): the secrets in the database are sealed with another master key")
	refused(t, "bad settings", worker([]string{"WAYBILL_DATABASE=nonsense"}, "--labels", "a", "--concurrency", "x"), 2,
		"--labels", "WAYBILL_DATABASE", "--concurrency")
	refused(t, "a flag of up", worker(nil, "--listen", "127.0.0.1:0"), 2, "--listen")
}

// TestExternalComponents runs the quickstart on a real PostgreSQL and MinIO.
func TestExternalComponents(t *testing.T) {
	t.Parallel()
	database, s3 := os.Getenv("WAYBILL_TEST_POSTGRES"), os.Getenv("WAYBILL_TEST_S3")
	if database == "" || s3 == "" {
		t.Skip("needs WAYBILL_TEST_POSTGRES and WAYBILL_TEST_S3: run it with test/bin/with-postgres test/bin/with-minio")
	}
	at, err := url.Parse(s3)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := at.User.Password()
	o := options{
		command: "quickstart", data: folder(t), random: true, args: []string{"--exit", "--s3-endpoint", at.Host, "--s3-bucket", "waybill-e2e"},
		env: []string{"WAYBILL_DATABASE=" + database, "WAYBILL_S3_ACCESS_KEY=" + at.User.Username(), "WAYBILL_S3_SECRET_KEY=" + secret},
	}
	code, out, errs := execute(t, command(o))
	if code != 0 || !strings.Contains(out, "is FINISHED, exit code 0") || !strings.Contains(out, "orders.ndjson") {
		t.Fatalf("it ends with %d: %s\n%s", code, out, errs)
	}
	for _, file := range []string{"waybill.db", "objects"} {
		if _, err := os.Stat(o.data + "/" + file); err == nil {
			t.Errorf("%s is in the data folder", file)
		}
	}
	if strings.Contains(out+errs, secret) {
		t.Error("the secret key is shown")
	}

	// A worker that is given only the folder is told what it lacks.
	o.command, o.args = "up", o.args[1:]
	start(t, o)
	cmd := exec.Command(binary, "worker", "--data", o.data)
	cmd.Env = environment()
	refused(t, "a worker without the database", cmd, 1, "WAYBILL_DATABASE")
}
