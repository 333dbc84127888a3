package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func newRoomsSandbox(t testing.TB, mode Mode, protect ...string) *Sandbox {
	t.Helper()
	s, err := New(t.Context(), Config{Mode: mode, Protect: protect, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if !s.Rooms() {
		t.Skip("no rooms on this machine: ", s.noRooms)
	}
	return s
}

// outside makes a folder that is not below /tmp.
func outside(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "waybill-rooms-")
	if err != nil {
		t.Skip("no /var/tmp here: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func expectLines(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(strings.Split(got, "\n"), w) {
			t.Errorf("it does not say %q:\n%s", w, got)
		}
	}
}

func TestARoomRefusesWhatNoJobNeeds(t *testing.T) {
	for _, mode := range []Mode{Auto, roomsOnly} {
		t.Run(string(mode), func(t *testing.T) {
			s := newRoomsSandbox(t, mode)
			text := tried(t, s, Program{}, "calls")
			expectLines(t, text, "mount: EPERM", "remount: EPERM", "umount: EPERM", "unshare user: EPERM", "unshare mount: EPERM",
				"unshare files: ok", "clone3: ENOSYS", "clone user: EPERM", "setns: EPERM", "keyctl: EPERM", "bpf: EPERM", "perf: EPERM",
				"userfaultfd: EPERM", "io_uring: EPERM", "handle: EPERM", "hostname: EPERM", "vsock: EAFNOSUPPORT", "alg: EAFNOSUPPORT",
				"netlink: ok", "NoNewPrivs: 1", "Seccomp: 2")
		})
	}
}

func TestARoomHoldsNoForeignProcess(t *testing.T) {
	s := newRoomsSandbox(t, Auto)
	other, _ := probe(t, s, Program{}, "hold", "/nowhere")
	defer func() { _, _ = other.Wait(killed(t), 0) }()
	text := tried(t, s, Program{}, "processes")
	expectLines(t, text, "sees "+porterName, "trace the first: EPERM", "kill everybody: ESRCH", "still here")
	if s.landlock.abi >= 6 {
		expectLines(t, text, "kill the first: EPERM")
	}
	if strings.Contains(text, "reads") || strings.Count(text, "sees") != 1 {
		t.Errorf("it sees or reads too much:\n%s", text)
	}
}

func TestARoomWithoutNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	abstract := "waybill-rooms-" + strconv.Itoa(os.Getpid())
	a, err := net.Listen("unix", "@"+abstract)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s := newRoomsSandbox(t, Auto)
	if err := s.NetworkNone(); err != nil {
		t.Skip(err)
	}
	args := []string{l.Addr().String(), abstract}
	text := tried(t, s, Program{NoNetwork: true}, "network", args...)
	expectLines(t, text, "the host's loopback: ECONNREFUSED", "the host's abstract socket: ECONNREFUSED", "udp to elsewhere: ENETUNREACH",
		"own 127.0.0.1:0: ok")
	text = tried(t, s, Program{}, "network", args...)
	expectLines(t, text, "the host's loopback: ok", "own 127.0.0.1:0: ok")
	if s.landlock.abi >= 6 {
		expectLines(t, text, "the host's abstract socket: EPERM")
	}

	s, err = New(t.Context(), Config{Mode: landlockOnly, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.landlock.deniesTCP() {
		t.Skip("this Landlock does not mediate TCP: ", s)
	}
	expectLines(t, tried(t, s, Program{NoNetwork: true}, "network", args...), "the host's loopback: EACCES")
	if err := s.NetworkNone(); err == nil || !strings.Contains(err.Error(), "UDP is open") {
		t.Errorf("Landlock alone says of the network: %v", err)
	}
}

func TestARoomSharesNoMemory(t *testing.T) {
	key := segment(t)
	s := newRoomsSandbox(t, Auto)
	for range 2 { // a second room does not see the first one's either
		expectLines(t, tried(t, s, Program{}, "ipc", key), "the host's segment: ENOENT", "a segment of its own: ok", "/dev/shm: ok")
	}
	if _, err := os.Stat("/dev/shm/waybill-test-" + key); err == nil {
		t.Error("what was written to /dev/shm is the host's")
	}
}

func TestARoomHidesForeignFiles(t *testing.T) {
	data := outside(t)
	secret := filepath.Join(data, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(secret)
	own := filepath.Join(data, "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{Auto, roomsOnly} {
		s := newRoomsSandbox(t, mode, data)
		text := tried(t, s, Program{Write: []string{own}}, "attributes", secret)
		for _, what := range []string{"stat", "chmod", "chown", "utime", "xattr", "access"} {
			expectLines(t, text, what+": ENOENT")
		}
		// What is shown of the machine can not be changed, even by root and its owner.
		text = tried(t, s, Program{Write: []string{own}}, "attributes", "/usr/bin", "/etc/passwd")
		for _, what := range []string{"chmod", "chown", "utime"} {
			if strings.Count(text, what+": EROFS") != 2 {
				t.Errorf("%s of the system:\n%s", what, text)
			}
		}
	}
	if after, err := os.Stat(secret); err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the file was changed: %v %v", after, err)
	}
}

func TestWhatARoomShows(t *testing.T) {
	// A tool below /tmp would be shown there, and take programs their own /tmp.
	t.Setenv("PATH", strings.Join(slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool {
		return within(dir, "/tmp")
	}), ":"))
	base := outside(t)
	dirs := map[string]string{}
	for _, name := range []string{"job", "job/tmp", "job/fixed", "pkg", "other"} {
		dirs[name] = filepath.Join(base, name)
		if err := os.Mkdir(dirs[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(dirs["pkg"], link); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(base, "probe") // not below /tmp, or there would be no /tmp for the program
	program, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{Auto, roomsOnly} {
		t.Run(string(mode), func(t *testing.T) {
			s := newRoomsSandbox(t, mode, base)
			c := Program{Path: exe, Read: []string{link, dirs["job/fixed"]}, Write: []string{dirs["job"]}, Temp: dirs["job/tmp"], Dir: link}
			text := tried(t, s, c, "files", dirs["job"], "/tmp", link, dirs["pkg"], dirs["job/fixed"], dirs["other"], "/dev/shm", "/dev/null",
				"/proc/self/comm", "/proc/sys/kernel/hostname", "/var/x", "/x")
			expectLines(t, text, "write "+dirs["job"]+"/written: ok", "write /tmp/written: ok", "write /dev/shm/written: ok", "write /dev/null: ok",
				"list "+link+": ok", "list "+dirs["pkg"]+": ok", "list "+dirs["job/fixed"]+": ok")
			if strings.Count(text, "/written: ok")+strings.Count(text, "/null: ok") != 4 {
				t.Errorf("it can write more:\n%s", text)
			}
			if _, err := os.Stat(filepath.Join(dirs["job/tmp"], "written")); err != nil {
				t.Errorf("/tmp is not the job's: %v", err)
			}
			if _, err := os.Stat("/tmp/written"); err == nil {
				t.Error("/tmp is the host's")
			}
			// Another program does not see so much as the names.
			text = tried(t, s, Program{Path: exe, Write: []string{dirs["other"]}}, "files", base, dirs["job"])
			if strings.Contains(text, "has job") || strings.Contains(text, "has pkg") {
				t.Errorf("names of another room are left:\n%s", text)
			}
		})
	}
}

// killed is a context that makes Wait kill at once.
func killed(t testing.TB) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrKill)
	return ctx
}

func TestABrokenRoomIsToldAndReplaced(t *testing.T) {
	s := newRoomsSandbox(t, Auto)
	dir := t.TempDir()
	p, _ := probe(t, s, Program{}, "hold", dir)
	members := p.members(0)
	if len(members) == 0 {
		t.Fatal("the processes of the room are not found")
	}
	if err := s.rooms.current.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(t.Context(), time.Minute); !errors.Is(err, ErrRoom) || errors.Is(err, syscall.ENOENT) {
		t.Errorf("the end of the porter shows as %v", err)
	}
	for _, pid := range members {
		eventually(t, fmt.Sprint("process ", pid, " to be gone"), func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	}
	expectLines(t, tried(t, s, Program{}, "processes"), "still here")

	// One that dies unseen, between two programs.
	if err := s.rooms.current.process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.rooms.current.gone
	expectLines(t, tried(t, s, Program{}, "processes"), "still here")

	// The first process of a room is all that holds it.
	p, _ = probe(t, s, Program{}, "hold", dir+"/no")
	keeper, _ := p.room.pids()
	if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e, err := p.Wait(t.Context(), time.Minute); err != nil || e.Signal != "SIGKILL" || e.Stopped {
		t.Errorf("the end of a room shows as %+v %v", e, err)
	}
}

func TestRoomsShowTheMachineAsItIs(t *testing.T) {
	tools := filepath.Join(outside(t), "tools")
	if err := os.Mkdir(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	s := newRoomsSandbox(t, Auto)
	first := s.rooms.current
	p, _ := probe(t, s, Program{}, "hold", "/nowhere")
	if err := os.Rename(tools, tools+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tools+"/new", 0o755); err != nil {
		t.Fatal(err)
	}
	s.rooms.mu.Lock()
	first.looked = time.Time{}
	s.rooms.mu.Unlock()
	expectLines(t, tried(t, s, Program{}, "files", tools), "has new")
	if s.rooms.current == first {
		t.Error("the porter is still the one that shows the old folder")
	}
	if e, err := p.Wait(killed(t), 0); err != nil || e.Signal != "SIGKILL" {
		t.Errorf("a program of the old porter: %+v %v", e, err)
	}
	eventually(t, "the old porter to end", func() bool {
		select {
		case <-first.gone:
			return true
		default:
			return false
		}
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out waiting for " + what)
		}
	}
}

// holdings counts what a process has.
func holdings(t *testing.T, pid int) map[string]int {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid)
	count := func(path string) int {
		list, err := os.ReadDir(dir + path)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	mounts, err := os.ReadFile(dir + "/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for line := range strings.Lines(string(mounts)) {
		if ofRooms(t, line) {
			ours++
		}
	}
	return map[string]int{"files": count("/fd"), "threads": count("/task"), "mounts": ours, "children": len(childrenOf(pid))}
}

// ofRooms tells whether a line of mountinfo (proc_pid_mountinfo(5)) is of something that a room mounts: a file system of its own,
// or a folder of this test. The rest is none of its business: the tests of other packages, which run at the same time, mount
// disks on this machine.
func ofRooms(t *testing.T, line string) bool {
	t.Helper()
	_, source, found := strings.Cut(line, " - ")
	f := strings.Fields(source)
	if !found || len(f) < 2 {
		t.Fatalf("mountinfo has the line %q", line)
	}
	return slices.Contains([]string{"room", "shm", "proc"}, f[1]) || strings.Contains(line, "/"+t.Name())
}

func TestManyRoomsLeaveNothing(t *testing.T) {
	s := newRoomsSandbox(t, Auto)
	folder := t.TempDir()
	round := func(programs int) {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range programs / 4 {
					dir := filepath.Join(folder, fmt.Sprint(i, "-", n))
					_ = os.Mkdir(dir, 0o700)
					if text, e := run(t, s, Limits{}, "sleep 1000 & (setsid sleep 1000 &); mkdir /dev/shm/x; echo $PPID"); e.ExitCode != 0 || text != "0\n" {
						t.Errorf("%+v %q", e, text)
					}
				}
			})
		}
		wg.Wait()
	}
	round(40)
	porter := s.rooms.current.process.Pid
	before, own := holdings(t, porter), holdings(t, os.Getpid())
	round(200)
	if s.rooms.current.process.Pid != porter {
		t.Fatal("the porter is another one")
	}
	eventually(t, "rooms to be gone", func() bool { return holdings(t, porter)["children"] == 0 })
	// What a program held is given back by the kernel a moment after its end is told; what leaks stays. The Go runtime keeps
	// every thread that it once had a use for, which on a busy machine may be some more each time; one a program would be 200.
	var after, ownAfter map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("porter: %v, then %v; worker: %v, then %v", before, after, own, ownAfter)
		}
	}()
	eventually(t, "porter and worker to hold what they held before", func() bool {
		after, ownAfter = holdings(t, porter), holdings(t, os.Getpid())
		for what, most := range map[string]int{"files": 0, "mounts": 0, "children": 0, "threads": 50} {
			if after[what] > before[what]+most || ownAfter[what] > own[what]+most {
				return false
			}
		}
		return true
	})
}

func TestPartsOfTheSandbox(t *testing.T) {
	rooms := newRoomsSandbox(t, Auto).String()
	if !strings.HasPrefix(rooms, "namespaces, landlock ") || !strings.HasSuffix(rooms, ", seccomp") {
		t.Errorf("in full it says %q", rooms)
	}
	if s := newRoomsSandbox(t, roomsOnly); s.String() != "namespaces, seccomp" || s.strictFault() == nil {
		t.Errorf("without Landlock it says %q, strict would say %v", s, s.strictFault())
	}
	s := newSandbox(t, landlockOnly)
	if !strings.HasPrefix(s.String(), "landlock ") || s.Rooms() || s.NetworkNone() == nil {
		t.Errorf("Landlock alone says %q", s)
	}
	s.noRooms = errors.New("refused")
	if fault := s.strictFault(); fault == nil || !strings.Contains(fault.Error(), "refused") || !strings.Contains(s.String(), "refused") {
		t.Errorf("without namespaces strict says %v and the line is %q", fault, s)
	}
	if s := newSandbox(t, Off); s.String() != "off by setting" || s.Enforced() || s.NetworkNone() == nil {
		t.Errorf("off says %q", s)
	}
	if _, err := New(t.Context(), Config{Mode: "tight"}); err == nil {
		t.Error("an unknown mode is taken")
	}
}

// TestRoomsOfAnUnprivilegedWorker runs the tests of rooms again as a user without rights, as most workers should be.
func TestRoomsOfAnUnprivilegedWorker(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the other tests ran as a user without rights")
	}
	base := outside(t)
	exe := filepath.Join(base, "tests")
	program, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(base, "tmp")
	if err := errors.Join(os.WriteFile(exe, program, 0o755), os.Mkdir(temp, 0o777), os.Chmod(temp, 0o777), os.Chmod(base, 0o755)); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	tests := exec.CommandContext(t.Context(), exe, "-test.v", "-test.run", "^(TestARoom|TestABrokenRoom|TestWhatARoom|TestPartsOf)")
	tests.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "TMPDIR=" + temp}
	tests.Dir = "/"
	tests.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{}}}
	out, err := tests.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "no rooms on this machine") {
		t.Skipf("users without rights get no namespaces here:\n%s", out)
	}
	if n := strings.Count(string(out), "--- PASS"); n < 8 {
		t.Errorf("only %d tests ran:\n%s", n, out)
	}
}
