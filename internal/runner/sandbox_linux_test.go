package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

func sandboxed(t *testing.T, change func(*Config)) *Runner {
	t.Helper()
	r := newRunner(t, change)
	if !r.sandbox.Enforced() {
		t.Skip("no sandbox on this system: " + r.Sandbox())
	}
	return r
}

// eachSandbox runs a test in every way this machine can hold programs back.
func eachSandbox(t *testing.T, test func(t *testing.T, mode sandbox.Mode)) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, "landlock", "rooms"} {
		t.Run(string(mode), func(t *testing.T) { test(t, mode) })
	}
}

func landlockVersion(r *Runner) (version int) {
	_, _ = fmt.Sscanf(r.Sandbox()[max(0, strings.Index(r.Sandbox(), "landlock")):], "landlock %d", &version)
	return version
}

func TestSandboxHoldsBack(t *testing.T) { eachSandbox(t, holdsBack) }

func holdsBack(t *testing.T, mode sandbox.Mode) {
	data := t.TempDir()
	secret := filepath.Join(data, "secret.key")
	if err := os.WriteFile(secret, []byte("server secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := sandboxed(t, func(c *Config) { c.Protect, c.Sandbox = []string{data}, mode })
	other := mustPrepareAttempt(t, r, lease(t, r, "other.sh", []byte("exit 0")), 7)
	if err := os.WriteFile(filepath.Join(other.dir, "out", "result"), []byte("other job"), 0o644); err != nil {
		t.Fatal(err)
	}
	shadow := "/etc/shadow"
	if _, err := os.Stat(shadow); err != nil {
		shadow = secret
	}
	cases := []struct{ name, try string }{
		{"read the server's data", "cat " + secret},
		{"list the server's data", "ls " + data},
		{"write the server's data", "echo x >" + secret},
		{"truncate the server's data", "truncate -s 0 " + secret},
		{"remove the server's data", "rm " + secret},
		{"hard-link the server's data", "ln " + secret + " \"$LOCAL_JOB_OUT_DIR/x\""},
		{"rename the server's data", "mv " + secret + " \"$LOCAL_JOB_OUT_DIR/x\""},
		{"read through a link", "ln -s " + secret + " \"$TMPDIR/l\" && cat \"$TMPDIR/l\""},
		{"read another job's folder", "cat " + filepath.Join(other.dir, "out", "result")},
		{"list the work folder", "ls " + filepath.Join(r.work, "jobs") + " | grep " + filepath.Base(other.dir)},
		{"read the work folder's id", "cat " + filepath.Join(r.work, "id")},
		{"read passwords", "cat " + shadow},
		{"write into the package", "echo x >>\"$WAYBILL_PACKAGE_DIR/run.sh\""},
		{"make files in the package", "touch \"$WAYBILL_PACKAGE_DIR/x\""},
		{"loosen the package", "chmod -R u+w \"$WAYBILL_PACKAGE_DIR\" && touch \"$WAYBILL_PACKAGE_DIR/x\""},
		{"write to /tmp", "touch /tmp/waybill-sandbox-test"},
		{"read the worker's environment", "cat /proc/$WORKER/environ | grep -q ."},
		{"read the worker's memory", "head -c 1 /proc/$WORKER/mem || test $(cat /proc/$WORKER/maps | wc -c) -gt 0"},
		{"signal the worker", "kill -0 $WORKER"},
		{"mount", "mount -t tmpfs none \"$TMPDIR\""},
	}
	l := lease(t, r, "p.zip", pack(t, "run.sh", "sh \"$LOCAL_JOB_SPEC_DIR/try\" 2>&1 && echo ESCAPED; exit 0"))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "signal the worker" && !r.sandbox.Rooms() && landlockVersion(r) < 6 {
				t.Skip("needs Landlock version 6")
			}
			a := mustPrepare(t, r, l, job.Spec{EntryPoint: "run.sh", Files: map[string]string{"try": c.try},
				Macros: []job.Macro{{Key: "WORKER", Value: strconv.Itoa(os.Getpid())}}})
			if _, err := a.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(a.log.text(), "ESCAPED") {
				t.Errorf("it worked: %s", a.log.text())
			}
		})
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "server secret" {
		t.Errorf("the server's data is now %q %v", text, err)
	}
}

// The thread that started a program is inside the same sandbox: it must not be a way to the worker.
func TestSandboxHoldsBackFromTheThreadThatStartedIt(t *testing.T) {
	r := sandboxed(t, nil)
	t.Setenv("RUNNER_TEST_SECRET", "in the environment")
	_, a := script(t, r, `
for t in /proc/$PPID/task/*; do
  cat $t/environ 2>/dev/null | grep -q . && echo ESCAPED environ $t
  head -c 1 $t/mem >/dev/null 2>&1 && echo ESCAPED mem $t
  for f in $t/fd/*; do readlink $f && echo ESCAPED fd $f; done
  test $(cat $t/maps 2>/dev/null | wc -c) -gt 0 && echo ESCAPED maps $t
done
echo looked`)
	if text := a.log.text(); strings.Contains(text, "ESCAPED") || !strings.Contains(text, "looked") {
		t.Error(text)
	}
}

func TestSandboxLetsProgramsWork(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, "landlock"} {
		t.Run(string(mode), func(t *testing.T) { letsWork(t, mode) })
	}
}

func letsWork(t *testing.T, mode sandbox.Mode) {
	r := sandboxed(t, inMode(mode))
	cases := []struct{ name, needs, key, text string }{
		{"shell tools", "", "run.sh", "set -e; ls / >/dev/null 2>&1 || true; echo x | sed s/x/y/ | sort >\"$TMPDIR/f\"; mkdir \"$TMPDIR/d\"; mv \"$TMPDIR/f\" \"$TMPDIR/d/g\"; cat \"$TMPDIR/d/g\" /dev/null; head -c 1 /dev/urandom >/dev/null; date >/dev/null"},
		{"programs it made itself", "", "run.sh", "set -e; printf '#!/bin/sh\\nexit 0\\n' >\"$TMPDIR/p\"; chmod +x \"$TMPDIR/p\"; \"$TMPDIR/p\""},
		{"its own /proc", "", "run.sh", "cat /proc/self/status >/dev/null && echo ok >/dev/stdout && echo ok >/dev/stderr"},
		{"its own children", "", "run.sh", "sleep 1000 & kill $! && ! wait $!"},
		{"python", "python3", "main.py", "import ssl, json, subprocess, tempfile, os\nsubprocess.run(['true'], check=True)\ntempfile.NamedTemporaryFile().write(b'x')\nopen(os.environ['LOCAL_JOB_OUT_DIR'] + '/x', 'w').write('y')"},
		{"node", "node", "main.js", "const fs = require('fs'), os = require('os'); fs.writeFileSync(process.env.LOCAL_JOB_OUT_DIR + '/x', 'y'); os.cpus(); require('child_process').execSync('true')"},
		{"npm", "npm", "run.sh", "set -e; cd \"$TMPDIR\"; npm init -y >/dev/null; npm install --offline --no-audit --no-fund; npm pkg get name"},
		{"java", "java", "run.sh", "java -Xmx64m -version"},
		{"a compiler", "javac", "run.sh", "set -e; cd \"$TMPDIR\"; echo 'class A { public static void main(String[] a) { System.out.println(System.getProperty(\"java.io.tmpdir\")); } }' >A.java; javac A.java; java -Xmx64m A"},
		{"a virtual environment", "python3", "main.py", "import subprocess, sys, os\nd = os.environ['TMPDIR'] + '/env'\nsubprocess.run([sys.executable, '-m', 'venv', '--without-pip', d], check=True)\nsubprocess.run([d + '/bin/python', '-c', 'import sqlite3, ctypes'], check=True)"},
		{"locks between processes", "python3", "main.py", "import os, multiprocessing\nif os.path.isdir('/dev/shm') and os.access('/dev/shm', os.W_OK) and os.environ['ROOMS'] == 'true':\n    with multiprocessing.Pool(2) as p:\n        assert p.map(abs, [-1, 2]) == [1, 2]"},
		{"threads", "node", "main.js", "const { Worker } = require('worker_threads'); new Worker('process.exit(0)', { eval: true }).on('exit', (c) => process.exit(c))"},
		{"its user's name", "", "run.sh", "id -u && getent passwd root >/dev/null && hostname >/dev/null"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != "" {
				need(t, c.needs)
			}
			a := mustPrepare(t, r, lease(t, r, c.key, []byte(c.text)), job.Spec{Macros: []job.Macro{{Key: "ROOMS", Value: strconv.FormatBool(r.sandbox.Rooms())}}})
			if result, err := a.Run(t.Context()); err != nil || result.ExitCode != 0 {
				t.Errorf("%+v %v\n%s", result, err, a.log.text())
			}
		})
	}
}

func TestNetworkNone(t *testing.T) {
	spec := job.Spec{Resources: job.Resources{Network: job.NetworkNone}}
	for _, mode := range []sandbox.Mode{sandbox.Auto, "landlock", sandbox.Off} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRunner(t, inMode(mode))
			a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")), spec)
			if result, err := a.Run(t.Context()); err != nil || result.ExitCode != 0 {
				t.Fatalf("%+v %v %s", result, err, a.log.text())
			}
			promised, warned := strings.HasSuffix(a.Sandbox(), "network none"), strings.Contains(a.log.text(), "network none is not in force")
			if inForce := r.sandbox.NetworkNone() == nil; promised != inForce || warned == inForce {
				t.Errorf("in force: %v, but it shows %q and the log says %q", inForce, a.Sandbox(), a.log.text())
			}
			if promised && a.log.text() != "lo\n" {
				t.Errorf("it sees more than its loopback: %q", a.log.text())
			}
		})
	}
}
