package sandbox

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// Limits bounds a program with everything it starts. Zero members set no limit.
//
// What one process has is held by the kernel from its first instruction on (setrlimit(2)). What all of them have together
// is held by a cgroup where the system gives one (Linux cgroup v2, delegated to this process); elsewhere a watcher looks a
// few times a second and ends a program that has too much. It can be outrun for a moment: until it looks, a program may
// have more.
type Limits struct {
	Memory    int64   `json:"memory,omitempty"`    // bytes, of all processes together
	CPUs      float64 `json:"cpus,omitempty"`      // of all processes together; cgroups only
	Processes int     `json:"processes,omitempty"` // all at once; threads count
	OpenFiles int     `json:"openFiles,omitempty"` // of one process
	FileSize  int64   `json:"fileSize,omitempty"`  // bytes of one file
	Disk      int64   `json:"disk,omitempty"`      // bytes in the folders of Program.Write together
}

// The words of Ending.Limit.
const (
	LimitMemory    = "memory"
	LimitProcesses = "processes"
	LimitFileSize  = "file size"
	LimitDisk      = "disk"
)

// String lists the limits in one line.
func (l Limits) String() string {
	var parts []string
	add := func(set bool, name, value string) {
		if set {
			parts = append(parts, name+" "+value)
		}
	}
	add(l.Memory > 0, "memory", Bytes(l.Memory))
	add(l.CPUs > 0, "cpus", strconv.FormatFloat(l.CPUs, 'g', -1, 64))
	add(l.Processes > 0, "processes", strconv.Itoa(l.Processes))
	add(l.OpenFiles > 0, "open files", strconv.Itoa(l.OpenFiles))
	add(l.FileSize > 0 && l.FileSize != l.Disk, "file size", Bytes(l.FileSize))
	add(l.Disk > 0, "disk", Bytes(l.Disk))
	return strings.Join(parts, ", ")
}

// Within caps l by max: of two limits the tighter holds.
func (l Limits) Within(max Limits) Limits {
	return Limits{
		Memory: tighter(l.Memory, max.Memory), CPUs: tighter(l.CPUs, max.CPUs), Processes: tighter(l.Processes, max.Processes),
		OpenFiles: tighter(l.OpenFiles, max.OpenFiles), FileSize: tighter(l.FileSize, max.FileSize), Disk: tighter(l.Disk, max.Disk),
	}
}

func tighter[T int | int64 | float64](a, b T) T {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Bytes writes a size for people, in the largest unit that says it exactly enough.
func Bytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		switch {
		case n >= u.size && n%u.size == 0:
			return strconv.FormatInt(n/u.size, 10) + " " + u.name
		case n >= 10*u.size:
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// excess is a limit that was gone over.
type excess struct{ limit, text string }

func (l Limits) overMemory() *excess {
	return &excess{LimitMemory, "it used more than its limit of " + Bytes(l.Memory) + " of memory"}
}

func (l Limits) overProcesses() *excess {
	return &excess{LimitProcesses, fmt.Sprintf("it had more than its limit of %d processes and threads", l.Processes)}
}

func (l Limits) overDisk() *excess {
	return &excess{LimitDisk, "it used more than its limit of " + Bytes(l.Disk) + " of disk space"}
}

func (l Limits) overFileSize() *excess {
	return &excess{LimitFileSize, "a file grew over its limit of " + Bytes(l.FileSize)}
}

// fileSizeCode is what a shell makes of a program that went over RLIMIT_FSIZE.
const fileSizeCode = 128 + int(syscall.SIGXFSZ)

// note enters into an ending which limit brought it about.
func (l Limits) note(e *Ending, found *excess) {
	if e.ExitCode == 0 {
		return // it was over before it could be ended
	}
	if l.FileSize > 0 && e.ExitCode == fileSizeCode {
		found = l.overFileSize()
	}
	if found != nil {
		e.Limit, e.LimitText = found.limit, found.text
	}
}
