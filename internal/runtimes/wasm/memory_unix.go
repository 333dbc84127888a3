//go:build unix

package wasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// withMemory has a module's memory grow in place: address space for all of it is reserved at the start. Grown by copying,
// it would for a moment be there twice, and a job be over its limit that is not.
func withMemory(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		all, err := unix.Mmap(-1, 0, int(max(most, 1)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			panic(noMemory{fmt.Errorf("no address space for %d bytes of memory: %w", most, err)}) // see instantiate
		}
		return &mapped{all: all}
	}))
}

// mapped is reserved address space, the first part of which can be used.
type mapped struct {
	all  []byte
	used uint64
}

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if size > m.used {
		page := uint64(unix.Getpagesize())
		if unix.Mprotect(m.all[:(size+page-1)/page*page], unix.PROT_READ|unix.PROT_WRITE) != nil {
			return nil
		}
		m.used = size
	}
	return m.all[:size:len(m.all)]
}

func (m *mapped) Free() {
	_ = unix.Munmap(m.all) // at the end of the process anyway
	m.all = nil
}
