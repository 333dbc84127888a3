package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MachineMemory is how much memory this process could use: the machine's, or that of the container it runs in. 0: unknown.
func MachineMemory() int64 {
	var info unix.Sysinfo_t
	var memory int64
	if unix.Sysinfo(&info) == nil {
		memory = int64(uint64(info.Totalram) * uint64(info.Unit))
	}
	for _, file := range memoryLimitFiles() {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// "max" is no number, and version 1 says "none" by one that no machine has.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && (memory == 0 || n < memory) {
			memory = n
		}
	}
	return memory
}

// memoryLimitFiles is where a limit on this process may stand: in its cgroup, or at the top of what a container sees.
func memoryLimitFiles() []string {
	const top = "/sys/fs/cgroup"
	files := []string{top + "/memory.max", top + "/memory/memory.limit_in_bytes"}
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.SplitSeq(string(text), "\n") {
		f := strings.SplitN(line, ":", 3)
		switch {
		case len(f) != 3:
		case f[1] == "":
			for dir := f[2]; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
				files = append(files, filepath.Join(top, dir, "memory.max"))
			}
		case f[1] == "memory":
			files = append(files, filepath.Join(top, "memory", f[2], "memory.limit_in_bytes"))
		}
	}
	return files
}
