package archive

import (
	"archive/tar"
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"waybill/internal/job"
)

func TestUnpackWritesReadOnlyFiles(t *testing.T) {
	t.Parallel()
	data := makeTarGz(t,
		part{name: "run.sh", body: "#!/bin/sh\n", mode: 0o755},
		part{name: "data/one.csv", body: "one"},
		part{name: "data/same.csv", typ: tar.TypeLink, link: "data/one.csv"},
		part{name: "link", typ: tar.TypeSymlink, link: "data/one.csv"},
		part{name: "empty/", typ: tar.TypeDir},
	)
	dst := filepath.Join(t.TempDir(), "p")
	if _, err := Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), "a.tgz", dst, DefaultLimits); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"": "drwxr-xr-x", "run.sh": "-r-xr-xr-x", "data": "drwxr-xr-x", "data/one.csv": "-r--r--r--", "empty": "drwxr-xr-x",
	} {
		info, err := os.Lstat(filepath.Join(dst, name))
		if err != nil || info.Mode().String() != want {
			t.Errorf("%s: %v %v, want %s", name, info.Mode(), err, want)
		}
	}
	for _, name := range []string{"data/one.csv", "data/same.csv", "link"} {
		if text, err := os.ReadFile(filepath.Join(dst, name)); err != nil || string(text) != "one" {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	names, err := Members(os.DirFS(dst))
	if err != nil || len(names) != 4 {
		t.Errorf("members: %v %v", names, err)
	}
	if err := os.Chmod(filepath.Join(dst, "data"), 0o500); err != nil { // as a program may leave it
		t.Fatal(err)
	}
	if err := Remove(dst); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dst); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if err := Remove(dst); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestUnpackReportsAFullDiskAsOurs(t *testing.T) {
	t.Parallel()
	data := sampleZip(t)
	_, err := Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), "a.zip", filepath.Join(t.TempDir(), "no", "parent"), DefaultLimits)
	if err == nil || job.CodeOf(err) == job.Invalid {
		t.Errorf("got %v, want an error that does not blame the package", err)
	}
}

func rawGzip(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func noise(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}
