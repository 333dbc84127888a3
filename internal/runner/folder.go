package runner

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"waybill/internal/archive"
)

// maxSpares is how many empty folders wait to be used again.
const maxSpares = 64

// parts is what a job folder holds: the job's files (LOCAL_JOB_SPEC_DIR), its outputs (LOCAL_JOB_OUT_DIR), and room for
// anything else (TMPDIR, HOME).
var parts = []string{"spec", "out", "tmp"}

// eventsFile is where the program tells about itself (WAYBILL_EVENTS). It is part of every folder, for most stay empty.
const eventsFile = "events.ndjson"

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
	if err := os.WriteFile(filepath.Join(dir, eventsFile), nil, 0o600); err != nil {
		return errors.Join(err, archive.Remove(dir))
	}
	return nil
}

// openEvents opens the file that the program will write to. It happens before the program begins: whatever it puts in the
// file's place later is not read.
func openEvents(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, eventsFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// unwritten tells whether the events file is as it was made: a program may have linked another file to its name, or its name
// to another folder.
func unwritten(dir string) bool {
	var stat unix.Stat_t
	if unix.Lstat(filepath.Join(dir, eventsFile), &stat) != nil {
		return false
	}
	return stat.Mode == unix.S_IFREG|0o600 && stat.Size == 0 && stat.Nlink == 1
}

// giveFolder removes the folder with all in it, or keeps it as a spare when there is nothing in it.
func (r *Runner) giveFolder(dir string) error {
	if !untouched(dir) {
		return archive.Remove(dir)
	}
	spare := filepath.Join(r.work, "jobs", ".spare-"+randomHex(8))
	// A stray may still hold rights to the folder it was started with.
	strays := r.sandbox.Strays()
	r.mu.Lock()
	keep := len(r.spares) < maxSpares && !strays
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
			want = len(parts) + 1
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
	return unwritten(dir)
}
