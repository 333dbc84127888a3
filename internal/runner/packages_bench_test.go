package runner

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packageFile writes a zip of a shell script and of files of that size each, which can not be packed any smaller.
func packageFile(b *testing.B, files int, size int64) (string, Package) {
	b.Helper()
	name := filepath.Join(b.TempDir(), "package.zip")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	add := func(name string, r io.Reader) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.Copy(w, r)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	add("main.sh", strings.NewReader("exit 0\n"))
	noise := rand.NewChaCha8([32]byte{})
	for i := range files {
		add(fmt.Sprintf("lib/d%d/f%d", i%200, i), io.LimitReader(noise, size))
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	data, err := f.Seek(0, io.SeekStart)
	sum := sha256.New()
	if err == nil {
		data, err = io.Copy(sum, f)
	}
	if err != nil {
		b.Fatal(err)
	}
	return name, Package{Name: "package.zip", SHA256: hex.EncodeToString(sum.Sum(nil)), Size: data}
}

// BenchmarkPackage is what the first use of a package costs a worker, from a packed file on the same disk, and what a
// later one does.
func BenchmarkPackage(b *testing.B) {
	for _, k := range []struct {
		name  string
		files int
		size  int64
	}{{"1MB", 10, 100_000}, {"20000files", 20_000, 400}, {"1GB", 100, 10_000_000}} {
		b.Run(k.name, func(b *testing.B) {
			if k.name == "1GB" && testing.Short() {
				b.Skip("a gigabyte takes a while")
			}
			file, p := packageFile(b, k.files, k.size)
			fetch := func(context.Context) (io.ReadCloser, error) { return os.Open(file) }
			take := func(b *testing.B, c *Cache) {
				l, err := c.Use(b.Context(), p, fetch)
				if err != nil {
					b.Fatal(err)
				}
				l.Release()
			}
			b.Run("cold", func(b *testing.B) {
				b.SetBytes(p.Size)
				b.ReportAllocs()
				c := newCache(b, filepath.Join(b.TempDir(), "packages"), 1) // keeps none
				for b.Loop() {
					take(b, c)
					b.StopTimer()
					c.errands.Wait()
					b.StartTimer()
				}
			})
			b.Run("warm", func(b *testing.B) {
				c := newCache(b, filepath.Join(b.TempDir(), "packages"), 1<<40)
				take(b, c)
				for b.Loop() {
					take(b, c)
				}
			})
			b.Run("start", func(b *testing.B) {
				dir := filepath.Join(b.TempDir(), "packages")
				take(b, newCache(b, dir, 1<<40))
				for b.Loop() {
					newCache(b, dir, 1<<40)
				}
			})
		})
	}
}
