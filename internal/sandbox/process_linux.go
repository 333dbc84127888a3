package sandbox

import (
	"errors"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a leader that runs, in a process group of its own.
type process struct {
	os       *os.Process
	pid      int
	exited   chan struct{} // closed when the leader has ended, though not reaped yet
	deadline time.Time     // of the grace after SIGTERM; zero: none
	release  func()
}

// start runs the command with its output to w. The leader is made by a thread of its own that lives until the leader has
// ended, for two reasons: the sandbox is put on the thread and inherited, and Linux sends the parent-death signal when
// the *thread* that made the child ends. The thread is never given back: it ends with its goroutine.
func (s *Sandbox) start(c Program) (*process, error) {
	type started struct {
		p   *process
		err error
	}
	result := make(chan started, 1)
	onOwnThread(func() {
		var p *process
		var err error
		if s.landlock.enforced() {
			err = s.landlock.restrict(own(c.Read, c.Write), true, c.NoNetwork)
		}
		if err == nil {
			p, err = s.fork(c)
		}
		result <- started{p, err}
		if err == nil {
			awaitExit(p.pid)
			close(p.exited)
		}
	})
	got := <-result
	return got.p, got.err
}

// onOwnThread runs f in a goroutine with a thread that nobody else gets, before or after. The process's first thread is
// never used: the sandbox would stay on it for ever, and it stands for the whole process in /proc.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		done := make(chan struct{})
		go func() { // this thread is held until the other goroutine has found another one
			runtime.LockOSThread()
			close(done)
			f()
		}()
		<-done
		runtime.UnlockOSThread()
	}()
}

func (s *Sandbox) fork(c Program) (*process, error) {
	s.mu.Lock() // the leader must be known before anybody looks for strays
	defer s.mu.Unlock()
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.group.attach(sys)
	p, err := startLimited(c.Path, c.Argv, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []*os.File{s.null, c.Output, c.errors()}, Sys: sys,
	}, c.Limits)
	if err != nil {
		return nil, err
	}
	s.active[p.Pid] = true
	return &process{os: p, pid: p.Pid, exited: make(chan struct{}), release: sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.active, p.Pid)
	})}, nil
}

// awaitExit returns when the process has ended, leaving it to be reaped: until then nobody else can get its number.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// signal sends to the whole group. It may be called until reap.
func (p *process) signal(s syscall.Signal) {
	_ = syscall.Kill(-p.pid, s)
	if s == syscall.SIGKILL {
		_ = syscall.Kill(p.pid, s) // the leader may have joined another group
	}
}

func (p *process) reap() (*os.ProcessState, error) { return p.os.Wait() }

// endGroup waits for the rest of the group, which has been orphaned and adopted by this process (becomeReaper), and kills
// it when the grace is over. While a member is alive nobody else can get the group's number.
func (p *process) endGroup() {
	defer p.release()
	giveUp := time.Now().Add(DrainTime)
	if p.deadline.After(time.Now()) {
		giveUp = p.deadline.Add(DrainTime)
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		pid, err := syscall.Wait4(-p.pid, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || pid > 0:
			continue
		case err != nil: // ECHILD: nobody is left
			return
		}
		if !p.deadline.After(time.Now()) {
			_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		}
		if time.Now().After(giveUp) {
			return // in an uninterruptible sleep; it is dead when it wakes
		}
		time.Sleep(pause)
	}
}

// keepFiles keeps the files that whoever started this process left open in it from the programs it starts. Those it opens
// itself are kept already.
func keepFiles() error {
	return os.NewSyscallError("close_range", unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC))
}

// becomeReaper makes this process adopt orphaned descendants, so that they can be found and reaped. Without it they would
// go to init, or pile up as zombies where there is none, as in containers.
func becomeReaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }
