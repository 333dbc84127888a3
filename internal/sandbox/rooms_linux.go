package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// openTime is how long a room may take to be made. It takes milliseconds.
	openTime = 30 * time.Second
	// closeTime is how long a room may take to be gone once all in it has been killed.
	closeTime = DrainTime + 10*time.Second
)

// rooms makes rooms through a porter, which it starts again when it has died or when the parts of the machine that rooms
// show have been replaced by others.
type rooms struct {
	plan      blueprint
	parts     []string // what is in force
	noNetwork error    // why a room can not be without the network; nil: it can

	mu      sync.Mutex
	current *porterProcess
	closed  bool
	all     sync.WaitGroup // porters
}

// porterProcess is a porter as its worker sees it.
type porterProcess struct {
	process *os.Process
	line    *net.UnixConn
	gone    chan struct{} // closed when it has ended

	// These are guarded by rooms.mu.
	looked  time.Time // when its view of the machine was last compared
	view    string
	users   int
	retired bool
}

// newRooms starts a porter and has it make a room, as a rehearsal.
func newRooms(allowed []allowance, landlocked bool) (*rooms, error) {
	if len(abis) == 0 {
		return nil, errors.New("rooms are not known on this kind of machine")
	}
	r := &rooms{plan: blueprint{Landlock: landlocked, Seccomp: true}}
	for _, a := range allowed {
		r.plan.Shown = append(r.plan.Shown, placement{text(a.path), a.access})
	}
	answer, err := r.rehearse(true)
	if err != nil {
		r.noNetwork = err
		answer, err = r.rehearse(false)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	r.parts = answer.Parts
	return r, nil
}

func (r *rooms) rehearse(noNetwork bool) (reply, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return reply{}, err
	}
	defer null.Close()
	v, err := r.visit(order{Rehearsal: true, NoNetwork: noNetwork}, nil, null, null)
	if err != nil {
		return reply{}, err
	}
	v.end()
	return v.first, nil
}

// take gives a porter that lives and shows the machine as it is. give must follow.
func (r *rooms) take() (*porterProcess, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, roomFault("the sandbox is closed")
	}
	if p := r.current; p != nil && !r.usable(p) {
		r.retire(p)
	}
	if r.current == nil {
		p, err := r.startPorter()
		if err != nil {
			return nil, roomFault("%v", err)
		}
		r.current = p
	}
	r.current.users++
	return r.current, nil
}

func (r *rooms) usable(p *porterProcess) bool {
	select {
	case <-p.gone:
		return false
	default:
	}
	if time.Since(p.looked) < refreshAfter {
		return true
	}
	p.looked = time.Now()
	return viewOf(r.plan.Shown) == p.view
}

func (r *rooms) retire(p *porterProcess) {
	p.retired = true
	if r.current == p {
		r.current = nil
	}
	if p.users == 0 {
		_ = p.line.Close() // it ends
	}
}

func (r *rooms) give(p *porterProcess) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.users--
	if p.retired {
		r.retire(p)
	}
}

// viewOf tells the files behind paths. It changes when one is replaced, as resolv.conf is: rooms would go on showing the
// old one.
func viewOf(shown []placement) string {
	var b strings.Builder
	for _, p := range shown {
		var st unix.Stat_t
		if unix.Stat(string(p.Path), &st) == nil {
			fmt.Fprintln(&b, st.Dev, st.Ino)
		} else {
			fmt.Fprintln(&b)
		}
	}
	return b.String()
}

// startPorter starts a porter and tells it the blueprint. It dies with this process.
func (r *rooms) startPorter() (*porterProcess, error) {
	line, other, err := linePair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	p := &porterProcess{line: line, gone: make(chan struct{}), looked: time.Now(), view: viewOf(r.plan.Shown)}
	started := make(chan error, 1)
	r.all.Add(1)
	// The thread lives as long as the porter: the parent-death signal is sent when the thread ends that made the child.
	onOwnThread(func() {
		defer r.all.Done()
		defer close(p.gone)
		var err error
		p.process, err = forkPorter(other)
		started <- err
		if err == nil {
			_, _ = p.process.Wait()
		}
	})
	if err := <-started; err != nil {
		_ = line.Close()
		return nil, fmt.Errorf("start the porter: %w", err)
	}
	if err := p.greet(r.plan); err != nil {
		_ = line.Close()
		_ = p.process.Kill()
		return nil, fmt.Errorf("the porter: %w", err)
	}
	return p, nil
}

func (p *porterProcess) greet(plan blueprint) error {
	if err := say(p.line, plan); err != nil {
		return err
	}
	_ = p.line.SetReadDeadline(time.Now().Add(openTime))
	b := make([]byte, 64<<10)
	n, err := p.line.Read(b)
	if err != nil {
		return err
	}
	var answer reply
	if err := json.Unmarshal(b[:n], &answer); err != nil {
		return err
	}
	if answer.Fault != "" {
		return errors.New(answer.Fault)
	}
	return nil
}

var porterStart sync.Mutex

// forkPorter must be called on a thread that lives as long as the porter.
func forkPorter(line *os.File) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	sys := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true, // the terminal is not for programs
	}
	if os.Geteuid() == 0 {
		sys.UidMappings, sys.GidMappings = sameIDs("/proc/self/uid_map"), sameIDs("/proc/self/gid_map")
		sys.GidMappingsEnableSetgroups = true
	} else {
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SYS_PTRACE,
			unix.CAP_SYS_RESOURCE, unix.CAP_KILL, unix.CAP_SETPCAP}
		// Of a process that is not dumpable only root may set the user ids. Nobody can make use of the moment: programs run
		// in rooms, from where this process is not to be seen.
		porterStart.Lock()
		defer porterStart.Unlock()
		if was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err == nil && was != 1 {
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
			defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(was), 0, 0, 0) }()
		}
	}
	return os.StartProcess("/proc/self/exe", []string{porterName}, &os.ProcAttr{
		Dir: "/", Env: []string{porterVariable + "=1", "GOGC=25"}, Files: []*os.File{null, null, os.Stderr, line}, Sys: sys,
	})
}

// sameIDs maps all ids that this process knows to themselves.
func sameIDs(file string) []syscall.SysProcIDMap {
	text, _ := os.ReadFile(file)
	var list []syscall.SysProcIDMap
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.Atoi(f[0])
		size, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil {
			list = append(list, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: size})
		}
	}
	return list
}

func (r *rooms) close() {
	r.mu.Lock()
	r.closed = true
	if p := r.current; p != nil {
		p.users = 0
		r.retire(p)
	}
	r.mu.Unlock()
	r.all.Wait()
}
