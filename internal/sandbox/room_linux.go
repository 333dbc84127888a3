package sandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// visit is one program in its room.
type visit struct {
	porter *porter
	line   *net.UnixConn
	files  []*os.File // the program's output, its errors and, if it has one, its cgroup
	order  order
	keeper int // process id of the room's first process; 0: none
	made   *keeper
}

// run is a visit from the order to the last reply. What the room needs of the thread that makes it happens on a thread of
// its own, which stays until the room is gone: the room's first process dies with it. The thread is behind the same walls
// as the program, so all that follows is done by others.
func (v *visit) run() {
	defer v.line.Close()
	defer closeAll(v.files)
	commands := json.NewDecoder(v.line)
	if commands.Decode(&v.order) != nil {
		return // the worker has changed its mind
	}
	type opened struct {
		program *os.Process
		answer  reply
	}
	result, over := make(chan opened, 1), make(chan struct{})
	defer close(over)
	onOwnThread(func() {
		program, answer := v.open()
		result <- opened{program, answer}
		<-over
	})
	room := <-result
	closeAll(v.files) // the program has its output
	if room.program != nil {
		err := v.introduce(room.program) // before it is reaped: it may have ended already
		exited := make(chan *os.ProcessState, 1)
		go func() { // whatever happens, for the keeper can not end before the program is reaped
			state, _ := room.program.Wait()
			exited <- state
		}()
		if err != nil {
			v.kill()
			room.answer.Fault = err.Error()
		} else {
			room.answer = v.attend(room.program.Pid, exited, commands)
		}
	}
	v.close()
	_ = say(v.line, room.answer)
}

// attend waits for the end of the program, which may be asked for. What else is in the room is left to close.
func (v *visit) attend(pid int, exited <-chan *os.ProcessState, commands *json.Decoder) (answer reply) {
	ctx, done := context.WithCancel(context.Background())
	defer done()
	said := make(chan command)
	go func() {
		for {
			c := command{}
			if commands.Decode(&c) != nil {
				c.Kill = true // nobody waits for the program any more
			}
			select {
			case said <- c:
			case <-ctx.Done():
				return
			}
			if c.Kill {
				return
			}
		}
	}()
	var deadline time.Time
	var over <-chan time.Time
	for {
		select {
		case state := <-exited:
			if state == nil {
				return reply{Fault: "the end of the program could not be learned"}
			}
			answer.Status = int(state.Sys().(syscall.WaitStatus))
			if answer.Stopped {
				awaitGroup(pid, deadline)
			}
			return answer
		case c := <-said:
			if len(exited) > 0 {
				continue // it was first
			}
			answer.Stopped = true
			if c.Kill {
				v.kill()
				continue
			}
			_ = syscall.Kill(-pid, syscall.SIGTERM)
			deadline = time.Now().Add(c.Grace)
			over = time.After(c.Grace)
		case <-over:
			v.kill()
		}
	}
}

// awaitGroup gives the rest of a group that was asked to end the rest of its time.
func awaitGroup(pid int, deadline time.Time) {
	for pause := 100 * time.Microsecond; time.Now().Before(deadline) && syscall.Kill(-pid, 0) == nil; pause = min(2*pause, 20*time.Millisecond) {
		time.Sleep(pause)
	}
}

// open makes the room and starts the program. No program: the answer says why not.
func (v *visit) open() (*os.Process, reply) {
	parts, err := v.makeRoom()
	if err != nil {
		return nil, reply{Fault: err.Error()}
	}
	if v.order.Rehearsal {
		return nil, reply{Parts: parts}
	}
	o := v.order
	// No Pdeathsig: a program's parent is out of its sight, which Go takes for dead. The keeper dies with the thread.
	sys := &syscall.SysProcAttr{Setpgid: true}
	if len(v.files) > 2 {
		(&group{folder: v.files[2]}).attach(sys)
	}
	// Program.Limits hold from here on.
	program, err := startLimited(string(o.Path), stringsOf(o.Argv), &os.ProcAttr{
		Dir: string(o.Dir), Env: stringsOf(o.Env), Files: []*os.File{v.porter.null, v.files[0], v.files[1]},
		Sys: sys,
	}, o.Limits)
	if err != nil {
		return nil, refusal(err)
	}
	return program, reply{}
}

func (v *visit) makeRoom() (parts []string, err error) {
	flags := unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC
	if v.order.NoNetwork {
		flags |= unix.CLONE_NEWNET
	}
	if err := unix.Unshare(flags); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	mounted, err := v.startKeeper()
	if err != nil {
		return nil, err
	}
	ownTemp, err := v.porter.root.furnish(&v.order) // meanwhile
	if err := errors.Join(err, mounted()); err != nil {
		return nil, err
	}
	if err := leaveHost(); err != nil {
		return nil, err
	}
	if v.order.NoNetwork {
		if err := raiseLoopback(); err != nil {
			return nil, err
		}
	}
	return v.restrict(ownTemp)
}

// restrict puts the walls on the thread that the program will inherit.
func (v *visit) restrict(ownTemp bool) (parts []string, err error) {
	p := v.porter
	parts = []string{"namespaces"}
	if p.landlock == nil {
		err = dropRights(p.root0)
	} else {
		parts = append(parts, p.landlock.String())
		extra := append(own(seen(v.order.Read), seen(v.order.Write)), allowance{"/proc", accessRead}, allowance{"/dev/shm", accessFull})
		if ownTemp {
			extra = append(extra, allowance{"/tmp", accessFull})
		}
		err = p.landlock.restrict(extra, p.root0, false)
	}
	if err != nil {
		return nil, err
	}
	if p.filter != nil {
		parts = append(parts, "seccomp")
		err = filterThread(p.filter)
	}
	return parts, err
}

// seen lists the names of parts.
func seen(list []path) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = string(p.Seen)
	}
	return out
}

// refusal is a system's refusal to start the program, in a form that can be sent.
func refusal(err error) reply {
	var r reply
	if !errors.As(err, &r.Refused) {
		return reply{Fault: err.Error()}
	}
	r.Step = "start"
	var at *os.PathError
	if errors.As(err, &at) {
		r.Step = at.Op
	}
	return r
}

// introduce tells the worker that the program runs, and who it and the room's first process are.
func (v *visit) introduce(program *os.Process) error {
	var files []*os.File
	defer func() { closeAll(files) }()
	for _, pid := range []int{v.keeper, program.Pid} {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return os.NewSyscallError("pidfd_open", err)
		}
		files = append(files, os.NewFile(uintptr(fd), "process"))
	}
	b, err := json.Marshal(reply{Started: true})
	if err == nil {
		err = sendFiles(v.line, b, files...)
	}
	return err
}

// startKeeper makes the room's first process. mounted waits until that has mounted /proc.
func (v *visit) startKeeper() (mounted func() error, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	v.made = newKeeper(fds[1])
	v.keeper, err = v.made.fork()
	_ = unix.Close(fds[1])
	f := os.NewFile(uintptr(fds[0]), "keeper")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		defer f.Close()
		var fault [8]byte
		if _, err := io.ReadFull(f, fault[:]); err != nil {
			return fmt.Errorf("the room's first process: %w", err)
		}
		if e := int64(binary.NativeEndian.Uint64(fault[:])); e != 0 {
			return fmt.Errorf("the room's /proc: %w", syscall.Errno(-e)) // without an answer it ends
		}
		_, err := f.Write([]byte{1})
		return err
	}, nil
}

// kill ends everything in the room.
func (v *visit) kill() { _ = syscall.Kill(v.keeper, syscall.SIGKILL) }

// close ends everything in the room and waits until it is gone, if need be not for ever: a process in an uninterruptible
// sleep is dead when it wakes.
func (v *visit) close() {
	if v.keeper == 0 {
		return
	}
	v.kill()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer runtime.KeepAlive(v.made)
		for {
			if _, err := syscall.Wait4(v.keeper, nil, 0, nil); !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	}()
	late := time.NewTimer(DrainTime)
	defer late.Stop()
	select {
	case <-gone:
	case <-late.C:
	}
}

// raiseLoopback gives a new network namespace its 127.0.0.1 and ::1.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return os.NewSyscallError("raise lo", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo))
}
