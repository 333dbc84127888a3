package environments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waybill/internal/job"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("ENVIRONMENTS_TEST_CRASH"); dir != "" {
		crashHelper(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, dir string, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{Dir: dir, Limit: 1 << 30, Max: 1 << 30, Time: time.Minute}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// filled is a build that leaves one file of so many bytes.
func filled(key string, size int) Build {
	return Build{Key: key, Make: func(_ context.Context, dir string, _ io.Writer) error {
		return os.WriteFile(filepath.Join(dir, "file"), make([]byte, size), 0o666)
	}}
}

func use(t *testing.T, s *Store, b Build) *Lease {
	t.Helper()
	l, err := s.Use(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func never(key string) Build {
	return Build{Key: key, Make: func(context.Context, string, io.Writer) error { return errors.New("must not be built again") }}
}

func present(l *Lease) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(l.Dir), aboutName))
	return err == nil
}

func TestConcurrentUsersShareOneBuild(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	var builds, waiting atomic.Int32
	begun, goOn := make(chan struct{}), make(chan struct{})
	var first, second bytes.Buffer
	build := func(out io.Writer) Build {
		return Build{Key: "k", Output: out, Waits: func() { waiting.Add(1) }, Make: func(_ context.Context, dir string, out io.Writer) error {
			builds.Add(1)
			fmt.Fprintln(out, "installing")
			close(begun)
			<-goOn
			return os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o666)
		}}
	}
	leases := make(chan *Lease, 4)
	get := func(out io.Writer) {
		l, err := s.Use(t.Context(), build(out))
		if err != nil {
			t.Error(err)
		}
		leases <- l
	}
	go get(&first)
	<-begun
	for i := range 3 {
		out := io.Discard
		if i == 0 {
			out = &second
		}
		go get(out)
	}
	waitFor(t, func() bool { return waiting.Load() == 3 })
	close(goOn)
	dir := ""
	for range 4 {
		l := <-leases
		if dir == "" {
			dir = l.Dir
		}
		if l.Dir != dir {
			t.Error("two environments of one key")
		}
		l.Release()
	}
	if builds.Load() != 1 || first.String() != "installing\n" || second.Len() != 0 {
		t.Errorf("%d builds, the first one was told %q, another %q", builds.Load(), first.String(), second.String())
	}
	if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("%v %v, want a file nobody can write to", info, err)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 30 s")
		}
	}
}

func TestAFailedBuildIsToldToAllAndTriedAnew(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	begun, goOn := make(chan struct{}), make(chan struct{})
	fault := errors.New("no such library")
	failing := func(out io.Writer, waits func()) Build {
		return Build{Key: "k", Output: out, Waits: waits, Make: func(_ context.Context, dir string, out io.Writer) error {
			fmt.Fprintln(out, "can not find it")
			close(begun)
			<-goOn
			return fault
		}}
	}
	var outs [2]bytes.Buffer
	results := make(chan error, 2)
	go func() { _, err := s.Use(t.Context(), failing(&outs[0], nil)); results <- err }()
	<-begun
	go func() { _, err := s.Use(t.Context(), failing(&outs[1], func() { close(goOn) })); results <- err }()
	for range 2 {
		if err := <-results; !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	}
	for i := range outs {
		if outs[i].String() != "can not find it\n" {
			t.Errorf("%d was told %q", i, outs[i].String())
		}
	}
	s.errands.Wait()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	use(t, s, filled("k", 1)).Release()
}

func TestABuildEndsWithTheLastWhoWaits(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	begun, ended, waits := make(chan struct{}), make(chan struct{}), make(chan struct{})
	b := Build{Key: "k", Waits: func() { close(waits) }, Make: func(ctx context.Context, _ string, _ io.Writer) error {
		close(begun)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	ctx1, cancel1 := context.WithCancel(t.Context())
	ctx2, cancel2 := context.WithCancel(t.Context())
	defer cancel2()
	result1, result2 := make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.Use(ctx1, b); result1 <- err }()
	<-begun
	go func() { _, err := s.Use(ctx2, b); result2 <- err }()
	<-waits
	cancel1()
	if err := <-result1; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
		t.Error("the build ended while somebody waited")
	default:
	}
	cancel2()
	<-ended
	if err := <-result2; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	use(t, s, filled("k", 1)).Release() // nothing of the one that was given up is in the way
}

func TestBuildsHaveLimits(t *testing.T) {
	s := open(t, t.TempDir(), func(c *Config) { c.Time = 20 * time.Millisecond })
	_, err := s.Use(t.Context(), Build{Key: "k", Make: func(ctx context.Context, _ string, _ io.Writer) error {
		<-ctx.Done()
		return errors.New("killed")
	}})
	if job.WordOf(err) != job.WordEnvironmentFailed || !strings.Contains(err.Error(), "not built within 20ms") {
		t.Errorf("got %v", err)
	}
	s = open(t, t.TempDir(), func(c *Config) { c.Max = 1 << 20 })
	if _, err = s.Use(t.Context(), filled("k", 1<<20)); job.WordOf(err) != job.WordEnvironmentFailed || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
	use(t, s, filled("k", 1<<19)).Release()
	// One that does not stop growing is ended on the way.
	_, err = s.Use(t.Context(), Build{Key: "grows", Make: func(ctx context.Context, dir string, _ io.Writer) error {
		if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 2<<20), 0o600); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	if !strings.Contains(fmt.Sprint(err), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestTheLeastRecentlyUsedGoesFirstAndNoneInUse(t *testing.T) {
	s := open(t, t.TempDir(), func(c *Config) { c.Limit = 350_000 }) // three of 100,000
	held := use(t, s, filled("1", 100_000))
	defer held.Release()
	second, third := use(t, s, filled("2", 100_000)), use(t, s, filled("3", 100_000))
	third.Release()
	second.Release()
	use(t, s, never("3")).Release() // now the second is the oldest
	fourth := use(t, s, filled("4", 100_000))
	defer fourth.Release()
	if !present(held) || present(second) || !present(third) || !present(fourth) {
		t.Errorf("present: %v %v %v %v", present(held), present(second), present(third), present(fourth))
	}
}

func TestEnvironmentsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	a, b, c := use(t, s, filled("a", 10)), use(t, s, filled("b", 10)), use(t, s, filled("c", 10))
	for _, l := range []*Lease{a, b, c} {
		l.Release()
	}
	s.Close()
	if err := os.MkdirAll(filepath.Join(dir, "half-1", "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	// After the machine went down, b has lost its file's end; a is whole.
	for _, l := range []*Lease{a, b} {
		if err := (about{Key: map[*Lease]string{a: "a", b: "b"}[l], Size: block, Boot: "an earlier one"}).publish(filepath.Dir(l.Dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(b.Dir, "file")); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	use(t, s, never("a")).Release()
	use(t, s, never("c")).Release()
	again := use(t, s, filled("b", 10))
	defer again.Release()
	if again.Dir == b.Dir {
		t.Error("the damaged one was used again")
	}
	s.errands.Wait()
	if left, _ := os.ReadDir(dir); len(left) != 3 {
		t.Errorf("in the folder: %v", left)
	}
}

func crashHelper(dir string) {
	s, err := Open(Config{Dir: dir, Limit: 1 << 30, Max: 1 << 30, Time: time.Hour})
	if err == nil {
		_, err = s.Use(context.Background(), Build{Key: "k", Make: func(_ context.Context, dir string, _ io.Writer) error {
			if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
				return err
			}
			err := os.WriteFile(filepath.Join(dir, "lib", "half"), []byte("half"), 0o600)
			fmt.Println("building", dir)
			time.Sleep(time.Hour)
			return err
		}})
	}
	fmt.Println("fault", err)
}

func TestABuildThatWasKilledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "ENVIRONMENTS_TEST_CRASH="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var word, half string
	if _, err := fmt.Fscanln(out, &word, &half); err != nil || word != "building" {
		t.Fatalf("%s %s %v", word, half, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := os.Stat(filepath.Join(half, "lib", "half")); err != nil {
		t.Fatalf("the build had not begun: %v", err)
	}
	s := open(t, dir, nil)
	l := use(t, s, filled("k", 1))
	defer l.Release()
	s.errands.Wait()
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-built one is still there: %v", err)
	}
}

func TestTheEndOfLongOutputIsKept(t *testing.T) {
	var o output
	for i := range 20_000 {
		fmt.Fprintf(&o, "line %d\n", i)
	}
	tail := string(o.tail())
	if len(tail) > tailSize || len(tail) < tailSize/2 || !strings.HasPrefix(tail, "line ") || !strings.HasSuffix(tail, "line 19999\n") {
		t.Errorf("%d bytes: %.20q", len(tail), tail)
	}
}

func TestAStoreCountsWhatItDid(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(c *Config) { c.Limit = 250 << 10 })
	want := func(when string, w Stats) {
		t.Helper()
		got := s.Stats()
		if about := int64(w.Environments) * 100 << 10; got.Bytes < about || got.Bytes > about+int64(w.Environments)*50<<10 {
			t.Errorf("%s: %d bytes, want about %d", when, got.Bytes, about)
		}
		if got.Bytes = 0; got != w {
			t.Errorf("%s: %+v, want %+v", when, got, w)
		}
	}
	want("at first", Stats{})
	use(t, s, filled("aa", 100<<10)).Release()
	use(t, s, never("aa")).Release()
	want("one, used twice", Stats{Uses: 2, Built: 1, Environments: 1})
	if _, err := s.Use(t.Context(), Build{Key: "bad", Make: func(context.Context, string, io.Writer) error { return errors.New("no") }}); err == nil {
		t.Fatal("a build that fails gives an environment")
	}
	want("a build that failed", Stats{Uses: 3, Built: 1, Failed: 1, Environments: 1})
	use(t, s, filled("bb", 100<<10)).Release()
	use(t, s, filled("cc", 100<<10)).Release() // aa makes room
	want("one too many", Stats{Uses: 5, Built: 3, Failed: 1, Removed: 1, Environments: 2})
}
