package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// Tidy ends what a worker that was killed left in its work folder: programs that go on without it, and job folders. A folder
// that a worker has in use is left alone; so is one that holds no job folders, at the cost of a look.
func Tidy(ctx context.Context, folder string) (killed int, err error) {
	r := &Runner{cfg: withDefaults(Config{Work: folder})}
	if err := r.openWork(); err != nil {
		if errors.Is(err, ErrWorkFolderInUse) {
			err = nil
		}
		return 0, err
	}
	defer func() { err = errors.Join(err, r.lock.Unlock()) }()
	left, err := os.ReadDir(filepath.Join(r.work, "jobs"))
	if len(left) == 0 || err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return 0, err
	}
	return r.sweep(ctx)
}
