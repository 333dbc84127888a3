package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// Package names a package version.
type Package struct {
	Name   string // the file key: its ending says how to read it
	SHA256 string // hex
	Size   int64  // bytes, packed
	Plain  bool   // it is a file for a program, whatever its name: never unpacked
}

// key identifies the unpacked form: the same bytes unpack differently by their name, which a single file and a Java program
// also keep.
func (p Package) key() string {
	format := archive.Format(p.Name)
	if p.Plain {
		format = "file"
	}
	if format == "file" || format == "jar" {
		sum := sha256.Sum256([]byte(path.Base(p.Name)))
		format += hex.EncodeToString(sum[:8])
	}
	return p.SHA256 + "-" + format
}

// Cache keeps unpacked packages by digest. Each is made in a folder of its own and renamed into place when it is whole,
// so a crash never leaves half of one. Users of one package share it; what nobody uses is removed, least recently used
// first, while all together are over the limit, and also when the disk is full. One process at a time has the folder,
// which the lock of the work folder sees to.
type Cache struct {
	dir    string
	limit  int64
	limits archive.Limits

	mu      sync.Mutex
	entries map[string]*cached
	total   int64
	clock   int64 // counts uses: the time of day may jump
	closed  bool
	stats   CacheStats
	errands sync.WaitGroup // builds and removals under way
}

// CacheStats counts what a cache did since it was opened, and what it holds.
type CacheStats struct {
	Uses     int64 // packages asked for
	Fetched  int64 // of these, the ones that were fetched and unpacked
	Removed  int64 // packages removed to make room
	Packages int   // packages held now
	Bytes    int64 // of disk that they take up, about
}

// Stats tells what the cache did.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Packages, s.Bytes = len(c.entries), c.total
	return s
}

// cached is a package in the cache, or on its way. Fields are guarded by Cache.mu but those set before done is closed.
type cached struct {
	key     string
	users   int
	used    int64     // by Cache.clock
	touched time.Time // when the folder was last marked as used
	cancel  context.CancelFunc
	done    chan struct{}

	// These are valid once done is closed.
	err   error
	about about

	entriesMu sync.Mutex
	resolved  map[string]archive.Entry // by the entry point given
}

// finished tells whether the entry is there, or will never be.
func (e *cached) finished() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// Lease is a package in use. The tree below Dir is shared: programs that could write to it get a copy.
type Lease struct {
	Dir   string
	entry *cached
	free  func()
}

// Release gives the package back.
func (l *Lease) Release() { l.free() }

// errCacheClosed ends what still waits for a package when the worker ends.
var errCacheClosed = errors.New("the package cache is closed")

// Use gives the package, fetching it when it is not there. Concurrent calls for one package fetch it once. fetch opens
// the packed bytes; they are checked against the size and the digest. What is wrong with the package is
// WordInvalidPackage; other errors come from fetch, the disk or ctx and may be worth another try.
func (c *Cache) Use(ctx context.Context, p Package, fetch func(context.Context) (io.ReadCloser, error)) (*Lease, error) {
	if b, err := hex.DecodeString(p.SHA256); err != nil || len(b) != sha256.Size || strings.ToLower(p.SHA256) != p.SHA256 {
		return nil, job.Errorf(job.Invalid, job.WordInvalidPackage, "The package has no valid digest")
	}
	e, err := c.take(ctx, p, fetch)
	if err != nil {
		return nil, err
	}
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
	return &Lease{Dir: c.tree(e.key), entry: e, free: sync.OnceFunc(func() { c.release(e) })}, nil
}

func (c *Cache) tree(key string) string { return filepath.Join(c.dir, key, treeName) }

// take finds the entry or begins to make it, and counts the caller among its users.
func (c *Cache) take(ctx context.Context, p Package, fetch func(context.Context) (io.ReadCloser, error)) (*cached, error) {
	key := p.key()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errCacheClosed
	}
	e := c.entries[key]
	if e != nil && e.finished() && !c.present(e) {
		c.drop(e) // somebody cleaned up behind our back; those who use it keep what they hold
		e = nil
	}
	if e == nil {
		e = &cached{key: key, done: make(chan struct{})}
		// The fetch belongs to all who wait for it: it ends when the last one gives up, not when the first one does.
		var shared context.Context
		shared, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.entries[key] = e
		c.errands.Go(func() { c.build(shared, e, p, fetch) })
	}
	e.users++
	c.stats.Uses++
	return e, nil
}

// present tells whether the tree of a finished entry is still where it was put.
func (c *Cache) present(e *cached) bool {
	_, err := os.Lstat(c.tree(e.key))
	return !errors.Is(err, os.ErrNotExist)
}

func (c *Cache) release(e *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
	c.clock++
	e.used = c.clock
	switch {
	case e.finished():
		c.touch(e)
	case e.users == 0: // nobody waits any more; a later user begins anew
		e.cancel()
		if c.entries[e.key] == e {
			delete(c.entries, e.key)
		}
	}
	c.evict()
}

// touchEvery bounds how often the use of a package is written to disk. It is only for the order after a restart.
const touchEvery = time.Minute

func (c *Cache) touch(e *cached) {
	if now := time.Now(); c.entries[e.key] == e && now.Sub(e.touched) >= touchEvery {
		e.touched = now
		_ = os.Chtimes(filepath.Join(c.dir, e.key), now, now) // an order that is a little wrong does no harm
	}
}

// build makes the entry and tells those who wait.
func (c *Cache) build(ctx context.Context, e *cached, p Package, fetch func(context.Context) (io.ReadCloser, error)) {
	defer e.cancel()
	made, err := c.prepare(ctx, e, p, fetch)
	for isFull(err) && ctx.Err() == nil && c.makeRoom() {
		made, err = c.prepare(ctx, e, p, fetch)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(e.done)
	if err == nil {
		err = c.install(e, made)
	}
	if err != nil {
		e.err = err
		if c.entries[e.key] == e {
			delete(c.entries, e.key)
		}
		return
	}
	c.evict()
}

// install moves a whole package into place, under the lock: so the tree below a valid name and the entry of the map are
// always one.
func (c *Cache) install(e *cached, made string) error {
	if c.closed || c.entries[e.key] != e && c.entries[e.key] != nil {
		// Given up by all its users, and another build has taken its place. Nobody waits for this one.
		c.clear(made)
		return errCacheClosed
	}
	place := filepath.Join(c.dir, e.key)
	err := os.Rename(made, place)
	if errors.Is(err, os.ErrExist) { // of an entry that was dropped and could not be moved away then
		if err = c.bury(place); err == nil {
			err = os.Rename(made, place)
		}
	}
	if err != nil {
		c.clear(made)
		return err
	}
	c.entries[e.key] = e
	c.total += e.about.Size
	c.stats.Fetched++
	c.clock++
	e.used, e.touched = c.clock, time.Now()
	return nil
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// makeRoom removes the package that was not used for the longest time, and tells whether there was one.
func (c *Cache) makeRoom() bool {
	c.mu.Lock()
	idle := c.idle()
	if len(idle) == 0 {
		c.mu.Unlock()
		return false
	}
	grave := c.grave()
	err := os.Rename(filepath.Join(c.dir, idle[0].key), grave)
	c.forget(idle[0])
	c.stats.Removed++
	c.mu.Unlock()
	if err == nil {
		err = archive.Remove(grave)
	}
	return err == nil
}

// idle are the entries nobody uses, least recently used first.
func (c *Cache) idle() []*cached {
	var idle []*cached
	for _, e := range c.entries {
		if e.users == 0 && e.finished() {
			idle = append(idle, e)
		}
	}
	slices.SortFunc(idle, func(a, b *cached) int { return int(a.used - b.used) })
	return idle
}

// evict removes unused packages while all are over the limit. The caller holds the lock.
func (c *Cache) evict() {
	if c.total <= c.limit || c.closed {
		return
	}
	for _, e := range c.idle() {
		if c.total <= c.limit {
			return
		}
		c.drop(e)
		c.stats.Removed++
	}
}

// drop takes an entry out. The caller holds the lock.
func (c *Cache) drop(e *cached) {
	c.forget(e)
	_ = c.bury(filepath.Join(c.dir, e.key)) // what stays is moved away when its name is needed, or removed at the next start
}

func (c *Cache) forget(e *cached) {
	delete(c.entries, e.key)
	c.total -= e.about.Size
}

// bury moves a folder away, so that a crash in the middle of its removal leaves no half of it under a valid name, and
// removes it in the background: a large tree takes seconds, and the caller holds the lock that every job needs.
func (c *Cache) bury(dir string) error {
	grave := c.grave()
	if err := os.Rename(dir, grave); err != nil {
		return err
	}
	c.clear(grave)
	return nil
}

func (c *Cache) grave() string { return filepath.Join(c.dir, ".old-"+randomHex(8)) }

// clear removes in the background what has no valid name. What stays is removed at the next start.
func (c *Cache) clear(dir string) { c.errands.Go(func() { _ = archive.Remove(dir) }) }

// close ends what is under way and waits for it: once the folder's lock is given back, another process works here.
func (c *Cache) close() {
	c.mu.Lock()
	c.closed = true
	for _, e := range c.entries {
		if !e.finished() {
			e.cancel()
		}
	}
	c.mu.Unlock()
	c.errands.Wait()
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
	found, err := archive.Match(e.about.Archive, members, given)
	if err != nil {
		return archive.Entry{}, err
	}
	if e.resolved == nil || len(e.resolved) >= 100 {
		e.resolved = map[string]archive.Entry{}
	}
	e.resolved[given] = found
	return found, nil
}

// secure tells whether the package calls a macro of that name a secret.
func (l *Lease) secure(name string) bool {
	m := l.entry.about.Archive.Manifest
	return m != nil && slices.ContainsFunc(m.Macros, func(r job.MacroRule) bool { return r.Secure && r.Name == name })
}
