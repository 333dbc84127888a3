package sandbox

import "golang.org/x/sys/unix"

// abis is that of 64-bit programs. 32-bit ones, which few such machines can run, are refused.
var abis = []abi{{
	arch: unix.AUDIT_ARCH_AARCH64, refused: refusedNumbers, absent: []uint32{unix.SYS_CLONE3},
	unshare: unix.SYS_UNSHARE, clone: unix.SYS_CLONE, socket: unix.SYS_SOCKET,
	shmget: unix.SYS_SHMGET, semget: unix.SYS_SEMGET,
}}
