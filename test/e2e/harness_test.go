package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	adminPassword = "e2e password, not a secret"
	// readyWithin is generous: a machine that runs all tests at once may be slow to start. How fast a start is, is
	// measured elsewhere.
	readyWithin = 90 * time.Second
	stopWithin  = 90 * time.Second
)

var binary string // the program under test

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait for programs, so more of them run at once than there are processors.
	if !wasSet("test.parallel") {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(runAll(m))
}

func wasSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waybill-e2e-")
	if err != nil {
		return broken(err)
	}
	defer os.RemoveAll(dir)
	if binary = os.Getenv("WAYBILL_BIN"); binary == "" {
		binary = filepath.Join(dir, "waybill")
		build := exec.Command("go", "build", "-o", binary, "waybill/cmd/waybill")
		if text, err := build.CombinedOutput(); err != nil {
			return broken(fmt.Errorf("build waybill: %w\n%s", err, text))
		}
	}
	code := m.Run()
	if p := shared.started; p != nil {
		defer os.RemoveAll(p.data)
		if err := p.stop(); err != nil {
			return broken(fmt.Errorf("the shared program: %w", err))
		}
	}
	return code
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// shared is the program that most tests use together; each keeps to its own configs, or to its own account.
var shared struct {
	once    sync.Once
	started *program
	err     error
}

func sharedProgram(t *testing.T) *program {
	t.Helper()
	shared.once.Do(func() {
		var data string
		if data, shared.err = os.MkdirTemp("", "waybill-e2e-shared-"); shared.err == nil {
			shared.started, shared.err = launch(options{data: data})
		}
	})
	if shared.err != nil {
		t.Fatalf("the shared program does not start: %v", shared.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the shared program's log ends with:\n%s", tail(shared.started.stderr.String(), 20))
		}
	})
	return shared.started
}

// program is a waybill process.
type program struct {
	data           string
	run            runFile
	cmd            *exec.Cmd
	stdout, stderr *text
	exited         chan struct{} // closed when the process has ended

	login    sync.Once // of first
	first    *client
	loginErr error
}

// runFile is DIR/run.json.
type runFile struct {
	PID               int    `json:"pid"`
	URL               string `json:"url"`
	TemporalAddress   string `json:"temporalAddress"`
	TemporalNamespace string `json:"temporalNamespace"`
	TemporalUI        string `json:"temporalUI"`
	AdminUser         string `json:"adminUser"`
}

// options of a start. command and args follow the program's name; the ports and the folder are added.
type options struct {
	data    string
	command string // "": up
	args    []string
	env     []string
	random  bool // no admin password is given
}

// command makes a command line with a clean environment: no setting of the caller's gets in.
func command(o options) *exec.Cmd {
	if o.command == "" {
		o.command = "up"
	}
	args := []string{
		o.command, "--data", o.data, "--listen", "127.0.0.1:0", "--engine-listen", "127.0.0.1:0", "--engine-ui-listen", "127.0.0.1:0",
	}
	cmd := exec.Command(binary, append(args, o.args...)...)
	cmd.Env = environment()
	if !o.random {
		cmd.Env = append(cmd.Env, "WAYBILL_ADMIN_PASSWORD="+adminPassword)
	}
	cmd.Env = append(cmd.Env, o.env...)
	return cmd
}

func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WAYBILL_") {
			env = append(env, v)
		}
	}
	return env
}

// begin starts the process and does not wait for it to be ready.
func begin(o options) (*program, error) {
	p := &program{data: o.data, cmd: command(o), stdout: &text{}, stderr: &text{}, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the state it leaves is looked at by those who end it
	}()
	return p, nil
}

// launch starts the process and waits for its run.json.
func launch(o options) (*program, error) {
	p, err := begin(o)
	if err != nil {
		return nil, err
	}
	return p, p.ready()
}

func (p *program) ready() error {
	err := within(context.Background(), readyWithin, func() error {
		select {
		case <-p.exited:
			return final(fmt.Errorf("it ended before it was ready: %s\n%s", p.cmd.ProcessState, p.stderr))
		default:
		}
		text, err := os.ReadFile(filepath.Join(p.data, "run.json"))
		if err != nil {
			return err
		}
		var r runFile
		if err := json.Unmarshal(text, &r); err != nil {
			return final(fmt.Errorf("run.json is not JSON: %w", err))
		}
		if r.PID != p.cmd.Process.Pid {
			return fmt.Errorf("run.json is that of process %d, not of %d", r.PID, p.cmd.Process.Pid)
		}
		p.run = r
		return nil
	})
	if err != nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.exited
		return fmt.Errorf("waybill is not ready: %w\n%s", err, tail(p.stderr.String(), 20))
	}
	return nil
}

// start launches a program of the test's own. If the test does not end it, it is stopped afterwards, and must stop well.
func start(t *testing.T, o options) *program {
	t.Helper()
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	p.cleanUp(t)
	return p
}

func (p *program) cleanUp(t *testing.T) {
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the program's log ends with:\n%s", tail(p.stderr.String(), 40))
		}
	})
}

// folder makes a data folder. The engine keeps files open for a moment longer than the process is told to end, so it is
// removed after the program is.
func folder(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data")
}

// stop ends the process with SIGTERM, unless it has ended. It must end with code 0 and take run.json with it.
func (p *program) stop() error {
	select {
	case <-p.exited: // killed by its test, which has looked at what it left
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.ended()
}

// ended waits for the end that a signal has asked for.
func (p *program) ended() error {
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines are printed to stderr
		<-p.exited
		return fmt.Errorf("waybill did not stop within %s of SIGTERM:\n%s", stopWithin, tail(p.stderr.String(), 200))
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("waybill stopped with %s:\n%s", p.cmd.ProcessState, tail(p.stderr.String(), 40))
	}
	if _, err := os.Stat(filepath.Join(p.data, "run.json")); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run.json is there after a clean stop (%v)", err)
	}
	return nil
}

// printed waits until the program has said how it can be reached, a moment after it is ready, and gives all it said.
func (p *program) printed(t *testing.T) string {
	t.Helper()
	eventually(t, time.Minute, func() error {
		if out := p.stdout.String(); !strings.Contains(out, "Sandbox") || !strings.HasSuffix(out, "\n\n") {
			return fmt.Errorf("the program has printed %q", out)
		}
		return nil
	})
	return p.stdout.String()
}

// kill ends the process with SIGKILL.
func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill: %v", err)
	}
	<-p.exited
}

// execute runs a command to its end and returns its exit code and what it wrote.
func execute(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(readyWithin+stopWithin, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// text is a buffer that is written and read at the same time.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *text) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *text) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
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
		if err == nil {
			return nil
		}
		if errors.As(err, &f) {
			return f.error
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		}
	}
}

// eventually fails the test when try does not succeed in time.
func eventually(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	if err := within(t.Context(), limit, try); err != nil {
		t.Fatal(err)
	}
}

// plainGet reads an address that is outside of the API and needs no token.
func plainGet(t *testing.T, url string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// ui reads an address of the Temporal Web UI, signed in as the admin.
func (p *program) ui(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.run.TemporalUI+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(p.run.AdminUser, adminPassword)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// token is what the embedded Temporal wants to see.
func (p *program) token(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.data, "engine-token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// status reads an address and gives the reply's status.
func status(t *testing.T, url string) int {
	t.Helper()
	code, _, _ := plainGet(t, url)
	return code
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
