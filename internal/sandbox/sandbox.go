package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// Config says how a Sandbox works.
type Config struct {
	Mode    Mode     // "": Auto
	Protect []string // folders that no program may see, whatever else it is given
	// ID marks the processes started here, so that those a killed worker left are found again (KillLeftovers). It must
	// stay the same over restarts, and differ between workers of one machine.
	ID     string
	Logger *slog.Logger
}

// Sandbox starts programs.
type Sandbox struct {
	cfg      Config
	landlock *landlocked
	rooms    *rooms // nil: programs are started by this process itself
	noRooms  error  // why there are none; nil: not asked for
	null     *os.File
	cgroups  *cgroups // nil: limits on all processes together are watched

	mu     sync.Mutex
	active map[int]bool // process ids of the leaders that run now
	strays map[int]bool // processes that escaped from a run that could not be told; see strays_linux.go
}

// Program is what to start.
type Program struct {
	Path   string // absolute
	Argv   []string
	Dir    string
	Env    []string
	Output *os.File // standard output and standard error; standard input is /dev/null
	Errors *os.File // standard error, when it is to be apart; nil: Output
	Read   []string // folders and files it may read and execute, besides the system's
	Write  []string // folders it may do anything in
	// Temp is a folder in one of Write that is its /tmp where it has a view of its own (Sandbox.Rooms) and none of the
	// folders lies below /tmp.
	Temp string
	// NoNetwork leaves it a loopback of its own and nothing else, as far as that can be had (Sandbox.NetworkNone).
	NoNetwork bool
	Limits    Limits
	// Present is how many bytes lie in the folders of Write before it begins, and do not count against Limits.Disk.
	Present int64

	group *group
}

// errors is where standard error goes.
func (p Program) errors() *os.File {
	if p.Errors != nil {
		return p.Errors
	}
	return p.Output
}

// Ending is how a program ended.
type Ending struct {
	ExitCode int    // 128+n when signal n ended it, as shells count
	Signal   string // name of that signal
	Stopped  bool   // the context ended before the program did
	// Limit is the limit that ended it, one of the words LimitMemory and so on; LimitText says it in a sentence with its size.
	Limit, LimitText string
}

// RunVariable is the environment variable by which the processes of a run are known, whatever they do to their process
// group. Start sets it.
const RunVariable = "WAYBILL_RUN"

// ErrKill as the cause of a context's end makes Wait kill the program at once, without grace.
var ErrKill = errors.New("kill at once")

// WithGrace makes a cause of a context's end by which Wait leaves the program another time than the one it was called with.
func WithGrace(cause error, grace time.Duration) error { return &patient{cause, grace} }

// patient is a cause with a grace of its own.
type patient struct {
	cause error
	grace time.Duration
}

func (p *patient) Error() string { return p.cause.Error() }
func (p *patient) Unwrap() error { return p.cause }

// graceOf is what the cause of ctx's end says, or else grace.
func graceOf(ctx context.Context, grace time.Duration) time.Duration {
	var p *patient
	if errors.As(context.Cause(ctx), &p) {
		return p.grace
	}
	return grace
}

// DrainTime is how long processes may take to be gone once they have been killed.
const DrainTime = 2 * time.Second

// New makes a Sandbox. In mode Strict it is a job.Unavailable error when programs can not be held back here.
func New(ctx context.Context, cfg Config) (*Sandbox, error) {
	if cfg.Mode == "" {
		cfg.Mode = Auto
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.ID == "" {
		cfg.ID = randomHex(16)
	}
	s := &Sandbox{cfg: cfg, active: map[int]bool{}, strays: map[int]bool{}}
	var err error
	if s.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if err := keepFiles(); err != nil {
		cfg.Logger.WarnContext(ctx, "files that this process was started with may reach programs", "error", err)
	}
	s.useCgroups(ctx)
	if err := s.raise(ctx); err != nil {
		return nil, errors.Join(err, s.null.Close())
	}
	if err := becomeReaper(); err != nil {
		cfg.Logger.WarnContext(ctx, "orphaned grandchildren can not be adopted", "error", err)
	}
	return s, nil
}

// Held gives those of the limits that are in force here: a cgroup is needed to hold processors.
func (s *Sandbox) Held(l Limits) Limits {
	if s.cgroups == nil {
		l.CPUs = 0
	}
	return l
}

// Close gives up what the Sandbox holds. No program may be running.
func (s *Sandbox) Close() error {
	s.lower()
	return s.null.Close()
}

// Strays tells whether processes are about that escaped from a run and may still hold rights it had.
func (s *Sandbox) Strays() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.strays) > 0
}

// Process is a program that was started. Wait for it, once.
type Process struct {
	*process
	room    *roomVisit // nil: process is set
	sandbox *Sandbox
	run     string // marks its processes
	limits  Limits
	watcher *watcher // nil: nothing to watch
	group   *group
}

// Start starts a program in a process group of its own. An error is that of the system that could not start it.
func (s *Sandbox) Start(program Program) (*Process, error) {
	run := s.cfg.ID + "." + randomHex(8)
	program.Env = append(append([]string(nil), program.Env...), RunVariable+"="+run)
	started := &Process{sandbox: s, run: run, limits: program.Limits}
	var err error
	if program.group, err = s.cgroups.group(run, program.Limits); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	if s.rooms != nil {
		started.room, err = s.rooms.start(program)
	} else {
		started.process, err = s.start(program)
	}
	if err != nil {
		program.group.finish(context.Background(), Limits{}, nil)
		return nil, err
	}
	started.group = program.group
	started.watcher = started.watch(started.group.rest(program.Limits), program.Write, program.Present)
	return started, nil
}

// Wait returns when the program and everything it started is gone. When ctx ends, the process group gets SIGTERM and,
// after grace (see WithGrace), SIGKILL. Whatever is left when the program itself has ended is killed.
func (p *Process) Wait(ctx context.Context, grace time.Duration) (Ending, error) {
	if p.room != nil {
		e, err := p.room.wait(ctx, grace)
		if found := p.group.finish(context.WithoutCancel(ctx), p.limits, p.watcher.end()); err == nil {
			p.limits.note(&e, found)
		}
		return e, err
	}
	stopped := p.await(ctx, grace)
	found := p.watcher.end()
	if !stopped || errors.Is(context.Cause(ctx), ErrKill) {
		p.signal(syscall.SIGKILL) // the leader's zombie still holds the group's number, so this can hit nobody else
	}
	state, err := p.reap()
	p.endGroup()
	p.sandbox.endStrays(p.process, p.run)
	found = p.group.finish(context.WithoutCancel(ctx), p.limits, found)
	if err != nil {
		return Ending{}, fmt.Errorf("wait for the program: %w", err)
	}
	e := endingOf(state)
	e.Stopped = stopped
	p.limits.note(&e, found)
	return e, nil
}

// kill ends the program at once, with its process group or its room. It may be called until Wait is done with it.
func (p *Process) kill() {
	if p.room != nil {
		p.room.kill()
		return
	}
	p.signal(syscall.SIGKILL)
}

// await waits for the leader, ending it when ctx ends. It tells whether ctx ended first.
func (p *Process) await(ctx context.Context, grace time.Duration) (stopped bool) {
	select {
	case <-p.exited:
		return false
	case <-ctx.Done():
	}
	select {
	case <-p.exited: // both at once: the program was first
		return false
	default:
	}
	if errors.Is(context.Cause(ctx), ErrKill) {
		p.signal(syscall.SIGKILL)
		<-p.exited
		return true
	}
	grace = graceOf(ctx, grace)
	p.deadline = time.Now().Add(grace)
	p.signal(syscall.SIGTERM)
	over := time.NewTimer(grace)
	defer over.Stop()
	select {
	case <-p.exited:
	case <-over.C:
		p.signal(syscall.SIGKILL)
		<-p.exited
	}
	return true
}

func endingOf(state *os.ProcessState) Ending {
	if status, ok := state.Sys().(syscall.WaitStatus); ok {
		return endingOfStatus(status)
	}
	return Ending{ExitCode: state.ExitCode()}
}

func endingOfStatus(status syscall.WaitStatus) Ending {
	if status.Signaled() {
		return Ending{ExitCode: 128 + int(status.Signal()), Signal: signalName(status.Signal())}
	}
	return Ending{ExitCode: status.ExitStatus()}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, says crypto/rand
	return hex.EncodeToString(b)
}
