package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"waybill/internal/job"
)

// Limits bound what an archive may unpack to (native.md, 5).
type Limits struct {
	Members   int     // number of members
	Unpacked  int64   // bytes of all members together
	Ratio     float64 // unpacked size over packed size ...
	RatioFrom int64   // ... once this many bytes are unpacked
}

// DefaultLimits are the limits of the specification.
var DefaultLimits = Limits{Members: 100_000, Unpacked: 4 << 30, Ratio: 200, RatioFrom: 64 << 20}

// format is the kind of an archive, by the name of its key.
type format int

const (
	formatNone format = iota
	formatZip
	formatTarGz
)

func formatOf(key string) format {
	key = strings.ToLower(key)
	for _, ext := range []string{".djar", ".jar", ".zip"} {
		if strings.HasSuffix(key, ext) {
			return formatZip
		}
	}
	for _, ext := range []string{".tar.gz", ".tgz"} {
		if strings.HasSuffix(key, ext) {
			return formatTarGz
		}
	}
	return formatNone
}

// IsArchive tells whether a file of this key is read as an archive: .djar .jar .zip .tar.gz .tgz, in any case.
func IsArchive(key string) bool { return formatOf(key) != formatNone }

// Format names how a key is read: "zip", "jar" for a zip that may be a program itself, "tgz", or "file" for what is no archive.
func Format(key string) string {
	switch formatOf(key) {
	case formatZip:
		if isJar(key) {
			return "jar"
		}
		return "zip"
	case formatTarGz:
		return "tgz"
	default:
		return "file"
	}
}

func isJar(key string) bool { return strings.HasSuffix(strings.ToLower(key), ".jar") }

// kind is what a member is.
type kind int

const (
	kindFile kind = iota
	kindDir
	kindSymlink
	kindHardlink
)

// member is one entry of an archive, its name already normalised.
type member struct {
	name       string // slashes, no leading or trailing one, no "." or ".."
	kind       kind
	executable bool
	target     string // links only: as written, with slashes; a hard link's is a member name
}

// visitor gets every member in the archive's order. For a file, body must be read to its end.
type visitor func(m member, body io.Reader) error

// Inspect validates the whole archive by decompressing every byte of it to nowhere, and lists its entry points. What is
// wrong with it is a *job.Error, Invalid, WordInvalidPackage, with a message that names the member; any other error comes
// from r or ctx.
func Inspect(ctx context.Context, r io.ReaderAt, size int64, key string, l Limits) (job.Archive, error) {
	c := newCatalogue(key)
	g, err := read(ctx, r, size, key, l, func(m member, body io.Reader) error {
		if m.kind != kindFile {
			return c.link(m)
		}
		_, err := c.add(m, body, io.Discard)
		return err
	})
	if err != nil {
		return job.Archive{}, err
	}
	return c.archive(g)
}

// read walks the archive and, at its end, checks that no link leads outside. What it gives knows every name in it.
func read(ctx context.Context, r io.ReaderAt, size int64, key string, l Limits, visit visitor) (*guard, error) {
	g := newGuard(ctx, size, l)
	src := &source{ctx: ctx, r: r}
	var err error
	switch formatOf(key) {
	case formatZip:
		err = walkZip(src, size, g, visit)
	case formatTarGz:
		err = walkTarGz(src, size, g, visit)
	default:
		return nil, invalid("%s is not a package", quote(key))
	}
	if err == nil {
		err = g.checkLinks()
	}
	if err == nil {
		return g, nil
	}
	// A decoder wraps or swallows the error of the reader below it, so the source remembers it: an unreadable disk or a
	// cancelled upload must not look like a broken package.
	if src.err != nil {
		return nil, src.err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var known *job.Error
	var outside *destinationError
	switch {
	case errors.As(err, &known):
		return nil, known
	case errors.As(err, &outside):
		return nil, outside.err
	default:
		return nil, broken(err)
	}
}

// source is the packed bytes; it ends with the context and remembers why it failed.
type source struct {
	ctx context.Context
	r   io.ReaderAt
	err error
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
		return 0, s.err
	}
	if off < 0 { // offsets in the archive can be made to point in front of it
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// destinationError marks a failure to write an unpacked member: it is ours, not the archive's.
type destinationError struct{ err error }

func (e *destinationError) Error() string { return e.err.Error() }
func (e *destinationError) Unwrap() error { return e.err }

func invalid(format string, args ...any) *job.Error {
	return job.Errorf(job.Invalid, job.WordInvalidPackage, format, args...)
}

// broken tells in one line what a decoder's error means.
func broken(err error) *job.Error {
	message := "The package is damaged"
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		message = "The package is truncated"
	}
	return job.Wrap(err, job.Invalid, job.WordInvalidPackage, "%s", message)
}

// brokenMember is broken for a named member.
func brokenMember(name string, err error) error {
	var known *job.Error
	var outside *destinationError
	if errors.As(err, &known) || errors.As(err, &outside) {
		return err
	}
	what := "is damaged"
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		what = "is truncated"
	}
	return job.Wrap(err, job.Invalid, job.WordInvalidPackage, "Member %s %s", quote(name), what)
}

// quote shows a name in a message: quoted, without control characters, and not longer than a line bears.
func quote(name string) string {
	const limit = 80
	if len(name) > limit {
		name = strings.ToValidUTF8(name[:limit/2], "") + "..." + strings.ToValidUTF8(name[len(name)-limit/2:], "")
	}
	quoted := fmt.Sprintf("%q", name)
	return "'" + quoted[1:len(quoted)-1] + "'"
}

// kindOfMode maps a file mode; ok is false for devices, sockets and pipes.
func kindOfMode(mode fs.FileMode) (k kind, ok bool) {
	switch mode.Type() {
	case 0:
		return kindFile, true
	case fs.ModeDir:
		return kindDir, true
	case fs.ModeSymlink:
		return kindSymlink, true
	default:
		return 0, false
	}
}
