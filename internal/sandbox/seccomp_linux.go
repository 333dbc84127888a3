package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system call filter refuses what no job needs and where the kernel has had most of its holes. It is a second wall:
// what it refuses would mostly fail anyway for want of capabilities.

// namespaceFlags are those that unshare(2) and clone(2) may not be called with. CLONE_NEWTIME is not among them: for
// clone(2) its bit belongs to the exit signal.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// abi is a set of system call numbers, as one kind of program knows them.
type abi struct {
	arch    uint32   // AUDIT_ARCH_*
	refused []uint32 // EPERM
	absent  []uint32 // ENOSYS: clone3(2), whose flags can not be looked at, so that callers turn to clone(2)
	unshare uint32
	clone   uint32
	socket  uint32
	sockets uint32 // socketcall(2), whose first argument 1 is socket; 0: none
	// shmget and semget may not ask for more than segmentBytes and setCount: what lies in them is memory that no process
	// has, so no watcher sees it. 0: both are among the absent.
	shmget uint32
	semget uint32
	// most is the first number that is none, as x32 has them beside those of x86-64; 0: no such thing.
	most uint32
}

// families are the address families of sockets. Others reach the machine or its host past the network namespace
// (AF_VSOCK), or are odd corners of the kernel (AF_ALG).
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

const (
	offsetNumber = 0  // of struct seccomp_data
	offsetArch   = 4  //
	offsetArg0   = 16 // the lower half of the first argument, on little-endian machines
	offsetArg1   = 24 // the lower half of the second
)

// Of System V IPC, programs get what they need to talk to each other by, which is little: the kernel allows 4,096 segments
// and 32,000 sets in a namespace.
const (
	segmentBytes = 64 << 10
	setCount     = 64
)

// program is the filter for this machine, or nil where none is known.
func filterProgram() []unix.SockFilter {
	if len(abis) == 0 {
		return nil
	}
	prog := []unix.SockFilter{load(offsetArch)}
	for _, a := range abis {
		part := a.filter()
		// Programs of another kind jump over this part, further than a conditional jump reaches.
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: a.arch, Jt: 1},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(part))})
		prog = append(prog, part...)
	}
	return append(prog, give(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS))) // of a kind that is not known
}

// filter is the part for one kind of programs. It always ends in a verdict.
func (a abi) filter() []unix.SockFilter {
	refuse := give(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	absent := give(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	prog := []unix.SockFilter{load(offsetNumber)}
	if a.most > 0 {
		prog = append(prog, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: a.most, Jf: 1}, absent)
	}
	for _, n := range a.refused {
		prog = append(prog, unless(n, 1), refuse)
	}
	for _, n := range a.absent {
		prog = append(prog, unless(n, 1), absent)
	}
	for _, n := range []uint32{a.unshare, a.clone} {
		prog = append(prog, unless(n, 4), load(offsetArg0),
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: namespaceFlags, Jf: 1}, refuse,
			give(unix.SECCOMP_RET_ALLOW))
	}
	list := []unix.SockFilter{load(offsetArg0)}
	for i, f := range families {
		list = append(list, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: f, Jt: uint8(len(families) - i)})
	}
	list = append(list, give(unix.SECCOMP_RET_ERRNO|uint32(unix.EAFNOSUPPORT)), give(unix.SECCOMP_RET_ALLOW))
	prog = append(append(prog, unless(a.socket, uint8(len(list)))), list...)
	for _, c := range []struct{ number, most uint32 }{{a.shmget, segmentBytes}, {a.semget, setCount}} {
		if c.number == 0 {
			continue
		}
		prog = append(prog, unless(c.number, 6), load(offsetArg1+4), // the upper half
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 2}, load(offsetArg1),
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: c.most, Jf: 1},
			refuse, give(unix.SECCOMP_RET_ALLOW))
	}
	if a.sockets > 0 {
		prog = append(prog, unless(a.sockets, 3), load(offsetArg0), unless(1, 1), absent)
	}
	return append(prog, give(unix.SECCOMP_RET_ALLOW))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func give(verdict uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: verdict}
}

// unless jumps over the next n instructions unless the loaded word is k.
func unless(k uint32, n uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: n}
}

// filterThread puts the filter on the calling thread, which must have no_new_privs.
func filterThread(program []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// refusedNumbers are those that all architectures of this package have by the same name.
var refusedNumbers = []uint32{
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_TREE_ATTR, unix.SYS_SETNS,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_ACCT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG,
	unix.SYS_FANOTIFY_INIT, unix.SYS_VHANGUP,
}
