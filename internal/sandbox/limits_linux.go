package sandbox

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// startLimited is os.StartProcess with limits that hold from the program's first instruction on. The Go runtime sets no
// limits between fork and exec, and those of this process are not to change. So the child asks to be traced, which stops
// it when it has become the program and before that has run; it gets its limits and is let go.
//
// It must be called on a locked thread: the one that made the child is its tracer. A system call filter that is on the
// thread already must allow ptrace(2) and prlimit(2). Where tracing is forbidden, the limits come some microseconds late.
func startLimited(path string, argv []string, attr *os.ProcAttr, l Limits) (*os.Process, error) {
	traced := *attr
	sys := syscall.SysProcAttr{}
	if attr.Sys != nil {
		sys = *attr.Sys
	}
	sys.Ptrace = true
	traced.Sys = &sys
	p, err := os.StartProcess(path, argv, &traced)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		if p, err = os.StartProcess(path, argv, attr); err != nil {
			return nil, err
		}
		return p, killUnless(p, setLimits(p.Pid, l))
	}
	if err != nil {
		return nil, err
	}
	if !awaitStop(p.Pid) {
		return p, nil // something killed it; whoever waits for it learns how
	}
	err = setLimits(p.Pid, l)
	return p, killUnless(p, errors.Join(err, syscall.PtraceDetach(p.Pid)))
}

// killUnless ends a program that would run without its limits.
func killUnless(p *os.Process, err error) error {
	if err == nil || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	_ = p.Kill()
	_, _ = p.Wait()
	return os.NewSyscallError("limit the program", err)
}

const cldTrapped = 4 // CLD_TRAPPED, see sigaction(2)

// awaitStop waits until the child has stopped at its exec. It tells whether it did; nothing is reaped.
func awaitStop(pid int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && info.Code == cldTrapped
	}
}

// setLimits gives a process its limits. They can be lowered by it, never raised.
func setLimits(pid int, l Limits) error {
	set := func(resource int, n int64) error {
		if n <= 0 {
			return nil
		}
		return limit(pid, resource, uint64(n))
	}
	errs := []error{
		limit(pid, unix.RLIMIT_CORE, 0), // a core file would hold the job's secrets
		set(unix.RLIMIT_DATA, dataLimit(l.Memory)),
		set(unix.RLIMIT_NOFILE, int64(l.OpenFiles)),
		set(unix.RLIMIT_FSIZE, l.FileSize),
	}
	return errors.Join(errs...)
}

// dataLimit is what one process may map privately and writably to hold all to a sum of memory. Much of that is never
// touched, a thread's stack for example, so it is larger: it stops a single allocation that is out of all proportion, and
// bounds what can be had before the watcher looks.
func dataLimit(memory int64) int64 {
	if memory <= 0 {
		return 0
	}
	return 2*memory + 1<<30
}

func limit(pid, resource int, n uint64) error {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
		return err
	}
	n = min(n, old.Max) // raising needs a privilege
	return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil)
}
