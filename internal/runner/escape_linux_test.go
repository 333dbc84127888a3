package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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

// level is a kind of sandbox, alone.
type level struct {
	mode sandbox.Mode
	bit  int
}

var levels = []level{{sandbox.Off, inOff}, {"landlock", inLandlock}, {"rooms", inRooms}, {sandbox.Auto, inBoth}}

// TestEscapes runs every attack at every level this machine offers, as this user and, when this is root, as nobody.
func TestEscapes(t *testing.T) {
	if os.Getenv("RUNNER_ESCAPE_SETUID") == "" && os.Geteuid() == 0 {
		t.Run("as nobody", escapesAsNobody)
	}
	for _, l := range levels {
		t.Run(string(l.mode), func(t *testing.T) { escapes(t, l) })
	}
}

func escapes(t *testing.T, l level) {
	a := newArena(t, l)
	for _, group := range attacks {
		for _, k := range group.list {
			t.Run(k.name, func(t *testing.T) { a.judge(t, k) })
		}
	}
	a.unharmed(t)
}

// escapesAsNobody runs this very test again as a user without rights.
func escapesAsNobody(t *testing.T) {
	dir, err := os.MkdirTemp("", "waybill-escape-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary := filepath.Join(dir, "runner.test")
	setuid := filepath.Join(dir, "setuid-id")
	temp := filepath.Join(dir, "tmp")
	const nobody = 65534
	id, err := exec.LookPath("id")
	if err != nil {
		t.Skip("no id here")
	}
	for _, err := range []error{
		os.Chmod(dir, 0o755), copyFile(os.Args[0], binary), os.Chmod(binary, 0o755), copyFile(id, setuid), os.Chmod(setuid, 0o755|os.ModeSetuid),
		os.Mkdir(temp, 0o700), os.Chown(temp, nobody, nobody),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestEscapes$|^TestBombs$", "-test.v", "-test.count=1")
	cmd.Dir = temp
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=" + temp, "HOME=" + temp, "RUNNER_ESCAPE_SETUID=" + setuid}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, failuresOf(out))
	}
	if !bytes.Contains(out, []byte("--- PASS: TestEscapes")) {
		t.Errorf("it did not run:\n%s", failuresOf(out))
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "skip:") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// failuresOf leaves what passed out of a test's output.
func failuresOf(out []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "--- PASS") && !strings.HasPrefix(line, "=== ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// arena is a worker with something to lose: a data folder, another job, sockets.
type arena struct {
	level  level
	runner *Runner
	lease  *Lease
	data   string
	secret string
	victim int // a process of the other job, by its number on the machine
	macros map[string]string
	number int
}

const secretText = "the server's secret"

func newArena(t *testing.T, l level) *arena {
	t.Helper()
	need(t, "setsid")
	a := &arena{level: l, data: t.TempDir()}
	a.secret = filepath.Join(a.data, "secret")
	if err := os.WriteFile(a.secret, []byte(secretText), 0o600); err != nil {
		t.Fatal(err)
	}
	a.runner = newRunner(t, func(c *Config) {
		c.Sandbox, c.Protect = l.mode, []string{a.data}
		c.JobLimits = sandbox.Limits{Memory: 1 << 30, Processes: 200, Disk: 1 << 30, OpenFiles: 1024}
	})
	if missing := a.missing(); missing != "" {
		t.Skip("skip: " + missing)
	}
	a.lease = lease(t, a.runner, "attack.zip", pack(t, "run.sh",
		"cd \"$TMPDIR\"\nif [ -e \"$LOCAL_JOB_SPEC_DIR/try.py\" ]; then exec python3 \"$LOCAL_JOB_SPEC_DIR/try.py\"; fi\nexec sh \"$LOCAL_JOB_SPEC_DIR/try.sh\"\n"))
	a.macros = map[string]string{
		"WORKER": strconv.Itoa(os.Getpid()), "DATA": a.data, "SECRET": a.secret, "WORK": a.runner.work,
		"SETUID": os.Getenv("RUNNER_ESCAPE_SETUID"), "HOST_TMP": t.TempDir(), "VICTIM_ARGUMENT": mark(),
	}
	a.listen(t)
	a.share(t)
	a.startVictim(t)
	return a
}

// missing tells what of the level this machine does not have.
func (a *arena) missing() string {
	text := a.runner.Sandbox()
	switch {
	case a.level.mode == "landlock" && landlockVersion(a.runner) == 0:
		return "no Landlock here: " + text
	case a.level.bit&inRooms != 0 && !strings.Contains(text, "namespaces,") && text != "namespaces":
		return "no namespaces here: " + text
	}
	return ""
}

var marks = time.Now().UnixNano() % 1e9

// mark is a number of seconds that tells a sleep from all others of the machine.
func mark() string {
	marks++
	return strconv.FormatInt(1e9+marks, 10)
}

// asleep finds the process that sleeps for so many seconds.
func asleep(seconds string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if text, _ := os.ReadFile(f); string(text) == "sleep\x00"+seconds+"\x00" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			return pid
		}
	}
	return 0
}

func (a *arena) startVictim(t *testing.T) {
	t.Helper()
	l := lease(t, a.runner, "victim.sh", []byte(`echo "$OWN_SECRET" >"$TMPDIR/own"; cd "$TMPDIR"; sleep "$MARK" & wait`))
	e := mustPrepareJob(t, a.runner, l, 1, job.Spec{Macros: []job.Macro{
		{Key: "OWN_SECRET", Value: "victim-secret"}, {Key: "MARK", Value: a.macros["VICTIM_ARGUMENT"]},
	}})
	done := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		_, err := e.Run(ctx)
		done <- err
	}()
	t.Cleanup(func() {
		cancel(sandbox.ErrKill)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	waitFor(t, "the other job", func() bool { a.victim = asleep(a.macros["VICTIM_ARGUMENT"]); return a.victim != 0 })
	a.macros["VICTIM"], a.macros["VICTIM_DIR"] = strconv.Itoa(a.victim), e.dir
}

// listen opens what a program might reach over the network, and answers.
func (a *arena) listen(t *testing.T) {
	t.Helper()
	accept := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
		return l
	}
	tcp := accept("tcp4", "127.0.0.1:0")
	abstract := fmt.Sprintf("waybill-escape-%d-%d", os.Getpid(), time.Now().UnixNano())
	accept("unix", "@"+abstract)
	socket := filepath.Join(a.data, "socket")
	accept("unix", socket)
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		b := make([]byte, 10)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo(b[:n], from)
		}
	}()
	a.macros["TCP"] = strconv.Itoa(tcp.Addr().(*net.TCPAddr).Port)
	a.macros["UDP"] = strconv.Itoa(udp.LocalAddr().(*net.UDPAddr).Port)
	a.macros["ABSTRACT"], a.macros["SOCKET"] = abstract, socket
}

// share makes what processes of one user share without a folder.
func (a *arena) share(t *testing.T) {
	t.Helper()
	if f, err := os.CreateTemp("/dev/shm", "waybill-escape-"); err == nil {
		_ = f.Close()
		t.Cleanup(func() { _ = os.Remove(f.Name()) })
		a.macros["HOST_SHM"] = f.Name()
	}
	key := int(time.Now().UnixNano()&0x3fffffff) | 1
	if id, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o600); err == nil {
		t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	}
	a.macros["SYSV"] = strconv.Itoa(key)
	a.macros["KEY"] = "waybill-escape-" + strconv.Itoa(key)
	if id, err := unix.AddKey("user", a.macros["KEY"], []byte("x"), unix.KEY_SPEC_USER_KEYRING); err == nil {
		t.Cleanup(func() { _, _ = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0) })
	}
}

// attempt makes an attack and tells whether it worked.
func (a *arena) attempt(t *testing.T, k attack) (worked bool, text string) {
	t.Helper()
	spec := job.Spec{Files: map[string]string{"try.sh": k.text}}
	if k.python {
		need(t, "python3")
		spec.Files = map[string]string{"try.py": pythonPrelude + k.text + "\n"}
	}
	if k.network {
		spec.Resources.Network = job.NetworkNone
	}
	sleeper := mark()
	for key, value := range a.macros {
		spec.Macros = append(spec.Macros, job.Macro{Key: key, Value: value})
	}
	spec.Macros = append(spec.Macros, job.Macro{Key: "MARK", Value: sleeper})
	a.number++
	e := mustPrepareJob(t, a.runner, a.lease, 100+a.number, spec)
	result, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	worked = result.ExitCode == 0
	if strings.Contains(k.text, "MARK") {
		pid := asleep(sleeper)
		if worked = pid != 0; worked {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return worked, e.log.text()
}

func (a *arena) judge(t *testing.T, k attack) {
	if a.level.bit == inOff && k.fails&inOff == 0 {
		a.control(t, k)
		return
	}
	worked, text := a.attempt(t, k)
	version := landlockVersion(a.runner)
	switch {
	case k.fails&a.level.bit == 0:
		t.Logf("known not to be held back at this level; it worked: %v", worked)
	case !worked:
	case a.level.bit&k.fails&inRooms == 0 && version < k.landlock:
		t.Skipf("skip: Landlock %d does not hold this back, %d does", version, k.landlock)
	default:
		t.Errorf("it worked: %s", text)
	}
}

// control shows that the attack is one: without a sandbox it works.
func (a *arena) control(t *testing.T, k attack) {
	root := os.Geteuid() == 0
	if k.control == unsafe || k.control == asRoot && !root {
		return
	}
	if worked, text := a.attempt(t, k); !worked && k.control == likely {
		t.Logf("on this machine it does not work without a sandbox either: %s", text)
	} else if !worked {
		t.Errorf("it does not work without a sandbox, so it shows nothing: %s", text)
	}
}

// unharmed looks at what all attacks together were after.
func (a *arena) unharmed(t *testing.T) {
	t.Helper()
	if a.level.bit == inOff {
		return
	}
	text, err := os.ReadFile(a.secret)
	if err != nil || string(text) != secretText {
		t.Errorf("the server's data is now %q %v", text, err)
	}
	if asleep(a.macros["VICTIM_ARGUMENT"]) != a.victim {
		t.Error("the other job is gone")
	}
	if left, _ := os.ReadDir(a.data); len(left) != 2 {
		t.Errorf("the data folder holds %v", names(left))
	}
	if text, err := os.ReadFile(filepath.Join(a.lease.Dir, "run.sh")); err != nil || bytes.Contains(text, []byte("\nx\n")) {
		t.Errorf("the package has changed: %q %v", text, err)
	}
}

// mustPrepareJob prepares the first attempt of job n.
func mustPrepareJob(t testing.TB, r *Runner, l *Lease, n int, spec job.Spec) attempt {
	t.Helper()
	log := &syncBuffer{}
	e, err := r.Prepare(Request{Job: job.Job{ID: job.ID(fmt.Sprintf("%024x", n)), Attempt: 1, Spec: spec}, Package: l, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	return attempt{e, log}
}
