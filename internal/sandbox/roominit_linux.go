package sandbox

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These prepare the Go runtime for a fork that is not followed by an exec. They are kept for such users (go.dev/issue/67401).

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// keeper is what the first process of a room is made with. All of it is allocated before the fork.
type keeper struct {
	line   int32 // its end of a socket pair
	proc   *byte // "proc"
	target *byte // "/proc"
	ignore [32]byte
	fault  int32
	answer byte
}

const procFlags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// fork makes the first process of the thread's new process namespace, a copy of this one that never returns. It mounts
// /proc, which only a process inside can do, tells on its line how that went, and then does nothing for ever but leave
// orphans to the kernel: a child's end is ignored, so none becomes a zombie. When it dies, by the porter or with the
// calling thread, the kernel kills everything in the room with it. Signals from inside do not reach it.
//
// As in syscall.forkAndExecInChild nothing here may allocate or grow the stack, since no other thread exists in the copy.
//
//go:noinline
//go:norace
//go:nocheckptr
func (k *keeper) fork() (pid int, failed syscall.Errno) {
	var r uintptr
	var errno syscall.Errno
	beforeFork()
	r, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || r != 0 {
		afterFork()
		return int(r), errno
	}
	afterForkInChild()
	// Files are copies too: held here, another run's output would never end.
	_, _, errno = syscall.RawSyscall(unix.SYS_DUP3, uintptr(k.line), 0, 0)
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 1, uintptr(^uint32(0)), 0)
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0, 0)
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(syscall.SIGCHLD), uintptr(unsafe.Pointer(&k.ignore)), 0, 8, 0, 0)
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall6(unix.SYS_MOUNT, uintptr(unsafe.Pointer(k.proc)), uintptr(unsafe.Pointer(k.target)),
			uintptr(unsafe.Pointer(k.proc)), procFlags, 0, 0)
	}
	k.fault = int32(errno)
	_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, 0, uintptr(unsafe.Pointer(&k.fault)), 4)
	// The parent may have died before the death signal was asked for: then there is no answer.
	r, _, errno = syscall.RawSyscall(unix.SYS_READ, 0, uintptr(unsafe.Pointer(&k.answer)), 1)
	if k.fault != 0 || errno != 0 || r != 1 {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
	_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, 0, 0, 0)
	for {
		_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// newKeeper gives one whose end of the line is line.
func newKeeper(line int) *keeper {
	k := &keeper{line: int32(line), proc: &[]byte("proc\x00")[0], target: &[]byte("/proc\x00")[0]}
	k.ignore[0] = 1 // SIG_IGN, the first word of struct sigaction
	return k
}
