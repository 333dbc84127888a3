package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// prepare makes the package in a folder whose name is not valid, and fills in what is known about it.
func (c *Cache) prepare(ctx context.Context, e *cached, p Package, fetch func(context.Context) (io.ReadCloser, error)) (_ string, err error) {
	temp, err := os.MkdirTemp(c.dir, ".new-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, archive.Remove(temp))
		}
	}()
	packed := filepath.Join(temp, "packed")
	if err := download(ctx, packed, p, fetch); err != nil {
		return "", err
	}
	tree := filepath.Join(temp, treeName)
	if archive.IsArchive(p.Name) && !p.Plain {
		switch e.about.Archive, err = unpack(ctx, packed, tree, p, c.limits); {
		case err != nil:
		case e.about.Archive.Jar != "": // run as it is, so it lies among its members
			err = addFile(packed, filepath.Join(tree, e.about.Archive.Jar), 0o444)
		default:
			err = os.Remove(packed)
		}
	} else {
		e.about.Archive, err = placeFile(packed, tree, path.Base(p.Name))
	}
	if err != nil {
		return "", err
	}
	if e.about.measure, err = measureTree(tree); err != nil {
		return "", err
	}
	e.about.Boot, e.about.Version = bootID(), aboutVersion
	return temp, e.about.write(temp)
}

// download stores the packed bytes and compares them with what the package is known by.
func download(ctx context.Context, file string, p Package, fetch func(context.Context) (io.ReadCloser, error)) (err error) {
	body, err := fetch(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(body, p.Size+1))
	switch {
	case err != nil:
		return err
	case n < p.Size: // a transfer that broke off; another try may get all of it
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "The package ended after %d of %d bytes", n, p.Size)
	case n > p.Size || hex.EncodeToString(sum.Sum(nil)) != p.SHA256:
		return job.Errorf(job.Invalid, job.WordInvalidPackage, "The stored package differs from the one that was uploaded")
	}
	return nil
}

func unpack(ctx context.Context, packed, tree string, p Package, l archive.Limits) (job.Archive, error) {
	f, err := os.Open(packed)
	if err != nil {
		return job.Archive{}, err
	}
	defer f.Close()
	return archive.Unpack(ctx, f, p.Size, p.Name, tree, l)
}

// placeFile makes a package of a single file. It is executable: an upload has no mode, and whoever names a single file as
// a package means to run it.
func placeFile(packed, tree, name string) (job.Archive, error) {
	if name == "." || name == ".." || name == "/" || len(name) > 255 {
		return job.Archive{}, job.Errorf(job.Invalid, job.WordInvalidPackage, "The package's name is no file name")
	}
	if err := os.Mkdir(tree, 0o700); err != nil {
		return job.Archive{}, err
	}
	if err := addFile(packed, filepath.Join(tree, name), 0o555); err != nil {
		return job.Archive{}, err
	}
	return job.Archive{EntryPoints: []string{name}, Main: name}, nil
}

func addFile(packed, file string, mode fs.FileMode) error {
	if err := os.Rename(packed, file); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}
