package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// bomb is a program that takes more than it may. Each is bounded: one that nobody ends stops by itself at a size that does
// a small machine no harm, and then waits for ever.
type bomb struct {
	name, limit string
	levels      int // where it is tried; 0: everywhere
	text        string
}

const (
	mib     = 1 << 20
	forever = "\nwhile :; do sleep 1; done"
)

// bombLimits are what the bombs get.
var bombLimits = job.Resources{MemoryMiB: 64, Processes: 40, DiskMiB: 8, OpenFiles: 64}

var bombs = []bomb{
	{"fork bomb", sandbox.LimitProcesses, 0, `b() { [ "$1" -gt 7 ] || { b $(($1 + 1)) & b $(($1 + 1)) & }; sleep 1000; }; b 0` + forever},
	{"fork bomb in sessions of its own", sandbox.LimitProcesses, 0, `i=0; while [ $i -lt 200 ]; do setsid sleep 1000 >/dev/null 2>&1 & i=$((i + 1)); done` + forever},
	{"fork bomb of daemons without an environment", sandbox.LimitProcesses, inRooms,
		`i=0; while [ $i -lt 200 ]; do (env -i setsid sleep 1000 >/dev/null 2>&1 &); i=$((i + 1)); done` + forever},
	{"threads", sandbox.LimitProcesses, 0, `exec python3 -c 'import threading, time; [threading.Thread(target=time.sleep, args=(1000,)).start() for i in range(200)]'`},
	{"memory bomb", sandbox.LimitMemory, 0, `exec python3 -c '
import time
x = []
for i in range(256): x.append(bytearray(b"x" * (1 << 20)))
time.sleep(1000)'`},
	{"memory bomb in many processes", sandbox.LimitMemory, 0,
		// One starts and forks: where python3 is a script, eight at once that start are more processes than it may have.
		`exec python3 -c '
import os, time
any(os.fork() == 0 for i in range(7))
x = bytearray(b"x" * (16 << 20))
time.sleep(1000)'`},
	{"memory files", sandbox.LimitMemory, 0, `exec python3 -c '
import os, time
files = [os.memfd_create("x") for i in range(40)]
for f in files: os.write(f, b"x" * (4 << 20))
time.sleep(1000)'`},
	{"disk filler", sandbox.LimitDisk, 0, `i=0; while [ $i -lt 40 ]; do head -c 1000000 /dev/zero >"$LOCAL_JOB_OUT_DIR/$i"; i=$((i + 1)); done` + forever},
	{"disk filler in /tmp", sandbox.LimitDisk, 0, `i=0; while [ $i -lt 40 ]; do head -c 1000000 /dev/zero >"$TMPDIR/$i"; i=$((i + 1)); done` + forever},
	{"disk filler without names", sandbox.LimitDisk, 0, `exec python3 -c '
import os, time
files = []
for i in range(40):
    f = os.open(os.environ["TMPDIR"] + "/f", os.O_CREAT | os.O_RDWR); os.unlink(os.environ["TMPDIR"] + "/f")
    os.write(f, b"x" * 1000000); files.append(f)
time.sleep(1000)'`},
	{"disk filler without names and descriptors", sandbox.LimitDisk, 0, `exec python3 -c '
import mmap, os, time
maps = []
for i in range(40):
    f = os.open(os.environ["TMPDIR"] + "/f", os.O_CREAT | os.O_RDWR); os.unlink(os.environ["TMPDIR"] + "/f")
    os.write(f, b"x" * 1000000); maps.append(mmap.mmap(f, 1000000))
    for d in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + d).endswith("(deleted)"): os.close(int(d))
        except OSError: pass
time.sleep(1000)'`},
	{"disk filler of empty files", sandbox.LimitDisk, 0, `cd "$TMPDIR"; i=0; while [ $i -lt 4000 ]; do : >$i; i=$((i + 1)); done` + forever},
	{"one large file", sandbox.LimitFileSize, 0, `exec head -c 40000000 /dev/zero >"$TMPDIR/f"`},
	{"one sparse file", sandbox.LimitFileSize, 0, `exec truncate -s 1T "$TMPDIR/f"`},
}

// TestBombs sets every bomb off at every level this machine offers.
func TestBombs(t *testing.T) {
	for _, l := range levels {
		if l.mode == "rooms" || l.mode == sandbox.Off && os.Geteuid() != 0 {
			continue // limits are held in the same way with and without Landlock; time is short
		}
		t.Run(string(l.mode), func(t *testing.T) {
			a := &arena{level: l}
			a.runner = newRunner(t, func(c *Config) { c.Sandbox = l.mode })
			if missing := a.missing(); missing != "" {
				t.Skip("skip: " + missing)
			}
			for _, b := range bombs {
				if b.levels != 0 && b.levels&l.bit == 0 {
					continue
				}
				t.Run(b.name, func(t *testing.T) { a.defuse(t, b) })
			}
		})
	}
}

func (a *arena) defuse(t *testing.T, b bomb) {
	if strings.Contains(b.text, "python3") {
		need(t, "python3")
	}
	a.number++
	e := mustPrepareJob(t, a.runner, lease(t, a.runner, "bomb.sh", []byte(b.text)), a.number, job.Spec{Resources: bombLimits})
	result, err := e.Run(t.Context())
	if err != nil || result.Limit != b.limit || !strings.Contains(result.Message(), result.LimitText) {
		t.Errorf("got %+v %v, want %s\n%s", result, err, b.limit, e.log.text())
	}
	if left := marked(a.runner.id); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
}

// TestFloods has programs say too much, which is cut short, and look for more than is there.
func TestFloods(t *testing.T) {
	for _, l := range levels {
		t.Run(string(l.mode), func(t *testing.T) {
			a := &arena{level: l}
			a.runner = newRunner(t, func(c *Config) { c.Sandbox, c.LogLimit = l.mode, mib })
			if missing := a.missing(); missing != "" {
				t.Skip("skip: " + missing)
			}
			e := mustPrepareJob(t, a.runner, lease(t, a.runner, "flood.sh", []byte("head -c 30000000 /dev/zero; exit 3")), 1, job.Spec{})
			if result, err := e.Run(t.Context()); err != nil || result.ExitCode != 3 || len(e.log.text()) > 2*mib {
				t.Errorf("got %+v %v and %d bytes of log", result, err, len(e.log.text()))
			}
			// The machine's memory is not to be had through /dev/shm: it is closed, or a small one of the job's own.
			if l.bit == inOff {
				return
			}
			e = mustPrepareJob(t, a.runner, lease(t, a.runner, "shm.sh", []byte("head -c 100000000 /dev/zero >/dev/shm/waybill-escape-flood")), 2, job.Spec{})
			if result, err := e.Run(t.Context()); err != nil || result.ExitCode == 0 {
				t.Errorf("got %+v %v: %s", result, err, e.log.text())
			}
			if info, err := os.Stat(filepath.Join("/dev/shm", "waybill-escape-flood")); err == nil {
				t.Errorf("%s was made, with %d bytes", info.Name(), info.Size())
			}
		})
	}
}

// TestMemoryOfNoProcess has a program look for memory that no process has, so that no watcher sees it. Each attempt is for
// more than programs need, and has to be refused by a room.
func TestMemoryOfNoProcess(t *testing.T) {
	need(t, "python3")
	a := &arena{level: levels[0]}
	a.runner = newRunner(t, nil)
	if !a.runner.sandbox.Rooms() {
		t.Skip("skip: no rooms here: " + a.runner.Sandbox())
	}
	const program = `import ctypes, os
c = ctypes.CDLL(None)
c.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
print("segments", [c.shmget(0, n, 0o1600) >= 0 for n in (4096, 65536, 65537, 10 << 20, 1 << 32, (1 << 32) + 1)])
print("sets", [c.semget(0, n, 0o1600) >= 0 for n in (1, 64, 65, 32000)])
made = 0
try:
    while made < 40000:
        os.close(os.open("/dev/shm/%d" % made, os.O_CREAT | os.O_WRONLY))
        made += 1
except OSError:
    pass
print("files", made < 40000)
`
	e := mustPrepareJob(t, a.runner, lease(t, a.runner, "memory.py", []byte(program)), 1, job.Spec{})
	result, err := e.Run(t.Context())
	for _, want := range []string{"segments [True, True, False, False, False, False]", "sets [True, True, False, False]", "files True"} {
		if err != nil || result.ExitCode != 0 || !strings.Contains(e.log.text(), want) {
			t.Errorf("got %+v %v, want %q in\n%s", result, err, want, e.log.text())
		}
	}
}
