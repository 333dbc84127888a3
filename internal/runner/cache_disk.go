package runner

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// What a package's folder holds.
const (
	treeName  = "tree"
	aboutName = "about.json"
)

// aboutVersion changes when what is found in a package does: an older tree is then made anew.
const aboutVersion = 1

// about is what is kept beside a tree.
type about struct {
	measure
	Version int         `json:"version"`
	Boot    string      `json:"boot"` // the run of the machine in which the tree was made or last looked through
	Archive job.Archive `json:"archive"`
}

// measure is how large a tree is.
type measure struct {
	Size  int64 `json:"size"`  // bytes it takes up, about
	Bytes int64 `json:"bytes"` // contents of its files
	Files int   `json:"files"` // and folders and links
}

// block is what the smallest file takes up: twenty thousand files of ten bytes are not two hundred kilobytes of disk.
const block = 4096

func measureTree(tree string) (m measure, err error) {
	err = filepath.WalkDir(tree, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		m.Files++
		if !d.Type().IsRegular() {
			m.Size += block
			return nil
		}
		info, err := d.Info()
		if err == nil {
			m.Bytes += info.Size()
			m.Size += (info.Size() + block - 1) / block * block
		}
		return err
	})
	return m, err
}

// openCache takes up what an earlier process left: whole packages are kept in the order of their last use, and all else
// is removed, in the background.
func openCache(dir string, limit int64, limits archive.Limits) (*Cache, error) {
	c := &Cache{dir: dir, limit: limit, limits: limits, entries: map[string]*cached{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	spread(dir)
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var kept []*cached
	for _, n := range names {
		path := filepath.Join(dir, n.Name())
		if strings.HasPrefix(n.Name(), ".") { // half-made, or half-removed
			c.clear(path)
			continue
		}
		e := &cached{key: n.Name(), done: make(chan struct{})}
		if e.load(path) != nil { // damaged, or of a format of another version
			if err := c.bury(path); err != nil {
				return nil, err
			}
			continue
		}
		close(e.done)
		kept = append(kept, e)
	}
	slices.SortFunc(kept, func(a, b *cached) int { return a.touched.Compare(b.touched) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range kept {
		c.clock++
		e.used, e.touched = c.clock, time.Time{}
		c.entries[e.key] = e
		c.total += e.about.Size
	}
	c.evict() // the limit may be lower than it was
	return c, nil
}

var errDamaged = errors.New("the unpacked package is not as it was made")

// load reads what is known about a package. Nothing waits for its files to reach the disk, so a machine that goes down
// may lose the end of those it wrote last, although the folder has its name already. Therefore a tree of an earlier run
// of the machine is looked through once: a file system that orders data before sizes, as ext4, XFS and btrfs do, shows
// what is lost by its size.
func (e *cached) load(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, aboutName))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &e.about); err != nil {
		return err
	}
	if e.about.Version != aboutVersion {
		return errors.New("an unpacked package of another version of Waybill")
	}
	e.touched = info.ModTime()
	if boot := bootID(); e.about.Boot != boot || e.about.Boot == "" {
		return e.inspect(dir, boot)
	}
	_, err = os.Lstat(filepath.Join(dir, treeName))
	return err
}

func (e *cached) inspect(dir, boot string) error {
	now, err := measureTree(filepath.Join(dir, treeName))
	if err != nil {
		return err
	}
	if now != e.about.measure {
		return errDamaged
	}
	e.about.Boot = boot
	if err := e.about.write(dir); err != nil {
		return err
	}
	return os.Chtimes(dir, e.touched, e.touched) // writing was no use
}

// write keeps it beside the tree, in place of what was kept before.
func (a *about) write(dir string) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, aboutName+".new")
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(dir, aboutName))
}

// bootID names this run of the machine; "" where the system does not tell.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
