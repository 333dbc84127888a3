package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startWithin = 90 * time.Second
	stopWithin  = 90 * time.Second
)

// process is one of the processes under test. It is started again and again, with the same command line.
type process struct {
	name string // up, worker-1
	args []string
	env  []string
	logs string                                               // file
	up   func(ctx context.Context, pid int, from int64) error // tells whether it is ready; its log begins at from
	from int64

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has ended
}

// start starts it and waits until it is ready. One that ends by itself is started again, as whoever runs a server would
// have it, since what it needs may be away just then.
func (p *process) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := p.startOnce(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (p *process) startOnce(ctx context.Context) error {
	out, err := os.OpenFile(p.logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(binary, p.args...)
	cmd.Env = append(environment(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	if info, err := out.Stat(); err == nil {
		p.from = info.Size()
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait()
	}()
	p.mu.Lock()
	p.cmd, p.gone = cmd, gone
	p.mu.Unlock()
	for {
		err := p.up(ctx, cmd.Process.Pid, p.from)
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("%s ended before it was ready: %s", p.name, cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready within %s: %w", p.name, startWithin, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *process) running() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.gone
}

// signal sends a signal to the process, if it is there.
func (p *process) signal(s syscall.Signal) error {
	cmd, gone := p.running()
	select {
	case <-gone:
		return fmt.Errorf("%s has ended by itself: %s", p.name, cmd.ProcessState)
	default:
	}
	if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// kill ends it at once.
func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	_, gone := p.running()
	<-gone
	return err
}

// stop asks it to end; it must do so in time, and with code 0.
func (p *process) stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	cmd, gone := p.running()
	select {
	case <-gone:
	case <-time.After(stopWithin):
		_ = cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to the log
		<-gone
		return fmt.Errorf("%s did not stop within %s of SIGTERM", p.name, stopWithin)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s %w: %s", p.name, errUnclean, cmd.ProcessState)
	}
	return nil
}

// errUnclean is said of a process that has stopped and complains.
var errUnclean = errors.New("stopped, but not well")

// put ends it whatever state it is in, at the end of a test that failed.
func (p *process) put() {
	cmd, gone := p.running()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-gone
}

// environment is the caller's without its settings.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WAYBILL_") {
			env = append(env, v)
		}
	}
	return env
}

// runFile is DATA/run.json.
type runFile struct {
	PID               int    `json:"pid"`
	URL               string `json:"url"`
	TemporalAddress   string `json:"temporalAddress"`
	TemporalNamespace string `json:"temporalNamespace"`
}

// readyFile tells whether the run.json in the data folder is that of the process.
func readyFile(data string) func(context.Context, int, int64) error {
	return func(_ context.Context, pid int, _ int64) error {
		text, err := os.ReadFile(filepath.Join(data, "run.json"))
		if err != nil {
			return err
		}
		var r runFile
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		if r.PID != pid {
			return fmt.Errorf("run.json is that of process %d", r.PID)
		}
		return nil
	}
}

// readyWord tells whether the process has written the words to its log.
func readyWord(logs, words string) func(context.Context, int, int64) error {
	return func(_ context.Context, _ int, from int64) error {
		text, err := os.ReadFile(logs)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text[from:]), words) {
			return fmt.Errorf("it has not said that it %s", words)
		}
		return nil
	}
}
