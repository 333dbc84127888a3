package runner

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// waitFor polls until ok or the deadline.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// gone tells whether the process has ended; a zombie counts as there, because somebody must reap it.
func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

// pids reads the process ids that a program wrote, one a line.
func pids(t testing.TB, file string) []int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var list []int
	for f := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

// sessionOf is the session of a process; 0 when it is gone.
func sessionOf(pid int) int {
	s, _ := unix.Getsid(pid)
	return s
}

// marked lists the processes that a runner with the id started.
func marked(id string) (list []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		if text, _ := os.ReadFile(f); bytes.Contains(text, []byte(sandbox.RunVariable+"="+id+".")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			list = append(list, pid)
		}
	}
	return list
}

func TestStopAsksThenKills(t *testing.T) {
	r := newRunner(t, nil)
	const ready = "echo ready; while :; do sleep 0.05; done"
	cases := []struct {
		name, script string
		grace        time.Duration
		code         int
		want         string
	}{
		{"ends by itself", "trap 'echo bye; exit 0' TERM; " + ready, time.Minute, 0, "ready\nbye\n"},
		{"dies of the signal", ready, time.Minute, 143, "ready\n"},
		{"is killed when it ignores the signal", "trap '' TERM; " + ready, 50 * time.Millisecond, 137, "ready\n"},
		{"its children get the grace too", "(trap 'sleep 0.3; echo child is done; exit' TERM; " + ready + ") & wait", time.Minute, 143, "ready\nchild is done\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(c.script)), job.Spec{})
			a.req.Grace = c.grace
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				waitFor(t, "the program", func() bool { return strings.Contains(a.log.text(), "ready") })
				cancel()
			}()
			result, err := a.Run(ctx)
			if err != nil || !result.Stopped || result.ExitCode != c.code || strings.ReplaceAll(a.log.text(), "Terminated\n", "") != c.want {
				t.Errorf("got %+v %v %q, want %d %q", result, err, a.log.text(), c.code, c.want)
			}
		})
	}
}

func TestErrKillGivesNoGrace(t *testing.T) {
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")), job.Spec{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		waitFor(t, "the program", func() bool { return strings.Contains(a.log.text(), "ready") })
		cancel(sandbox.ErrKill)
	}()
	if result, err := a.Run(ctx); err != nil || result.Signal != "SIGKILL" || !result.Stopped {
		t.Errorf("got %+v %v", result, err)
	}
}

func TestNoProcessIsLeft(t *testing.T) {
	need(t, "setsid")
	r := newRunner(t, nil)
	const note = "echo $! >>\"$LOCAL_JOB_OUT_DIR/pids\"; "
	cases := []struct{ name, script string }{
		{"in the background", "sleep 1000 & " + note},
		{"holding the log open", "sleep 1000 & " + note + "sleep 1000 2>&1 & " + note},
		{"in a session of its own", "setsid sleep 1000 >/dev/null 2>&1 & " + note},
		{"in a session of its own, environment cleared", "env -i setsid sleep 1000 >/dev/null 2>&1 & " + note},
		{"a daemon", "(setsid sh -c 'echo $$ >>\"$LOCAL_JOB_OUT_DIR/pids\"; sleep 1000 & echo $! >>\"$LOCAL_JOB_OUT_DIR/pids\"; wait' &); "},
		{"ignoring everything", "sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' & " + note},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := max(1, strings.Count(c.script, "pids\""))
			// The program ends only when all of its processes are there.
			_, a := script(t, r, c.script+fmt.Sprintf("while [ $(wc -l <\"$LOCAL_JOB_OUT_DIR/pids\" 2>/dev/null || echo 0) -lt %d ]; do sleep 0.01; done; sleep 0.05", want))
			list := pids(t, filepath.Join(a.dir, "out", "pids"))
			if len(list) != want {
				t.Fatalf("the program noted %v", list)
			}
			for _, pid := range list {
				if !gone(pid) {
					t.Errorf("process %d is left", pid)
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		})
	}
}

// A stray whose owner can not be told must not be taken from a run that is still going.
func TestStraysOfOtherRunsLive(t *testing.T) {
	need(t, "setsid")
	r := newRunner(t, nil)
	long := mustPrepare(t, r, lease(t, r, "long.sh", []byte(
		"(env -i setsid sleep 1000 >/dev/null 2>&1 & echo $! >\"$LOCAL_JOB_OUT_DIR/pids\"); echo ready; while [ ! -e \"$TMPDIR/go\" ]; do sleep 0.01; done")), job.Spec{})
	done := make(chan error, 1)
	go func() {
		_, err := long.Run(t.Context())
		done <- err
	}()
	waitFor(t, "the long run", func() bool { return strings.Contains(long.log.text(), "ready") })
	stray := pids(t, filepath.Join(long.dir, "out", "pids"))[0]
	waitFor(t, "setsid", func() bool { return sessionOf(stray) != sessionOf(os.Getpid()) })

	other := mustPrepareAttempt(t, r, lease(t, r, "run.sh", []byte("for i in $(seq 300); do /bin/true; done")), 2) // so many that all processes are looked at
	if _, err := other.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gone(stray) {
		t.Error("the end of one run took a process of another")
	}
	if err := os.WriteFile(filepath.Join(long.dir, "tmp", "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !gone(stray) {
		t.Error("the stray outlived its run")
		_ = syscall.Kill(stray, syscall.SIGKILL)
	}
}

func mustPrepareAttempt(t testing.TB, r *Runner, l *Lease, n int) attempt {
	t.Helper()
	log := &syncBuffer{}
	e, err := r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: n}, Package: l, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return attempt{e, log}
}

// crashHelper is another process: it runs a program with helpers in the work folder until it is killed.
func crashHelper() {
	r, err := New(context.Background(), Config{Work: os.Getenv("RUNNER_TEST_CRASH")})
	if err != nil {
		fmt.Println("fault", err)
		return
	}
	text := []byte("setsid sleep 1000 >/dev/null 2>&1 & sleep 1000 & echo $$ $! >\"$LOCAL_JOB_OUT_DIR/p\"; while :; do sleep 0.1; done")
	l, err := r.Cache().Use(context.Background(), packageOf("run.sh", text), fetchOf(text))
	if err == nil {
		var e *Execution
		if e, err = r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: 1}, Package: l, Log: os.Stderr}); err == nil {
			fmt.Println("ready", r.id, e.dir)
			_, err = e.Run(context.Background())
		}
	}
	fmt.Println("fault", err)
}

func TestAfterACrashNothingIsLeftRunning(t *testing.T) {
	need(t, "setsid")
	work := filepath.Join(t.TempDir(), "work")
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), "RUNNER_TEST_CRASH="+work)
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 3 || words[0] != "ready" {
		t.Fatalf("worker says %q %v", line, err)
	}
	running := func() []int { return marked(words[1]) }
	waitFor(t, "the program and its helpers", func() bool { return len(pids(t, filepath.Join(words[2], "out", "p"))) == 2 && len(running()) >= 3 })
	leader := pids(t, filepath.Join(words[2], "out", "p"))[0]
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait()
	waitFor(t, "the leader to die with its worker", func() bool {
		s, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", leader))
		return err != nil || strings.Contains(string(s), ") Z ")
	})
	if len(running()) == 0 {
		t.Fatal("no helper survived the worker: this test shows nothing")
	}
	r := newRunner(t, func(c *Config) { c.Work = work })
	if left := running(); len(left) != 0 {
		t.Errorf("still running: %v", left)
	}
	if left, _ := os.ReadDir(filepath.Join(r.work, "jobs")); len(left) != 0 {
		t.Errorf("job folders left: %v", names(left))
	}
}
