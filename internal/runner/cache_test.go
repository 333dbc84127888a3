package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waybill/internal/job"
)

func TestCacheFetchesOnce(t *testing.T) {
	r := newRunner(t, nil)
	data := pack(t, "a.sh", "exit 0")
	const all = 20
	var fetches atomic.Int32
	slow := func(context.Context) (io.ReadCloser, error) {
		fetches.Add(1)
		waitForUsers(t, r.cache, all)
		return fetchOf(data)(nil)
	}
	var users sync.WaitGroup
	for range all {
		users.Go(func() {
			l, err := r.Cache().Use(t.Context(), packageOf("a.zip", data), slow)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Release()
			if _, err := os.Stat(filepath.Join(l.Dir, "a.sh")); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()
	if fetches.Load() != 1 {
		t.Errorf("fetched %d times", fetches.Load())
	}
}

// waitForUsers returns when that many use, or wait for, the only package of the cache.
func waitForUsers(t *testing.T, c *Cache, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		users := 0
		for _, e := range c.entries {
			users += e.users
		}
		c.mu.Unlock()
		if users == want {
			return
		}
	}
	t.Errorf("the package never had %d users", want)
}

func TestCacheChecksWhatItFetches(t *testing.T) {
	r := newRunner(t, nil)
	data := pack(t, "a.sh", "exit 0")
	other := append([]byte(nil), data...)
	other[40] ^= 1
	away := errors.New("store is away")
	p := packageOf("a.zip", data)
	noDigest := p
	noDigest.SHA256 = "../../x"
	cases := []struct {
		name  string
		p     Package
		fetch func(context.Context) (io.ReadCloser, error)
		code  job.Code
	}{
		{"other bytes", p, fetchOf(other), job.Invalid},
		{"too short", p, fetchOf(data[:50]), job.Unavailable},
		{"too long", p, fetchOf(append(data, 'x')), job.Invalid},
		{"no archive", packageOf("a.zip", []byte("text")), fetchOf([]byte("text")), job.Invalid},
		{"no digest", noDigest, fetchOf(data), job.Invalid},
		{"store away", p, func(context.Context) (io.ReadCloser, error) { return nil, away }, job.Internal},
	}
	for _, c := range cases {
		_, err := r.Cache().Use(t.Context(), c.p, c.fetch)
		if job.CodeOf(err) != c.code {
			t.Errorf("%s: got %v", c.name, err)
		}
		if left, _ := os.ReadDir(r.cache.dir); len(left) != 0 {
			t.Errorf("%s: left behind %v", c.name, names(left))
		}
	}
	// A failure is not remembered.
	l, err := r.Cache().Use(t.Context(), p, fetchOf(data))
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}

func TestCacheEvictsTheLeastRecentlyUsed(t *testing.T) {
	r := newRunner(t, func(c *Config) { c.CacheSize = 50_000 }) // three packages of three blocks and a folder
	use := func(i int) *Lease {
		return lease(t, r, fmt.Sprintf("%d.sh", i), []byte(strings.Repeat(fmt.Sprint(i), 10_000)))
	}
	present := func(l *Lease) bool { _, err := os.Stat(l.Dir); return err == nil }
	held := use(1)
	second := use(2)
	second.Release()
	second.Release() // harmless
	third := use(3)
	third.Release()
	fourth := use(4)
	if !present(held) || present(second) || !present(fourth) {
		t.Errorf("present: %v %v %v %v, want the held one and the newest", present(held), present(second), present(third), present(fourth))
	}
	fourth.Release()
	use(5).Release()
	if !present(held) || present(third) {
		t.Error("a package in use was removed, or an older one was not")
	}
}

func TestCacheOutlivesItsProcessButHalfMadePackagesDoNot(t *testing.T) {
	work := filepath.Join(t.TempDir(), "work")
	data := pack(t, "a.sh", "exit 0")
	first := newRunner(t, func(c *Config) { c.Work = work })
	lease(t, first, "a.zip", data)
	for _, half := range []string{".new-1", "0123-zip"} {
		if err := os.MkdirAll(filepath.Join(first.cache.dir, half, "tree"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	second := newRunner(t, func(c *Config) { c.Work = work })
	l, err := second.Cache().Use(t.Context(), packageOf("a.zip", data), func(context.Context) (io.ReadCloser, error) {
		return nil, errors.New("must not be fetched again")
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	second.cache.errands.Wait()
	if left, _ := os.ReadDir(second.cache.dir); len(left) != 1 {
		t.Errorf("in the cache: %v", names(left))
	}
}

func TestCacheFetchEndsWithItsLastUser(t *testing.T) {
	r := newRunner(t, nil)
	data := pack(t, "a.sh", "exit 0")
	fetching, ended := make(chan struct{}, 2), make(chan struct{})
	fetch := func(ctx context.Context) (io.ReadCloser, error) {
		fetching <- struct{}{}
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	ctx1, cancel1 := context.WithCancel(t.Context())
	ctx2, cancel2 := context.WithCancel(t.Context())
	defer cancel2()
	results := make(chan error, 2)
	for _, ctx := range []context.Context{ctx1, ctx2} {
		go func() {
			_, err := r.Cache().Use(ctx, packageOf("a.zip", data), fetch)
			results <- err
		}()
	}
	<-fetching
	waitForUsers(t, r.cache, 2)
	cancel1()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
		t.Error("the fetch ended while somebody waited")
	default:
	}
	cancel2()
	<-ended
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	lease(t, r, "a.zip", data)
}
