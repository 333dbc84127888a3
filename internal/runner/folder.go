package runner

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"waybill/internal/archive"
)

// maxSpares is how many empty folders wait to be used again.
const maxSpares = 64

// parts is what a job folder holds: the job's files (LOCAL_JOB_SPEC_DIR), its outputs (LOCAL_JOB_OUT_DIR), and room for
// anything else (TMPDIR, HOME).
var parts = []string{"spec", "out", "tmp"}

// takeFolder makes the private folder of an attempt. Folders that came back untouched are used again: making one is the
// most expensive part of a short job, since ext4 will not reuse inodes for some seconds and searches past them.
func (r *Runner) takeFolder(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		// Left by a run of this very attempt that could not clean up.
		if err := archive.Remove(dir); err != nil {
			return err
		}
	}
	r.mu.Lock()
	var spare string
	if n := len(r.spares); n > 0 {
		spare, r.spares = r.spares[n-1], r.spares[:n-1]
	}
	r.mu.Unlock()
	if spare != "" && os.Rename(spare, dir) == nil {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range parts {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return errors.Join(err, archive.Remove(dir))
		}
	}
	return nil
}

// giveFolder removes the folder with all in it, or keeps it as a spare when there is nothing in it.
func (r *Runner) giveFolder(dir string) error {
	if !untouched(dir) {
		return archive.Remove(dir)
	}
	spare := filepath.Join(r.work, "jobs", ".spare-"+randomHex(8))
	r.mu.Lock()
	// A stray may still hold rights to the folder it was started with.
	keep := len(r.spares) < maxSpares && len(r.strays) == 0
	r.mu.Unlock()
	if !keep || os.Rename(dir, spare) != nil {
		return archive.Remove(dir)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spares = append(r.spares, spare)
	return nil
}

// untouched tells whether a job folder is as it was made. Links are not followed: one to an empty folder elsewhere would
// be handed to the next job, and the sandbox would open that folder to it.
func untouched(dir string) bool {
	for _, name := range append([]string{""}, parts...) {
		want := 0
		if name == "" {
			want = len(parts)
		}
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || info.Mode() != fs.ModeDir|0o700 {
			return false
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return false
		}
		entries, err := f.Readdirnames(want + 1)
		_ = f.Close()
		if len(entries) != want || want == 0 && !errors.Is(err, io.EOF) {
			return false
		}
	}
	return true
}
