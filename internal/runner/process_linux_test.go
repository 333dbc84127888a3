package runner

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// eachMode runs a test in every way this machine can hold programs back, and in none.
func eachMode(t *testing.T, test func(t *testing.T, mode sandbox.Mode)) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, "landlock", sandbox.Off} {
		t.Run(string(mode), func(t *testing.T) { test(t, mode) })
	}
}

func inMode(mode sandbox.Mode) func(*Config) { return func(c *Config) { c.Sandbox = mode } }

// withWord lists the processes, zombies left out, that have the word among their arguments.
func withWord(word string) (list []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if text, _ := os.ReadFile(f); slices.Contains(strings.Split(string(text), "\x00"), word) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			list = append(list, pid)
		}
	}
	return list
}

func kill(list []int) {
	for _, pid := range list {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
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
	eachMode(t, func(t *testing.T, mode sandbox.Mode) {
		r := newRunner(t, inMode(mode))
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
	})
}

func TestErrKillGivesNoGrace(t *testing.T) {
	eachMode(t, func(t *testing.T, mode sandbox.Mode) {
		r := newRunner(t, inMode(mode))
		a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")), job.Spec{})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			waitFor(t, "the program", func() bool { return strings.Contains(a.log.text(), "ready") })
			cancel(sandbox.ErrKill)
		}()
		if result, err := a.Run(ctx); err != nil || result.Signal != "SIGKILL" || !result.Stopped {
			t.Errorf("got %+v %v", result, err)
		}
	})
}

func TestNoProcessIsLeft(t *testing.T) {
	need(t, "setsid")
	const note = "echo $! >>\"$LOCAL_JOB_OUT_DIR/pids\"; "
	cases := []struct{ name, script string }{
		{"in the background", "sleep WORD & " + note},
		{"holding the log open", "sleep WORD & " + note + "sleep WORD 2>&1 & " + note},
		{"in a session of its own", "setsid sleep WORD >/dev/null 2>&1 & " + note},
		{"in a session of its own, environment cleared", "env -i setsid sleep WORD >/dev/null 2>&1 & " + note},
		{"a daemon", "(setsid sh -c 'echo $$ >>\"$LOCAL_JOB_OUT_DIR/pids\"; sleep WORD & echo $! >>\"$LOCAL_JOB_OUT_DIR/pids\"; wait' WORD &); "},
		{"ignoring everything", "sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' WORD & " + note},
	}
	eachMode(t, func(t *testing.T, mode sandbox.Mode) {
		r := newRunner(t, inMode(mode))
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				word := fmt.Sprintf("%d.%d", 1000+i, os.Getpid())
				want := max(1, strings.Count(c.script, "pids\""))
				text := strings.ReplaceAll(c.script, "WORD", word)
				// The program ends only when all of its processes are there.
				a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(text+"while [ ! -e \"$TMPDIR/go\" ]; do sleep 0.01; done")), job.Spec{})
				ended := make(chan error, 1)
				go func() {
					_, err := a.Run(t.Context())
					ended <- err
				}()
				waitFor(t, "its processes", func() bool { return len(withWord(word)) == want })
				if err := os.WriteFile(filepath.Join(a.dir, "tmp", "go"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if left := withWord(word); len(left) > 0 {
					t.Errorf("processes %v are left", left)
					kill(left)
				}
			})
		}
	})
}

// A stray whose owner can not be told must not be taken from a run that is still going.
func TestStraysOfOtherRunsLive(t *testing.T) {
	need(t, "setsid")
	eachMode(t, func(t *testing.T, mode sandbox.Mode) {
		r := newRunner(t, inMode(mode))
		word := fmt.Sprintf("2000.%d", os.Getpid())
		long := mustPrepare(t, r, lease(t, r, "long.sh", []byte(
			"(env -i setsid sleep "+word+" >/dev/null 2>&1 &); while [ ! -e \"$TMPDIR/go\" ]; do sleep 0.01; done")), job.Spec{})
		done := make(chan error, 1)
		go func() {
			_, err := long.Run(t.Context())
			done <- err
		}()
		waitFor(t, "the long run", func() bool { return len(withWord(word)) == 1 })
		stray := withWord(word)[0]
		waitFor(t, "setsid", func() bool { return sessionOf(stray) != sessionOf(os.Getpid()) })

		other := mustPrepareAttempt(t, r, lease(t, r, "run.sh", []byte("for i in $(seq 300); do /bin/true; done")), 2) // so many that all processes are looked at
		if _, err := other.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(withWord(word)) == 0 {
			t.Error("the end of one run took a process of another")
		}
		if err := os.WriteFile(filepath.Join(long.dir, "tmp", "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if left := withWord(word); len(left) > 0 {
			t.Error("the stray outlived its run")
			kill(left)
		}
	})
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
	r, err := New(context.Background(), Config{Work: os.Getenv("RUNNER_TEST_CRASH"), Sandbox: sandbox.Mode(os.Getenv("RUNNER_TEST_MODE"))})
	if err != nil {
		fmt.Println("fault", err)
		return
	}
	text := []byte("setsid sleep 1000 >/dev/null 2>&1 & sleep 1000 & while :; do sleep 0.1; done")
	l, err := r.Cache().Use(context.Background(), packageOf("run.sh", text), fetchOf(text))
	if err == nil {
		var e *Execution
		if e, err = r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: 1}, Package: l, Log: os.Stderr}); err == nil {
			fmt.Println("ready", r.id, r.sandbox.Rooms())
			_, err = e.Run(context.Background())
		}
	}
	fmt.Println("fault", err)
}

func TestAfterACrashNothingIsLeftRunning(t *testing.T) {
	need(t, "setsid")
	eachMode(t, func(t *testing.T, mode sandbox.Mode) {
		work := filepath.Join(t.TempDir(), "work")
		worker := exec.Command(os.Args[0])
		worker.Env = append(os.Environ(), "RUNNER_TEST_CRASH="+work, "RUNNER_TEST_MODE="+string(mode))
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
		waitFor(t, "the program and its helpers", func() bool { return len(running()) >= 3 })
		all := running()
		if err := worker.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = worker.Wait()
		if words[2] == "true" { // in a room all of them die with it, whoever comes after
			waitFor(t, "the room to end with its worker", func() bool { return len(running()) == 0 })
		} else {
			waitFor(t, "the leader to die with its worker", func() bool { return len(running()) < len(all) })
			if len(running()) == 0 {
				t.Fatal("no helper survived the worker: this test shows nothing")
			}
		}
		r := newRunner(t, func(c *Config) { c.Work = work })
		if left := running(); len(left) != 0 {
			t.Errorf("still running: %v", left)
		}
		if left, _ := os.ReadDir(filepath.Join(r.work, "jobs")); len(left) != 0 {
			t.Errorf("job folders left: %v", names(left))
		}
	})
}

// porters lists the helpers of this process that make rooms.
func porters() (list []int) {
	for _, pid := range withWord("waybill-porter") {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			list = append(list, pid)
		}
	}
	return list
}

func TestALostRoomIsTheWorkersFault(t *testing.T) {
	r := newRunner(t, nil)
	if !r.sandbox.Rooms() {
		t.Skip("no rooms on this machine: " + r.Sandbox())
	}
	word := fmt.Sprintf("3000.%d", os.Getpid())
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("setsid sleep "+word+" & echo ready; sleep "+word)), job.Spec{})
	go func() {
		waitFor(t, "the program", func() bool { return len(withWord(word)) == 2 })
		kill(porters())
	}()
	if result, err := a.Run(t.Context()); !errors.Is(err, sandbox.ErrRoom) || job.CodeOf(err) == job.Invalid || result.Duration != 0 {
		t.Errorf("got %+v %v", result, err)
	}
	waitFor(t, "all of it to be gone", func() bool { return len(withWord(word)) == 0 })
	a = mustPrepareAttempt(t, r, lease(t, r, "next.sh", []byte("echo works")), 2)
	if _, err := a.Run(t.Context()); err != nil || a.log.text() != "works\n" {
		t.Errorf("the next program: %v %q", err, a.log.text())
	}
}
