package archive

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/job"
)

var updateSeeds = flag.Bool("update-seeds", false, "write the fuzz seeds below testdata again")

// FuzzInspectZip: whatever the bytes, no panic, no other error than invalid_package, and nothing outside the folder.
func FuzzInspectZip(f *testing.F) { fuzz(f, "a.zip") }

// FuzzInspectTarGz is the same for .tar.gz.
func FuzzInspectTarGz(f *testing.F) { fuzz(f, "a.tar.gz") }

func fuzz(f *testing.F, key string) {
	f.Fuzz(func(t *testing.T, data []byte) {
		_, inspected := Inspect(t.Context(), bytes.NewReader(data), int64(len(data)), key, smallLimits)
		checkFault(t, inspected)
		parent := t.TempDir()
		dst := filepath.Join(parent, "p")
		_, unpacked := Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), key, dst, smallLimits)
		checkFault(t, unpacked)
		if (inspected == nil) != (unpacked == nil) {
			t.Fatalf("inspect says %v, unpack says %v", inspected, unpacked)
		}
		checkInside(t, parent, dst)
		if err := Remove(dst); err != nil {
			t.Fatal(err)
		}
	})
}

func checkFault(t *testing.T, err error) {
	t.Helper()
	if err != nil && job.WordOf(err) != job.WordInvalidPackage {
		t.Fatalf("got %v (%T), want an invalid_package error", err, err)
	}
}

// checkInside: the parent holds the package or nothing, and every link that leads anywhere leads into the package.
func checkInside(t *testing.T, parent, dst string) {
	t.Helper()
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) > 1 {
		t.Fatalf("beside the package: %v %v", entries, err)
	}
	if len(entries) == 0 {
		return
	}
	real, err := filepath.EvalSymlinks(dst)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dst, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		end, err := filepath.EvalSymlinks(name)
		if err == nil && end != real && !strings.HasPrefix(end, real+"/") {
			return fmt.Errorf("%s leads to %s", name, end)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
}

// TestSeeds keeps the committed corpus complete: one file for every member of corpus. Their bytes may be older than what
// the makers write now; -update-seeds writes them again.
func TestSeeds(t *testing.T) {
	for target, key := range map[string]string{"FuzzInspectZip": "a.zip", "FuzzInspectTarGz": "a.tar.gz"} {
		dir := filepath.Join("testdata", "fuzz", target)
		for name, data := range corpus(t, key) {
			file := filepath.Join(dir, name)
			if *updateSeeds {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%v; run go test ./internal/archive -update-seeds", err)
			}
		}
	}
}

// FuzzJarManifest: whatever META-INF/MANIFEST.MF holds, its Main-Process is absent or a plain name inside the package, and
// naming nothing else starts that member or says what is wrong.
func FuzzJarManifest(f *testing.F) {
	for _, text := range []string{
		sampleManifest, "Main-Process: ../x\n", "\ufeffmain-process : a\\..\\b\r", "Main-Process: /etc/passwd\n", "Main-Process: C:x\n",
		"Main-Process: a\n b\n\n", "Main-Process:\n\n", ": x\nMain-Process: \xff\n", "Main-Process: a\x00b\n", "Main-Process: ./././a//b/\n",
		"Main-Process\n:x", "Main-Process: " + strings.Repeat("a/", 600) + "\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := newCatalogue("a.djar")
		c.jarManifest = text
		a, err := c.archive(newGuard(t.Context(), 1, smallLimits))
		if err != nil {
			t.Fatal(err)
		}
		if a.Main == "" {
			return
		}
		if !fs.ValidPath(a.Main) || strings.ContainsAny(a.Main, "\\\x00\n\r") {
			t.Fatalf("Main-Process is %q", a.Main)
		}
		if e, err := Match(a, []string{a.Main}, ""); err != nil || e.Member != a.Main {
			t.Fatalf("%q is not found: %v %v", a.Main, e, err)
		}
		_, err = Match(a, []string{"other"}, "")
		checkFault(t, err)
	})
}
