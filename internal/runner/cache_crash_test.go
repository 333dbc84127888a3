package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/archive"
)

const crashDir = "WAYBILL_TEST_CRASH_DIR"

// crashPackages are larger than the cache of the test below together, so that it always fetches and evicts.
func crashPackages(t testing.TB) (all [][]byte) {
	for n := range 4 {
		var members []string
		for i := range 60 {
			members = append(members, fmt.Sprintf("d%d/f%d", i%7, i), strings.Repeat(fmt.Sprintf("%d-%d ", n, i), 2000))
		}
		all = append(all, pack(t, members...))
	}
	return all
}

// crashLimit lets two of the four packages be.
const crashLimit = 2 << 20

// TestCacheCrashChild is no test of its own: it is what TestCacheOutlivesKills kills.
func TestCacheCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return
	}
	c, err := openCache(dir, crashLimit, archive.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for n := range 4 {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(dir), fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	for ctx := t.Context(); ; {
		data := all[rand.IntN(len(all))]
		l, err := c.Use(ctx, packageOf("a.zip", data), func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(&slowReader{r: bytes.NewReader(data)}), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l.Release()
	}
}

// slowReader gives little at a time, so that a kill hits the transfer, too.
type slowReader struct{ r io.Reader }

func (s *slowReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 100)]) }

// TestCacheOutlivesKills kills a process that fills, uses and evicts, at all moments of it, and looks each time at what
// the next one takes up: every package it finds must be whole.
func TestCacheOutlivesKills(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "packages")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	all := crashPackages(t)
	keys := map[string]int{}
	for i, data := range all {
		keys[packageOf("a.zip", data).key()] = i
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), fmt.Sprint(i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for round := range 4 * len(moments) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCacheCrashChild$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitForMoment(t, dir, moments[round%len(moments)])
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 0 {
			t.Fatalf("it was not killed: %v", err)
		}
		c := newCache(t, dir, crashLimit)
		for key := range c.entries {
			found++
			n, known := keys[key]
			if !known {
				t.Fatalf("an unknown package %q", key)
			}
			wholePackage(t, c.tree(key), n)
		}
		c.close()
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != len(c.entries) {
			t.Fatalf("%d entries, but in the folder: %v (%v)", len(c.entries), names(left), err)
		}
	}
	if found == 0 {
		t.Error("no package outlived its process, so this has shown nothing")
	}
}

// moments are those in which the process is killed.
var moments = []string{"download", "unpacking", "renaming", "removal"}

// waitForMoment returns when the folder has shown that a package is on its way, is unpacked, is whole, or is removed.
func waitForMoment(t *testing.T, dir, want string) {
	t.Helper()
	looks := 1 + rand.IntN(4)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if momentOf(dir, e.Name()) != want {
				continue
			}
			if looks--; looks == 0 {
				return
			}
		}
	}
	t.Fatalf("the other process shows no %s", want)
}

func momentOf(dir, name string) string {
	switch {
	case strings.HasPrefix(name, ".old-"):
		return "removal"
	case !strings.HasPrefix(name, ".new-"):
		return ""
	case there(filepath.Join(dir, name, aboutName)):
		return "renaming"
	case there(filepath.Join(dir, name, treeName)):
		return "unpacking"
	default:
		return "download"
	}
}

func wholePackage(t *testing.T, tree string, n int) {
	t.Helper()
	for i := range 60 {
		text, err := os.ReadFile(filepath.Join(tree, fmt.Sprintf("d%d/f%d", i%7, i)))
		if err != nil || string(text) != strings.Repeat(fmt.Sprintf("%d-%d ", n, i), 2000) {
			t.Fatalf("file %d of package %d: %d bytes, %v", i, n, len(text), err)
		}
	}
	if members, err := archive.Members(os.DirFS(tree)); err != nil || len(members) != 60 {
		t.Fatalf("package %d has %d members: %v", n, len(members), errors.Join(err))
	}
}
