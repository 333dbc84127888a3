package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/app/datafolder"
	"waybill/storage/storagetest"
)

// The way to tables and back, with the exit codes that scripts go by, on both databases.
func TestMigrateCommands(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { migrateThereAndBack(t, filepath.Join(t.TempDir(), "data")) })
	t.Run("postgres", func(t *testing.T) {
		t.Setenv("WAYBILL_DATABASE", storagetest.PostgresURL(t))
		migrateThereAndBack(t, t.TempDir())
	})
}

func migrateThereAndBack(t *testing.T, data string) {
	call := func(code int, args ...string) string {
		t.Helper()
		var out, faults bytes.Buffer
		if got := run(t.Context(), func() {}, append([]string{"migrate", args[0], "--data", data}, args[1:]...), &out, &faults); got != code {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, out.String(), faults.String())
		}
		return out.String() + faults.String()
	}
	call(exitUsage, "sideways")
	if out := call(exitOK, "up"); !strings.Contains(out, "00001_first.sql made") || !strings.Contains(out, "The tables are at version ") {
		t.Errorf("up says %s", out)
	}
	if out := call(exitOK, "up"); strings.Contains(out, " made in ") {
		t.Errorf("a second up says %s", out)
	}
	var lines []statusLine
	if out := call(exitOK, "status", "--json"); json.Unmarshal([]byte(out), &lines) != nil || len(lines) < 14 {
		t.Fatalf("status says %s", out)
	}
	for _, l := range lines {
		if l.Made == nil || l.Name == "" {
			t.Errorf("migration %+v after up", l)
		}
	}
	for _, args := range [][]string{{"down"}, {"down", "--steps", "0"}, {"down", "--to", "3", "--steps", "1"}, {"down", "--to", "-1"}} {
		call(exitUsage, args...)
	}
	newest := lines[len(lines)-1].Name
	if out := call(exitUsage, "down", "--steps", "1"); !strings.Contains(out, "would undo "+newest) || !strings.Contains(out, "--yes") {
		t.Errorf("down without --yes says %s", out)
	}
	call(exitOK, "status") // nothing was done
	if out := call(exitOK, "down", "--steps", "1", "--yes"); !strings.Contains(out, newest+" undone") {
		t.Errorf("down says %s", out)
	}
	if out := call(exitPending, "status"); !strings.Contains(out, "pending") {
		t.Errorf("status says %s", out)
	}
	call(exitOK, "down", "--to", "0", "--yes")
	call(exitPending, "status")
	call(exitOK, "down", "--to", "0", "--yes")
	call(exitOK, "up")
	call(exitOK, "status")
}

func TestMigrateNeedsADatabaseThatIsThere(t *testing.T) {
	data := t.TempDir()
	var out, faults bytes.Buffer
	if got := run(t.Context(), func() {}, []string{"migrate", "status", "--data", data}, &out, &faults); got != exitFailed {
		t.Errorf("exit code %d\n%s", got, faults.String())
	}
	if left, _ := filepath.Glob(filepath.Join(data, "*")); len(left) != 0 {
		t.Errorf("status left %v", left)
	}
}

func TestTablesOfAFolderInUseAreNotTakenBack(t *testing.T) {
	data := t.TempDir()
	var out, faults bytes.Buffer
	call := func(want int, args ...string) {
		t.Helper()
		if got := run(t.Context(), func() {}, append(args, "--data", data), &out, &faults); got != want {
			t.Fatalf("%v: exit code %d, want %d\n%s", args, got, want, faults.String())
		}
	}
	call(exitOK, "migrate", "up")
	held, err := datafolder.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	call(exitOK, "migrate", "status")
	call(exitFailed, "migrate", "down", "--steps", "1", "--yes")
	if !strings.Contains(faults.String(), "in use") {
		t.Errorf("it says %s", faults.String())
	}
	call(exitOK, "migrate", "status")
}
