package main

import (
	"os"
	"runtime/debug"
)

// The embedded engine allocates much and keeps little. With Go's default the collector takes a fifth of the CPU under
// load; these settings trade memory for it, up to a soft limit (docs/performance.md has the figures).
const (
	gcPercent   = 400
	memoryLimit = 1 << 30 // bytes
)

// relaxGC sets the collector for a process that holds the engine, unless GOGC or GOMEMLIMIT say otherwise.
func relaxGC() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}
