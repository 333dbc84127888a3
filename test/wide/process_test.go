package wide

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startWithin = 2 * time.Minute
	stopWithin  = 2 * time.Minute
)

// process is a server or one of Waybill's processes. It can be started again and again, with the same command line, so on the same
// ports and the same data.
type process struct {
	name string
	cmd  func() *exec.Cmd                                  // a new one each time
	logs string                                            // file that every start appends to
	up   func(ctx context.Context, p *process) (err error) // tells whether it is ready
	from int64                                             // where in the log the last start begins

	mu     sync.Mutex
	now    *exec.Cmd
	gone   chan struct{} // closed when now has ended
	frozen []int         // pids that were stopped
	clock  clock         // of now, once it was shifted
}

// clock is where a process keeps how it asks for the time.
type clock struct{ pointer, code, asks uint64 }

// parent starts all processes from one thread that lives as long as the test does: Linux ends a child whose Pdeathsig is set
// when the thread that started it ends, not the process.
var parent = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
}()

// launch starts a command whose process ends with the test binary, however that ends.
func launch(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // the terminal's Ctrl-C is for the test, which ends them in order
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	parent <- func() { done <- cmd.Start() }
	return <-done
}

// begin starts it and does not wait.
func (p *process) begin() error {
	out, err := os.OpenFile(p.logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if info, err := out.Stat(); err == nil {
		p.from = info.Size()
	}
	cmd := p.cmd()
	cmd.Stdout, cmd.Stderr = out, out
	if err := launch(cmd); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // its state is looked at by those who end it
	}()
	p.mu.Lock()
	p.now, p.gone, p.frozen, p.clock = cmd, gone, nil, clock{}
	p.mu.Unlock()
	return nil
}

// start starts it and waits until it is ready.
func (p *process) start(ctx context.Context) error {
	if err := p.begin(); err != nil {
		return err
	}
	return p.ready(ctx)
}

// insist starts it until it stays: a process whose servers are away may give up, and whoever runs it starts it again.
func (p *process) insist(ctx context.Context) error {
	return within(ctx, startWithin, func() error { return p.start(ctx) })
}

func (p *process) ready(ctx context.Context) error {
	cmd, gone := p.running()
	err := within(ctx, startWithin, func() error {
		select {
		case <-gone:
			return final(fmt.Errorf("it ended before it was ready: %s", cmd.ProcessState))
		default:
			return p.up(ctx, p)
		}
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w; its log ends with\n%s", p.name, err, tail(p.said(), 20))
	}
	return nil
}

// said is what it has written since its last start.
func (p *process) said() string {
	text, err := os.ReadFile(p.logs)
	if err != nil {
		return err.Error()
	}
	return string(text[min(p.from, int64(len(text))):])
}

func (p *process) running() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.gone
}

// alive tells whether it has been started and has not ended.
func (p *process) alive() bool {
	cmd, gone := p.running()
	if cmd == nil {
		return false
	}
	select {
	case <-gone:
		return false
	default:
		return true
	}
}

func (p *process) pid() int { cmd, _ := p.running(); return cmd.Process.Pid }

// kill ends it at once, with its children.
func (p *process) kill() error {
	if !p.alive() {
		return fmt.Errorf("%s has ended by itself: %s", p.name, tail(p.said(), 20))
	}
	cmd, gone := p.running()
	err := cmd.Process.Kill()
	<-gone
	return err
}

// stop asks it to end with SIGTERM; it must do so in time, and with code 0.
func (p *process) stop() error { return p.stopWith(syscall.SIGTERM) }

func (p *process) stopWith(s syscall.Signal) error {
	if !p.alive() {
		return fmt.Errorf("%s has ended by itself: %s", p.name, tail(p.said(), 20))
	}
	cmd, gone := p.running()
	if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-gone:
	case <-time.After(stopWithin):
		_ = cmd.Process.Signal(syscall.SIGQUIT) // a Go program writes its goroutines to the log
		<-gone
		return fmt.Errorf("%s did not stop within %s of %s", p.name, stopWithin, s)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s stopped with %s: %s", p.name, cmd.ProcessState, tail(p.said(), 20))
	}
	return nil
}

// freeze stops the process and all it has started with SIGSTOP, until thaw.
func (p *process) freeze() error {
	if !p.alive() {
		return fmt.Errorf("%s has ended by itself", p.name)
	}
	seen := map[int]bool{}
	for again := true; again; { // what it starts meanwhile comes with the next look; who is stopped starts nothing
		again = false
		for _, pid := range family(p.pid()) {
			if !seen[pid] {
				seen[pid], again = true, true
				_ = syscall.Kill(pid, syscall.SIGSTOP) // it may just have ended
				p.frozen = append(p.frozen, pid)
			}
		}
	}
	return nil
}

func (p *process) thaw() error {
	var err error
	for i := len(p.frozen) - 1; i >= 0; i-- {
		if e := syscall.Kill(p.frozen[i], syscall.SIGCONT); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = e
		}
	}
	p.frozen = nil
	return err
}

// put ends it whatever state it is in.
func (p *process) put() {
	if p.alive() {
		_ = p.kill()
	}
}

// family is a process and all processes below it.
func family(root int) []int {
	children := map[int][]int{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// pid (name) state ppid ...; the name may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || len(fields) < 2 {
			continue
		}
		if above, err := strconv.Atoi(fields[1]); err == nil {
			children[above] = append(children[above], pid)
		}
	}
	found := []int{root}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// environment is the caller's without Waybill's settings.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WAYBILL_") {
			env = append(env, v)
		}
	}
	return env
}

// freePort is a port below those that connections go out through, so that nobody takes it between two starts of a process.
func freePort() (int, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 200 {
		port := 10000 + random.IntN(20000)
		if taken[port] {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			taken[port] = true
			return port, l.Close()
		}
	}
	return 0, errors.New("there is no free port")
}

// finalError ends a poll at once.
type finalError struct{ error }

func final(err error) error { return finalError{err} }

// within calls try until it succeeds, fails for good, or the time is over; then it returns try's last error.
func within(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		var f finalError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &f):
			return f.error
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		}
	}
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// pause lets the load go on.
func pause(t interface{ Context() context.Context }, d time.Duration) {
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
