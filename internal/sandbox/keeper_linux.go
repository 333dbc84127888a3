package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// keeper is what the first process of a room is made with. The assembly knows the places of its members.
type keeper struct {
	line   int64 // its end of a socket pair
	proc   *byte // "proc"
	target *byte // "/proc"
	// ignore is SIG_IGN as struct sigaction.
	ignore [4]uint64
	_      int64 // fault: minus the error number of what failed; told on the line
	_      int64 // answer
}

// fork makes the first process of the calling thread's new process namespace. It mounts /proc, which only a process
// inside can do, tells on its line how that went, waits for a byte, and then does nothing for ever but leave orphans to
// the kernel: a child's end is ignored, so none becomes a zombie. When it dies, by the porter or with the calling thread, the
// kernel kills everything in the room with it.
//
// It shares the porter's memory, so that nothing is copied, neither now nor when the porter writes. It is no thread of the Go
// runtime's though: it runs on registers alone, with all signals blocked, and of the memory it touches only k, which must
// stay reachable while it lives.
func (k *keeper) fork() (pid int, err error) {
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, os.NewSyscallError("sigprocmask", err)
	}
	pid = cloneKeeper(k)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return pid, os.NewSyscallError("sigprocmask", err)
	}
	if pid < 0 {
		return 0, os.NewSyscallError("clone", syscall.Errno(-pid))
	}
	return pid, nil
}

// newKeeper gives one whose end of the line is line.
func newKeeper(line int) *keeper {
	return &keeper{line: int64(line), proc: &[]byte("proc\x00")[0], target: &[]byte("/proc\x00")[0], ignore: [4]uint64{1}}
}
