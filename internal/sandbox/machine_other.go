//go:build unix && !linux

package sandbox

// MachineMemory is not known here.
func MachineMemory() int64 { return 0 }
