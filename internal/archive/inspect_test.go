package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/job"
)

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	sample, sampleTar := sampleZip(t), sampleTarGz(t)
	many := make([]part, smallLimits.Members+1)
	for i := range many {
		many[i] = part{name: fmt.Sprintf("f%d", i)}
	}
	link := func(name, target string) part { return part{name: name, body: target, mode: fs.ModeSymlink | 0o777} }
	tlink := func(name, target string) part { return part{name: name, typ: tar.TypeSymlink, link: target} }
	deep := make([]part, 40)
	for i := range deep {
		deep[i] = part{name: fmt.Sprintf("%d/%s", i, strings.Repeat("d/", 400)+"f")}
	}
	cases := []struct {
		name string
		key  string
		data []byte
		want string // part of the message
	}{
		{"empty file as zip", "a.zip", nil, "not a zip"},
		{"text as zip", "a.djar", []byte("just some notes\n"), "not a zip"},
		{"text as tar.gz", "a.tgz", []byte("just some notes\n"), "not a gzip"},
		{"gzip of text", "a.tar.gz", gzipOf(t, strings.Repeat("just some notes\n", 100)), "not a tar"},
		{"gzip of nothing", "a.tar.gz", gzipOf(t, ""), "not a tar"},
		{"zip without its end", "a.zip", sample[:len(sample)-40], "truncated"},
		{"zip with lost beginning", "a.zip", sample[30:], "truncated"},
		{"tar.gz without its end", "a.tgz", sampleTar[:len(sampleTar)-12], "truncated"},
		{"tar.gz with trailing noise", "a.tgz", append(bytes.Clone(sampleTar), "noise behind"...), "damaged"},
		{"flipped byte", "a.zip", flipped(t), "'data' is damaged"},
		{"encrypted", "a.zip", withFlag(sample, flagEncrypted), "is encrypted"},
		{"unknown method", "a.zip", withMethod(sample, 99), "compression method 99"},
		{"absolute", "a.zip", makeZip(t, part{name: "/etc/passwd"}), "is absolute"},
		{"absolute by backslash", "a.zip", makeZip(t, part{name: `\etc\passwd`}), "is absolute"},
		{"drive letter", "a.zip", makeZip(t, part{name: `C:\x`}), "is absolute"},
		{"traversal", "a.zip", makeZip(t, part{name: "a/../../x"}), "leads outside"},
		{"traversal by backslash", "a.zip", makeZip(t, part{name: `a\..\..\x`}), "leads outside"},
		{"traversal in tar", "a.tgz", makeTarGz(t, part{name: "../x"}), "leads outside"},
		{"twice", "a.zip", makeZip(t, part{name: "a"}, part{name: "a"}), "occurs twice"},
		{"twice after normalising", "a.zip", makeZip(t, part{name: "a/b"}, part{name: `a\\b`}), "occurs twice"},
		{"folder twice", "a.tgz", makeTarGz(t, part{name: "a/", typ: tar.TypeDir}, part{name: "a", typ: tar.TypeDir}), "occurs twice"},
		{"file and folder", "a.zip", makeZip(t, part{name: "a"}, part{name: "a/"}), "two different things"},
		{"file below a file", "a.zip", makeZip(t, part{name: "a"}, part{name: "a/b"}), "lies below 'a'"},
		{"file below a file, other way round", "a.zip", makeZip(t, part{name: "a/b"}, part{name: "a"}), "two different things"},
		{"file below a link", "a.tgz", makeTarGz(t, tlink("a", "b"), part{name: "a/c"}), "lies below 'a'"},
		{"control character", "a.zip", makeZip(t, part{name: "a\nb"}), "control characters"},
		{"NUL", "a.zip", makeZip(t, part{name: "a\x00b"}), "control characters"},
		{"long name", "a.zip", makeZip(t, part{name: strings.Repeat("a/", 600)}), "longer than"},
		{"long part", "a.zip", makeZip(t, part{name: strings.Repeat("a", 300)}), "longer than"},
		{"no name", "a.zip", makeZip(t, part{name: "."}), "names no file"},
		{"too many", "a.zip", makeZip(t, many...), "more than 50 members"},
		{"too many in tar", "a.tgz", makeTarGz(t, many...), "more than 50 members"},
		{"too many folders", "a.zip", makeZip(t, deep...), "members and folders"},
		{"ratio", "a.zip", makeZip(t, part{name: "zeros", body: string(make([]byte, 128<<10))}), "50 times"},
		{"ratio in tar", "a.tgz", makeTarGz(t, part{name: "zeros", body: string(make([]byte, 128<<10))}), "50 times"},
		{"total", "a.zip", makeZip(t, part{name: "zeros", body: string(make([]byte, 2<<20))}), "more than 1048576 bytes"},
		{"total in tar", "a.tgz", makeTarGz(t, part{name: "noise", body: noise(2 << 20)}), "more than 1048576 bytes"},
		{"size that lies", "a.zip", lyingZip(t), "'zeros' is damaged"},
		{"overlap", "a.zip", overlappingZip(t), "overlap"},
		{"directory of millions", "a.zip", hugeDirectory(10_000), "more than 50 members"},
		{"fifo", "a.tgz", makeTarGz(t, part{name: "p", typ: tar.TypeFifo}), "neither a file"},
		{"device", "a.tgz", makeTarGz(t, part{name: "p", typ: tar.TypeChar}), "neither a file"},
		{"device in zip", "a.zip", makeZip(t, part{name: "p", mode: fs.ModeDevice | 0o666}), "neither a file"},
		{"link to the root", "a.zip", makeZip(t, link("l", "/")), "leads outside"},
		{"link up", "a.zip", makeZip(t, link("l", "..")), "leads outside"},
		{"link up by backslash", "a.zip", makeZip(t, link("a/l", `..\..`)), "leads outside"},
		{"link through a link", "a.tgz", makeTarGz(t, part{name: "a/b/", typ: tar.TypeDir}, tlink("a/b/up", "../.."), tlink("out", "a/b/up/..")), "'out' leads outside"},
		{"link through a later link", "a.tgz", makeTarGz(t, tlink("x/out", "up/../.."), tlink("x/up", ".")), "'x/out' leads outside"},
		{"link circle", "a.tgz", makeTarGz(t, tlink("a", "b"), tlink("b", "a")), "too many links"},
		{"hard link outside", "a.tgz", makeTarGz(t, part{name: "h", typ: tar.TypeLink, link: "../../etc/passwd"}), "leads outside"},
		{"hard link absolute", "a.tgz", makeTarGz(t, part{name: "h", typ: tar.TypeLink, link: "/etc/passwd"}), "leads outside"},
		{"hard link to nothing", "a.tgz", makeTarGz(t, part{name: "h", typ: tar.TypeLink, link: "none"}), "does not lead to a file"},
		{"hard link to a link", "a.tgz", makeTarGz(t, tlink("l", "x"), part{name: "h", typ: tar.TypeLink, link: "l"}), "does not lead to a file"},
		{"no archive by name", "notes.txt", sample, "'notes.txt' is not a package"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Inspect(t.Context(), bytes.NewReader(c.data), int64(len(c.data)), c.key, smallLimits)
			checkInvalid(t, err, c.want)
			// Unpacking refuses the same, and leaves nothing.
			parent := t.TempDir()
			_, err = Unpack(t.Context(), bytes.NewReader(c.data), int64(len(c.data)), c.key, filepath.Join(parent, "p"), smallLimits)
			checkInvalid(t, err, c.want)
			if left, _ := os.ReadDir(parent); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func checkInvalid(t *testing.T, err error, want string) {
	t.Helper()
	var e *job.Error
	if !errors.As(err, &e) || e.Code != job.Invalid || e.Word != job.WordInvalidPackage {
		t.Fatalf("got %v, want an invalid_package error", err)
	}
	if !strings.Contains(e.Message, want) || strings.ContainsAny(e.Message, "\n\x00") || len(e.Message) > 400 {
		t.Errorf("message %q, want one line with %q", e.Message, want)
	}
}

func TestInspectFindsEntryPoints(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		key   string
		data  []byte
		main  string
		entry []string
	}{
		{"compiled, main from the manifest", "a.DJAR", sampleZip(t), "Sample-1.0/integrateXYZ.process.rtc", []string{"Sample-1.0/integrateXYZ.process.rtc"}},
		{"compiled hide sources and scripts", "a.jar", makeZip(t, part{name: "z.map.rtc"}, part{name: "b/a.process.rtc"}, part{name: "a.process"}, part{name: "run.sh"}), "", []string{"z.map.rtc", "b/a.process.rtc"}},
		{"sources", "a.zip", makeZip(t, part{name: "x.tf.xml"}, part{name: "a.process"}, part{name: "m.map"}, part{name: "i.ip.xml"}, part{name: "run.sh"}), "", []string{"a.process", "i.ip.xml", "m.map", "x.tf.xml"}},
		{"scripts", "a.zip", makeZip(t, part{name: "d/run.sh"}, part{name: "b.py"}, part{name: "a.mjs"}, part{name: "tool", mode: 0o755}, part{name: "she", body: "#!/bin/sh"}, part{name: "data.csv"}, part{name: "#", body: "#"}), "", []string{"a.mjs", "b.py", "she", "tool", "d/run.sh"}},
		{"tar", "a.tar.gz", sampleTarGz(t), "", []string{"main.py", "lib/tool"}},
		{"backslashes are normalised", "a.zip", makeZip(t, part{name: `a\b.sh`}), "", []string{"a/b.sh"}},
		{"nothing", "a.zip", makeZip(t, part{name: "data.csv", body: "x"}), "", nil},
		{"links inside are fine", "a.tgz", makeTarGz(t, part{name: "a/f.sh"}, part{name: "l", typ: tar.TypeSymlink, link: "a/../a/f.sh"}, part{name: "h", typ: tar.TypeLink, link: "./a/f.sh"}, part{name: "gone", typ: tar.TypeSymlink, link: "a/none"}), "", []string{"a/f.sh"}},
		{"main that leads outside is ignored", "a.zip", makeZip(t, part{name: jarManifestName, body: "Main-Process: ../x\n"}), "", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, how := range []string{"inspect", "unpack"} {
				var a job.Archive
				var err error
				if how == "inspect" {
					a, err = Inspect(t.Context(), bytes.NewReader(c.data), int64(len(c.data)), c.key, DefaultLimits)
				} else {
					dst := filepath.Join(t.TempDir(), "p")
					a, err = Unpack(t.Context(), bytes.NewReader(c.data), int64(len(c.data)), c.key, dst, DefaultLimits)
					defer Remove(dst)
				}
				if err != nil {
					t.Fatal(how, err)
				}
				if a.Main != c.main || strings.Join(a.EntryPoints, " ") != strings.Join(c.entry, " ") {
					t.Errorf("%s: got %q %q, want %q %q", how, a.Main, a.EntryPoints, c.main, c.entry)
				}
			}
		})
	}
}

func TestInspectPassesOnWhatIsNotTheArchivesFault(t *testing.T) {
	t.Parallel()
	data := sampleZip(t)
	disk := errors.New("disk is broken")
	for _, key := range []string{"a.zip", "a.tgz"} {
		_, err := Inspect(t.Context(), brokenReader{disk}, int64(len(data)), key, DefaultLimits)
		if !errors.Is(err, disk) || job.CodeOf(err) != job.Internal {
			t.Errorf("%s: got %v, want the reader's own error", key, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(disk)
	if _, err := Inspect(ctx, bytes.NewReader(data), int64(len(data)), "a.zip", DefaultLimits); !errors.Is(err, disk) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

type brokenReader struct{ err error }

func (b brokenReader) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// The makers below damage archives.

func gzipOf(t *testing.T, text string) []byte {
	t.Helper()
	// A tar writer can not be talked into this, so the text goes in as it is.
	return rawGzip(t, []byte(text))
}

func withFlag(data []byte, flag uint16) []byte {
	data = bytes.Clone(data)
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint16(data[at+8:], binary.LittleEndian.Uint16(data[at+8:])|flag)
	return data
}

func withMethod(data []byte, method uint16) []byte {
	data = bytes.Clone(data)
	binary.LittleEndian.PutUint16(data[bytes.LastIndex(data, []byte("PK\x01\x02"))+10:], method)
	return data
}

func flipped(t *testing.T) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "data", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("some stored bytes"))
	w.Close()
	data := b.Bytes()
	data[bytes.Index(data, []byte("stored"))] ^= 1
	return data
}

// lyingZip declares 10 bytes for a member that has many more.
func lyingZip(t *testing.T) []byte {
	data := makeZip(t, part{name: "zeros", body: string(make([]byte, 32<<10))})
	binary.LittleEndian.PutUint32(data[bytes.LastIndex(data, []byte("PK\x01\x02"))+24:], 10)
	return data
}

// overlappingZip has two directory entries for one local header.
func overlappingZip(t *testing.T) []byte {
	data := makeZip(t, part{name: "a", body: "x"}, part{name: "b", body: "x"})
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(data[at+42:], 0)
	return data
}

// hugeDirectory has n directory entries and an end record that speaks of none: counts are taken modulo 65,536.
func hugeDirectory(n int) []byte {
	header := make([]byte, 46)
	copy(header, "PK\x01\x02")
	data := bytes.Repeat(header, n)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(len(data)))
	return append(data, end...)
}
