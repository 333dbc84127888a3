package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExceptTakesProtectedFoldersOut(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"opt/app/data/jobs", "opt/app/bin", "opt/tool", "usr"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	at := func(p string) string { return filepath.Join(root, p) }
	var got []string
	for _, a := range except([]allowance{{at("opt"), accessExec}, {at("usr"), accessExec}, {at("none"), accessExec}}, []string{at("opt/app/data")}) {
		got = append(got, strings.TrimPrefix(a.path, root+"/"))
	}
	if want := []string{"opt/app/bin", "opt/tool", "usr"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestToolPathsStayOutOfHomes(t *testing.T) {
	t.Parallel()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"bin", ".local/bin", ".pyenv/shims", "x"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	at := func(p string) string { return filepath.Join(home, p) }
	path := strings.Join([]string{at("bin"), at(".local/bin"), at(".pyenv/shims"), at("x"), "relative", "/bin"}, ":")
	var got []string
	for _, a := range toolPaths(path, []string{home}) {
		got = append(got, strings.TrimPrefix(a.path, home+"/"))
	}
	want := []string{"bin", ".local/bin", ".local/lib", ".local/lib64", ".local/libexec", ".pyenv/shims", ".pyenv", "x", "/bin"}
	if got = slices.DeleteFunc(got, func(s string) bool { return s == "/usr" }); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
