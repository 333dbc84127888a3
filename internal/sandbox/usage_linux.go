package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// usage is what the processes of a run have.
type usage struct {
	tasks  int   // processes and threads
	memory int64 // bytes
}

// members lists the processes of the run: the leader, its descendants, and those that were adopted by this process and bear
// the run's mark, or by the first process of the room. It ends with the first beyond most.
func (p *Process) members(most int) []int {
	queue := p.roots()
	seen := map[int]bool{}
	var list []int
	for len(queue) > 0 && (most <= 0 || len(list) <= most) {
		pid := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if !seen[pid] {
			seen[pid] = true
			list = append(list, pid)
			queue = append(queue, childrenOf(pid)...)
		}
	}
	return list
}

// roots are the processes of the run from which all others descend: the leader and those that were orphaned.
func (p *Process) roots() []int {
	if p.room != nil {
		keeper, leader := p.room.pids()
		return append(childrenOf(keeper), leader)
	}
	return append(p.sandbox.adopted(p.run), p.pid)
}

// adopted lists the children of this process that bear the mark and are no leaders.
func (s *Sandbox) adopted(run string) []int {
	var list []int
	for _, pid := range childrenOf(os.Getpid()) {
		s.mu.Lock()
		leader := s.active[pid]
		s.mu.Unlock()
		if leader {
			continue
		}
		if mark, _ := markOf(pid); mark == run {
			list = append(list, pid)
		}
	}
	return list
}

// childrenOf lists the children of all threads of a process. The kernel promises a complete list only of one that stands
// still, which is enough for somebody who looks again and again.
func childrenOf(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	threads, _ := d.Readdirnames(-1)
	var list []int
	for _, thread := range threads {
		text, err := os.ReadFile(dir + "/" + thread + "/children")
		if err != nil {
			continue
		}
		for f := range bytes.FieldsSeq(text) {
			if child, err := strconv.Atoi(string(f)); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// usageOf sums up what the processes have. Memory that several share after a fork, or map together, is counted for each;
// when the sum is over the limit the kernel is asked for the exact shares, which costs it a walk over all pages.
func usageOf(pids []int, l Limits) usage {
	var u usage
	for _, pid := range pids {
		tasks, memory := statusUsage(pid)
		u.tasks += tasks
		u.memory += memory
		if l.Processes > 0 && u.tasks > l.Processes {
			return u
		}
	}
	if l.Memory > 0 && u.memory > l.Memory && len(pids) > 1 {
		u.memory = 0
		for _, pid := range pids {
			u.memory += shareOf(pid)
		}
	}
	return u
}

// statusUsage reads /proc/PID/status: threads, and the private, shared and swapped memory of a process.
func statusUsage(pid int) (tasks int, memory int64) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, 0 // it is gone
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "RssAnon", "RssShmem", "VmSwap":
			memory += kilobytes(value)
		case "Threads":
			tasks, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return tasks, memory
}

// shareOf is a process's share of the memory it has, or all of it where that can not be read.
func shareOf(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		_, memory := statusUsage(pid)
		return memory
	}
	var memory int64
	for line := range strings.SplitSeq(string(text), "\n") {
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "Pss_Anon", "Pss_Shmem", "SwapPss":
			memory += kilobytes(value)
		}
	}
	return memory
}

// kilobytes reads "   1234 kB".
func kilobytes(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(s, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// file tells a file from others.
type fileID struct{ dev, ino uint64 }

// unlinkedFiles sums up files that no folder has any more.
type unlinkedFiles struct {
	disks        map[uint64]bool
	seen         map[fileID]bool
	disk, memory int64
}

// openUnlinked sums up files that no folder has any more and processes hold, open or mapped: those on the disk of the folders,
// and those that are memory in truth. Files that are on their way through a socket can not be seen.
func openUnlinked(pids []int, disks map[uint64]bool) (disk, memory int64) {
	u := unlinkedFiles{disks: disks, seen: map[fileID]bool{}}
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		u.open(dir + "/fd")
		u.mapped(dir)
	}
	return u.disk, u.memory
}

func (u *unlinkedFiles) open(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	names, _ := d.Readdirnames(-1)
	_ = d.Close()
	for _, name := range names {
		if link, err := os.Readlink(dir + "/" + name); err == nil && strings.HasSuffix(link, deletedMark) {
			u.add(dir + "/" + name)
		}
	}
}

// deletedMark is how the kernel ends the name of a file that has none.
const deletedMark = " (deleted)"

// add counts the file behind a path in /proc. It tells whether that could be looked at.
func (u *unlinkedFiles) add(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return false
	}
	id := fileID{uint64(st.Dev), st.Ino}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 0 || u.seen[id] {
		return true
	}
	u.seen[id] = true
	switch {
	case u.disks[id.dev]:
		u.disk += st.Blocks * 512
	case isMemory(path):
		u.memory += st.Blocks * 512
	}
	return true
}

// mapped looks for files that are mapped (proc_pid_maps(5)) and may be open no more. Memory that is mapped counts as the
// process's already. Only root may look behind a mapping; for others the file is as long as the mapping reaches into it.
func (u *unlinkedFiles) mapped(dir string) {
	text, err := os.ReadFile(dir + "/maps")
	if err != nil {
		return
	}
	reaches := map[fileID]int64{}
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte(deletedMark)) {
			continue
		}
		m, ok := parseMapping(string(line))
		if !ok || !u.disks[m.file.dev] || u.seen[m.file] {
			continue
		}
		if !u.add(dir + "/map_files/" + m.addresses) {
			reaches[m.file] = max(reaches[m.file], m.end)
		}
	}
	for file, end := range reaches {
		u.seen[file] = true
		u.disk += end
	}
}

// mapping is a line of /proc/PID/maps.
type mapping struct {
	addresses string // as map_files has them: without zeros in front
	file      fileID
	end       int64 // how far into the file it reaches
}

// parseMapping reads "7f0000000000-7f0000001000 rw-s 00000000 fe:00 1234   /a/file (deleted)".
func parseMapping(line string) (m mapping, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 {
		return m, false
	}
	from, to, _ := strings.Cut(f[0], "-")
	major, minor, _ := strings.Cut(f[3], ":")
	var n [5]uint64
	for i, hex := range []string{from, to, f[2], major, minor} {
		v, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return m, false
		}
		n[i] = v
	}
	ino, err := strconv.ParseUint(f[4], 10, 64)
	return mapping{
		addresses: strconv.FormatUint(n[0], 16) + "-" + strconv.FormatUint(n[1], 16), end: int64(n[2] + n[1] - n[0]),
		file: fileID{unix.Mkdev(uint32(n[3]), uint32(n[4])), ino},
	}, err == nil
}

func isMemory(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.HUGETLBFS_MAGIC)
}
