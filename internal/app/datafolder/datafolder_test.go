package datafolder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *Folder {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolderIsHeldByOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "data")
	f := open(t, path)
	if err := f.WriteRun(RunFile{PID: 42, URL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "process 42 at http://127.0.0.1:1") {
		t.Errorf("second open: %v, want the holder's name", err)
	}
	if text, err := os.ReadFile(f.At("run.json")); err != nil || !json.Valid(text) {
		t.Errorf("run.json of the holder is gone or broken: %v %s", err, text)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	defer f.Close()
	if _, err := os.Stat(f.At("run.json")); !os.IsNotExist(err) {
		t.Error("the run.json of a dead process was left")
	}
	if err := f.RemoveRun(); err != nil {
		t.Errorf("removing an absent run.json: %v", err)
	}
}

func TestPathThatIsNoFolderIsOneClearLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path)
	if err == nil || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), path) != 1 {
		t.Errorf("err = %v, want one line that names the path once", err)
	}
}

func TestAdminPasswordIsKeptUntilUsed(t *testing.T) {
	f := open(t, t.TempDir())
	defer f.Close()
	random := func() string { return "random-1" }
	if p, made, err := f.AdminPassword("given-one", random); p != "given-one" || made || err != nil {
		t.Errorf("given: %q, %v, %v", p, made, err)
	}
	if _, err := os.Stat(f.At("admin-password")); !os.IsNotExist(err) {
		t.Error("a given password was written down")
	}
	for range 2 { // the second time as after a crash between writing it down and making the user
		if p, made, err := f.AdminPassword("", random); p != "random-1" || !made || err != nil {
			t.Errorf("random: %q, %v, %v", p, made, err)
		}
		random = func() string { return "random-2" }
	}
	info, err := os.Stat(f.At("admin-password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if p, err := ReadAdminPassword(f.path); p != "random-1" || err != nil {
		t.Errorf("read back %q, %v", p, err)
	}
}
