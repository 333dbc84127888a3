package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// Package names a package version.
type Package struct {
	Name   string // the file key: its ending says how to read it
	SHA256 string // hex
	Size   int64  // bytes, packed
}

// key identifies the unpacked form: the same bytes unpack differently by their name.
func (p Package) key() string {
	format := archive.Format(p.Name)
	if format == "file" {
		sum := sha256.Sum256([]byte(path.Base(p.Name)))
		format += hex.EncodeToString(sum[:8])
	}
	return p.SHA256 + "-" + format
}

// Cache keeps unpacked packages by digest. Each is made in a folder of its own and renamed into place when it is whole,
// so a crash never leaves half of one. Users of one package share it; what nobody uses is removed, least recently used
// first, while all together are over the limit.
type Cache struct {
	dir    string
	limit  int64
	limits archive.Limits

	mu      sync.Mutex
	entries map[string]*cached
	total   int64
}

// cached is a package in the cache, or on its way. Fields are guarded by Cache.mu but those set before done is closed.
type cached struct {
	key    string
	users  int
	used   time.Time
	cancel context.CancelFunc // of the fetch
	done   chan struct{}

	// These are valid once done is closed.
	err     error
	size    int64
	archive job.Archive

	entriesMu sync.Mutex
	resolved  map[string]archive.Entry // by the entry point given
}

func openCache(dir string, limit int64, limits archive.Limits) (*Cache, error) {
	c := &Cache{dir: dir, limit: limit, limits: limits, entries: map[string]*cached{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		e := &cached{key: n.Name(), done: make(chan struct{})}
		if !strings.HasPrefix(n.Name(), ".") && e.load(filepath.Join(dir, n.Name())) == nil {
			close(e.done)
			c.entries[e.key] = e
			c.total += e.size
			continue
		}
		// Half-made, or of a format of another version.
		if err := archive.Remove(filepath.Join(dir, n.Name())); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// about is what is kept beside a tree.
type about struct {
	Size    int64       `json:"size"` // bytes, unpacked
	Archive job.Archive `json:"archive"`
}

func (e *cached) load(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "about.json"))
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	var a about
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	e.size, e.archive, e.used = a.Size, a.Archive, info.ModTime()
	return nil
}

// Lease is a package in use. The tree below Dir is shared: programs that could write to it get a copy.
type Lease struct {
	Dir   string
	entry *cached
	free  func()
}

// Release gives the package back.
func (l *Lease) Release() { l.free() }

// Use gives the package, fetching it when it is not there. Concurrent calls for one package fetch it once. fetch opens
// the packed bytes; they are checked against the size and the digest. What is wrong with the package is
// WordInvalidPackage; other errors come from fetch, the disk or ctx and may be worth another try.
func (c *Cache) Use(ctx context.Context, p Package, fetch func(context.Context) (io.ReadCloser, error)) (*Lease, error) {
	if b, err := hex.DecodeString(p.SHA256); err != nil || len(b) != sha256.Size || strings.ToLower(p.SHA256) != p.SHA256 {
		return nil, job.Errorf(job.Invalid, job.WordInvalidPackage, "The package has no valid digest")
	}
	key := p.key()
	c.mu.Lock()
	e := c.entries[key]
	if e == nil {
		e = &cached{key: key, done: make(chan struct{})}
		// The fetch belongs to all who wait for it: it ends when the last one gives up, not when the first one does.
		var shared context.Context
		shared, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.entries[key] = e
		go c.build(shared, e, p, fetch)
	}
	e.users++
	c.mu.Unlock()

	select {
	case <-e.done:
	case <-ctx.Done():
		c.release(e)
		return nil, context.Cause(ctx)
	}
	if e.err != nil {
		c.release(e)
		return nil, e.err
	}
	return &Lease{
		Dir: filepath.Join(c.dir, key, "tree"), entry: e,
		free: sync.OnceFunc(func() { c.release(e) }),
	}, nil
}

func (c *Cache) release(e *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
	e.used = time.Now()
	if e.users > 0 {
		return
	}
	select {
	case <-e.done:
	default: // nobody waits any more; a later user begins anew
		e.cancel()
		if c.entries[e.key] == e {
			delete(c.entries, e.key)
		}
	}
	c.evict()
}

// build makes the entry and tells those who wait.
func (c *Cache) build(ctx context.Context, e *cached, p Package, fetch func(context.Context) (io.ReadCloser, error)) {
	defer e.cancel()
	err := c.make(ctx, e, p, fetch)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(e.done)
	if e.err = err; err != nil {
		if c.entries[e.key] == e {
			delete(c.entries, e.key)
		}
		return
	}
	if c.entries[e.key] != e {
		// Given up by all its users at the last moment. The tree may be another build's by now, so only an entry of the
		// map owns it; without one it is dropped.
		if c.entries[e.key] == nil {
			c.entries[e.key] = e
		} else {
			return
		}
	}
	c.total += e.size
	c.evict()
}

func (c *Cache) make(ctx context.Context, e *cached, p Package, fetch func(context.Context) (io.ReadCloser, error)) (err error) {
	temp, err := os.MkdirTemp(c.dir, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, archive.Remove(temp))
		}
	}()
	packed := filepath.Join(temp, "packed")
	if err := download(ctx, packed, p, fetch); err != nil {
		return err
	}
	tree := filepath.Join(temp, "tree")
	if archive.IsArchive(p.Name) {
		if e.archive, err = unpack(ctx, packed, tree, p, c.limits); err == nil {
			err = os.Remove(packed)
		}
	} else {
		e.archive, err = placeFile(packed, tree, path.Base(p.Name))
	}
	if err != nil {
		return err
	}
	if e.size, err = treeSize(tree); err != nil {
		return err
	}
	text, err := json.Marshal(about{Size: e.size, Archive: e.archive})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temp, "about.json"), text, 0o600); err != nil {
		return err
	}
	err = os.Rename(temp, filepath.Join(c.dir, e.key))
	if errors.Is(err, fs.ErrExist) { // another build of the same, given up and yet finished, was faster
		return archive.Remove(temp)
	}
	return err
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
	file := filepath.Join(tree, name)
	if err := os.Rename(packed, file); err != nil {
		return job.Archive{}, err
	}
	if err := os.Chmod(file, 0o555); err != nil {
		return job.Archive{}, err
	}
	return job.Archive{EntryPoints: []string{name}, Main: name}, nil
}

func treeSize(tree string) (size int64, err error) {
	err = filepath.WalkDir(tree, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// evict removes unused packages while all are over the limit. The caller holds the lock; removal happens under it, which
// keeps a new build of the same package from meeting the old tree.
func (c *Cache) evict() {
	if c.total <= c.limit {
		return
	}
	var idle []*cached
	for _, e := range c.entries {
		select {
		case <-e.done:
			if e.users == 0 {
				idle = append(idle, e)
			}
		default:
		}
	}
	slices.SortFunc(idle, func(a, b *cached) int { return a.used.Compare(b.used) })
	for _, e := range idle {
		if c.total <= c.limit {
			return
		}
		// Renamed first: a crash in the middle must not leave half a tree under a valid name.
		grave := filepath.Join(c.dir, ".old-"+e.key)
		delete(c.entries, e.key)
		c.total -= e.size
		if err := os.Rename(filepath.Join(c.dir, e.key), grave); err == nil {
			_ = archive.Remove(grave) // what stays is removed at the next start
		}
	}
}

// entry finds where the package starts; the search through the tree is made once for each name given.
func (l *Lease) entryPoint(given string) (archive.Entry, error) {
	e := l.entry
	e.entriesMu.Lock()
	defer e.entriesMu.Unlock()
	if found, ok := e.resolved[given]; ok {
		return found, nil
	}
	members, err := archive.Members(os.DirFS(l.Dir))
	if err != nil {
		return archive.Entry{}, err
	}
	found, err := archive.Match(e.archive, members, given)
	if err != nil {
		return archive.Entry{}, err
	}
	if e.resolved == nil || len(e.resolved) >= 100 {
		e.resolved = map[string]archive.Entry{}
	}
	e.resolved[given] = found
	return found, nil
}
