package environments

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What the folder of an environment holds: its description, without which it is half-built, and beside it the environment.
// A build has no access to the description.
const (
	aboutName = "environment.json"
	treeName  = "tree"
)

type about struct {
	Key  string `json:"key"`
	Size int64  `json:"size"` // bytes it takes up, about
	Boot string `json:"boot"` // the run of the machine in which it was built or last looked through
}

// publish makes the folder count, all at once.
func (a about) publish(dir string) error {
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

// Open takes up what an earlier process left: whole environments are kept in the order of their last use, and all else is
// removed, in the background.
func Open(cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, entries: map[string]*entry{}}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	names, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	var kept []*entry
	boot := bootID()
	for _, n := range names {
		dir := filepath.Join(cfg.Dir, n.Name())
		e, ok := load(dir, boot)
		if !ok {
			s.clear(dir)
			continue
		}
		kept = append(kept, e)
	}
	slices.SortFunc(kept, func(a, b *entry) int { return a.touched.Compare(b.touched) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range kept {
		if old := s.entries[e.key]; old != nil {
			s.drop(old)
		}
		s.clock++
		e.used, e.touched = s.clock, time.Time{}
		s.entries[e.key] = e
		s.total += e.size
	}
	s.evict() // the limit may be lower than it was
	return s, nil
}

// load reads a folder. Nothing waits for files to reach the disk, so a machine that goes down may lose the end of those
// written last, although their folder counts already. Therefore one of an earlier run of the machine is looked through
// once: what is lost shows in the size.
func load(dir, boot string) (*entry, bool) {
	text, err := os.ReadFile(filepath.Join(dir, aboutName))
	if err != nil {
		return nil, false
	}
	info, err := os.Stat(dir)
	var a about
	if err != nil || json.Unmarshal(text, &a) != nil || a.Key == "" {
		return nil, false
	}
	if a.Boot != boot || boot == "" {
		size, err := measure(filepath.Join(dir, treeName))
		if err != nil || size != a.Size {
			return nil, false
		}
		a.Boot = boot
		if a.publish(dir) != nil || os.Chtimes(dir, info.ModTime(), info.ModTime()) != nil {
			return nil, false
		}
	}
	e := &entry{key: a.Key, dir: dir, touched: info.ModTime(), size: a.Size, done: make(chan struct{})}
	close(e.done)
	return e, true
}

// block is what the smallest file takes up: an installation has thousands of them.
const block = 4096

// measure adds up a tree.
func measure(dir string) (size int64, err error) {
	err = walk(dir, func(_ string, d fs.DirEntry, info fs.FileInfo) error {
		size += block
		if d.Type().IsRegular() {
			size += info.Size() / block * block
		}
		return nil
	})
	return size, err
}

// seal takes all write permission away and adds up the tree. It guards against accidents where there is no sandbox.
func seal(dir string) (size int64, err error) {
	err = walk(dir, func(name string, d fs.DirEntry, info fs.FileInfo) error {
		size += block
		switch {
		case d.IsDir():
			return os.Chmod(name, info.Mode().Perm()|0o555) // the owner keeps his permission: a plain rm -r shall do
		case d.Type().IsRegular():
			size += info.Size() / block * block
			if mode := info.Mode().Perm(); mode&0o222 != 0 || mode&0o444 != 0o444 { // one that is linked from elsewhere is left as it is
				return os.Chmod(name, mode&^0o222|0o444)
			}
			return nil
		default:
			return nil
		}
	})
	return size, err
}

// walk visits everything below dir. Links are not followed.
func walk(dir string, visit func(name string, d fs.DirEntry, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == dir {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return visit(name, d, info)
	})
}

// bootID names this run of the machine; "" where the system does not tell.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
