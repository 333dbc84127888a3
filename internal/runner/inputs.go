package runner

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"waybill/internal/job"
)

// Input is a file of the cache that a program gets a copy of: what it makes of it is its own affair.
type Input struct {
	Name string // path below LOCAL_JOB_SPEC_DIR
	File *Lease // of a package that is Plain
}

// layInputs writes the inputs into spec/. Nothing that is there already is overwritten.
func (e *Execution) layInputs(inputs []Input) error {
	if len(inputs) == 0 {
		return nil
	}
	root, err := os.OpenRoot(filepath.Join(e.dir, "spec"))
	if err != nil {
		return err
	}
	defer root.Close()
	for _, in := range inputs {
		if !fs.ValidPath(in.Name) || in.Name == "." {
			return job.Errorf(job.Invalid, job.WordInvalidField, "Input file name %q is not a path inside the folder", in.Name)
		}
		if err := layInput(root, in); err != nil {
			return err
		}
	}
	return nil
}

func layInput(root *os.Root, in Input) (err error) {
	from, err := os.Open(filepath.Join(in.File.Dir, path.Base(in.Name)))
	if err != nil {
		return err
	}
	defer from.Close()
	if err := root.MkdirAll(path.Dir(in.Name), 0o700); err != nil {
		return err
	}
	to, err := root.OpenFile(in.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = io.Copy(to, from)
	return err
}
