package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupTop = "/sys/fs/cgroup"
	// cpuPeriod is the default of the kernel, in microseconds.
	cpuPeriod = 100_000

	workerGroup = "waybill-worker-"
	jobGroup    = "waybill-job-"
)

// cgroups makes a control group (version 2) for each program, below the one this process was given.
type cgroups struct {
	dir string // the group that is ours to divide
	own string // the leaf this process has moved into
	id  string
}

// openCgroups divides the group of this process. Only a leaf may hold processes, so this one moves into a leaf of its own.
// self is the text of /proc/self/cgroup, top where the file system is mounted, id tells this Sandbox from others. An error
// says why it can not be done, and leaves everything as it was.
func openCgroups(self, top, id string) (*cgroups, error) {
	own, err := ownCgroup(self, top)
	if err != nil {
		return nil, err
	}
	dir := own
	if strings.HasPrefix(filepath.Base(own), workerGroup) {
		dir = filepath.Dir(own) // this process has replaced itself by another program
	}
	if err := offers(dir); err != nil {
		return nil, err
	}
	c := &cgroups{dir: dir, own: filepath.Join(dir, workerGroup+id), id: id}
	if err := os.Mkdir(c.own, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	pid := strconv.Itoa(os.Getpid())
	err = put(c.own, "cgroup.procs", pid)
	if err == nil {
		err = put(dir, "cgroup.subtree_control", "+cpu +memory +pids")
	}
	if err != nil {
		_ = put(own, "cgroup.procs", pid)
		_ = os.Remove(c.own)
		return nil, err
	}
	c.sweep()
	return c, nil
}

// ownCgroup finds the folder of the group that this process is in.
func ownCgroup(self, top string) (string, error) {
	if _, err := os.Stat(filepath.Join(top, "cgroup.controllers")); err != nil {
		return "", errors.New("there is no cgroup version 2 here")
	}
	for line := range strings.Lines(self) {
		if path, found := strings.CutPrefix(strings.TrimSpace(line), "0::"); found {
			return filepath.Join(top, path), nil
		}
	}
	return "", errors.New("this process is in no cgroup of version 2")
}

// offers tells whether a group has the controllers that are needed, and may be divided by this process.
func offers(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	have := " " + strings.Join(strings.Fields(string(text)), " ") + " "
	for _, name := range []string{"cpu", "memory", "pids"} {
		if !strings.Contains(have, " "+name+" ") {
			return fmt.Errorf("the cgroup has no controller %q", name)
		}
	}
	if err := unix.Access(filepath.Join(dir, "cgroup.subtree_control"), unix.W_OK); err != nil {
		return fmt.Errorf("the cgroup is not delegated to this process (%w)", err)
	}
	return nil
}

func put(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// sweep removes the groups of programs that an earlier process left.
func (c *cgroups) sweep() {
	old, _ := filepath.Glob(filepath.Join(c.dir, jobGroup+c.id+".*"))
	for _, dir := range old {
		_ = (&group{dir: dir}).close(context.Background())
	}
}

// useCgroups divides this process's cgroup if it may. It must come before any process is started: one that is left outside a
// leaf is in the way.
func (s *Sandbox) useCgroups(ctx context.Context) {
	self, err := os.ReadFile("/proc/self/cgroup")
	if err == nil {
		s.cgroups, err = openCgroups(string(self), cgroupTop, s.cfg.ID)
	}
	if err != nil {
		s.cfg.Logger.DebugContext(ctx, "limits are watched, not held by a cgroup", "reason", err)
	}
}

// group is the control group of one program. nil: it has none.
type group struct {
	dir    string
	folder *os.File // open: a program is started into it
}

// group makes the group of a run, with its limits; nil where there are no groups, or nothing to limit by one.
func (c *cgroups) group(run string, l Limits) (_ *group, err error) {
	if c == nil || l.Memory <= 0 && l.Processes <= 0 && l.CPUs <= 0 {
		return nil, nil
	}
	g := &group{dir: filepath.Join(c.dir, jobGroup+run)}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(g.dir)
		}
	}()
	type entry struct{ file, value string }
	entries := []entry{}
	if l.Memory > 0 {
		entries = append(entries, entry{"memory.max", strconv.FormatInt(l.Memory, 10)}, entry{"memory.oom.group", "1"})
		if err := put(g.dir, "memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) { // absent without swap
			return nil, err
		}
	}
	if l.Processes > 0 {
		entries = append(entries, entry{"pids.max", strconv.Itoa(l.Processes)})
	}
	if l.CPUs > 0 {
		entries = append(entries, entry{"cpu.max", fmt.Sprintf("%d %d", max(1000, int64(l.CPUs*cpuPeriod)), cpuPeriod)})
	}
	for _, e := range entries {
		if err := put(g.dir, e.file, e.value); err != nil {
			return nil, err
		}
	}
	g.folder, err = os.Open(g.dir)
	return g, err
}

// attach has a program started in the group.
func (g *group) attach(sys *syscall.SysProcAttr) {
	if g != nil {
		sys.UseCgroupFD, sys.CgroupFD = true, int(g.folder.Fd())
	}
}

// rest is what the group leaves to be watched.
func (g *group) rest(l Limits) Limits {
	if g != nil {
		l.Memory, l.Processes = 0, 0
	}
	return l
}

// finish removes the group and tells which limit was gone over; found is what a watcher found.
func (g *group) finish(ctx context.Context, l Limits, found *excess) *excess {
	if g == nil {
		return found
	}
	if found == nil {
		found = g.excess(l)
	}
	_ = g.close(ctx) // an empty group that stays is removed at the next start
	return found
}

// excess tells which limit the kernel has enforced.
func (g *group) excess(l Limits) *excess {
	switch {
	case l.Memory > 0 && g.count("memory.events", "oom_kill")+g.count("memory.events", "oom_group_kill") > 0:
		return l.overMemory()
	case l.Processes > 0 && g.count("pids.events", "max") > 0:
		return l.overProcesses()
	}
	return nil
}

// count reads one number of a file of names and numbers.
func (g *group) count(file, name string) int64 {
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// close ends whatever is left in the group and removes it.
func (g *group) close(ctx context.Context) error {
	if g.folder != nil {
		_ = g.folder.Close()
	}
	_ = put(g.dir, "cgroup.kill", "1")
	for deadline := time.Now().Add(DrainTime); ; {
		err := unix.Rmdir(g.dir)
		if err == nil || errors.Is(err, unix.ENOENT) || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}
