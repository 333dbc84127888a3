package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an author does with a package, with the exit codes that scripts go by.
func TestPackageCommands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "greet")
	archive := filepath.Join(t.TempDir(), "greet.tar.gz")
	call := func(code int, args ...string) string {
		t.Helper()
		var out, faults bytes.Buffer
		if got := run(t.Context(), func() {}, append([]string{"package"}, args...), &out, &faults); got != code {
			t.Errorf("%v: exit code %d, want %d\n%s%s", args, got, code, out.String(), faults.String())
		}
		return out.String() + faults.String()
	}
	call(exitUsage, "build")
	call(exitUsage, "nonsense")
	call(exitFailed, "init", dir, "--runtime", "cobol")
	call(exitOK, "init", dir, "--runtime", "shell")
	call(exitFailed, "init", dir, "--runtime", "shell")
	if out := call(exitOK, "verify", dir); !strings.Contains(out, "is fine: 1 entry points, 0 warnings") {
		t.Errorf("verify says %s", out)
	}
	var built, seen struct {
		SHA256            string
		DefaultEntryPoint string
		Errors, Warnings  []map[string]any
	}
	for to, out := range map[any]string{
		&built: call(exitOK, "build", dir, "-o", archive, "--json"), &seen: call(exitOK, "inspect", archive, "--json"),
	} {
		if err := json.Unmarshal([]byte(out), to); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
	}
	if built.SHA256 == "" || built.SHA256 != seen.SHA256 || seen.DefaultEntryPoint != "main" || seen.Errors == nil {
		t.Errorf("built %+v, seen %+v", built, seen)
	}
	if err := os.WriteFile(filepath.Join(dir, "waybill.yaml"), []byte("entryPoints:\n- path: gone.sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", dir}, {"build", dir, "-o", filepath.Join(dir, "x.djar")}, {"inspect", dir}} {
		if out := call(exitFailed, args...); !strings.Contains(out, "waybill.yaml, line 2: entryPoints[0].path 'gone.sh' is not a file of the package") {
			t.Errorf("%v says %s", args, out)
		}
	}
	if !strings.Contains(call(exitOK, "schema"), `"entryPoints"`) {
		t.Error("no schema")
	}
}

// The tutorial shows what the commands do: what differs with the compressor's version apart.
func TestTheTutorialShowsWhatTheCommandsPrint(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "packages-tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	tutorial := string(text)
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"init", "hello", "--runtime", "python"}, {"build", "hello"}} {
		var out, faults bytes.Buffer
		if code := run(t.Context(), func() {}, append([]string{"package"}, args...), &out, &faults); code != exitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, faults.String())
		}
		for line := range strings.Lines("$ waybill package " + strings.Join(args, " ") + "\n" + out.String()) {
			if !strings.HasPrefix(line, "sha256 ") && !strings.HasPrefix(line, "size ") && !strings.Contains(tutorial, "    "+line) {
				t.Errorf("the tutorial does not have the line %q", line)
			}
		}
	}
	for name, language := range map[string]string{"main.py": "python", "waybill.yaml": "yaml"} {
		file, err := os.ReadFile(filepath.Join("hello", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(tutorial, "```"+language+"\n"+string(file)+"```\n") {
			t.Errorf("the tutorial does not show %s as it is", name)
		}
	}
}
