package runner

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// wheel makes a Python library in the form pip installs without building anything.
func wheel(t *testing.T, name, version, source string) (file, text string) {
	t.Helper()
	info := name + "-" + version + ".dist-info/"
	parts := []string{
		name + ".py", source,
		info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n",
		info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "entry_points.txt", "[console_scripts]\n" + name + "-tool = " + name + ":main\n",
	}
	var record strings.Builder
	for i := 0; i < len(parts); i += 2 {
		sum := sha256.Sum256([]byte(parts[i+1]))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", parts[i], base64.RawURLEncoding.EncodeToString(sum[:]), len(parts[i+1]))
	}
	fmt.Fprintf(&record, "%sRECORD,,\n", info)
	return name + "-" + version + "-py3-none-any.whl", string(pack(t, append(parts, info+"RECORD", record.String())...))
}

// tarball makes an npm package, and the integrity a lock names it with.
func tarball(t *testing.T, pairs ...string) (text, integrity string) {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for i := 0; i < len(pairs); i += 2 {
		err := w.WriteHeader(&tar.Header{Name: "package/" + pairs[i], Mode: 0o644, Size: int64(len(pairs[i+1]))})
		if err == nil {
			_, err = w.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	return b.String(), "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// furnished runs an attempt with its environment. numbers tell attempts of one test apart.
func furnished(t *testing.T, r *Runner, l *Lease, number int, spec job.Spec) (Result, *syncBuffer, error) {
	t.Helper()
	log := &syncBuffer{}
	e, err := r.Prepare(Request{Job: job.Job{ID: jobID, AccountID: 7, Attempt: number, Spec: spec}, Package: l, Log: log, Open: openTest})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := e.Furnish(t.Context()); err != nil {
		return Result{}, log, err
	}
	result, err := e.Run(t.Context())
	return result, log, err
}

func openTest(sealed string) (string, error) { return strings.TrimPrefix(sealed, "sealed:"), nil }

func needPythonVenv(t *testing.T) {
	t.Helper()
	python := need(t, "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skip("python3 has no modules venv and ensurepip")
	}
}

// last is the last line of a log.
func last(log *syncBuffer) string {
	lines := strings.Split(strings.TrimSpace(log.text()), "\n")
	return lines[len(lines)-1]
}

func TestPythonEnvironment(t *testing.T) {
	needPythonVenv(t)
	name, text := wheel(t, "greeter", "1.0", "VALUE = 'from a wheel'\ndef main():\n    print('tool')\n")
	program := `import greeter, os, subprocess, sys
tool = subprocess.run(["greeter-tool"], capture_output=True, text=True).stdout.strip()
try:
    open(os.path.join(os.path.dirname(greeter.__file__), "x"), "w")
    written = "written"
except OSError:
    written = "read-only"
print(greeter.VALUE, tool, written, os.path.exists(os.environ["VIRTUAL_ENV"]), sys.argv[1:])
`
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRunner(t, func(c *Config) { c.Sandbox = mode })
			l := lease(t, r, "p.zip", pack(t, "P/main.py", program, "P/requirements.txt", "--no-index\n--find-links ./wheels\ngreeter==1.0\n", "P/wheels/"+name, text))
			want := "from a wheel tool read-only True []"
			if mode == sandbox.Off && os.Getuid() == 0 {
				want = "from a wheel tool written True []" // root is held back by the sandbox only
			}
			for number := 1; number <= 2; number++ {
				result, log, err := furnished(t, r, l, number, job.Spec{EntryPoint: "main.py"})
				if err != nil || result.ExitCode != 0 || last(log) != want {
					t.Fatalf("%+v %v, log:\n%s", result, err, log.text())
				}
				built := strings.Contains(log.text(), "building the Python environment of P/requirements.txt")
				if built != (number == 1) || built != strings.Contains(log.text(), "Successfully installed greeter-1.0") {
					t.Errorf("attempt %d: built %v, log:\n%s", number, built, log.text())
				}
			}
		})
	}
}

func TestPythonProjectAndVariables(t *testing.T) {
	needPythonVenv(t)
	wheels := t.TempDir()
	name, text := wheel(t, "greeter", "1.0", "VALUE = 'of the worker'\n")
	if err := os.WriteFile(filepath.Join(wheels, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIP_FIND_LINKS", wheels)
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("NOT_FOR_BUILDS", "x")
	r := newRunner(t, nil)
	project := "[project]\nname = \"p\"\nversion = \"1\"\ndependencies = [\"greeter>=1\"]\n"
	l := lease(t, r, "p.zip", pack(t, "src/main.py", "import greeter\nprint(greeter.VALUE)\n", "pyproject.toml", project))
	if result, log, err := furnished(t, r, l, 1, job.Spec{EntryPoint: "src/main.py"}); err != nil || result.ExitCode != 0 || last(log) != "of the worker" {
		t.Fatalf("%+v %v, log:\n%s", result, err, log.text())
	}
	// Another package with the same dependencies shares the environment.
	other := lease(t, r, "q.zip", pack(t, "src/main.py", "import greeter\nprint('other', greeter.VALUE)\n", "pyproject.toml", project))
	if _, log, err := furnished(t, r, other, 2, job.Spec{EntryPoint: "src/main.py"}); err != nil || log.text() != "other of the worker\n" {
		t.Errorf("%v, log:\n%s", err, log.text())
	}
	// A project without dependencies needs none.
	none := lease(t, r, "n.zip", pack(t, "main.py", "import sys\nprint(sys.prefix == sys.base_prefix)", "pyproject.toml", "[tool.black]\nline-length = 100\n"))
	if _, log, err := furnished(t, r, none, 3, job.Spec{EntryPoint: "main.py"}); err != nil || log.text() != "True\n" {
		t.Errorf("%v, log:\n%s", err, log.text())
	}
}

func TestAFailedEnvironmentIsToldAndTriedAnew(t *testing.T) {
	needPythonVenv(t)
	r := newRunner(t, nil)
	l := lease(t, r, "p.zip", pack(t, "main.py", "print('ran')", "requirements.txt", "--no-index\nno-such-library==1.0\n"))
	for number := 1; number <= 2; number++ {
		_, log, err := furnished(t, r, l, number, job.Spec{Macros: []job.Macro{{Key: "PIP_EXTRA_INDEX_URL", Sealed: "sealed:https://u:hush-hush@127.0.0.1:1/", Secure: true}}})
		if job.WordOf(err) != job.WordEnvironmentFailed || !strings.Contains(fmt.Sprint(err), "The Python environment of requirements.txt could not be built") {
			t.Fatalf("got %v, log:\n%s", err, log.text())
		}
		if !strings.Contains(log.text(), "No matching distribution found for no-such-library==1.0") || strings.Contains(log.text(), "hush") {
			t.Errorf("log:\n%s", log.text())
		}
	}
	r.environments.Close()
	if left, _ := os.ReadDir(filepath.Join(r.work, "environments")); len(left) != 0 {
		t.Errorf("left behind: %v", names(left))
	}
}

const nodeLock = `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
"":{"name":"app","version":"1.0.0","dependencies":{"greeter":"file:vendor/greeter-1.0.0.tgz"}},
"node_modules/greeter":{"version":"1.0.0","resolved":"file:vendor/greeter-1.0.0.tgz","integrity":"%s"}}}`

func nodePackage(t *testing.T, member, program string) []byte {
	t.Helper()
	need(t, "node")
	need(t, "npm")
	text, integrity := tarball(t, "package.json", `{"name":"greeter","version":"1.0.0","main":"index.js"}`, "index.js", "module.exports = { value: 'from a tarball' };")
	return pack(t, "app/"+member, program, "app/lib.js", "module.exports = 'a file of its own';",
		"app/package.json", `{"name":"app","version":"1.0.0","dependencies":{"greeter":"file:vendor/greeter-1.0.0.tgz"}}`,
		"app/package-lock.json", fmt.Sprintf(nodeLock, integrity), "app/vendor/greeter-1.0.0.tgz", text)
}

func TestNodeEnvironmentForRequireAndImport(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		r := newRunner(t, func(c *Config) { c.Sandbox = mode })
		for member, program := range map[string]string{
			"main.cjs": "console.log(require('greeter').value, require('./lib.js'), process.cwd() === require('path').dirname(__filename))",
			"main.mjs": "import greeter from 'greeter'; import lib from './lib.js'; console.log(greeter.value, lib, process.env.WAYBILL_PACKAGE_DIR + '/app' === import.meta.dirname)",
		} {
			l := lease(t, r, "p.zip", nodePackage(t, member, program))
			for number := 1; number <= 2; number++ {
				result, log, err := furnished(t, r, l, number, job.Spec{EntryPoint: member})
				if err != nil || result.ExitCode != 0 || last(log) != "from a tarball a file of its own true" {
					t.Fatalf("%s %s: %+v %v, log:\n%s", mode, member, result, err, log.text())
				}
				if built := strings.Contains(log.text(), "building the Node environment"); built != (number == 1) {
					t.Errorf("%s %s: attempt %d: built %v", mode, member, number, built)
				}
			}
		}
	}
}

// An environment of a lock that names nothing of the package is shared by its versions.
func TestNodeEnvironmentIsSharedByVersions(t *testing.T) {
	need(t, "node")
	need(t, "npm")
	lock := `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0"}}}`
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		r := newRunner(t, func(c *Config) { c.Sandbox = mode })
		for number := 1; number <= 2; number++ {
			l := lease(t, r, "p.zip", pack(t, "main.mjs", fmt.Sprintf("import { readFileSync } from 'fs'; console.log(%d, readFileSync('data.txt', 'utf8'))", number),
				"data.txt", "data", "package.json", `{"name":"app","version":"1.0.0"}`, "package-lock.json", lock))
			_, log, err := furnished(t, r, l, number, job.Spec{EntryPoint: "main.mjs"})
			if err != nil || last(log) != fmt.Sprint(number, " data") {
				t.Fatalf("%s: %v, log:\n%s", mode, err, log.text())
			}
			if built := strings.Contains(log.text(), "building the Node environment"); built != (number == 1) {
				t.Errorf("%s: version %d: built %v", mode, number, built)
			}
		}
	}
}

func TestConcurrentJobsShareTheBuild(t *testing.T) {
	needPythonVenv(t)
	r := newRunner(t, nil)
	name, text := wheel(t, "greeter", "1.0", "VALUE = 'x'\n")
	l := lease(t, r, "p.zip", pack(t, "main.py", "import greeter\nprint(greeter.VALUE)\n", "requirements.txt", "--no-index\n--find-links wheels\ngreeter\n", "wheels/"+name, text))
	var wg sync.WaitGroup
	logs := make([]*syncBuffer, 6)
	for i := range logs {
		wg.Go(func() {
			result, log, err := furnished(t, r, l, i+1, job.Spec{EntryPoint: "main.py"})
			if logs[i] = log; err != nil || result.ExitCode != 0 || last(log) != "x" {
				t.Errorf("%+v %v, log:\n%s", result, err, log.text())
			}
		})
	}
	wg.Wait()
	built := 0
	for _, log := range logs {
		if strings.Contains(log.text(), "building the Python environment") {
			built++
		}
	}
	if built != 1 {
		t.Errorf("built %d times", built)
	}
}

// Whoever waits for an environment can be cancelled; the build ends with the last one, with all it started.
func TestABuildEndsWithItsJob(t *testing.T) {
	need(t, "node")
	need(t, "npm")
	r := newRunner(t, nil)
	lock := `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"hasInstallScript":true,"packages":{"":{"name":"app","version":"1.0.0","hasInstallScript":true}}}`
	l := lease(t, r, "p.zip", pack(t, "main.mjs", "", "package.json", `{"name":"app","version":"1.0.0","scripts":{"install":"echo $$ begun; exec sleep 1000"}}`, "package-lock.json", lock))
	log := &syncBuffer{}
	e, err := r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: 1, Spec: job.Spec{EntryPoint: "main.mjs"}}, Package: l, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { result <- e.Furnish(ctx) }()
	marked := func() bool { return len(marked(r.id)) > 0 }
	waitFor(t, "the install script", func() bool {
		entries, _ := filepath.Glob(filepath.Join(r.work, "environments", "*", "tree", "package"))
		return len(entries) == 1 && marked()
	})
	stop := errors.New("stopped by a user")
	cancel(stop)
	if err := <-result; !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, "the end of the build", func() bool { return !marked() })
	r.environments.Close()
	if left, _ := os.ReadDir(filepath.Join(r.work, "environments")); len(left) != 0 {
		t.Errorf("left behind: %v", names(left))
	}
}

func TestDependenciesThatDoNotFit(t *testing.T) {
	need(t, "python3")
	r := newRunner(t, nil)
	for dependency, want := range map[string]string{
		"package-lock.json": "does not fit its runtime, python", "other.toml": "is none that is known", "requirements-none.txt": "is not in the package",
	} {
		l := lease(t, r, "p.zip", pack(t, "main.py", "", "package-lock.json", "{}", "other.toml", "", "n", dependency))
		l.entry.about.Archive.Manifest = &job.Manifest{EntryPoints: []job.EntryPoint{{Name: "m", Path: "main.py", Dependencies: []string{dependency}}}}
		if _, _, err := furnished(t, r, l, 1, job.Spec{EntryPoint: "main.py"}); job.WordOf(err) != job.WordInvalidPackage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dependency, err)
		}
	}
}

func TestAUvLock(t *testing.T) {
	needPythonVenv(t)
	uv := need(t, "uv")
	name, text := wheel(t, "greeter", "1.0", "VALUE = 'by uv'\ndef main():\n    pass\n")
	project := "[project]\nname = \"p\"\nversion = \"1\"\nrequires-python = \">=3.8\"\ndependencies = [\"greeter\"]\n[tool.uv.sources]\ngreeter = { path = \"wheels/" + name + "\" }\n"
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "wheels"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"pyproject.toml": project, "wheels/" + name: text} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), uv, "lock", "--offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("uv lock: %v\n%s", err, out)
	}
	lock, err := os.ReadFile(filepath.Join(dir, "uv.lock"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, nil)
	l := lease(t, r, "p.zip", pack(t, "main.py", "import greeter\nprint(greeter.VALUE)\n", "pyproject.toml", project, "uv.lock", string(lock), "wheels/"+name, text))
	for number := 1; number <= 2; number++ {
		result, log, err := furnished(t, r, l, number, job.Spec{EntryPoint: "main.py"})
		if err != nil || result.ExitCode != 0 || last(log) != "by uv" {
			t.Fatalf("%+v %v, log:\n%s", result, err, log.text())
		}
	}
}

// TestMembersNamedBySettings has macros, and not the lock, point to libraries that a package brings along. Another package with
// the same lock and macros has libraries of its own.
func TestMembersNamedBySettings(t *testing.T) {
	needPythonVenv(t)
	r := newRunner(t, nil)
	spec := job.Spec{EntryPoint: "main.py", Macros: []job.Macro{{Key: "PIP_FIND_LINKS", Value: "wheels"}, {Key: "PIP_NO_INDEX", Value: "1"}}}
	for number, value := range []string{"first", "second"} {
		name, text := wheel(t, "greeter", "1.0", "VALUE = '"+value+"'\ndef main():\n    pass\n")
		l := lease(t, r, value+".zip", pack(t, "P/main.py", "import greeter; print(greeter.VALUE)", "P/requirements.txt", "greeter==1.0\n", "P/wheels/"+name, text))
		if result, log, err := furnished(t, r, l, number+1, spec); err != nil || result.ExitCode != 0 || last(log) != value {
			t.Errorf("%+v %v, want %s, log:\n%s", result, err, value, log.text())
		}
	}
}
