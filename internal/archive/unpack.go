package archive

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"

	"waybill/internal/job"
)

// Unpack writes the archive to the new folder dst, whose parent must exist, and returns what Inspect would. It makes all
// checks of Inspect and writes through os.Root, so that even a gap in them could not lead outside dst. Afterwards files have
// mode 0444, or 0555 when the archive has them executable or they begin as a script or a native executable does; folders
// have 0755, because a tree without write permission on its folders could not be removed by a plain rm -r. Owners, times,
// setuid bits and extended attributes of the archive are ignored. On failure nothing is left.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, key, dst string, l Limits) (a job.Archive, err error) {
	if err := os.Mkdir(dst, 0o700); err != nil {
		return job.Archive{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, Remove(dst))
		}
	}()
	root, err := os.OpenRoot(dst)
	if err != nil {
		return job.Archive{}, err
	}
	defer root.Close()
	u := &unpacker{root: root, made: map[string]bool{".": true}, catalogue: newCatalogue(key)}
	defer u.leave()
	g, err := read(ctx, r, size, key, l, u.visit)
	if err != nil {
		return job.Archive{}, err
	}
	if a, err = u.catalogue.archive(g); err != nil {
		return job.Archive{}, err
	}
	if err := u.finish(); err != nil {
		return job.Archive{}, err
	}
	return a, nil
}

type unpacker struct {
	root      *os.Root
	in        *os.Root // the folder called inName: members of one folder mostly follow each other
	inName    string
	made      map[string]bool // folders
	links     []member        // made last, when all of them are known to stay inside
	catalogue *catalogue
}

func (u *unpacker) visit(m member, body io.Reader) error {
	if m.kind == kindDir {
		return u.mkdir(m.name)
	}
	if err := u.mkdir(path.Dir(m.name)); err != nil {
		return err
	}
	if m.kind != kindFile {
		u.links = append(u.links, m)
		return u.catalogue.link(m)
	}
	f, err := u.create(m.name)
	if err != nil {
		return &destinationError{err}
	}
	executable, err := u.catalogue.add(m, body, destination{f})
	if err == nil {
		mode := fs.FileMode(0o444)
		if executable {
			mode = 0o555
		}
		if chmodErr := f.Chmod(mode); chmodErr != nil { // against the umask
			err = &destinationError{chmodErr}
		}
	}
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = &destinationError{closeErr}
	}
	return err
}

// create makes a file in a folder that is there. There are no links yet, so no name leads anywhere else.
func (u *unpacker) create(name string) (*os.File, error) {
	if dir := path.Dir(name); u.in == nil || u.inName != dir {
		in, err := u.root.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		u.leave()
		u.in, u.inName = in, dir
	}
	return u.in.OpenFile(path.Base(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

func (u *unpacker) leave() {
	if u.in != nil {
		_ = u.in.Close() // nothing was written to it
	}
}

func (u *unpacker) mkdir(name string) error {
	if u.made[name] {
		return nil
	}
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := u.root.Mkdir(name, 0o700); err != nil {
		return &destinationError{err}
	}
	u.made[name] = true
	return nil
}

// finish makes the links, and gives the folders their mode against the umask.
func (u *unpacker) finish() error {
	for _, m := range u.links {
		var err error
		if m.kind == kindHardlink {
			err = u.root.Link(m.target, m.name)
		} else {
			err = u.root.Symlink(m.target, m.name)
		}
		if err != nil {
			return err
		}
	}
	for name := range u.made {
		if err := u.root.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// destination marks write errors as ours.
type destination struct{ w io.Writer }

func (d destination) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err != nil {
		err = &destinationError{err}
	}
	return n, err
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// copyAll is io.Copy through a pooled buffer. It hides ReadFrom and WriteTo, which would bypass the buffer.
func copyAll(w io.Writer, r io.Reader) error {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, *b)
	return err
}

// Remove deletes a tree that may hold folders without write permission, as programs leave them. It follows no links. A tree that is not there is no error.
func Remove(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) { // the top folder itself can not be entered
			if err := os.Chmod(dir, 0o700); err != nil {
				return err
			}
			root, err = os.OpenRoot(dir)
		}
		if err != nil {
			return err
		}
	}
	defer root.Close()
	if err := openUp(root, "."); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Clean(dir))
}

// openUp makes every folder of the tree writable, each before it is read.
func openUp(root *os.Root, dir string) error {
	if err := root.Chmod(dir, 0o700); err != nil {
		return err
	}
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := openUp(root, path.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
