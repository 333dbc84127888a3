package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A stray is a process that left its run's process group, by setsid for example. It is known by the mark in its
// environment. One that cleared its environment too is still ours by adoption: it is a child of this process, in a
// session of its own, that nobody here started. Such a one is killed as soon as no run is left that could own it.

const (
	// probeLimit is how many process ids are tried one by one before the whole of /proc is read instead.
	probeLimit = 256
	strayTries = 50
)

// endStrays kills what escaped from the run of p.
func (s *Sandbox) endStrays(p *process, run string) {
	for range strayTries {
		found := 0
		for _, pid := range s.suspects(p.pid) {
			if s.endStray(pid, run) {
				found++
			}
		}
		if found == 0 {
			return
		}
		time.Sleep(time.Millisecond) // one that was just killed may have made another just before
	}
}

// suspects lists processes that may come from a run with this leader. Linux gives numbers in ascending order, so those
// given since the leader's are the ones to look at; a busy or long run means reading all of /proc.
func (s *Sandbox) suspects(leader int) []int {
	last := lastPID()
	var pids []int
	if last >= leader && last-leader <= probeLimit {
		for pid := leader + 1; pid <= last; pid++ {
			pids = append(pids, pid)
		}
	} else {
		pids = allPIDs()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid := range s.strays {
		pids = append(pids, pid)
	}
	return pids
}

// endStray kills the process if it belongs to run or to nobody. It tells whether it was there to be killed.
func (s *Sandbox) endStray(pid int, run string) bool {
	mark, readable := markOf(pid)
	switch {
	case mark == run:
		_ = syscall.Kill(pid, syscall.SIGKILL)
		reapAdopted(pid)
		return true
	case readable && mark != "":
		return false // of another run
	}
	st, ok := statusOf(pid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || st.parent != os.Getpid() || st.session == ownSession() || s.active[pid] {
		delete(s.strays, pid)
		return false
	}
	for leader := range s.active {
		if l, ok := statusOf(leader); ok && l.started <= st.started {
			s.strays[pid] = true // may be that run's
			return false
		}
	}
	delete(s.strays, pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	reapAdopted(pid)
	return true
}

// reapAdopted waits a little for a killed process that this process has adopted; for others it returns at once.
func reapAdopted(pid int) {
	for range 20 {
		got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		if got == pid || (err != nil && !errors.Is(err, syscall.EINTR)) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func ownSession() int {
	s, _ := unix.Getsid(0)
	return s
}

// KillLeftovers ends every process that an earlier Sandbox with the ID started.
func KillLeftovers(ctx context.Context, id string) (killed int, err error) {
	seen := map[int]bool{}
	for deadline := time.Now().Add(10 * time.Second); ; {
		left := 0
		for _, pid := range allPIDs() {
			if mark, _ := markOf(pid); strings.HasPrefix(mark, id+".") {
				left++
				seen[pid] = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return len(seen), nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return len(seen), fmt.Errorf("%d programs of an earlier worker do not end", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// markOf reads the run mark of a process; readable tells whether its environment could be read and was there.
func markOf(pid int) (mark string, readable bool) {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || len(env) == 0 {
		return "", false
	}
	for len(env) > 0 {
		var v []byte
		v, env, _ = bytes.Cut(env, []byte{0})
		if m, found := bytes.CutPrefix(v, []byte(RunVariable+"=")); found {
			return string(m), true
		}
	}
	return "", true
}

// status is what of /proc/PID/stat matters here.
type status struct {
	parent, session int
	started         uint64 // clock ticks since boot
}

func statusOf(pid int) (status, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return status{}, false
	}
	// The name, in parentheses, may hold anything; the fields behind it begin with the third (proc_pid_stat(5)).
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return status{}, false
	}
	f := strings.Fields(string(text[end+1:]))
	if len(f) < 20 {
		return status{}, false
	}
	var s status
	var err1, err2, err3 error
	s.parent, err1 = strconv.Atoi(f[1])
	s.session, err2 = strconv.Atoi(f[3])
	s.started, err3 = strconv.ParseUint(f[19], 10, 64)
	return s, err1 == nil && err2 == nil && err3 == nil
}

// lastPID is the number given last, or -1.
func lastPID() int {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	f := strings.Fields(string(text))
	if len(f) < 5 {
		return -1
	}
	pid, err := strconv.Atoi(f[4])
	if err != nil {
		return -1
	}
	return pid
}

func allPIDs() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
