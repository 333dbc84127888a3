package pack

import (
	"archive/tar"
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"waybill/internal/archive"
)

// age is the time of every member: the first a zip can hold.
var age = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// level is fixed: another one gives other bytes.
const level = 6

// write makes the archive that the ending of key asks for.
func write(ctx context.Context, w io.Writer, key string, files []file) error {
	switch archive.Format(key) {
	case "zip", "jar":
		return writeZip(ctx, w, files)
	case "tgz":
		return writeTarGz(ctx, w, files)
	default:
		return fmt.Errorf("%s: the name of a package ends in .djar, .jar, .zip, .tar.gz or .tgz", key)
	}
}

func mode(f file) fs.FileMode {
	switch {
	case f.dir:
		return fs.ModeDir | 0o755
	case f.link != "":
		return fs.ModeSymlink | 0o777
	case f.executable:
		return 0o755
	default:
		return 0o644
	}
}

func writeZip(ctx context.Context, w io.Writer, files []file) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, level) })
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: age}
		h.SetMode(mode(f))
		switch {
		case f.dir:
			h.Name, h.Method = f.name+"/", zip.Store
		case f.link != "":
			h.Method = zip.Store
		}
		body, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		switch {
		case f.dir:
		case f.link != "":
			_, err = io.WriteString(body, f.link)
		default:
			err = copyFile(ctx, body, f)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}

func writeTarGz(ctx context.Context, w io.Writer, files []file) error {
	z, err := gzip.NewWriterLevel(w, level)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: f.size, Mode: int64(mode(f).Perm()), ModTime: age}
		switch {
		case f.dir:
			h.Typeflag, h.Name = tar.TypeDir, f.name+"/"
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			if err := copyFile(ctx, t, f); err != nil {
				return err
			}
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

// copyFile holds a file to the size it was listed with: an archive of a file that changes meanwhile is nobody's wish.
func copyFile(ctx context.Context, w io.Writer, f file) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(w, io.LimitReader(&bounded{ctx, in}, f.size+1))
	if err == nil && n != f.size {
		err = fmt.Errorf("%s changed while it was read", f.path)
	}
	return err
}

// bounded ends with its context.
type bounded struct {
	ctx context.Context //nolint:containedctx // of the one copy
	r   io.Reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}
