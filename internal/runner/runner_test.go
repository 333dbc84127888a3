package runner

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waybill/internal/archive"
	"waybill/internal/job"
	"waybill/internal/runtimes/child"
	"waybill/internal/sandbox"
)

func TestMain(m *testing.M) {
	child.Main(os.Args)
	if os.Getenv("RUNNER_TEST_CRASH") != "" {
		crashHelper()
		return
	}
	goleak.VerifyTestMain(m)
}

const jobID = job.ID("69b9209b00000000000000c1")

func newRunner(t testing.TB, change func(*Config)) *Runner {
	t.Helper()
	cfg := Config{Work: filepath.Join(t.TempDir(), "work"), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	work := cfg.Work
	t.Cleanup(func() { _ = archive.Remove(work) }) // folders in it are read-only, and only root can remove those as they are
	r, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// pack makes a zip of name, text pairs; a name that ends in "*" is executable.
func pack(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		name, executable := strings.CutSuffix(pairs[i], "*")
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o644)
		if executable {
			h.SetMode(0o755)
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packageOf(name string, data []byte) Package {
	sum := sha256.Sum256(data)
	return Package{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

func fetchOf(data []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func lease(t testing.TB, r *Runner, name string, data []byte) *Lease {
	t.Helper()
	l, err := r.Cache().Use(t.Context(), packageOf(name, data), fetchOf(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// text is the log without its time stamps.
func (s *syncBuffer) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for line := range strings.Lines(s.b.String()) {
		if len(line) > 25 {
			out = append(out, line[25:])
		} else {
			out = append(out, "?"+line)
		}
	}
	return strings.Join(out, "")
}

type attempt struct {
	*Execution
	log *syncBuffer
}

func prepare(t testing.TB, r *Runner, l *Lease, spec job.Spec) (attempt, error) {
	t.Helper()
	log := &syncBuffer{}
	e, err := r.Prepare(Request{
		Job:     job.Job{ID: jobID, ConfigID: 44, Attempt: 1, Spec: spec},
		Package: l, Log: log, Grace: 10 * time.Second,
		Open: func(sealed string) (string, error) {
			if text, ok := strings.CutPrefix(sealed, "sealed:"); ok {
				return text, nil
			}
			return "", errors.New("wrong key")
		},
	})
	return attempt{e, log}, err
}

func mustPrepare(t testing.TB, r *Runner, l *Lease, spec job.Spec) attempt {
	t.Helper()
	a, err := prepare(t, r, l, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// script runs a single-file shell package to its end.
func script(t testing.TB, r *Runner, text string) (Result, attempt) {
	t.Helper()
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(text)), job.Spec{})
	result, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result, a
}

func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

func TestRunnersByKind(t *testing.T) {
	r := newRunner(t, nil)
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Skip("no /bin/cat to take for a native executable")
	}
	cases := []struct {
		name, needs, key string
		pairs            []string // of a zip, or the text of a single file
		entry, want      string
		code             int
	}{
		{"shell by ending", "", "run.sh", []string{"echo hello; exit 3"}, "", "hello\n", 3},
		{"python by ending", "python3", "main.py", []string{"print('hello', flush=True)\nraise SystemExit(4)"}, "", "hello\n", 4},
		{"node by ending", "node", "main.mjs", []string{"console.log('hello'); process.exit(5)"}, "", "hello\n", 5},
		{"process with #!", "", "p.djar", []string{"Proj/x.process.rtc", "#!/bin/sh\necho hello from $0 | sed s,/.*/,,\n"}, "x.process", "hello from x.process.rtc\n", 0},
		{"#! with an argument", "", "p.zip", []string{"x", "#!/bin/sh -e\nfalse\necho not reached\n"}, "x", "", 1},
		{"#! with env", "", "p.zip", []string{"x", "#!/usr/bin/env sh\necho env\n"}, "x", "env\n", 0},
		{"#! with env -S", "", "p.zip", []string{"x", "#!/usr/bin/env -S sh -e\nfalse\n"}, "x", "", 1},
		{"#! with a carriage return", "", "p.zip", []string{"x", "#!/bin/sh\r\necho windows"}, "x", "windows\n", 0},
		{"#! before ending", "bash", "run.sh", []string{"#!/bin/bash\na=(1 2); echo ${a[1]}"}, "", "2\n", 0},
		{"ending where #! leads nowhere", "", "run.sh", []string{"#!/opt/none/sh\necho fallback"}, "", "fallback\n", 0},
		{"native executable without x bit", "", "p.zip", []string{"Proj/cat", string(cat)}, "cat", "", 0},
		{"starts in the project folder", "", "p.zip", []string{"Proj/x.sh", "cat data.txt", "Proj/data.txt", "data\n"}, "x.sh", "data\n", 0},
		{"starts in the package with the full name", "", "p.zip", []string{"Proj/x.sh", "cat Proj/data.txt", "Proj/data.txt", "data\n"}, "Proj/x.sh", "data\n", 0},
		{"signal", "", "run.sh", []string{"kill -9 $$"}, "", "", 137},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != "" {
				need(t, c.needs)
			}
			data := []byte(c.pairs[0])
			if len(c.pairs) > 1 {
				data = pack(t, c.pairs...)
			}
			a := mustPrepare(t, r, lease(t, r, c.key, data), job.Spec{EntryPoint: c.entry})
			result, err := a.Run(t.Context())
			if err != nil || result.ExitCode != c.code || result.Stopped {
				t.Errorf("got %+v %v, want exit code %d", result, err, c.code)
			}
			if a.log.text() != c.want {
				t.Errorf("log %q, want %q", a.log.text(), c.want)
			}
			if c.name == "signal" && (result.Signal != "SIGKILL" || result.Message() != "The program was ended by signal SIGKILL") {
				t.Errorf("got %q: %s", result.Signal, result.Message())
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	r := newRunner(t, nil)
	cases := []struct {
		name string
		spec job.Spec
		word job.Word
		want string
	}{
		{"absent entry point", job.Spec{EntryPoint: "none.sh"}, job.WordInvalidPackage, "'none.sh' is not in the package; it has 'x.process'"},
		{"no runner", job.Spec{EntryPoint: "data.csv"}, job.WordInvalidPackage, "'data.csv' can not be run: it is neither a script"},
		{"declarative process", job.Spec{EntryPoint: "x.process"}, job.WordEngineMissing, "No engine runs entry point 'x.process' on this worker (engine_missing): the setting 'runners'"},
		{"missing interpreter", job.Spec{EntryPoint: "lang"}, job.WordInterpreterMissing, "Interpreter 'no-such-lang' of entry point 'lang' is not installed"},
		{"missing interpreter by path", job.Spec{EntryPoint: "path"}, job.WordInterpreterMissing, "'/no/such/lang'"},
		{"empty #!", job.Spec{EntryPoint: "empty"}, job.WordInvalidPackage, "names no interpreter"},
		{"job file outside", job.Spec{EntryPoint: "a.sh", Files: map[string]string{"../x": "y"}}, job.WordInvalidField, "not a path inside"},
		{"macro that circles", job.Spec{EntryPoint: "a.sh", Macros: []job.Macro{{Key: "A", Value: "$(A)"}}}, job.WordInvalidField, "refers to itself"},
		{"macro of another key", job.Spec{EntryPoint: "a.sh", Macros: []job.Macro{{Key: "A", Sealed: "x", Secure: true}}}, job.WordInternal, "can not be opened"},
	}
	l := lease(t, r, "p.zip", pack(t, "a.sh", "exit 0", "data.csv", "x", "x.process", "<xml/>", "lang", "#!/usr/bin/env no-such-lang\n", "path", "#!/no/such/lang\n", "empty", "#!\n"))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := prepare(t, r, l, c.spec)
			if job.WordOf(err) != c.word || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v (%s), want %s %q", err, job.WordOf(err), c.word, c.want)
			}
			checkNoJobFolder(t, r)
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SERVER_SECRET", "do not pass")
	t.Setenv("TZ", "Europe/Oslo")
	r := newRunner(t, nil)
	l := lease(t, r, "run.sh", []byte("env; cat \"$LOCAL_JOB_SPEC_DIR/in/a.txt\"; pwd; echo token=$TOKEN url=$URL"))
	a := mustPrepare(t, r, l, job.Spec{
		Files: map[string]string{"in/a.txt": "job file\n"},
		Macros: []job.Macro{
			{Key: "TARGET", Value: "/data/$(JOB_ID)"}, {Key: "TOKEN", Sealed: "sealed:s3cret", Secure: true},
			{Key: "URL", Value: "http://u:$(TOKEN)@h"}, {Key: "JOB_ID", Value: "forged"}, {Key: "not a name", Value: "x"},
			{Key: "LANG", Value: "nb_NO"}, {Key: "NUL", Value: "a\x00b"},
		},
	})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := a.log.text()
	for _, want := range []string{
		"TARGET=/data/forged\n", "JOB_ID=" + string(jobID) + "\n", "JOB_CONFIG_ID=44\n", "WAYBILL_ATTEMPT=1\n", "LANG=nb_NO\n", "TZ=Europe/Oslo\n",
		"LOCAL_JOB_OUT_DIR=" + a.dir + "/out\n", "TMPDIR=" + a.dir + "/tmp\n", "HOME=" + a.dir + "/tmp\n", "PATH=" + os.Getenv("PATH") + "\n",
		"WAYBILL_PACKAGE_DIR=" + l.Dir + "\n", "job file\n", "token=*** url=***\n", l.Dir + "\n",
		"waybill: macro \"not a name\" is not passed", "waybill: macro JOB_ID is not passed", "waybill: macro NUL is not passed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("log lacks %q:\n%s", want, text)
		}
	}
	for _, secret := range []string{"s3cret", "SERVER_SECRET"} {
		if strings.Contains(text, secret) {
			t.Errorf("log shows %s", secret)
		}
	}
}

func TestOutputStreamsStayInOrder(t *testing.T) {
	r := newRunner(t, nil)
	_, a := script(t, r, "i=0; while [ $i -lt 200 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done")
	var want strings.Builder
	for i := range 200 {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	if a.log.text() != want.String() {
		t.Error("lines are out of order")
	}
}

func TestPrivateFolderIsGoneAfterClose(t *testing.T) {
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte("cd \"$TMPDIR\"; mkdir -p a/b; touch a/b/c; chmod 500 a/b a")), job.Spec{})
	if info, err := os.Stat(a.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info, err)
	}
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	checkNoJobFolder(t, r)
}

// checkNoJobFolder: nothing is left but spares, and those are empty.
func checkNoJobFolder(t *testing.T, r *Runner) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(r.work, "jobs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if !strings.HasPrefix(e.Name(), ".spare-") || !untouched(filepath.Join(r.work, "jobs", e.Name())) {
			t.Errorf("left behind: %v", e.Name())
		}
	}
}

func TestFoldersAreUsedAgainOnlyWhenUntouched(t *testing.T) {
	r := newRunner(t, nil)
	for _, c := range []struct {
		script string
		spares int
	}{
		{"true", 1}, {"true", 1}, {"touch \"$TMPDIR/x\"", 0}, {"true", 1}, {"chmod 755 \"$LOCAL_JOB_OUT_DIR\"", 0},
		{"touch \"$LOCAL_JOB_OUT_DIR/../x\"", 0}, {"rmdir \"$TMPDIR\"", 0}, {"mkdir \"$LOCAL_JOB_SPEC_DIR/x\"", 0}, {"true", 1},
	} {
		a, err := prepare(t, r, lease(t, r, "run.sh", []byte(c.script)), job.Spec{})
		if err == nil {
			_, err = a.Run(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if len(r.spares) != c.spares {
			t.Errorf("after %q: %d spares, want %d", c.script, len(r.spares), c.spares)
		}
		checkNoJobFolder(t, r)
	}
}

func TestOutputs(t *testing.T) {
	r := newRunner(t, func(c *Config) { c.OutFiles, c.OutBytes, c.OutFileBytes = 3, 1000, 600 })
	secret := filepath.Join(t.TempDir(), "server.txt")
	if err := os.WriteFile(secret, []byte("server"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, script, want, fault string }{
		{"files", "mkdir d; printf one >d/a; printf two >b", "b:two d/a:one", ""},
		{"none", "true", "", ""},
		{"links and pipes are left", "ln -s " + secret + " link; ln -s .. up; mkfifo pipe; printf x >a", "a:x", ""},
		{"too many", "touch a b c d", "", "more than 3 output files"},
		{"too large", "head -c 1001 /dev/zero >a", "", "file \"a\" is larger than 600 bytes"},
		{"too large together", "head -c 600 /dev/zero >a; head -c 600 /dev/zero >b", "", "larger than 1000 bytes together"},
		{"control character", "touch \"$(printf 'a\\nb')\"", "", "control characters"},
		{"not UTF-8", "touch \"$(printf 'a\\377')\"", "", "not UTF-8"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result, a := script(t, r, "cd \"$LOCAL_JOB_OUT_DIR\"; "+c.script)
			if result.ExitCode != 0 {
				t.Fatal(a.log.text())
			}
			var got []string
			outputs, err := a.Outputs(t.Context(), func(_ context.Context, name string, r io.Reader, size int64) error {
				b, err := io.ReadAll(r)
				if int64(len(b)) != size {
					t.Errorf("%s: %d bytes, want %d", name, len(b), size)
				}
				got = append(got, name+":"+string(b))
				return err
			})
			if c.fault != "" {
				if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), c.fault) || got != nil {
					t.Errorf("got %v and %v, want %q", got, err, c.fault)
				}
				return
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("got %v %v, want %s", got, err, c.want)
			}
			for i, o := range outputs {
				name, text, _ := strings.Cut(got[i], ":")
				sum := sha256.Sum256([]byte(text))
				if o.Name != name || o.SHA256 != hex.EncodeToString(sum[:]) || o.Size != int64(len(text)) || o.CreatedAt.IsZero() {
					t.Errorf("output %+v", o)
				}
			}
			if c.name == "links and pipes are left" && strings.Count(a.log.text(), "is no regular file and is not kept") != 3 {
				t.Errorf("log: %s", a.log.text())
			}
		})
	}
}

func TestAnOutputFolderThatWasReplaced(t *testing.T) {
	elsewhere := t.TempDir()
	if err := os.Chmod(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		word job.Word
	}{
		"by nothing":          {`rm -r "$LOCAL_JOB_OUT_DIR"`, ""},
		"by a file":           {`rm -r "$LOCAL_JOB_OUT_DIR"; echo x > "$LOCAL_JOB_OUT_DIR"`, job.WordInvalidField},
		"by a link elsewhere": {`rm -r "$LOCAL_JOB_OUT_DIR"; ln -s ` + elsewhere + ` "$LOCAL_JOB_OUT_DIR"`, job.WordInvalidField},
		"by a link inside":    {`rm -r "$LOCAL_JOB_OUT_DIR"; ln -s tmp "$LOCAL_JOB_OUT_DIR"`, job.WordInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRunner(t, nil)
			_, a := script(t, r, c.text)
			put := func(context.Context, string, io.Reader, int64) error { return nil }
			outputs, err := a.Outputs(t.Context(), put)
			if len(outputs) != 0 || job.WordOf(err) != c.word {
				t.Errorf("outputs %v, error %v", outputs, err)
			}
			if untouched(a.dir) {
				t.Error("the folder would be given to the next job")
			}
		})
	}
}

func TestWorkFolderIsUsedByOne(t *testing.T) {
	r := newRunner(t, nil)
	if _, err := New(t.Context(), Config{Work: r.work}); job.CodeOf(err) != job.Conflict {
		t.Errorf("got %v", err)
	}
}

func TestWithoutSandboxThePackageIsCopied(t *testing.T) {
	r := newRunner(t, func(c *Config) { c.Sandbox = sandbox.Off })
	l := lease(t, r, "p.zip", pack(t, "run.sh", "echo changed >>data; cat data", "data", "one\n"))
	for range 2 {
		a, err := prepare(t, r, l, job.Spec{EntryPoint: "run.sh"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Run(t.Context()); err != nil || a.log.text() == "" || strings.Count(a.log.text(), "changed") > 1 {
			t.Errorf("%v %q", err, a.log.text())
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r.Sandbox() != "off by setting" {
		t.Error(r.Sandbox())
	}
	if _, err := New(t.Context(), Config{Work: t.TempDir(), Sandbox: "some"}); job.CodeOf(err) != job.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestALogThatFailsDoesNotBlockTheProgram(t *testing.T) {
	r := newRunner(t, nil)
	l := lease(t, r, "run.sh", []byte("head -c 1000000 /dev/zero; echo done >\"$LOCAL_JOB_OUT_DIR/end\""))
	full := errors.New("log store is away")
	e, err := r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: 1}, Package: l, Log: failingWriter{full}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if result, err := e.Run(t.Context()); !errors.Is(err, full) || result.ExitCode != 0 {
		t.Errorf("got %v %v", result, err)
	}
	if _, err := os.Stat(filepath.Join(e.dir, "out", "end")); err != nil {
		t.Error(err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func names(entries []fs.DirEntry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.Sort(out)
	return out
}
