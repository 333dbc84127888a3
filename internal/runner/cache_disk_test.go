package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/archive"
)

func fetchNothing(context.Context) (io.ReadCloser, error) {
	return nil, errors.New("must not be fetched again")
}

// newCache opens a cache that is closed after the test.
func newCache(t testing.TB, dir string, limit int64) *Cache {
	t.Helper()
	c, err := openCache(dir, limit, archive.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// use takes a package and gives it back, and tells where it is.
func use(t *testing.T, c *Cache, name string, data []byte) string {
	t.Helper()
	l, err := c.Use(t.Context(), packageOf(name, data), fetchOf(data))
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	return l.Dir
}

func there(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

func TestCacheRemembersTheOrderOfUseOverARestartAndAClockThatJumps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "packages")
	text := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprint(i), 10_000)) }
	first := newCache(t, dir, 1<<30)
	trees := map[int]string{}
	for i := range 3 {
		trees[i] = use(t, first, "a.sh", text(i))
	}
	first.close()
	// Made last, used longest ago; and one that was used while the clock was a year ahead.
	past, future := time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour)
	for i, at := range map[int]time.Time{2: past, 0: future} {
		if err := os.Chtimes(filepath.Dir(trees[i]), at, at); err != nil {
			t.Fatal(err)
		}
	}
	second := newCache(t, dir, 50_000)
	use(t, second, "a.sh", text(3))
	if there(trees[2]) || !there(trees[0]) || !there(trees[1]) {
		t.Errorf("present: %v %v %v, want all but the one that was not used for an hour", there(trees[0]), there(trees[1]), there(trees[2]))
	}
	use(t, second, "a.sh", text(1))
	use(t, second, "a.sh", text(4))
	if there(trees[0]) || !there(trees[1]) {
		t.Error("a time in the future keeps a package from being removed")
	}
	second.close()
	third := newCache(t, dir, 20_000) // a lower limit holds from the start on
	third.errands.Wait()
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("in the cache: %v", names(left))
	}
}

func TestCacheMarksAUse(t *testing.T) {
	c := newCache(t, filepath.Join(t.TempDir(), "packages"), 1<<30)
	data := pack(t, "a.sh", "exit 0")
	dir := filepath.Dir(use(t, c, "a.zip", data))
	long := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.entries {
		e.touched = long
	}
	use(t, c, "a.zip", data)
	if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("its folder is from %v (%v)", info.ModTime(), err)
	}
}

// A machine that goes down may lose the end of files although the name of their folder is on disk.
func TestCacheLooksThroughPackagesOfAnEarlierRunOfTheMachine(t *testing.T) {
	if bootID() == "" {
		t.Skip("this system does not tell its runs apart")
	}
	for name, c := range map[string]struct {
		damage func(dir string) error
		keeps  bool
	}{
		"whole":       {func(string) error { return nil }, true},
		"a cut file":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "tree", "data"), 0) }, false},
		"a lost file": {func(dir string) error { return os.Remove(filepath.Join(dir, "tree", "data")) }, false},
		"a lost tree": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "tree")) }, false},
		"no words":    {func(dir string) error { return os.Truncate(filepath.Join(dir, aboutName), 0) }, false},
		"other words": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, aboutName), []byte(`{"size":9}`), 0o600)
		}, false},
		"nothing left": {func(dir string) error { return os.Remove(filepath.Join(dir, aboutName)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "packages")
			data := pack(t, "a.sh", "exit 0", "data", strings.Repeat("x", 9000))
			first := newCache(t, dir, 1<<30)
			place := filepath.Dir(use(t, first, "a.zip", data))
			first.close()
			var e cached
			if err := e.load(place); err != nil {
				t.Fatal(err)
			}
			e.about.Boot = "an earlier one"
			if err := errors.Join(e.about.write(place), c.damage(place)); err != nil {
				t.Fatal(err)
			}
			second := newCache(t, dir, 1<<30)
			if kept := len(second.entries) == 1; kept != c.keeps {
				t.Fatalf("kept: %v", kept)
			}
			if c.keeps {
				if err := e.load(place); err != nil || e.about.Boot != bootID() {
					t.Errorf("it would be looked through again: %v %v", e.about.Boot, err)
				}
			}
			use(t, second, "a.zip", data)
			if text, err := os.ReadFile(filepath.Join(place, "tree", "data")); err != nil || len(text) != 9000 {
				t.Errorf("%d bytes, %v", len(text), err)
			}
		})
	}
}

func TestCacheFetchesAgainWhatSomebodyRemoved(t *testing.T) {
	c := newCache(t, filepath.Join(t.TempDir(), "packages"), 1<<30)
	data := pack(t, "a.sh", "exit 0")
	held, err := c.Use(t.Context(), packageOf("a.zip", data), fetchOf(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(held.Dir); err != nil {
		t.Fatal(err)
	}
	if dir := use(t, c, "a.zip", data); !there(filepath.Join(dir, "a.sh")) {
		t.Error("it is not there again")
	}
	held.Release()
	if l, err := c.Use(t.Context(), packageOf("a.zip", data), fetchNothing); err != nil {
		t.Error(err)
	} else {
		l.Release()
	}
	if len(c.entries) != 1 || c.total != c.entries[packageOf("a.zip", data).key()].about.Size {
		t.Errorf("%d entries of %d bytes", len(c.entries), c.total)
	}
}

func TestCacheClosesWithoutWaitingForAFetch(t *testing.T) {
	c := newCache(t, filepath.Join(t.TempDir(), "packages"), 1<<30)
	data := pack(t, "a.sh", "exit 0")
	fetching, result := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := c.Use(context.Background(), packageOf("a.zip", data), func(ctx context.Context) (io.ReadCloser, error) {
			close(fetching)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		result <- err
	}()
	<-fetching
	c.close()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Use(t.Context(), packageOf("a.zip", data), fetchOf(data)); !errors.Is(err, errCacheClosed) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(c.dir); len(left) != 0 {
		t.Errorf("in the cache: %v", names(left))
	}
}
