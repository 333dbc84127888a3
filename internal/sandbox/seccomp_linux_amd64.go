package sandbox

import "golang.org/x/sys/unix"

// abis are those of 64-bit programs and of 32-bit ones, which the same kernel runs. x32 is none.
var abis = []abi{
	{
		arch: unix.AUDIT_ARCH_X86_64, refused: append([]uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_LOOKUP_DCOOKIE}, refusedNumbers...),
		absent: []uint32{unix.SYS_CLONE3}, unshare: unix.SYS_UNSHARE, clone: unix.SYS_CLONE, socket: unix.SYS_SOCKET, most: 0x40000000,
		shmget: unix.SYS_SHMGET, semget: unix.SYS_SEMGET,
	},
	{
		arch: unix.AUDIT_ARCH_I386, refused: refusedI386, absent: []uint32{435, 117, 393, 395}, // clone3, ipc, semget, shmget
		unshare: 310, clone: 120, socket: 359, sockets: 102,
	},
}

// refusedI386 are the same calls by the numbers of arch/x86/entry/syscalls/syscall_32.tbl of the kernel.
var refusedI386 = []uint32{
	21, 22, 52, 217, 429, 428, 430, 431, 432, 433, 442, 467, 346, // mount, umount, umount2, pivot_root, move_mount ... setns
	288, 286, 287, 357, 336, 374, 283, 128, 350, 129, 342, // keyctl, add_key, request_key, bpf, perf, userfaultfd, kexec, modules, handles
	425, 426, 427, 51, 87, 115, 88, 131, 443, 79, 264, 404, 74, 121, 103, 338, 111, // io_uring, acct, swap, reboot, quotactl, clocks, names, syslog, fanotify, vhangup
	25, 110, 101, 253, // stime, iopl, ioperm, lookup_dcookie
}
