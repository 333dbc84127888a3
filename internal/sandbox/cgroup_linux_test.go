package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fakeCgroup lays files as the kernel would show them. The kernel makes the files of a new group itself; a fake one has to
// be given them.
func fakeCgroup(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestACgroupIsDivided(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "system.slice", "waybill.service")
	fakeCgroup(t, top, map[string]string{"cgroup.controllers": "cpu memory pids\n"})
	fakeCgroup(t, dir, map[string]string{"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": ""})
	leaf := filepath.Join(dir, workerGroup+"id1")
	fakeCgroup(t, leaf, map[string]string{"cgroup.procs": ""})
	for _, self := range []string{"0::/system.slice/waybill.service\n", "1:name=systemd:/x\n0::/system.slice/waybill.service/" + workerGroup + "id0\n"} {
		c, err := openCgroups(self, top, "id1")
		if err != nil {
			t.Fatal(err)
		}
		if c.dir != dir || content(t, leaf, "cgroup.procs") != strconv.Itoa(os.Getpid()) || content(t, dir, "cgroup.subtree_control") != "+cpu +memory +pids" {
			t.Errorf("%q: %+v", self, c)
		}
	}
}

func TestACgroupThatCanNotBeDividedIsLeftAlone(t *testing.T) {
	top := t.TempDir()
	if _, err := openCgroups("0::/\n", top, "id"); err == nil || !strings.Contains(err.Error(), "no cgroup version 2") {
		t.Errorf("version 1: %v", err)
	}
	fakeCgroup(t, top, map[string]string{"cgroup.controllers": "", "cgroup.subtree_control": "", "cgroup.procs": ""})
	if _, err := openCgroups("4:memory:/x\n", top, "id"); err == nil || !strings.Contains(err.Error(), "in no cgroup") {
		t.Errorf("not in one: %v", err)
	}
	if _, err := openCgroups("0::/\n", top, "id"); err == nil || !strings.Contains(err.Error(), `no controller "cpu"`) {
		t.Errorf("without controllers: %v", err)
	}
	fakeCgroup(t, top, map[string]string{"cgroup.controllers": "cpu memory pids"})
	// The leaf comes without files here, so this process can not move: it stays where it is, and the leaf is removed.
	if _, err := openCgroups("0::/\n", top, "id"); err == nil {
		t.Error("a leaf that can not be entered was entered")
	}
	if _, err := os.Stat(filepath.Join(top, workerGroup+"id")); err == nil {
		t.Error("the leaf is left")
	}
	if got := content(t, top, "cgroup.subtree_control"); got != "" {
		t.Errorf("the group was divided: %q", got)
	}
}

func TestAGroupTellsWhatItsProgramHit(t *testing.T) {
	l := Limits{Memory: 64 << 20, Processes: 10}
	for _, c := range []struct{ memory, pids, want string }{
		{"low 0\noom 0\noom_kill 0\n", "max 0\n", ""},
		{"low 0\noom 3\noom_kill 2\noom_group_kill 1\n", "max 0\n", LimitMemory},
		{"oom_kill 0\n", "max 7\n", LimitProcesses},
	} {
		g := &group{dir: t.TempDir()}
		fakeCgroup(t, g.dir, map[string]string{"memory.events": c.memory, "pids.events": c.pids})
		got := ""
		if x := g.excess(l); x != nil {
			got = x.limit
		}
		if got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	if x := (&group{dir: t.TempDir()}).excess(l); x != nil {
		t.Errorf("no files: %+v", x)
	}
}

// TestARealCgroup is for machines where this process may divide its cgroup.
func TestARealCgroup(t *testing.T) {
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip("no cgroups here: " + err.Error())
	}
	c, err := openCgroups(string(self), cgroupTop, randomHex(4))
	if err != nil {
		t.Skip("cgroups can not be used here: " + err.Error())
	}
	s := newSandbox(t, Off)
	s.cgroups = c
	for limit, script := range map[string]string{
		LimitMemory:    `exec python3 -c 'x = bytearray(b"x" * (96 << 20)); import time; time.sleep(1000)'`,
		LimitProcesses: "for i in $(seq 30); do sleep 1000 & done; wait",
	} {
		if _, e := run(t, s, Limits{Memory: 64 << 20, Processes: 20, CPUs: 0.5}, script); e.Limit != limit {
			t.Errorf("%s: got %+v", limit, e)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, jobGroup+"*")); len(left) > 0 {
		t.Errorf("groups are left: %v", left)
	}
}
