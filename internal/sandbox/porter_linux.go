package sandbox

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// The porter is this program once more, started by a worker as a helper in namespaces of its own, where it may mount. It
// makes a room for each program: a process namespace with a first process (keeper), a mount namespace, and so on. Forking
// from a helper with little memory is cheap, and no program ever sees the worker's threads.

const (
	porterName = "waybill-porter"
	// porterVariable tells a porter from a program that happens to be called by its name.
	porterVariable = "WAYBILL_PORTER"
	porterLine     = 3 // the file it is spoken to by
)

// A porter never becomes what the program is else. Being in init, no program that links this package can forget it, and
// packages that are initialized later cost it neither time nor memory.
func init() {
	if len(os.Args) == 1 && os.Args[0] == porterName && os.Getenv(porterVariable) != "" {
		os.Exit(beThePorter())
	}
}

type porter struct {
	plan     blueprint
	root     *root
	landlock *landlocked
	filter   []unix.SockFilter
	null     *os.File
	root0    bool // it has the rights of root in its namespace, and so may its programs
}

func beThePorter() int {
	line, err := lineOf(os.NewFile(porterLine, "worker"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "porter:", err)
		return 1
	}
	p := &porter{}
	err = p.setUp(line)
	answer := reply{}
	if err != nil {
		answer.Fault = err.Error()
	}
	if say(line, answer) != nil || err != nil {
		return 1
	}
	debug.FreeOSMemory()
	p.serve(line)
	return 0
}

func (p *porter) setUp(line *net.UnixConn) error {
	// A service manager may signal all processes of the service at once; the porter ends when its worker lets go of it.
	// Signals that are caught, unlike ignored ones, are back to normal in programs.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	message := make([]byte, 1<<20)
	n, err := line.Read(message)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(message[:n], &p.plan); err != nil {
		return err
	}
	if p.root, err = makeRoot(p.plan.Shown); err != nil {
		return err
	}
	// The kernel's own word against namespaces inside the namespace; the system call filter has one too.
	_ = os.WriteFile(hostDir+"/proc/sys/user/max_user_namespaces", []byte("0"), 0)
	if p.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return err
	}
	p.root0 = os.Geteuid() == 0
	if p.plan.Seccomp {
		p.filter = filterProgram()
	}
	if p.plan.Landlock {
		p.landlock = &landlocked{}
		p.landlock.allowed = allowancesOf(p.plan.Shown)
		if err := p.landlock.learn(); err != nil {
			return err
		}
		p.landlock.frozen = true
		p.landlock.free(p.landlock.acquire())
	}
	return nil
}

func allowancesOf(list []placement) []allowance {
	var out []allowance
	for _, p := range list {
		if path := string(p.Path); !within(path, "/proc") {
			out = append(out, allowance{path, p.Access})
		}
	}
	return out
}

// serve makes rooms until the worker lets go of the line. Then the porter ends, and with it, as the first process of its
// namespace, every room.
func (p *porter) serve(line *net.UnixConn) {
	var b [1]byte
	for {
		n, files, err := receiveFiles(line, b[:])
		if err != nil || n == 0 {
			return
		}
		if len(files) < 3 {
			closeAll(files)
			continue
		}
		own, err := lineOf(files[0])
		if err != nil {
			closeAll(files)
			continue
		}
		v := &visit{porter: p, line: own, files: files[1:]}
		go v.run()
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
