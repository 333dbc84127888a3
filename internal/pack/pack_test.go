package pack_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/archive"
	"waybill/internal/job"
	"waybill/internal/pack"
	"waybill/internal/runner"
	"waybill/internal/runtimes/child"
)

// folder writes name, text pairs; a name that ends in "*" is executable.
func folder(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		name, executable := strings.CutSuffix(pairs[i], "*")
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if executable {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(pairs[i+1]), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t *testing.T, dir, out string) *pack.Report {
	t.Helper()
	r, err := pack.Build(t.Context(), dir, out)
	if err != nil || !r.OK() {
		t.Fatalf("%+v %v", r, err)
	}
	return r
}

func TestTheSameFilesGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	files := []string{"waybill.yaml", "name: x\nentryPoints: [{path: run.sh}]\n", "run.sh*", "#!/bin/sh\n", "lib/a.txt", "a", "lib/b/c.txt", strings.Repeat("c", 100_000)}
	turned := []string{}
	for i := len(files) - 2; i >= 0; i -= 2 {
		turned = append(turned, files[i], files[i+1])
	}
	for _, ending := range []string{".djar", ".tar.gz"} {
		a, b := folder(t, files...), folder(t, turned...)
		// Times, owners' bits and the umask say nothing about a package.
		if err := os.Chtimes(filepath.Join(b, "run.sh"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(b, "lib/a.txt"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(b, "run.sh"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{a, b} {
			if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("lib/a.txt", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}
		first, second := filepath.Join(t.TempDir(), "one"+ending), filepath.Join(b, "two"+ending)
		x, y := build(t, a, first), build(t, b, second)
		again := build(t, b, second) // the archive of the build before does not become part of it
		if x.SHA256 != y.SHA256 || again.SHA256 != y.SHA256 {
			t.Errorf("%s: %s, %s, %s", ending, x.SHA256, y.SHA256, again.SHA256)
		}
		one, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(second)
		if err != nil || !bytes.Equal(one, two) || int64(len(one)) != x.Size {
			t.Errorf("%s: the bytes differ, %v", ending, err)
		}
		tree := filepath.Join(t.TempDir(), "tree")
		if _, err := archive.Unpack(t.Context(), bytes.NewReader(one), x.Size, "one"+ending, tree, archive.DefaultLimits); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(tree, "run.sh")); err != nil || info.Mode().Perm() != 0o555 {
			t.Errorf("%v %v", info, err)
		}
		if text, err := os.ReadFile(filepath.Join(tree, "link")); err != nil || string(text) != "a" {
			t.Errorf("the link leads to %q, %v", text, err)
		}
		if info, err := os.Stat(filepath.Join(tree, "empty")); err != nil || !info.IsDir() {
			t.Errorf("the empty folder: %v", err)
		}
		if err := archive.Remove(tree); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsIgnoredStaysOut(t *testing.T) {
	t.Parallel()
	dir := folder(t, "run.sh", "", ".git/config", "", "a/__pycache__/x.pyc", "", "data/big.csv", "", "data/small.csv", "", "secret.env", "",
		"keep/x.pyc", "", pack.IgnoreFile, "# comment\ndata\n!data/small.csv\n*.env\n!keep/x.pyc\n")
	out := filepath.Join(t.TempDir(), "a.zip")
	build(t, dir, out)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	if _, err := archive.Unpack(t.Context(), f, info.Size(), "a.zip", tree, archive.DefaultLimits); err != nil {
		t.Fatal(err)
	}
	members, err := archive.Members(os.DirFS(tree))
	if got := strings.Join(members, " "); err != nil || got != "data/small.csv keep/x.pyc run.sh" {
		t.Errorf("members %q, %v", got, err)
	}
}

func TestARefusedBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	dir := folder(t, "waybill.yaml", "entryPoints:\n- path: gone.py\nwrong: 1\n")
	r, err := pack.Build(t.Context(), dir, filepath.Join(out, "a.djar"))
	if err != nil || len(r.Errors) != 2 || r.Errors[0].String() != "waybill.yaml, line 2: entryPoints[0].path 'gone.py' is not a file of the package" {
		t.Errorf("got %+v %v", r, err)
	}
	outside := folder(t, "run.sh", "")
	if err := os.Symlink("../../etc/passwd", filepath.Join(outside, "link")); err != nil {
		t.Fatal(err)
	}
	if r, err := pack.Build(t.Context(), outside, filepath.Join(out, "b.tgz")); err != nil || len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Text, "leads outside") {
		t.Errorf("got %+v %v", r, err)
	}
	if _, err := pack.Build(t.Context(), outside, filepath.Join(out, "c.rar")); err == nil {
		t.Error("a .rar was made")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pack.Build(ctx, folder(t, "run.sh", "x"), filepath.Join(out, "d.zip")); err == nil {
		t.Error("a build that was broken off was finished")
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestVerifyWarnsAnAuthor(t *testing.T) {
	t.Parallel()
	const yaml = `entryPoints:
- {name: load, path: load.py, arguments: [$(DAY)], environment: {OWN: x}}
- {name: web, path: web/main.mjs}
- {name: odd, path: odd.rb}
- {name: engine, path: x.flow, runtime: myengine}
macros:
- {name: DAY, required: true, default: x}
`
	files := []string{
		"waybill.yaml", yaml, "load.py", `import os
print(os.environ["KEY"], os.environ.get('OWN'), os.getenv("HOME"), os.environ["WAYBILL_EVENTS"], os.environ["LOCAL_JOB_OUT_DIR"])`,
		"web/main.mjs", "console.log(process.env.TOKEN)", "package.json", `{"dependencies":{"left-pad":"1"}}`, "odd.rb", "puts 1", "x.flow", "",
		"META-INF/MANIFEST.MF", "Main-Process: gone.process\n",
	}
	want := []string{
		"META-INF/MANIFEST.MF names a Main-Process that is not in the package: gone.process",
		"macro DAY is required and has a default",
		"entry point web has dependencies in package.json, but no package-lock.json",
		"entry point odd does not tell how it is run",
		"entry point engine has the runtime myengine, which workers need",
		"macro KEY is used in load.py",
		"macro TOKEN is used in web/main.mjs",
	}
	dir := folder(t, files...)
	out := filepath.Join(t.TempDir(), "a.zip")
	build(t, dir, out)
	for _, path := range []string{dir, out} { // a folder and its archive are told the same
		r, err := pack.Inspect(t.Context(), path)
		if err != nil || !r.OK() {
			t.Fatalf("%+v %v", r, err)
		}
		if len(r.Warnings) != len(want) {
			t.Errorf("%d warnings: %v", len(r.Warnings), r.Warnings)
			continue
		}
		for i, w := range r.Warnings {
			if !strings.HasPrefix(w.String(), want[i]) {
				t.Errorf("warning %d is %q, want %q", i, w, want[i])
			}
		}
	}
	for name, want := range map[string]string{"data.csv": "nothing in it can be run", "a.sh": ""} {
		r, err := pack.Inspect(t.Context(), folder(t, name, ""))
		if err != nil || (want == "") != (len(r.Warnings) == 0) || want != "" && !strings.Contains(r.Warnings[0].Text, want) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	r, err := pack.Inspect(t.Context(), folder(t, "a.sh", "", "b.sh", ""))
	if err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Text(), "2 entry points and no default") {
		t.Errorf("%+v %v", r, err)
	}
}

func TestInspectOfAFileThatIsNoPackage(t *testing.T) {
	t.Parallel()
	dir := folder(t, "a.zip", "no zip", "run.py", "print(1)")
	r, err := pack.Inspect(t.Context(), filepath.Join(dir, "a.zip"))
	if err != nil || len(r.Errors) != 1 || r.Errors[0].Text != "The package is not a zip archive" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = pack.Inspect(t.Context(), filepath.Join(dir, "run.py"))
	if err != nil || !r.OK() || r.Default != "run.py" {
		t.Errorf("a single file is its own entry point: %+v %v", r, err)
	}
	if _, err := pack.Inspect(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was inspected")
	}
}

func TestNamesOfPackages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"name: rates\nversion: 1.10": "rates-1.10.djar", "name: my rates/x": "my-rates-x.djar", "name: ..": "package.djar",
	} {
		if got := pack.FileName(folder(t, "waybill.yaml", text)); got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

// TestMain lets the test be what runs WebAssembly and SQL, as the program is.
func TestMain(m *testing.M) {
	child.Main(os.Args)
	os.Exit(m.Run())
}

// TestExamplesRun takes every example from nothing to the end of a job.
func TestExamplesRun(t *testing.T) {
	needs := map[string]string{"python": "python3", "node": "node", "java": "java"}
	r, err := runner.New(t.Context(), runner.Config{Work: filepath.Join(t.TempDir(), "work"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, runtime := range pack.Runtimes() {
		t.Run(runtime, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "first try")
			names, err := pack.Init(dir, runtime)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pack.Init(dir, runtime); err == nil || !strings.Contains(err.Error(), "is there already") {
				t.Errorf("written twice: %v", err)
			}
			out := filepath.Join(t.TempDir(), pack.FileName(dir))
			report := build(t, dir, out)
			if len(report.Warnings) > 0 || report.Default != "main" || filepath.Base(out) != "first-try-1.0.0.djar" || len(names) < 4 {
				t.Errorf("%s as %s: %+v", names, out, report)
			}
			if _, err := exec.LookPath(needs[runtime]); needs[runtime] != "" && err != nil {
				t.Skipf("%s is not installed", needs[runtime])
			}
			want := "Hello, world!"
			if runtime == "wasm" {
				want = "Hello from WebAssembly!"
			}
			if log := run(t, r, report, out); !strings.Contains(log, want) {
				t.Errorf("the log is %q", log)
			}
		})
	}
	if _, err := pack.Init(t.TempDir(), "cobol"); err == nil || !strings.Contains(err.Error(), "python") {
		t.Errorf("got %v", err)
	}
}

func run(t *testing.T, r *runner.Runner, report *pack.Report, file string) string {
	t.Helper()
	l, err := r.Cache().Use(t.Context(), runner.Package{Name: report.Package, SHA256: report.SHA256, Size: report.Size},
		func(context.Context) (io.ReadCloser, error) { return os.Open(file) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	var log bytes.Buffer
	macros := []job.Macro{}
	for _, m := range report.Manifest.Macros {
		macros = append(macros, job.Macro{Key: m.Name, Value: *m.Default})
	}
	e, err := r.Prepare(runner.Request{
		Job: job.Job{ID: "69b9209b00000000000000c1", ConfigID: 1, Attempt: 1, Spec: job.Spec{Macros: macros}}, Package: l, Log: &log, Grace: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := e.Furnish(t.Context()); err != nil {
		t.Fatalf("%v, log %s", err, log.String())
	}
	if result, err := e.Run(t.Context()); err != nil || result.ExitCode != 0 {
		t.Errorf("%+v %v, log %s", result, err, log.String())
	}
	return log.String()
}
