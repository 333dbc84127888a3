package archive

import (
	"archive/zip"
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// directoryBytes bounds the central directory of a zip, which archive/zip reads into memory at once.
const directoryBytes = 64 << 20

const (
	flagEncrypted       = 1 << 0
	flagStrongEncrypted = 1 << 6
	flagMaskedHeader    = 1 << 13
)

// walkZip reads a zip. The central directory is taken for the truth; local headers only say where the data begins.
func walkZip(src *source, size int64, g *guard, visit visitor) error {
	files, err := readDirectory(src, size, g)
	if err != nil {
		return err
	}
	var declared uint64
	for _, f := range files {
		if declared += f.UncompressedSize64; f.UncompressedSize64 > uint64(g.limits.Unpacked) || declared > uint64(g.limits.Unpacked) {
			return invalid("The package unpacks to more than %d bytes", g.limits.Unpacked)
		}
	}
	if err := checkOverlap(files, size); err != nil {
		return err
	}
	for _, f := range files {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		if err := visitZip(f, g, visit); err != nil {
			return err
		}
	}
	return nil
}

func readDirectory(src *source, size int64, g *guard) ([]*zip.File, error) {
	dir := &directoryReader{r: src, headers: g.limits.Members, bytes: directoryBytes}
	z, err := zip.NewReader(dir, size)
	switch {
	case dir.exceeded:
		return nil, g.tooMany()
	case errors.Is(err, zip.ErrFormat):
		if looksLikeZip(src) {
			return nil, invalid("The package is truncated or damaged: its directory is missing")
		}
		return nil, invalid("The package is not a zip archive")
	case err != nil && !errors.Is(err, zip.ErrInsecurePath): // insecure paths are refused by name below
		return nil, err
	}
	dir.done = true
	z.RegisterDecompressor(zip.Deflate, newInflater)
	return z.File, nil
}

func looksLikeZip(src *source) bool {
	var head [4]byte
	n, _ := src.ReadAt(head[:], 0)
	return n == 4 && string(head[:]) == "PK\x03\x04"
}

// directoryReader counts the headers of a central directory while archive/zip reads it, so that a directory of millions
// ends early instead of filling the memory. The directory's own count can not be asked: it may lie.
type directoryReader struct {
	r        io.ReaderAt
	headers  int   // still allowed
	bytes    int64 // still allowed
	tail     [3]byte
	next     int64 // where a sequential read goes on
	done     bool  // the directory has been read: pass everything
	exceeded bool
}

func (d *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.r.ReadAt(p, off)
	if d.done {
		return n, err
	}
	seen := string(p[:n])
	if off == d.next {
		seen = string(d.tail[:]) + seen
	}
	d.headers -= strings.Count(seen, "PK\x01\x02")
	d.bytes -= int64(n)
	d.next = off + int64(n)
	d.tail = [3]byte{}
	copy(d.tail[:], seen[max(0, len(seen)-3):])
	// The tail of the file, searched for the end record, may count a few headers twice: hence the slack.
	if d.headers < -4096 || d.bytes < 0 {
		d.exceeded = true
		return 0, zip.ErrFormat
	}
	return n, err
}

// checkOverlap refuses members that share packed bytes: the trick of bombs that beat a ratio limit per member.
func checkOverlap(files []*zip.File, size int64) error {
	type span struct {
		from, to int64
		name     string
	}
	spans := make([]span, 0, len(files))
	for _, f := range files {
		data, err := f.DataOffset()
		if err != nil {
			return brokenMember(f.Name, err)
		}
		if f.CompressedSize64 > uint64(size) || data+int64(f.CompressedSize64) > size {
			return invalid("Member %s is truncated", quote(f.Name))
		}
		spans = append(spans, span{data - 30 - int64(len(f.Name)), data + int64(f.CompressedSize64), f.Name})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(min(1, max(-1, a.from-b.from))) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return invalid("Members %s and %s overlap", quote(spans[i-1].name), quote(spans[i].name))
		}
	}
	return nil
}

func visitZip(f *zip.File, g *guard, visit visitor) error {
	if err := g.count(); err != nil {
		return err
	}
	m, err := zipMember(f)
	if err != nil {
		return err
	}
	if m.kind == kindDir {
		if f.UncompressedSize64 != 0 {
			return invalid("Folder %s has content", quote(f.Name))
		}
		if m.name == "" {
			return nil
		}
		if err := g.place(m); err != nil {
			return err
		}
		return visit(m, nil)
	}
	if m.name == "" {
		return invalid("Member name %s names no file", quote(f.Name))
	}
	body, err := f.Open()
	if err != nil {
		return brokenMember(f.Name, err)
	}
	defer body.Close()
	counted := g.counted(body)
	if m.kind == kindSymlink {
		target, err := io.ReadAll(io.LimitReader(counted, maxTarget+1))
		if err != nil {
			return brokenMember(f.Name, err)
		}
		m.target = string(target)
		if err := cleanTarget(&m); err != nil {
			return err
		}
		counted = nil
	}
	if err := g.place(m); err != nil {
		return err
	}
	return brokenIf(f.Name, visit(m, counted))
}

func brokenIf(name string, err error) error {
	if err == nil {
		return nil
	}
	return brokenMember(name, err)
}

func zipMember(f *zip.File) (member, error) {
	if f.Flags&(flagEncrypted|flagStrongEncrypted|flagMaskedHeader) != 0 {
		return member{}, invalid("Member %s is encrypted", quote(f.Name))
	}
	if f.Method != zip.Store && f.Method != zip.Deflate {
		return member{}, invalid("Member %s uses compression method %d, which is not supported", quote(f.Name), f.Method)
	}
	name, err := cleanName(f.Name)
	if err != nil {
		return member{}, err
	}
	k, ok := kindOfMode(f.Mode())
	if !ok {
		return member{}, invalid("Member %s is neither a file, a folder nor a link", quote(f.Name))
	}
	if strings.HasSuffix(f.Name, "/") || strings.HasSuffix(f.Name, `\`) {
		if k == kindSymlink {
			return member{}, invalid("Member %s occurs as two different things", quote(f.Name))
		}
		k = kindDir
	}
	return member{name: name, kind: k, executable: f.Mode()&0o111 != 0}, nil
}

var inflaters sync.Pool

// newInflater reuses decompressors: a package has thousands of members, and each would cost 40 KiB.
func newInflater(r io.Reader) io.ReadCloser {
	br := bufio.NewReader(r)
	if old, ok := inflaters.Get().(io.ReadCloser); ok {
		if err := old.(flate.Resetter).Reset(br, nil); err == nil {
			return &inflater{old}
		}
	}
	return &inflater{flate.NewReader(br)}
}

type inflater struct{ io.ReadCloser }

func (i *inflater) Close() error {
	if i.ReadCloser == nil {
		return nil
	}
	err := i.ReadCloser.Close()
	inflaters.Put(i.ReadCloser)
	i.ReadCloser = nil
	return err
}
