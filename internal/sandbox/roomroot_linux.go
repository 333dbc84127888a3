package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// hostDir is where the porter keeps the machine's own tree. A room lets go of it before the program begins.
const hostDir = "/.host"

// shmBytes bounds a room's /dev/shm, which is memory. So are its files when they are empty: it takes one for each page.
const shmBytes = 64 << 20

// root is the tree that all rooms begin with, made once by the porter: the parts of the machine that every program may
// use, read-only, at their own paths. What only one program may use is added in its room.
type root struct {
	mu sync.Mutex
	// blank are empty folders of the tree that rooms lay their own parts into, under a file system of their own.
	blank map[string]bool
}

// makeRoot builds the tree and makes it this process's root.
func makeRoot(shown []placement) (*root, error) {
	r := &root{blank: map[string]bool{}}
	// Mounts that the machine loses must not be kept alive here; what happens here is nobody else's business.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, os.NewSyscallError("mount slave", err)
	}
	if err := enterEmptyRoot(); err != nil {
		return nil, err
	}
	for _, dir := range []string{"/proc", "/dev", "/dev/shm", "/tmp"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	for name, target := range map[string]string{"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"} {
		if err := os.Symlink("/proc/self/fd"+target, "/dev/"+name); err != nil {
			return nil, err
		}
	}
	for _, p := range shown {
		path := string(p.Path)
		if within(path, "/proc") {
			continue // each room has its own
		}
		if err := r.show(path, p.Access, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("show %s: %w", path, err)
		}
	}
	r.blank["/tmp"] = empty("/tmp")
	return r, nil
}

// enterEmptyRoot makes an empty file system the root, with the former one at hostDir.
func enterEmptyRoot() error {
	var at string
	for _, dir := range []string{"/tmp", "/var", "/usr"} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			at = dir
			break
		}
	}
	if err := unix.Mount("room", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=4m"); err != nil {
		return os.NewSyscallError("mount tmpfs", err)
	}
	if err := unix.Mkdir(at+hostDir, 0o700); err != nil {
		return os.NewSyscallError("mkdir", err)
	}
	if err := unix.PivotRoot(at, at+hostDir); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	return os.NewSyscallError("chdir", unix.Chdir("/"))
}

// show makes something of the machine visible at its own path. Links on the way are made again here.
func (r *root) show(path string, a access, links int) error {
	if links > 40 {
		return unix.ELOOP
	}
	parts := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	at := ""
	for i, name := range parts {
		at += "/" + name
		info, err := os.Lstat(hostDir + at)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(hostDir + at)
			if err != nil {
				return err
			}
			if _, err := os.Lstat(at); err != nil {
				if err := os.Symlink(target, at); err != nil {
					return err
				}
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(at), target)
			}
			return r.show(filepath.Join(append([]string{target}, parts[i+1:]...)...), a, links+1)
		}
		if i < len(parts)-1 && !exists(at) {
			if err := os.Mkdir(at, 0o755); err != nil {
				return err
			}
		}
	}
	if same(hostDir+at, at) {
		return nil // part of something shown before
	}
	return bind(hostDir+at, at, attributesOf(a, at))
}

func attributesOf(a access, path string) uint64 {
	attributes := uint64(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID)
	if !within(path, "/dev") {
		attributes |= unix.MOUNT_ATTR_NODEV
	}
	if a == accessRead {
		attributes |= unix.MOUNT_ATTR_NOEXEC
	}
	return attributes
}

func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}

// same tells whether two paths are one file.
func same(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// bind shows from at to, which is made when it is not there, with everything mounted below it.
func bind(from, to string, attributes uint64) error {
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return &os.PathError{Op: "stat", Path: from, Err: err}
	}
	if err := makePoint(to, st.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return &os.PathError{Op: "bind", Path: to, Err: err}
	}
	return setMount(to, unix.AT_RECURSIVE, attributes)
}

func makePoint(path string, dir bool) error {
	if exists(path) {
		return nil
	}
	if dir {
		return os.Mkdir(path, 0o755)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	return f.Close()
}

func setMount(path string, flags uint, attributes uint64) error {
	attr := unix.MountAttr{Attr_set: attributes, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(unix.AT_FDCWD, path, flags|unix.AT_SYMLINK_NOFOLLOW, &attr); err != nil {
		return &os.PathError{Op: "mount_setattr", Path: path, Err: err}
	}
	return nil
}

// furnishing is the view of one room while it is made, on a thread with a mount namespace of its own.
type furnishing struct {
	root     *root
	covers   []string // file systems laid over blank folders
	writable []string
	shown    map[string]bool
}

const (
	roomWrite = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	roomRead  = roomWrite | unix.MOUNT_ATTR_RDONLY
)

// furnish gives the calling thread's mount namespace the parts of one program. /proc is still missing then, and the machine
// is still at hostDir. It tells whether /tmp is the program's own.
func (r *root) furnish(o *order) (ownTemp bool, err error) {
	f := &furnishing{root: r, shown: map[string]bool{}}
	type part struct {
		real, at   string
		attributes uint64
	}
	var parts []part
	add := func(list []path, attributes uint64) {
		for _, p := range list {
			parts = append(parts, part{string(p.Real), string(p.Real), attributes}, part{string(p.Real), string(p.Seen), attributes})
		}
	}
	add(o.Write, roomWrite)
	add(o.Read, roomRead)
	// What lies in another part comes after it, or would be hidden.
	slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.at, b.at) })
	for _, p := range parts {
		if err := f.add(p.real, p.at, p.attributes); err != nil {
			return false, err
		}
	}
	// Folders of the program's that lie in /tmp are seen there, and nothing else; it has no /tmp of its own then.
	if o.Temp != nil && !f.covered("/tmp") && empty("/tmp") {
		ownTemp = true
		if err := bind(hostDir+string(o.Temp.Real), "/tmp", roomWrite); err != nil {
			return false, err
		}
	}
	if err := unix.Mount("shm", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC,
		fmt.Sprintf("mode=1777,size=%d,nr_inodes=%d", shmBytes, shmBytes/(4<<10))); err != nil {
		return false, os.NewSyscallError("mount /dev/shm", err)
	}
	for _, cover := range append(f.covers, "/") {
		if err := setMount(cover, 0, roomRead); err != nil {
			return false, err
		}
	}
	return ownTemp, nil
}

// add shows one part.
func (f *furnishing) add(real, at string, attributes uint64) error {
	if f.shown[at] {
		return nil
	}
	f.shown[at] = true
	inWritable := slices.ContainsFunc(f.writable, func(dir string) bool { return within(at, dir) })
	if attributes == roomRead && !inWritable && same(hostDir+real, at) {
		return nil // there for everybody
	}
	if err := f.makeWay(filepath.Dir(at)); err != nil {
		return err
	}
	if !f.covered(at) && !exists(at) { // straight below a folder that all rooms have
		if err := f.root.addBlank(at, real); err != nil {
			return err
		}
	}
	if attributes == roomWrite {
		f.writable = append(f.writable, at)
	}
	return bind(hostDir+real, at, attributes)
}

// makeWay makes the folders of a path. The first that the common tree lacks is made in it and stays, empty; it is covered
// by a file system of this room's, which takes the rest.
func (f *furnishing) makeWay(dir string) error {
	at := ""
	for name := range strings.SplitSeq(strings.TrimPrefix(dir, "/"), "/") {
		if name == "" {
			return nil
		}
		at += "/" + name
		switch covered := f.covered(at); {
		case covered && !exists(at):
			if err := os.Mkdir(at, 0o755); err != nil {
				return err
			}
			continue
		case covered, exists(at) && !f.root.isBlank(at):
			continue
		}
		if err := f.root.addBlank(at, ""); err != nil {
			return err
		}
		if err := unix.Mount("room", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m"); err != nil {
			return &os.PathError{Op: "mount", Path: at, Err: err}
		}
		f.covers = append(f.covers, at)
	}
	return nil
}

// covered tells whether the path is, or lies in, a file system of this room's own.
func (f *furnishing) covered(path string) bool {
	for _, c := range f.covers {
		if within(path, c) {
			return true
		}
	}
	return false
}

func (r *root) isBlank(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blank[path]
}

// addBlank makes an empty folder in the common tree, or an empty file where like is one.
func (r *root) addBlank(path, like string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	dir := true
	if like != "" {
		var st unix.Stat_t
		if err := unix.Stat(hostDir+like, &st); err != nil {
			return &os.PathError{Op: "stat", Path: like, Err: err}
		}
		dir = st.Mode&unix.S_IFMT == unix.S_IFDIR
	}
	r.blank[path] = dir
	return makePoint(path, dir)
}

func empty(dir string) bool {
	names, err := os.ReadDir(dir)
	return err == nil && len(names) == 0
}

// leaveHost takes the machine's tree out of the calling thread's mount namespace.
func leaveHost() error {
	return os.NewSyscallError("umount", unix.Unmount(hostDir, unix.MNT_DETACH))
}
