package sandbox

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// leastFile is what a file counts for at least: empty ones fill a disk too.
	leastFile = 4 << 10
	// deepest is how deep folders may be nested. Each level is held open while it is measured.
	deepest = 200
)

var errTooDeep = errors.New("folders are nested too deep")

// disk measures folders that somebody else is writing to. Links are never followed.
type disk struct {
	ctx  context.Context
	most int64 // measuring ends beyond it; 0: never
	used int64
	seen map[fileID]bool // files that have several names
	devs map[uint64]bool // the file systems of the folders
}

// measure adds up a folder. What vanishes meanwhile is not counted; errTooDeep and the context's end are errors.
func (d *disk) measure(folder string) error {
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		d.devs[uint64(st.Dev)] = true
	}
	return d.walk(os.NewFile(uintptr(fd), folder), 0)
}

func (d *disk) walk(dir *os.File, depth int) error {
	defer dir.Close()
	if depth > deepest {
		return errTooDeep
	}
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			if err := d.entry(int(dir.Fd()), name, depth); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			return d.ctx.Err()
		}
		if d.ctx.Err() != nil || d.most > 0 && d.used > d.most {
			return d.ctx.Err()
		}
	}
}

func (d *disk) entry(parent int, name string, depth int) error {
	var st unix.Stat_t
	if unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return nil
	}
	id := fileID{uint64(st.Dev), st.Ino}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if !isDir && st.Nlink > 1 {
		if d.seen[id] {
			return nil
		}
		d.seen[id] = true
	}
	d.used += max(st.Blocks*512, leastFile)
	if !isDir {
		return nil
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return d.walk(os.NewFile(uintptr(fd), name), depth+1)
}
