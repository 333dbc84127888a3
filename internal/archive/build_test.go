package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io/fs"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// part is a member of an archive made for a test.
type part struct {
	name string
	body string
	mode fs.FileMode // zip; 0: a plain file
	typ  byte        // tar; 0: a plain file
	link string      // tar
}

func makeZip(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, p := range parts {
		h := &zip.FileHeader{Name: p.name, Method: zip.Deflate}
		if p.mode != 0 {
			h.SetMode(p.mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(p.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeTarGz(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Typeflag: p.typ, Linkname: p.link, Mode: 0o644, Size: int64(len(p.body))}
		if p.typ == 0 {
			h.Typeflag = tar.TypeReg
		}
		if p.mode != 0 {
			h.Mode = int64(p.mode.Perm())
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(p.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// smallLimits keep bombs small.
var smallLimits = Limits{Members: 50, Unpacked: 1 << 20, Ratio: 50, RatioFrom: 64 << 10}

// corpus is valid and invalid input in small: the seeds of the fuzz targets.
func corpus(t testing.TB, key string) map[string][]byte {
	if formatOf(key) == formatZip {
		return map[string][]byte{
			"sample":    sampleZip(t),
			"empty":     makeZip(t),
			"traversal": makeZip(t, part{name: "../x", body: "x"}),
			"backslash": makeZip(t, part{name: `a\b.sh`, body: "x"}),
			"symlink":   makeZip(t, part{name: "a/l", body: "../b", mode: fs.ModeSymlink | 0o777}, part{name: "b", body: "b"}),
			"escape":    makeZip(t, part{name: "l", body: "../..", mode: fs.ModeSymlink | 0o777}),
			"bomb":      makeZip(t, part{name: "zeros", body: string(make([]byte, 200<<10))}),
			"truncated": sampleZip(t)[:100],
			"noise":     []byte("PK\x03\x04 but nothing else"),
		}
	}
	return map[string][]byte{
		"sample":    sampleTarGz(t),
		"empty":     makeTarGz(t),
		"traversal": makeTarGz(t, part{name: "../x", body: "x"}),
		"symlink":   makeTarGz(t, part{name: "a/l", typ: tar.TypeSymlink, link: "../b"}, part{name: "b", body: "b"}),
		"hardlink":  makeTarGz(t, part{name: "b", body: "b"}, part{name: "a/l", typ: tar.TypeLink, link: "b"}),
		"escape":    makeTarGz(t, part{name: "l", typ: tar.TypeSymlink, link: "../.."}),
		"fifo":      makeTarGz(t, part{name: "p", typ: tar.TypeFifo}),
		"bomb":      makeTarGz(t, part{name: "zeros", body: string(make([]byte, 200<<10))}),
		"truncated": sampleTarGz(t)[:60],
		"noise":     []byte("\x1f\x8b but nothing else"),
	}
}

const sampleManifest = "Manifest-Version: 1.0\r\nMain-Process: Sample-1.0\\integ\r\n rateXYZ.process.rtc\r\n\r\nName: x\r\nMain-Process: wrong\r\n"

func sampleZip(t testing.TB) []byte {
	return makeZip(t,
		part{name: "META-INF/", mode: fs.ModeDir | 0o755},
		part{name: "META-INF/MANIFEST.MF", body: sampleManifest},
		part{name: "Sample-1.0/integrateXYZ.process.rtc", body: "#!/bin/sh\necho hello\n", mode: 0o755},
		part{name: "Sample-1.0/orders.csv", body: "id;amount\n"},
	)
}

func sampleTarGz(t testing.TB) []byte {
	return makeTarGz(t,
		part{name: "./", typ: tar.TypeDir},
		part{name: "./main.py", body: "print('hello')\n"},
		part{name: "./lib/", typ: tar.TypeDir},
		part{name: "./lib/tool", body: "#!/bin/sh\n", mode: 0o755},
	)
}
