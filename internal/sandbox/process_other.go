//go:build unix && !linux

package sandbox

import (
	"context"
	"os"
	"syscall"
	"time"
)

// process is a leader that runs, in a process group of its own. Here a program that leaves its group, or outlives a
// killed worker, is not found again: only Linux gives the means (process_linux.go).
type process struct {
	os       *os.Process
	pid      int
	exited   chan struct{}
	deadline time.Time
	state    *os.ProcessState
	err      error
}

func (s *Sandbox) start(c Program) (*process, error) {
	child, err := os.StartProcess(c.Path, c.Argv, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []*os.File{s.null, c.Output, c.errors()},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, err
	}
	p := &process{os: child, pid: child.Pid, exited: make(chan struct{})}
	go func() {
		p.state, p.err = child.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.pid, s) }

func (p *process) reap() (*os.ProcessState, error) { return p.state, p.err }

// endGroup gives the rest of the group the rest of its grace, then kills it.
func (p *process) endGroup() {
	for p.deadline.After(time.Now()) && syscall.Kill(-p.pid, 0) == nil {
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
}

func keepFiles() error { return nil }

func becomeReaper() error { return nil }

func (s *Sandbox) endStrays(*process, string) {}

// KillLeftovers finds nothing here.
func KillLeftovers(context.Context, string) (int, error) { return 0, nil }
