package environments

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// Config says how a Store works.
type Config struct {
	Dir   string        // made when absent; used by one process at a time
	Limit int64         // bytes of all environments together
	Max   int64         // bytes of one
	Time  time.Duration // for one build
}

// Store keeps environments. An environment is built in the folder it stays in, because what is installed there may hold
// its own path, under a name nobody uses twice; it counts once its description is renamed into place. So a crash never
// leaves half of one, and a build that was given up is never in the way of the next.
type Store struct {
	cfg Config

	mu      sync.Mutex
	entries map[string]*entry
	total   int64
	clock   int64 // counts uses: the time of day may jump
	closed  bool
	stats   Stats
	errands sync.WaitGroup // builds and removals under way
}

// Stats counts what a store did since it was opened, and what it holds.
type Stats struct {
	Uses         int64 // environments asked for
	Built        int64 // of these, the ones that were built
	Failed       int64 // builds that came to nothing, those that were given up included
	Removed      int64 // environments removed to make room
	Environments int   // environments held now
	Bytes        int64 // of disk that they take up, about
}

// Stats tells what the store did.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.stats
	for _, e := range s.entries {
		if e.finished() {
			n.Environments++
		}
	}
	n.Bytes = s.total
	return n
}

// entry is an environment, or one on its way. Fields are guarded by Store.mu but those that are set before done is closed.
type entry struct {
	key     string
	dir     string
	users   int
	used    int64     // by Store.clock
	touched time.Time // when the folder was last marked as used
	cancel  context.CancelCauseFunc
	done    chan struct{}
	output  output

	// Valid once done is closed.
	err  error
	size int64
}

func (e *entry) finished() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// Lease is an environment in use.
type Lease struct {
	Dir  string // holds what the build left; nobody may write to it
	free func()
}

// Release gives the environment back. It may be called twice.
func (l *Lease) Release() { l.free() }

// Build is how an environment is made.
type Build struct {
	Key string // of letters and digits; the same key is the same environment
	// Make fills the folder and returns when nothing of what it started is left. What it writes to output goes into the log
	// of all who wait. ctx ends when nobody waits any more.
	Make func(ctx context.Context, dir string, output io.Writer) error
	// Output receives what is written while the environment is built: all of it for the caller who began, and for those who
	// come later what was written last, when the build fails.
	Output io.Writer
	// Begins is called when the caller is the one who has it built, Waits when somebody else is building it already.
	Begins, Waits func()
	// Done is called once: when Make has returned, or at once where it is not called. What Make needs can be given back
	// then, for a build may outlive who began it.
	Done func()
}

func (b Build) done() {
	if b.Done != nil {
		b.Done()
	}
}

// errClosed ends what waits for an environment when the worker ends.
var errClosed = errors.New("the worker is ending")

// Use gives the environment, building it when it is not there. Callers with one key build it once. A build that fails is
// not remembered: the next caller tries anew. The error is what Make said, or job.Invalid (WordEnvironmentFailed) for one
// over its limits.
func (s *Store) Use(ctx context.Context, b Build) (*Lease, error) {
	e, first, err := s.take(ctx, b)
	if !first {
		b.done()
	}
	if err != nil {
		return nil, err
	}
	switch {
	case first && b.Begins != nil:
		b.Begins()
	case !first && !e.finished() && b.Waits != nil:
		b.Waits()
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		if first {
			e.output.detach()
		}
		s.release(e)
		return nil, context.Cause(ctx)
	}
	if e.err != nil {
		if !first && b.Output != nil {
			_, _ = b.Output.Write(e.output.tail())
		}
		s.release(e)
		return nil, e.err
	}
	return &Lease{Dir: filepath.Join(e.dir, treeName), free: sync.OnceFunc(func() { s.release(e) })}, nil
}

// take finds the entry or begins to build it, and counts the caller among its users.
func (s *Store) take(ctx context.Context, b Build) (e *entry, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, errClosed
	}
	e = s.entries[b.Key]
	if e != nil && e.finished() {
		if _, err := os.Lstat(filepath.Join(e.dir, aboutName)); errors.Is(err, os.ErrNotExist) {
			s.drop(e) // somebody cleaned up behind our back
			e = nil
		}
	}
	if e == nil {
		dir, err := os.MkdirTemp(s.cfg.Dir, b.Key[:min(len(b.Key), 16)]+"-")
		if err != nil {
			return nil, false, err
		}
		e = &entry{key: b.Key, dir: dir, done: make(chan struct{})}
		e.output.to = b.Output
		// The build belongs to all who wait for it: it ends when the last one gives up, not when the first one does.
		shared, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		e.cancel = cancel
		s.entries[b.Key] = e
		first = true
		s.errands.Go(func() { s.build(shared, e, b) })
	}
	e.users++
	s.stats.Uses++
	return e, first, nil
}

func (s *Store) release(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
	s.clock++
	e.used = s.clock
	switch {
	case e.finished():
		s.touch(e)
	case e.users == 0: // nobody waits any more; a later user begins anew, in another folder
		e.cancel(context.Canceled)
		if s.entries[e.key] == e {
			delete(s.entries, e.key)
		}
	}
	s.evict()
}

// touchEvery bounds how often the use of an environment is written to disk. It is only for the order after a restart.
const touchEvery = time.Minute

func (s *Store) touch(e *entry) {
	if now := time.Now(); s.entries[e.key] == e && now.Sub(e.touched) >= touchEvery {
		e.touched = now
		_ = os.Chtimes(e.dir, now, now) // an order that is a little wrong does no harm
	}
}

// build makes the environment and tells those who wait.
func (s *Store) build(ctx context.Context, e *entry, b Build) {
	defer e.cancel(nil)
	size, err := s.make(ctx, e, b)
	e.output.detach()
	b.done()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(e.done)
	if err == nil && (s.closed || s.entries[e.key] != e) {
		err = errClosed // given up by all its users at the last moment
	}
	if err == nil {
		err = about{Key: e.key, Size: size, Boot: bootID()}.publish(e.dir)
	}
	if err != nil {
		e.err = err
		s.stats.Failed++
		if s.entries[e.key] == e {
			delete(s.entries, e.key)
		}
		s.clear(e.dir)
		return
	}
	e.size, e.touched = size, time.Now()
	s.total += size
	s.stats.Built++
	s.clock++
	e.used = s.clock
	s.evict()
}

// make runs the build under its limits.
func (s *Store) make(ctx context.Context, e *entry, b Build) (int64, error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	over := func(format string, args ...any) error {
		err := job.Errorf(job.Invalid, job.WordEnvironmentFailed, format, args...)
		giveUp(err)
		return err
	}
	timer := time.AfterFunc(s.cfg.Time, func() {
		_ = over("The environment was not built within %s (setting environment-build-time)", s.cfg.Time)
	})
	defer timer.Stop()
	var watch sync.WaitGroup
	watched := make(chan struct{})
	watch.Go(func() { s.watchSize(filepath.Join(e.dir, treeName), watched, over) })
	tree := filepath.Join(e.dir, treeName)
	err := os.Mkdir(tree, 0o755)
	if err == nil {
		err = b.Make(ctx, tree, &e.output)
	}
	close(watched)
	watch.Wait()
	var limit *job.Error
	if cause := context.Cause(ctx); errors.As(cause, &limit) {
		return 0, cause
	}
	if err != nil {
		return 0, err
	}
	size, err := seal(tree)
	if err == nil && size > s.cfg.Max {
		err = s.tooLarge(over)
	}
	return size, err
}

func (s *Store) tooLarge(over func(string, ...any) error) error {
	return over("The environment is larger than %d MiB (setting environment-max-size)", s.cfg.Max>>20)
}

// sizeEvery is the pause between two looks at the size of a build. A look costs a call for every file.
const sizeEvery = 3 * time.Second

// watchSize ends a build that grows over the limit.
func (s *Store) watchSize(dir string, done <-chan struct{}, over func(string, ...any) error) {
	tick := time.NewTicker(sizeEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if size, _ := measure(dir); size > s.cfg.Max { // files may vanish while they are counted
			_ = s.tooLarge(over)
			return
		}
	}
}

// idle are the entries nobody uses, least recently used first.
func (s *Store) idle() []*entry {
	var idle []*entry
	for _, e := range s.entries {
		if e.users == 0 && e.finished() {
			idle = append(idle, e)
		}
	}
	slices.SortFunc(idle, func(a, b *entry) int { return int(a.used - b.used) })
	return idle
}

// evict removes unused environments while all are over the limit. The caller holds the lock.
func (s *Store) evict() {
	if s.closed {
		return
	}
	for _, e := range s.idle() {
		if s.total <= s.cfg.Limit {
			return
		}
		s.drop(e)
		s.stats.Removed++
	}
}

// drop takes an entry out. Its description goes first, so that a crash in the middle leaves nothing that counts. The caller
// holds the lock.
func (s *Store) drop(e *entry) {
	delete(s.entries, e.key)
	s.total -= e.size
	if err := os.Remove(filepath.Join(e.dir, aboutName)); err == nil || errors.Is(err, os.ErrNotExist) {
		s.clear(e.dir)
	}
}

// clear removes a folder in the background: the caller holds the lock that every job needs. What stays is removed at the
// next start.
func (s *Store) clear(dir string) { s.errands.Go(func() { _ = archive.Remove(dir) }) }

// Close ends the builds under way and waits until nothing of them is left.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	for _, e := range s.entries {
		if !e.finished() {
			e.cancel(errClosed)
		}
	}
	s.mu.Unlock()
	s.errands.Wait()
}
