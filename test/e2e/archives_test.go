package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
)

// member is a file of an archive.
type member struct {
	name string
	text string
	link string // of a symbolic link: its target
}

// archives are those that no folder can be packed into.
var archives = map[string]func() ([]byte, error){
	"traversal": func() ([]byte, error) {
		return zipOf(member{name: "main.sh", text: "#!/bin/sh\n"}, member{name: "../../escape", text: "x"})
	},
	"absolute":   func() ([]byte, error) { return zipOf(member{name: "/etc/waybill-escape", text: "x"}) },
	"backslash":  func() ([]byte, error) { return zipOf(member{name: `..\..\escape`, text: "x"}) },
	"twice":      func() ([]byte, error) { return zipOf(member{name: "a.sh", text: "1"}, member{name: "a.sh", text: "2"}) },
	"link":       func() ([]byte, error) { return tarOf(member{name: "passwd", link: "../../../../etc/passwd"}) },
	"tar-escape": func() ([]byte, error) { return tarOf(member{name: "../escape", text: "x"}) },
	"bomb":       func() ([]byte, error) { return zipOf(member{name: "zeros", text: string(make([]byte, 80<<20))}) },
	"truncated": func() ([]byte, error) {
		whole, err := zipOf(member{name: "main.sh", text: "#!/bin/sh\necho whole\n"})
		return whole[:len(whole)*2/3], err
	},
	"cut-tar": func() ([]byte, error) {
		whole, err := tarOf(member{name: "main.sh", text: "#!/bin/sh\necho whole\n"})
		return whole[:len(whole)/2], err
	},
	"none":  func() ([]byte, error) { return []byte("this is a text, not an archive"), nil },
	"empty": func() ([]byte, error) { return nil, nil },
}

func zipOf(members ...member) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

func zipFolder(path string) ([]byte, error) {
	root := os.DirFS(path)
	var all []member
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		all = append(all, member{name: name, text: string(text)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return zipOf(all...)
}

func tarOf(members ...member) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o755, Size: int64(len(m.text)), Typeflag: tar.TypeReg}
		if m.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

// archive is a zip that is written as a stream, its members as they are.
type archive struct{ *zip.Writer }

func newArchive(w io.Writer) archive { return archive{zip.NewWriter(w)} }

func (a archive) add(name string, content io.Reader) error {
	w, err := a.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = io.Copy(w, content)
	}
	return err
}
