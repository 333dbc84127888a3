package sandbox

import (
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

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a program that is held back: it tries things and says how that went.
func TestMain(m *testing.M) {
	if name := os.Getenv("SANDBOX_TEST_PROBE"); name != "" {
		probes[name](os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// tell prints "what: ok", or "what: EPERM" and the like.
func tell(what string, err error) {
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Println(what + ": ok")
	case errors.As(err, &errno):
		fmt.Println(what+":", unix.ErrnoName(errno))
	default:
		fmt.Println(what+":", err)
	}
}

func call(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

var probes = map[string]func(args []string){
	"calls": func([]string) {
		tell("mount", unix.Mount("x", "/tmp", "tmpfs", 0, ""))
		tell("remount", unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
		tell("umount", unix.Unmount("/usr", unix.MNT_DETACH))
		tell("unshare user", unix.Unshare(unix.CLONE_NEWUSER))
		tell("unshare mount", unix.Unshare(unix.CLONE_NEWNS))
		unshared := make(chan error)
		onOwnThread(func() { unshared <- unix.Unshare(unix.CLONE_FILES) }) // its files are then not those of the runtime
		tell("unshare files", <-unshared)
		tell("clone3", call(unix.SYS_CLONE3, 0, 0))
		tell("clone user", call(unix.SYS_CLONE, uintptr(unix.CLONE_NEWUSER)|uintptr(syscall.SIGCHLD)))
		tell("setns", unix.Setns(0, 0))
		tell("keyctl", call(unix.SYS_KEYCTL, 0, 0))
		tell("bpf", call(unix.SYS_BPF, 0, 0, 0))
		tell("perf", call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0))
		tell("userfaultfd", call(unix.SYS_USERFAULTFD, 0))
		tell("io_uring", call(unix.SYS_IO_URING_SETUP, 1, 0))
		tell("handle", call(unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0))
		tell("hostname", unix.Sethostname([]byte("owned")))
		_, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
		tell("vsock", err)
		_, err = unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
		tell("alg", err)
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
		tell("netlink", err)
		_ = unix.Close(fd)
		status, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); f[0] == "NoNewPrivs:" || f[0] == "Seccomp:" {
				fmt.Println(f[0], f[1])
			}
		}
	},
	// processes: those in sight, and what can be done to the first.
	"processes": func([]string) {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range dirs {
			name, _ := os.ReadFile(dir + "/cmdline")
			pid, _ := strconv.Atoi(filepath.Base(dir))
			if pid != os.Getpid() {
				fmt.Println("sees", strings.Trim(string(name), "\x00"))
			}
			if pid == os.Getpid() {
				continue
			}
			for _, secret := range []string{"environ", "mem", "maps"} {
				if f, err := os.Open(dir + "/" + secret); err == nil {
					if n, _ := f.Read(make([]byte, 1)); n > 0 {
						fmt.Println("reads", dir, secret)
					}
				}
			}
			for _, link := range []string{"root", "cwd", "exe", "ns/mnt"} {
				if _, err := os.Readlink(dir + "/" + link); err == nil {
					fmt.Println("reads", dir, link)
				}
			}
			if list, _ := os.ReadDir(dir + "/fd"); len(list) > 0 {
				fmt.Println("reads", dir, "fd")
			}
		}
		tell("trace the first", unix.PtraceAttach(1))
		tell("kill the first", syscall.Kill(1, syscall.SIGKILL))
		tell("kill everybody", syscall.Kill(-1, syscall.SIGTERM))
		time.Sleep(20 * time.Millisecond)
		fmt.Println("still here")
	},
	"network": func(args []string) {
		_, err := net.DialTimeout("tcp", args[0], 5*time.Second)
		tell("the host's loopback", err)
		_, err = net.Dial("unix", "@"+args[1])
		tell("the host's abstract socket", err)
		u, err := net.Dial("udp", "192.0.2.1:9")
		if err == nil {
			_, err = u.Write([]byte("x"))
		}
		tell("udp to elsewhere", err)
		for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
			l, err := net.Listen("tcp", address)
			if err == nil {
				_, err = net.Dial("tcp", l.Addr().String())
			}
			tell("own "+address, err)
		}
	},
	// ipc looks for a memory segment of the host's and makes one.
	"ipc": func(args []string) {
		key, _ := strconv.Atoi(args[0])
		tell("the host's segment", call(unix.SYS_SHMGET, uintptr(key), 0, 0))
		tell("a segment of its own", call(unix.SYS_SHMGET, uintptr(key)+1, 4096, unix.IPC_CREAT|0o600))
		tell("/dev/shm", os.WriteFile("/dev/shm/waybill-test-"+args[0], []byte("x"), 0o600))
	},
	// attributes tries what needs no opening.
	"attributes": func(args []string) {
		for _, path := range args {
			_, err := os.Lstat(path)
			tell("stat", err)
			tell("chmod", os.Chmod(path, 0o777))
			tell("chown", os.Chown(path, os.Getuid(), os.Getgid()))
			tell("utime", os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)))
			tell("xattr", unix.Setxattr(path, "user.x", []byte("y"), 0))
			tell("access", unix.Access(path, unix.F_OK))
			tell("chdir", os.Chdir(path))
		}
	},
	// files writes to the paths and lists the folders.
	"files": func(args []string) {
		for _, path := range args {
			info, err := os.Stat(path)
			if err == nil && info.IsDir() {
				list, err := os.ReadDir(path)
				tell("list "+path, err)
				for _, e := range list {
					fmt.Println("has", e.Name())
				}
				path += "/written"
			}
			tell("write "+path, os.WriteFile(path, []byte("x"), 0o600))
		}
	},
	"hold": func(args []string) { // until a file is there
		_ = exec.Command("/proc/self/exe").Start() // a helper that holds too
		fmt.Println("ready")
		for {
			if _, err := os.Stat(args[0]); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	},
}

// probe starts the test binary as a held-back program.
func probe(t testing.TB, s *Sandbox, c Program, name string, args ...string) (*Process, func() string) {
	t.Helper()
	exe := c.Path
	if exe == "" {
		exe = executable(t)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	text := make(chan string, 1)
	go func() {
		defer r.Close()
		b := make([]byte, 64<<10)
		n := 0
		for {
			m, err := r.Read(b[n:])
			if n += m; err != nil || n == len(b) {
				text <- string(b[:n])
				return
			}
		}
	}()
	c.Path, c.Argv, c.Output = exe, append([]string{exe}, args...), w
	c.Env, c.Read = append(c.Env, "SANDBOX_TEST_PROBE="+name, "GOCOVERDIR="+os.TempDir()), append(c.Read, exe)
	if c.Dir == "" {
		c.Dir = "/usr"
	}
	p, err := s.Start(c)
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return p, func() string { return <-text }
}

func executable(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// tried runs a probe to its end and gives what it says.
func tried(t testing.TB, s *Sandbox, c Program, name string, args ...string) string {
	t.Helper()
	p, text := probe(t, s, c, name, args...)
	if e, err := p.Wait(t.Context(), 0); err != nil || e.ExitCode != 0 {
		t.Fatalf("%+v %v\n%s", e, err, text())
	}
	return text()
}

// segment makes a System V memory segment of the host's and gives its key.
func segment(t testing.TB) string {
	t.Helper()
	key := os.Getpid()<<8 | 1
	id, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		t.Skip("no System V IPC here: ", err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	return strconv.Itoa(key)
}
