package archive

import (
	"archive/tar"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// walkTarGz reads a gzipped tar to its very end, so that the checksum of the gzip stream is seen too.
func walkTarGz(src *source, size int64, g *guard, visit visitor) error {
	packed := io.NewSectionReader(src, 0, size)
	z, err := gzip.NewReader(packed)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return invalid("The package is not a gzip archive")
	}
	defer z.Close()
	// Everything that comes out of gzip counts, headers and padding too: they fill memory and time like content does.
	stream := g.counted(z)
	t := tar.NewReader(stream)
	for first := true; ; first = false {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			if g.unpacked == 0 {
				return invalid("The package is not a tar archive")
			}
			_, err := io.Copy(io.Discard, stream)
			return err
		case errors.Is(err, tar.ErrHeader) && first:
			return invalid("The package is not a tar archive")
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // insecure paths are refused by name below
			return err
		}
		if err := g.count(); err != nil {
			return err
		}
		if err := visitTar(h, t, g, visit); err != nil {
			return err
		}
	}
}

func visitTar(h *tar.Header, body io.Reader, g *guard, visit visitor) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // what git archive puts first; no member
		return nil
	}
	m, err := tarMember(h)
	if err != nil {
		return err
	}
	if m.name == "" {
		if m.kind == kindDir {
			return nil
		}
		return invalid("Member name %s names no file", quote(h.Name))
	}
	if m.kind != kindFile {
		body = nil
	}
	if m.kind == kindSymlink || m.kind == kindHardlink {
		if err := cleanTarget(&m); err != nil {
			return err
		}
	}
	if err := g.place(m); err != nil {
		return err
	}
	if m.kind == kindFile {
		body = &holes{g: g, r: body}
	}
	return brokenIf(h.Name, visit(m, body))
}

// holes counts what a sparse member has beyond the bytes that lie in the archive: a header of 512 bytes can stand for
// exabytes of zeros, which the packed stream never shows.
type holes struct {
	g *guard
	r io.Reader
}

func (h *holes) Read(p []byte) (int, error) {
	if err := h.g.ctx.Err(); err != nil {
		return 0, err
	}
	before := h.g.unpacked
	n, err := h.r.Read(p)
	if beyond := int64(n) - (h.g.unpacked - before); beyond > 0 {
		if limit := h.g.grow(beyond); limit != nil {
			return n, limit
		}
	}
	return n, err
}

func tarMember(h *tar.Header) (member, error) {
	name, err := cleanName(h.Name)
	if err != nil {
		return member{}, err
	}
	m := member{name: name, executable: h.Mode&0o111 != 0, target: h.Linkname}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		m.kind = kindFile
		if strings.HasSuffix(h.Name, "/") || strings.HasSuffix(h.Name, `\`) {
			if h.Size != 0 {
				return member{}, invalid("Folder %s has content", quote(h.Name))
			}
			m.kind = kindDir
		}
	case tar.TypeDir:
		m.kind = kindDir
	case tar.TypeSymlink:
		m.kind = kindSymlink
	case tar.TypeLink:
		m.kind = kindHardlink
	default:
		return member{}, invalid("Member %s is neither a file, a folder nor a link", quote(h.Name))
	}
	return m, nil
}
