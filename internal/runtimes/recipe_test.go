package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// wish is one for a Python or Node program whose interpreter says what facts are.
func wish(t *testing.T, dir, member, runtime, facts string) Wish {
	t.Helper()
	interpreter := filepath.Join(t.TempDir(), runtime)
	if err := os.WriteFile(interpreter, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return Wish{
		Program: Program{Tree: dir, Entry: archive.Entry{Member: member}}, Command: Command{Runtime: runtime, Interpreter: interpreter},
		Account: 1, Package: "digest", Env: map[string]string{},
		Run: func(_ context.Context, _ Step, out io.Writer) error { _, err := io.WriteString(out, facts); return err },
	}
}

const somePython = `{"Executable": "/usr/bin/python3", "Version": "3.99", "Platform": "p", "Pip": "24.0", "Venv": true}`

func TestRequirementsThatReferToThePackage(t *testing.T) {
	for line, local := range map[string]bool{
		"requests": false, "requests==2.0": false, "Requests[a,b]>=1,<2 ; python_version > '3'": false, "x @ https://example.com/x.whl": false,
		"-i https://example.com/simple": false, "--no-index": false, "# -e .": false, "a # ./b": false, "a==1 \\\n  --hash=sha256:00": false,
		"x @ git+https://example.com/x": false, "--find-links https://example.com/": false,
		"-e .": true, ".": true, "./wheels/x.whl": true, "wheels/x.whl": true, "x.whl": true, "--find-links wheels": true, "-f ./wheels": true,
		"x @ file:///x": true, "../x": true, "file:x": true, "--unknown-option": true, "-r https://example.com/r.txt": true,
	} {
		in := ingredients{}
		got, err := requirements(tree(t, "requirements.txt", "ok\n"+line+"\n"), "requirements.txt", &in, 0)
		if err != nil || got != local {
			t.Errorf("%q: %v %v, want %v", line, got, err, local)
		}
	}
	in := ingredients{}
	dir := tree(t, "r/requirements.txt", "-r base.txt\n-c ../c.txt", "r/base.txt", "a", "c.txt", "./b")
	if local, err := requirements(dir, "r/requirements.txt", &in, 0); err != nil || !local || len(in.Files) != 3 {
		t.Errorf("%v %v, files %v", local, err, in.Files)
	}
	if _, err := requirements(tree(t, "a.txt", "-r a.txt"), "a.txt", &in, 0); err == nil {
		t.Error("a file that includes itself was taken")
	}
}

func TestTheKeyIsMadeOfAllThatDecides(t *testing.T) {
	tab := table(t)
	key := func(change func(*Wish), pairs ...string) string {
		w := wish(t, tree(t, append([]string{"main.py", ""}, pairs...)...), "main.py", Python, somePython)
		if change != nil {
			change(&w)
		}
		r, err := tab.Recipe(t.Context(), w)
		if err != nil || r == nil {
			t.Fatalf("%v %v", r, err)
		}
		return r.Key
	}
	plain := key(nil, "requirements.txt", "a==1")
	for name, other := range map[string]string{
		"the account":     key(func(w *Wish) { w.Account = 2 }, "requirements.txt", "a==1"),
		"the file":        key(nil, "requirements.txt", "a==2"),
		"the settings":    key(func(w *Wish) { w.Env["PIP_INDEX_URL"] = "x" }, "requirements.txt", "a==1"),
		"the interpreter": key(func(w *Wish) { w.Run = says(strings.Replace(somePython, "3.99", "3.100", 1)) }, "requirements.txt", "a==1"),
	} {
		if other == plain {
			t.Errorf("%s makes no difference", name)
		}
	}
	other := func(w *Wish) { w.Package = "another version" }
	if key(other, "requirements.txt", "a==1") != plain {
		t.Error("versions of a package do not share the environment")
	}
	if key(other, "requirements.txt", "./a") == key(nil, "requirements.txt", "./a") {
		t.Error("versions of a package share what depends on their files")
	}
}

func says(text string) func(context.Context, Step, io.Writer) error {
	return func(_ context.Context, _ Step, out io.Writer) error { _, err := io.WriteString(out, text); return err }
}

func TestTheNearestLockWhoseToolIsThereIsTaken(t *testing.T) {
	project := "[project]\nname='p'\nversion='1'\ndependencies=['a']\n"
	files := []string{"P/src/main.py", "", "P/pyproject.toml", project, "P/uv.lock", "x", "P/poetry.lock", "y", "requirements.txt", "far"}
	recipe := func(tools_ ...string) *Recipe {
		tools(t, tools_...)
		r, err := table(t).Recipe(t.Context(), wish(t, tree(t, files...), "P/src/main.py", Python, somePython))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	uv := recipe("uv", "poetry")
	steps := uv.steps(Building{Tree: "/tree", Dir: "/env", Temp: "/env/.temp"})
	if uv.Title != "Python environment of P/uv.lock" || !strings.Contains(strings.Join(steps[1].Argv, " "), "sync --frozen --no-dev --no-install-project --project /tree/P") {
		t.Errorf("%s: %v", uv.Title, steps)
	}
	if r := recipe("poetry"); r.Title != "Python environment of P/poetry.lock" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "P/uv.lock is not used: uv is not installed") {
		t.Errorf("%s %v", r.Title, r.Notes)
	}
	if r := recipe(); r.Title != "Python environment of P/pyproject.toml" || len(r.Notes) != 2 {
		t.Errorf("%s %v", r.Title, r.Notes)
	}
	tools(t)
	_, err := table(t).Recipe(t.Context(), wish(t, tree(t, "main.py", "", "uv.lock", "x"), "main.py", Python, somePython))
	if job.WordOf(err) != job.WordInterpreterMissing || !strings.Contains(fmt.Sprint(err), "'uv', which installs what uv.lock names, is not installed") {
		t.Errorf("got %v", err)
	}
}

func TestLocksThatReferToThePackage(t *testing.T) {
	for text, local := range map[string]bool{
		`source = { registry = "https://pypi.org/simple" }`: false, `source = { virtual = "." }`: false, `source = { editable = "." }`: false,
		`source = { editable = "lib" }`: true, `source = { path = "x.whl" }`: true, "[package.source]\ntype = \"directory\"\nurl = \"lib\"": true,
	} {
		if lockIsLocal([]byte(text)) != local {
			t.Errorf("%s: %v", text, !local)
		}
	}
	for text, local := range map[string]bool{
		`{"packages":{"":{},"node_modules/a":{"resolved":"https://r/a.tgz"}}}`: false,
		`{"packages":{"":{},"node_modules/a":{"resolved":"file:a.tgz"}}}`:      true,
		`{"packages":{"":{},"packages/a":{}}}`:                                 true,
		`{"packages":{"node_modules/a":{"link":true,"resolved":"a"}}}`:         true,
		`{"dependencies":{"a":{"version":"1.0.0"}}}`:                           false,
		`{"dependencies":{"a":{"version":"file:a.tgz"}}}`:                      true,
	} {
		if got, err := npmLockIsLocal([]byte(text)); err != nil || got != local {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
}

func TestNodeRecipes(t *testing.T) {
	tools(t, "npm")
	lock := `{"packages":{"":{}}}`
	recipe := func(pairs ...string) (*Recipe, error) {
		return table(t).Recipe(t.Context(), wish(t, tree(t, append([]string{"P/main.js", ""}, pairs...)...), "P/main.js", Node, "v20 /usr/bin/node 115\n"))
	}
	if r, err := recipe("P/package.json", "{}", "P/package-lock.json", lock); err != nil || !r.Moves || r.Whole || r.Folder != "P" {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := recipe("P/package.json", "{}", "P/package-lock.json", lock, "P/node_modules/a/index.js", ""); err != nil || r != nil {
		t.Errorf("libraries that were brought along: %+v %v", r, err)
	}
	if r, err := recipe("P/package.json", "{}"); err != nil || r != nil {
		t.Errorf("no lock: %+v %v", r, err)
	}
	for want, pairs := range map[string][]string{
		"has no package.json beside it": {"P/package-lock.json", lock},
		"can not be read":               {"P/package.json", "{}", "P/package-lock.json", "{"},
	} {
		if _, err := recipe(pairs...); job.WordOf(err) != job.WordInvalidPackage || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	tools(t)
	if _, err := recipe("P/package.json", "{}", "P/package-lock.json", lock); job.WordOf(err) != job.WordInterpreterMissing {
		t.Errorf("no npm: %v", err)
	}
}

func TestAnInterpreterThatDoesNotAnswer(t *testing.T) {
	w := wish(t, tree(t, "main.py", "", "requirements.txt", "a"), "main.py", Python, "no JSON")
	if _, err := table(t).Recipe(t.Context(), w); job.WordOf(err) != job.WordEnvironmentFailed {
		t.Errorf("got %v", err)
	}
	w.Command.Interpreter = wish(t, t.TempDir(), "", Python, "").Command.Interpreter
	fault := errors.New("killed")
	w.Run = func(context.Context, Step, io.Writer) error { return fault }
	if _, err := table(t).Recipe(t.Context(), w); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
}

// What waybill.yaml names is installed, all of it, or refused.
func TestSeveralDependenciesThatWaybillYamlNames(t *testing.T) {
	tools(t)
	dir := tree(t, "main.py", "", "base.txt", "a", "more/extra.txt", "./b", "pyproject.toml", "[project]\ndependencies = ['c']", "x/pyproject.toml", "")
	w := wish(t, dir, "main.py", Python, somePython)
	w.Dependencies = []string{"base.txt", "more/extra.txt"}
	r, err := table(t).Recipe(t.Context(), w)
	if err != nil || r.Title != "Python environment of base.txt, more/extra.txt" || !r.Whole {
		t.Fatalf("%+v %v", r, err)
	}
	steps := r.steps(Building{Tree: dir, Dir: "/e", Temp: "/e/temp"})
	if argv := strings.Join(steps[len(steps)-1].Argv, " "); !strings.HasSuffix(argv, " -r /e/package/base.txt -r /e/package/more/extra.txt") {
		t.Error(argv)
	}
	w.Dependencies = []string{"base.txt"}
	if one, err := table(t).Recipe(t.Context(), w); err != nil || one.Key == r.Key || one.Whole {
		t.Errorf("%+v %v", one, err)
	}
	w.Dependencies = []string{"pyproject.toml", "x/pyproject.toml"}
	if _, err := table(t).Recipe(t.Context(), w); job.WordOf(err) != job.WordInvalidPackage || !strings.Contains(fmt.Sprint(err), "lie in different folders") {
		t.Errorf("got %v", err)
	}
}
