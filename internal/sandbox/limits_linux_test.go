package sandbox

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// run runs a shell script and gives its output and end.
func run(t *testing.T, s *Sandbox, l Limits, script string) (string, Ending) {
	t.Helper()
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	p, err := s.Start(Program{
		Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir},
		Output: w, Write: []string{dir}, Limits: l,
	})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return <-text, e
}

func newSandbox(t *testing.T, mode Mode) *Sandbox {
	t.Helper()
	s, err := New(t.Context(), Config{Mode: mode, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestLimitsHoldFromTheFirstInstruction(t *testing.T) {
	for _, mode := range []Mode{Auto, Off} {
		t.Run(string(mode), func(t *testing.T) {
			s := newSandbox(t, mode)
			text, e := run(t, s, Limits{Memory: 64 << 20, OpenFiles: 50, FileSize: 4096}, "ulimit -n; ulimit -f; ulimit -d; ulimit -c")
			if want := "50\n8\n1179648\n0\n"; text != want || e.ExitCode != 0 {
				t.Errorf("got %q %+v, want %q", text, e, want)
			}
			if text, e = run(t, s, Limits{}, "ulimit -c; kill -TRAP $$"); text != "0\n" || e.Signal != "SIGTRAP" {
				t.Errorf("without limits: %q %+v", text, e)
			}
		})
	}
}

func TestAFileThatGrowsTooLargeIsTold(t *testing.T) {
	s := newSandbox(t, Auto)
	_, e := run(t, s, Limits{FileSize: 4096}, `exec head -c 8192 /dev/zero >"$TMPDIR/f"`)
	if e.Limit != LimitFileSize || e.Signal != "SIGXFSZ" || !strings.Contains(e.LimitText, "4 KiB") {
		t.Errorf("got %+v", e)
	}
}

// TestGoingOverALimitEndsTheProgram has programs go over limits in every way that is known, each bounded: one that is not
// ended waits for ever, having taken little more than the limit.
func TestGoingOverALimitEndsTheProgram(t *testing.T) {
	const forever = "; while :; do sleep 1; done"
	python := func(text string) string { return "exec python3 -c '" + text + "'" }
	cases := []struct {
		name, script, limit string
		limits              Limits
	}{
		{"memory of one process", python(`x = bytearray(b"x" * (96 << 20)); import time; time.sleep(1000)`), LimitMemory, Limits{Memory: 64 << 20}},
		{"memory of several", "for i in 1 2 3 4; do python3 -c 'x = bytearray(b\"x\" * (32 << 20)); import time; time.sleep(1000)' & done" + forever, LimitMemory, Limits{Memory: 96 << 20}},
		{"memory of a daemon", "setsid python3 -c 'x = bytearray(b\"x\" * (96 << 20)); import time; time.sleep(1000)' & " + forever[1:], LimitMemory, Limits{Memory: 64 << 20}},
		{"shared memory", python(`import mmap, time; m = mmap.mmap(-1, 96 << 20); m.write(b"x" * (96 << 20)); time.sleep(1000)`), LimitMemory, Limits{Memory: 64 << 20}},
		{"memory files that are not mapped", python(`import os, time; f = os.memfd_create("x"); [os.write(f, b"x" * (1 << 20)) for i in range(96)]; time.sleep(1000)`), LimitMemory, Limits{Memory: 64 << 20, Disk: 1 << 40}},
		{"processes", "for i in $(seq 30); do sleep 1000 & done" + forever, LimitProcesses, Limits{Processes: 20}},
		{"processes in sessions of their own", "for i in $(seq 30); do setsid sleep 1000 & done" + forever, LimitProcesses, Limits{Processes: 20}},
		{"threads", python(`import threading, time; [threading.Thread(target=time.sleep, args=(1000,)).start() for i in range(30)]`), LimitProcesses, Limits{Processes: 20}},
		{"a large file", `head -c 3000000 /dev/zero >"$TMPDIR/f"` + forever, LimitDisk, Limits{Disk: 2 << 20}},
		{"many files", `mkdir "$TMPDIR/d"; for i in 1 2 3; do head -c 1000000 /dev/zero >"$TMPDIR/d/$i"; done` + forever, LimitDisk, Limits{Disk: 2 << 20}},
		{"empty files", `cd "$TMPDIR"; for i in $(seq 600); do : >$i; done` + forever, LimitDisk, Limits{Disk: 2 << 20}},
		{"a file without a name", `exec 5>"$TMPDIR/f"; rm "$TMPDIR/f"; head -c 3000000 /dev/zero >&5` + forever, LimitDisk, Limits{Disk: 2 << 20}},
		{"folders out of reach", `cd "$TMPDIR"; for i in $(seq 250); do mkdir d; cd d; done` + forever, LimitDisk, Limits{Disk: 1 << 40}},
	}
	for _, mode := range []Mode{Auto, Off} {
		s := newSandbox(t, mode)
		for _, c := range cases {
			t.Run(string(mode)+"/"+c.name, func(t *testing.T) {
				for _, tool := range []string{"python3", "setsid"} {
					if _, err := exec.LookPath(tool); strings.Contains(c.script, tool) && err != nil {
						t.Skip("no " + tool + " here")
					}
				}
				text, e := run(t, s, c.limits, c.script)
				if e.Limit != c.limit || e.Signal != "SIGKILL" || e.LimitText == "" || e.Stopped {
					t.Errorf("got %+v, want %s; it says %q", e, c.limit, text)
				}
			})
		}
	}
}

// Programs below their limits are left alone, however they share what they have.
func TestStayingBelowTheLimits(t *testing.T) {
	cases := []struct {
		name, script string
		limits       Limits
	}{
		{"memory shared after a fork", `python3 -c '
import os, time
x = bytearray(b"x" * (64 << 20))
kids = [os.fork() for i in range(2)]
time.sleep(0.5)
' `, Limits{Memory: 160 << 20}},
		{"a sparse file", `truncate -s 1G "$TMPDIR/f"; sleep 0.5`, Limits{Disk: 2 << 20}},
		{"names of one file", `head -c 1000000 /dev/zero >"$TMPDIR/f"; for i in 1 2 3 4; do ln "$TMPDIR/f" "$TMPDIR/$i"; done; sleep 0.5`, Limits{Disk: 2 << 20}},
		{"links to elsewhere", `ln -s / "$TMPDIR/root"; sleep 0.5`, Limits{Disk: 2 << 20}},
	}
	s := newSandbox(t, Auto)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath("python3"); strings.Contains(c.script, "python3") && err != nil {
				t.Skip("no python3 here")
			}
			if text, e := run(t, s, c.limits, c.script); e.ExitCode != 0 || e.Limit != "" {
				t.Errorf("got %+v %q", e, text)
			}
		})
	}
}

// Virtual machines reserve far more memory than they use.
func TestVirtualMachinesWorkWithLittleMemory(t *testing.T) {
	s := newSandbox(t, Auto)
	for _, c := range []struct{ tool, script string }{
		{"node", `exec node -e 'require("worker_threads"); const a = []; for (let i = 0; i < 1e5; i++) a.push({i}); console.log(a.length)'`},
		{"java", "exec java -version 2>&1"},
		{"python3", `exec python3 -c 'import ssl, json, threading; [threading.Thread(target=print, args=("x",)).start() for i in range(50)]'`},
		{"go", "exec go version"},
	} {
		t.Run(c.tool, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skip("no " + c.tool + " here")
			}
			if text, e := run(t, s, Limits{Memory: 512 << 20, Processes: 200, OpenFiles: 1024, Disk: 1 << 30}, c.script); e.ExitCode != 0 || text == "" {
				t.Errorf("got %+v %q", e, text)
			}
		})
	}
}
