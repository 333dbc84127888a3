package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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
	v, err := r.visit(order{Rehearsal: true, NoNetwork: noNetwork}, null)
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

// roomVisit is a program in a room as its worker sees it.
type roomVisit struct {
	rooms   *rooms
	porter  *porterProcess
	line    *net.UnixConn
	replies *json.Decoder
	first   reply
	files   []*os.File // of the room's first process and of the program
	ended   sync.Once
}

// start starts a program in a room of its own.
func (r *rooms) start(c Program) (*roomVisit, error) {
	o := order{
		Path: text(c.Path), Argv: texts(c.Argv), Env: texts(c.Env), Dir: text(c.Dir), NoNetwork: c.NoNetwork, Limits: c.Limits,
		Read: pathsOf(c.Read), Write: pathsOf(c.Write),
	}
	if c.Temp != "" {
		o.Temp = &pathsOf([]string{c.Temp})[0]
	}
	v, err := r.visit(o, c.Output)
	if err != nil {
		return nil, err
	}
	if v.first.Refused != 0 {
		v.end()
		return nil, &os.PathError{Op: v.first.Step, Path: c.Path, Err: v.first.Refused}
	}
	return v, nil
}

func pathsOf(list []string) []path {
	out := make([]path, len(list))
	for i, p := range list {
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			real = p // its absence is told when it is to be shown
		}
		out[i] = path{Real: text(real), Seen: text(p)}
	}
	return out
}

// visit sends an order and waits for the first reply. A porter that was found dead is replaced once.
func (r *rooms) visit(o order, output *os.File) (*roomVisit, error) {
	for try := 1; ; try++ {
		p, err := r.take()
		if err != nil {
			return nil, err
		}
		v := &roomVisit{rooms: r, porter: p}
		reached, err := v.begin(o, output)
		if err == nil {
			return v, nil
		}
		v.end()
		if !reached {
			r.mu.Lock()
			r.retire(p)
			r.mu.Unlock()
			if try == 1 {
				continue
			}
		}
		return nil, err
	}
}

// begin tells whether the porter has got the order.
func (v *roomVisit) begin(o order, output *os.File) (reached bool, err error) {
	line, other, err := linePair(unix.SOCK_STREAM)
	if err != nil {
		return true, err
	}
	v.line = line
	err = sendFiles(v.porter.line, []byte{1}, other, output)
	_ = other.Close()
	if err != nil {
		return false, roomFault("the porter does not answer: %v", err)
	}
	_ = line.SetDeadline(time.Now().Add(openTime))
	if err := say(line, o); err != nil {
		return true, roomFault("the porter does not listen: %v", err)
	}
	b := make([]byte, 64<<10)
	n, files, err := receiveFiles(line, b)
	v.files = files
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return true, roomFault("the porter does not answer: %v", err)
	}
	v.replies = json.NewDecoder(io.MultiReader(bytes.NewReader(b[:n]), line))
	if err := v.replies.Decode(&v.first); err != nil {
		return true, roomFault("the porter's answer can not be read: %v", err)
	}
	if v.first.Fault != "" {
		return true, roomFault("%s", v.first.Fault)
	}
	return true, line.SetDeadline(time.Time{})
}

// end lets go of the room, which ends what is in it.
func (v *roomVisit) end() {
	v.ended.Do(func() {
		if v.line != nil {
			_ = v.line.Close()
		}
		closeAll(v.files)
		v.rooms.give(v.porter)
	})
}

// wait is Process.Wait.
func (v *roomVisit) wait(ctx context.Context, grace time.Duration) (Ending, error) {
	defer v.end()
	type last struct {
		reply reply
		err   error
	}
	came := make(chan last, 1)
	go func() {
		var l last
		l.err = v.replies.Decode(&l.reply)
		came <- l
	}()
	var l last
	select {
	case l = <-came:
	case <-ctx.Done():
		c := command{Grace: grace}
		if errors.Is(context.Cause(ctx), ErrKill) {
			c = command{Kill: true}
		}
		_ = say(v.line, c) // a porter that is gone shows in the reply
		_ = v.line.SetReadDeadline(time.Now().Add(c.Grace + closeTime))
		l = <-came
	}
	switch {
	case errors.Is(l.err, os.ErrDeadlineExceeded):
		_ = v.porter.process.Kill() // and with it everything in its rooms
		return Ending{}, roomFault("it does not end")
	case l.err != nil:
		return Ending{}, roomFault("it broke while the program ran (%v)", l.err)
	case l.reply.Fault != "":
		return Ending{}, roomFault("%s", l.reply.Fault)
	}
	e := endingOfStatus(syscall.WaitStatus(l.reply.Status))
	e.Stopped = l.reply.Stopped && ctx.Err() != nil // kill stops it too
	return e, nil
}

// kill ends the program at once, with everything in its room. It may be called while somebody waits.
func (v *roomVisit) kill() { _ = say(v.line, command{Kill: true}) }

// pids are process ids as this process sees them: of the room's first process, whose children are the orphans of the room,
// and of the program. What has been reaped is -1.
func (v *roomVisit) pids() (keeper, leader int) {
	if len(v.files) < 2 {
		return -1, -1
	}
	return pidBehind(v.files[0]), pidBehind(v.files[1])
}

// pidBehind reads whose descriptor this is: -1 when the process has been reaped.
func pidBehind(f *os.File) int {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1
	}
	pid := -1
	_ = raw.Control(func(fd uintptr) {
		info, _ := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(fd)))
		for line := range strings.Lines(string(info)) {
			if value, found := strings.CutPrefix(line, "Pid:"); found {
				pid, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
	})
	return pid
}
