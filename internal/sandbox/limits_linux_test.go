package sandbox

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// run runs a shell script and gives its output and end.
func run(t *testing.T, s *Sandbox, l Limits, script string) (string, Ending) {
	t.Helper()
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	p, err := s.Start(Program{
		Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir},
		Output: w, Write: []string{dir}, Limits: l,
	})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return <-text, e
}

func newSandbox(t *testing.T, mode Mode) *Sandbox {
	t.Helper()
	s, err := New(t.Context(), Config{Mode: mode, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestLimitsHoldFromTheFirstInstruction(t *testing.T) {
	for _, mode := range []Mode{Auto, Off} {
		t.Run(string(mode), func(t *testing.T) {
			s := newSandbox(t, mode)
			text, e := run(t, s, Limits{Memory: 64 << 20, OpenFiles: 50, FileSize: 4096}, "ulimit -n; ulimit -f; ulimit -d; ulimit -c")
			if want := "50\n8\n1179648\n0\n"; text != want || e.ExitCode != 0 {
				t.Errorf("got %q %+v, want %q", text, e, want)
			}
			if text, e = run(t, s, Limits{}, "ulimit -c; kill -TRAP $$"); text != "0\n" || e.Signal != "SIGTRAP" {
				t.Errorf("without limits: %q %+v", text, e)
			}
		})
	}
}

func TestAFileThatGrowsTooLargeIsTold(t *testing.T) {
	s := newSandbox(t, Auto)
	_, e := run(t, s, Limits{FileSize: 4096}, `exec head -c 8192 /dev/zero >"$TMPDIR/f"`)
	if e.Limit != LimitFileSize || e.Signal != "SIGXFSZ" || !strings.Contains(e.LimitText, "4 KiB") {
		t.Errorf("got %+v", e)
	}
}
