package runner

// The levels at which an attack must fail. With namespaces and Landlock, one that either of them holds back must fail.
const (
	inLandlock = 1 << iota // Landlock alone
	inRooms                // namespaces alone
	inOff                  // without a sandbox, too: no wall of the sandbox is needed
	inBoth     = inLandlock | inRooms
	inAll      = inBoth | inOff
)

// control says whether an attack is made without a sandbox first, to show that it is one.
type control int

const (
	works  control = iota // it must work then
	asRoot                // it must work then, if the worker is root
	likely                // it works then on most machines; whether it does is told
	unsafe                // it would do harm, or is not possible then
)

// attack is a program that tries to get out. It has succeeded when its exit code is 0, or when the arena says so.
type attack struct {
	name    string
	fails   int // levels at which it must fail
	control control
	python  bool
	network bool   // it runs with network: none
	text    string // a shell script, or one in Python
	// landlock is the version of Landlock that is needed for it to fail under Landlock alone; 0: any.
	landlock int
}

const (
	groupFiles     = "Files"
	groupProcesses = "Processes"
	groupRights    = "Rights"
	groupNetwork   = "Network"
	groupShared    = "What users of a machine share"
)

// attacks is every attack, by what it is after. What programs are told about their prey stands in the environment:
// WORKER and VICTIM are processes, DATA is the server's data folder and SECRET a file in it, VICTIM_DIR another job's
// folder, and so on (arena.macros).
var attacks = []struct {
	group string
	list  []attack
}{
	{groupFiles, []attack{
		{name: "read /etc/shadow", fails: inBoth, control: asRoot, text: `cat /etc/shadow`},
		{name: "list the data folder", fails: inBoth, text: `ls "$DATA"`},
		{name: "read the data folder", fails: inBoth, text: `cat "$SECRET"`},
		{name: "read the data folder through a link", fails: inBoth, text: `ln -s "$SECRET" l && cat l`},
		{name: "read the data folder through /proc", fails: inBoth, text: `cat "/proc/self/root$SECRET" || cat "/proc/$WORKER/root$SECRET" || cat "/proc/$PPID/root$SECRET"`},
		{name: "write to the data folder", fails: inBoth, text: `echo x >>"$SECRET"`},
		{name: "truncate a file of the data folder", fails: inBoth, text: `truncate -s 3 "$SECRET"`},
		{name: "make a file in the data folder", fails: inBoth, text: `echo x >"$DATA/new" && rm "$DATA/new"`},
		{name: "hard-link a file of the data folder", fails: inBoth, control: likely, text: `ln "$SECRET" here && rm here`},
		{name: "take a file out of the data folder", fails: inBoth, text: `mv "$SECRET" here && mv here "$SECRET"`},
		{name: "put a link in the place of a file of the data folder", fails: inBoth, text: `ln -sf /dev/null "$DATA/link"`},
		{name: "see that a file of the data folder is there", fails: inRooms, text: `stat "$SECRET"`},
		{name: "change the mode of a file of the data folder", fails: inRooms, text: `chmod 644 "$SECRET"`},
		{name: "change the times of a file of the data folder", fails: inRooms, python: true, text: `os.utime(os.environ["SECRET"], (1, 1))`},
		{name: "read another job's folder", fails: inBoth, text: `cat "$VICTIM_DIR/tmp/own"`},
		{name: "write to another job's folder", fails: inBoth, text: `echo x >"$VICTIM_DIR/out/forged" && rm "$VICTIM_DIR/out/forged"`},
		{name: "change the mode of another job's folder", fails: inRooms, text: `chmod 700 "$VICTIM_DIR/out"`},
		{name: "read another job's folder through its process", fails: inBoth, text: `cat "/proc/$VICTIM/cwd/own" || cat "/proc/$VICTIM/root$VICTIM_DIR/tmp/own"`},
		{name: "list the work folder", fails: inBoth, text: `ls "$WORK/jobs" | grep -q "${VICTIM_DIR##*/}"`},
		{name: "write to its package", fails: inBoth, control: unsafe, text: `echo x >>"$WAYBILL_PACKAGE_DIR/run.sh"`},
		{name: "make a file in its package", fails: inBoth, control: unsafe, text: `touch "$WAYBILL_PACKAGE_DIR/x"`},
		{name: "make its package writable, then write", fails: inBoth, control: unsafe, text: `chmod -R u+w "$WAYBILL_PACKAGE_DIR"; echo x >>"$WAYBILL_PACKAGE_DIR/run.sh"`},
		{name: "replace a file that every job may read", fails: inBoth, control: unsafe, text: `d=$(dirname "$(readlink -f /bin/sh)"); touch "$d/waybill-escape" && rm "$d/waybill-escape"`},
		{name: "write to the machine's /tmp", fails: inBoth, text: `echo x >"$HOST_TMP/forged" && rm "$HOST_TMP/forged"`},
		{name: "read the machine's /dev/shm", fails: inBoth, control: likely, text: `cat "$HOST_SHM"`},
		{name: "open kernel settings for writing", fails: inBoth, control: asRoot, python: true,
			text: `os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)`},
		{name: "open /proc/sysrq-trigger", fails: inBoth, control: likely, python: true, text: `os.open("/proc/sysrq-trigger", os.O_WRONLY)`},
		{name: "make a device", fails: inBoth, control: likely, python: true,
			text: "os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0)); os.open('disk', os.O_RDONLY)"},
		{name: "open a file by its handle", fails: inBoth, control: unsafe, python: true, text: `
h = (ctypes.c_ubyte * 136)(*([128, 0, 0, 0]))
mount = ctypes.c_int()
if libc.name_to_handle_at(-100, os.environ["WAYBILL_PACKAGE_DIR"].encode(), h, ctypes.byref(mount), 0): fail()
if libc.open_by_handle_at(os.open(".", os.O_RDONLY), h, os.O_RDONLY) < 0: fail()`},
	}},
	{groupProcesses, []attack{
		{name: "see the worker's process", fails: inRooms, text: `test -d "/proc/$WORKER"`},
		{name: "see another job's command line", fails: inRooms, text: `tr '\0' ' ' <"/proc/$VICTIM/cmdline" | grep -q "$VICTIM_ARGUMENT" || grep -lq "$VICTIM_ARGUMENT" /proc/[0-9]*/cmdline`},
		{name: "read another job's environment", fails: inBoth, text: `grep -q victim-secret "/proc/$VICTIM/environ"`},
		{name: "look for environments of other jobs", fails: inBoth, text: `for f in /proc/[0-9]*/environ; do grep -q victim-secret "$f" 2>/dev/null && exit 0; done; exit 1`},
		{name: "read the worker's environment", fails: inBoth, control: likely, text: `grep -q . "/proc/$WORKER/environ"`},
		{name: "read the worker's memory", fails: inBoth, control: likely, text: `test "$(wc -c <"/proc/$WORKER/maps")" -gt 0 && exec 3<"/proc/$WORKER/mem"`},
		{name: "read another job's memory", fails: inBoth, control: likely, text: `test "$(wc -c <"/proc/$VICTIM/maps")" -gt 0 && exec 3<"/proc/$VICTIM/mem"`},
		{name: "list the worker's open files", fails: inBoth, control: likely, text: `for f in /proc/$WORKER/fd/*; do readlink "$f" && exit 0; done; exit 1`},
		{name: "list open files through the thread that started it", fails: inBoth, control: unsafe, text: `for f in /proc/$PPID/task/*/fd/*; do readlink "$f" && exit 0; done; exit 1`},
		{name: "trace the worker", fails: inBoth, control: likely, python: true, text: `if libc.ptrace(0x4206, int(os.environ["WORKER"]), 0, 0): fail()`},
		{name: "trace another job", fails: inBoth, control: likely, python: true, text: `if libc.ptrace(0x4206, int(os.environ["VICTIM"]), 0, 0): fail()`},
		{name: "signal the worker", fails: inBoth, landlock: 6, text: `kill -0 "$WORKER"`},
		{name: "signal another job", fails: inBoth, landlock: 6, text: `kill -0 "$VICTIM"`},
		{name: "signal the thread that started it", fails: inRooms, text: `test "$PPID" -gt 0 && kill -0 "$PPID"`},
		{name: "signal whatever it can", fails: inBoth, control: unsafe, landlock: 6, python: true, text: `
import signal
before = alive()
try: os.kill(-1, 0)
except OSError: pass
if not before: fail()`},
		{name: "make another job slower", fails: inRooms, python: true, text: `os.setpriority(os.PRIO_PROCESS, int(os.environ["VICTIM"]), 1)`},
		{name: "take an open file from another process", fails: inBoth, control: likely, python: true, text: `
fd = os.pidfd_open(int(os.environ["VICTIM"]), 0)
if libc.syscall(438, fd, 1, 0) < 0: fail()`},
		{name: "use files left open by the worker", fails: inAll, control: unsafe, python: true, text: `
for fd in range(3, 4096):
    try: os.fstat(fd)
    except OSError: continue
    print(fd, os.readlink("/proc/self/fd/%d" % fd)); sys.exit(0)
fail()`},
		{name: "outlive the run as a daemon", fails: inAll, control: unsafe, text: `setsid sleep "$MARK" >/dev/null 2>&1 & sleep 0.05`},
		{name: "outlive the run without its environment", fails: inRooms, control: unsafe, text: `(env -i setsid sh -c "setsid sleep $MARK >/dev/null 2>&1 &") & sleep 0.05`},
		{name: "outlive the run in the worker's process group", fails: inAll, control: unsafe, python: true, text: `
if os.fork() == 0:
    try: os.setpgid(0, os.getpgid(int(os.environ["WORKER"])))
    except OSError: pass
    os.execvp("sleep", ["sleep", os.environ["MARK"]])
time.sleep(0.05)`},
	}},
	{groupRights, []attack{
		{name: "gain rights from a setuid program", fails: inBoth, control: likely, text: `test -x "$SETUID" && test "$("$SETUID" -u)" = 0`},
		{name: "make a setuid program and gain from it", fails: inBoth, control: unsafe, text: `cp /usr/bin/id . && chmod 4755 id && grep -q "NoNewPrivs:.0" /proc/self/status`},
		{name: "keep dangerous capabilities", fails: inBoth, control: asRoot, python: true, text: `
kept = sum(1 << n for n in (0, 1, 3, 4, 6, 7, 10))
line = [l for l in open("/proc/self/status") if l.startswith("CapPrm")][0]
if int(line.split()[1], 16) & ~kept == 0: fail()`},
		{name: "mount", fails: inBoth, control: likely, python: true, text: `
os.mkdir("m")
if libc.mount(b"none", b"m", b"tmpfs", 0, None): fail()
libc.umount2(b"m", 2)`},
		{name: "mount in a new user namespace", fails: inBoth, control: likely, python: true, text: `
os.mkdir("m")
if libc.unshare(0x10000000 | 0x00020000) or libc.mount(b"none", b"m", b"tmpfs", 0, None): fail()`},
		{name: "make a user namespace", fails: inRooms, control: likely, python: true, text: `if libc.unshare(0x10000000): fail()`},
		{name: "enter the worker's namespaces", fails: inBoth, control: asRoot, python: true, text: `
if libc.setns(os.open("/proc/%s/ns/uts" % os.environ["WORKER"], os.O_RDONLY), 0): fail()`},
		{name: "change its root", fails: inBoth, control: likely, python: true, text: `
if os.fork() == 0:
    os.chroot("."); os._exit(0)
if os.wait()[1] != 0: fail()`},
		{name: "raise a hard limit", fails: inBoth, control: likely, python: true, text: `
import resource
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard + 1, hard + 1))`},
		{name: "hide from the kernel's hunt for memory", fails: inBoth, control: likely, text: `echo -1000 >/proc/self/oom_score_adj`},
		{name: "load a program into the kernel", fails: inBoth, control: unsafe, python: true, text: `
a = (ctypes.c_ubyte * 128)(1, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0)
if libc.syscall(number(bpf=(321, 280)), 0, a, 128) < 0: fail()`},
		{name: "set the clock", fails: inBoth, control: unsafe, python: true, text: `time.clock_settime(time.CLOCK_REALTIME, time.time())`},
		{name: "rename the machine", fails: inBoth, control: unsafe, python: true, text: `
import socket
socket.sethostname(socket.gethostname())`},
	}},
	{groupNetwork, []attack{
		{name: "network none: reach a TCP port of the machine", fails: inBoth, landlock: 4, python: true, network: true, text: connectTo("AF_INET, socket.SOCK_STREAM", `("127.0.0.1", int(os.environ["TCP"]))`)},
		{name: "network none: send UDP to the machine", fails: inRooms, python: true, network: true, text: `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b"x", ("127.0.0.1", int(os.environ["UDP"]))); s.recv(10)`},
		{name: "network none: look up a route to elsewhere", fails: inRooms, control: likely, python: true, network: true, text: `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("192.0.2.1", 9))`},
		{name: "network none: reach an abstract socket", fails: inBoth, landlock: 6, python: true, network: true, text: connectTo("AF_UNIX, socket.SOCK_STREAM", `"\0" + os.environ["ABSTRACT"]`)},
		{name: "reach an abstract socket", fails: inLandlock, landlock: 6, python: true, text: connectTo("AF_UNIX, socket.SOCK_STREAM", `"\0" + os.environ["ABSTRACT"]`)},
		{name: "reach a socket in the data folder", fails: inRooms, python: true, text: connectTo("AF_UNIX, socket.SOCK_STREAM", `os.environ["SOCKET"]`)},
		{name: "sniff packets", fails: inBoth, control: likely, python: true, text: `
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)`},
	}},
	{groupShared, []attack{
		{name: "read shared memory of another process (System V)", fails: inRooms, python: true, text: `
if libc.shmget(int(os.environ["SYSV"]), 0, 0) < 0: fail()`},
		{name: "read a key of the user's keyring", fails: inRooms, control: likely, python: true, text: `
if libc.syscall(number(keyctl=(250, 219)), 10, -4, b"user", os.environ["KEY"].encode(), 0) < 0: fail()`},
	}},
}

func connectTo(kind, address string) string {
	return "\nimport socket\ns = socket.socket(socket." + kind + "); s.settimeout(5); s.connect(" + address + ")"
}

// pythonPrelude comes before every attack in Python. An exception ends it with another exit code than 0, as fail does.
const pythonPrelude = `
import ctypes, os, platform, stat, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def fail():
    sys.exit("errno %d" % ctypes.get_errno())
def number(**names):
    return list(names.values())[0][0 if platform.machine() == "x86_64" else 1]
def alive():
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (own, 1):
            try:
                os.kill(int(name), 0)
                if os.getpgid(int(name)) != os.getpgid(0): return True
            except OSError: pass
    return False
`
