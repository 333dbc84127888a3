package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/internal/control"
	"waybill/internal/job"
)

func roundTrip(size int64, known bool) func(*testing.T, *objects) {
	return func(t *testing.T, o *objects) {
		announced := int64(-1)
		if known {
			announced = size
		}
		got, err := o.Put(t.Context(), o.key("object"), pattern(size), announced)
		if err != nil {
			t.Fatalf("Put: %v", err)
		}
		if want := (control.Object{Key: o.key("object"), Size: size}); got != want {
			t.Errorf("Put = %+v, want %+v", got, want)
		}
		o.holds(t, "object", size)
	}
}

// holds checks that the object is the pattern of that size.
func (o *objects) holds(t *testing.T, name string, size int64) {
	t.Helper()
	stat, err := o.Stat(t.Context(), o.key(name))
	if age := time.Since(stat.Modified); age < -time.Hour || age > time.Hour {
		t.Errorf("Stat says it was stored at %s, which is not now", stat.Modified)
	}
	if want := (control.Object{Key: o.key(name), Size: size, Modified: stat.Modified}); err != nil || stat != want {
		t.Errorf("Stat = %+v, %v, want %+v", stat, err, want)
	}
	rc, err := o.Get(t.Context(), o.key(name), 0, -1)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	defer rc.Close()
	got, n := digest(t, rc)
	if want, _ := digest(t, pattern(size)); got != want || n != size {
		t.Errorf("read back %d bytes, digest %x, want %d bytes, digest %x", n, got[:4], size, want[:4])
	}
}

// bigObject bounds the heap while 64 MiB pass through. The bound is generous: one 16 MiB part, twice, and a gateway in the
// same process; holding the object would need 64 MiB at least.
func bigObject(known bool) func(*testing.T, *objects) {
	const (
		size  = 64 << 20
		bound = 48 << 20
	)
	return func(t *testing.T, o *objects) {
		defer debug.SetGCPercent(debug.SetGCPercent(20)) // garbage is not what is measured
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, peak := m.HeapAlloc, uint64(0)
		sample := func() {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		announced := int64(-1)
		if known {
			announced = size
		}
		if _, err := o.Put(t.Context(), o.key("big"), &sampled{r: pattern(size), sample: sample}, announced); err != nil {
			t.Fatalf("Put: %v", err)
		}
		rc, err := o.Get(t.Context(), o.key("big"), 0, -1)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		defer rc.Close()
		if _, n := digest(t, &sampled{r: rc, sample: sample}); n != size {
			t.Errorf("read back %d bytes, want %d", n, size)
		}
		if grown := int64(peak) - int64(before); grown > bound {
			t.Errorf("heap grew by %d MiB, want at most %d MiB", grown>>20, bound>>20)
		}
		o.holds(t, "big", size)
	}
}

// sampled calls sample once per MiB read.
type sampled struct {
	r      io.Reader
	sample func()
	n      int64
}

func (s *sampled) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if before := s.n >> 20; (s.n+int64(n))>>20 > before {
		s.sample()
	}
	s.n += int64(n)
	return n, err
}

func oddKeys(t *testing.T, o *objects) {
	names := []string{
		"plain", "with space", "two  spaces", " leading", "trailing ", "plus+plus", "per%cent", "per%2Fcent", "per%25cent",
		"a&b=c?d#e;f,g:h@i", "quotes'\"`", "brackets()[]{}<>", "stars*!~^|$", "ümläut", "日本語", "emoji 🚚", "a/b/c/d/e/f",
		"dots...", ".hidden", "a.b/.c", "UPPER", "upper", "combining e\u0301", "composed \u00e9",
		strings.Repeat("long-component/", 60) + "end", strings.Repeat("n", 200),
	}
	for i, name := range names {
		o.put(t, name, fmt.Sprint(i))
	}
	for i, name := range names {
		if got := o.read(t, name, 0, -1); got != fmt.Sprint(i) {
			t.Errorf("%q holds %q, want %d", name, got, i)
		}
	}
	want := slices.Sorted(slices.Values(names))
	if got := o.list(t, "", ""); !slices.Equal(got, want) {
		t.Errorf("list is\n%q, want\n%q", got, want)
	}
	for _, name := range names {
		if err := o.Delete(t.Context(), o.key(name)); err != nil {
			t.Errorf("Delete(%q): %v", name, err)
		}
		o.absent(t, name)
	}
}

func ranges(t *testing.T, o *objects) {
	o.put(t, "digits", "0123456789")
	o.put(t, "empty", "")
	for _, c := range []struct {
		name           string
		offset, length int64
		want           string
	}{
		{"digits", 0, -1, "0123456789"},
		{"digits", 0, 10, "0123456789"},
		{"digits", 0, 1, "0"},
		{"digits", 0, 0, ""},
		{"digits", 3, 4, "3456"},
		{"digits", 3, 0, ""},
		{"digits", 3, -1, "3456789"},
		{"digits", 9, 1, "9"},
		{"digits", 9, -1, "9"},
		{"digits", 8, 100, "89"},
		{"digits", 10, -1, ""},
		{"digits", 10, 1, ""},
		{"digits", 100, -1, ""},
		{"empty", 0, -1, ""},
		{"empty", 0, 5, ""},
		{"empty", 5, -1, ""},
	} {
		if got := o.read(t, c.name, c.offset, c.length); got != c.want {
			t.Errorf("%s from %d, %d bytes: %q, want %q", c.name, c.offset, c.length, got, c.want)
		}
	}
	for _, offset := range []int64{0, 5} {
		for _, length := range []int64{-1, 0, 3} {
			rc, err := o.Get(t.Context(), o.key("absent"), offset, length)
			if err == nil {
				_ = rc.Close()
			}
			wantCode(t, fmt.Sprintf("Get(absent, %d, %d)", offset, length), err, job.NotFound)
		}
	}
}

func overwrite(t *testing.T, o *objects) {
	o.put(t, "key", "a first, longer content")
	o.put(t, "key", "second")
	if got := o.read(t, "key", 0, -1); got != "second" {
		t.Errorf("key holds %q, want the second content", got)
	}
	if stat, err := o.Stat(t.Context(), o.key("key")); err != nil || stat.Size != 6 {
		t.Errorf("Stat = %+v, %v, want 6 bytes", stat, err)
	}
	o.put(t, "key", "")
	if got := o.read(t, "key", 0, -1); got != "" {
		t.Errorf("key holds %q, want nothing", got)
	}
}

func concurrentPuts(t *testing.T, o *objects) {
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 32 {
		group.Go(func() error {
			for j := range 8 {
				text := fmt.Sprintf("%d of %d", j, i)
				if _, err := o.Put(ctx, o.key(fmt.Sprintf("w%02d/%d", i, j)), strings.NewReader(text), -1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := o.list(t, "", ""); len(got) != 32*8 {
		t.Errorf("%d objects are listed, want %d", len(got), 32*8)
	}
	if got := o.read(t, "w31/7", 0, -1); got != "7 of 31" {
		t.Errorf("w31/7 holds %q", got)
	}
}

func concurrentOverwrite(t *testing.T, o *objects) {
	content := func(i int) string { return strings.Repeat(fmt.Sprintf("%02d", i), 50_000) }
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 16 {
		group.Go(func() error {
			_, err := o.Put(ctx, o.key("key"), strings.NewReader(content(i)), -1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	got := o.read(t, "key", 0, -1)
	for i := range 16 {
		if got == content(i) {
			return
		}
	}
	t.Errorf("key holds %d bytes that no writer wrote as a whole", len(got))
}

func missing(t *testing.T, o *objects) {
	o.put(t, "folder/object", "x")
	for _, name := range []string{"absent", "folder", "folder/object/below", "folder/objec"} {
		o.absent(t, name)
	}
}

func deleting(t *testing.T, o *objects) {
	o.put(t, "a/one", "1")
	o.put(t, "a/two", "2")
	for range 2 { // the second time there is nothing to delete
		if err := o.Delete(t.Context(), o.key("a/one")); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	o.absent(t, "a/one")
	if got := o.list(t, "", ""); !slices.Equal(got, []string{"a/two"}) {
		t.Errorf("list = %q, want only a/two", got)
	}
	if err := o.Delete(t.Context(), o.key("never/was")); err != nil {
		t.Errorf("Delete of an absent key: %v", err)
	}
}

func shortBody(t *testing.T, o *objects) {
	for _, size := range []int64{10, 2 << 20, 20 << 20} {
		_, err := o.Put(t.Context(), o.key("short"), pattern(size-1), size)
		wantCode(t, fmt.Sprintf("Put of a body one short of %d", size), err, job.Invalid)
		o.absent(t, "short")
	}
}

func longBody(t *testing.T, o *objects) {
	for _, size := range []int64{0, 10, 1 << 20, 2 << 20, 20 << 20} {
		_, err := o.Put(t.Context(), o.key("long"), pattern(size+1), size)
		wantCode(t, fmt.Sprintf("Put of a body one over %d", size), err, job.Invalid)
		o.absent(t, "long")
	}
}

func failingBody(t *testing.T, o *objects) {
	o.put(t, "key", "before")
	broken := errors.New("broken pipe")
	for _, size := range []int64{10, 2 << 20, 20 << 20} {
		for _, announced := range []int64{size + 5, -1} {
			_, err := o.Put(t.Context(), o.key("key"), io.MultiReader(pattern(size), failing{broken}), announced)
			wantCode(t, "Put of a failing body", err, job.Invalid)
			if !errors.Is(err, broken) {
				t.Errorf("Put = %v, want the body's own error within", err)
			}
		}
	}
	own := job.Errorf(job.TooLarge, job.WordTooLarge, "Too much.")
	_, err := o.Put(t.Context(), o.key("key"), failing{own}, -1)
	wantCode(t, "Put of a body that fails with an error of the domain", err, job.TooLarge)
	if got := o.read(t, "key", 0, -1); got != "before" {
		t.Errorf("key holds %d bytes (%.20q), want what was there before", len(got), got)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func cancelledSmall(t *testing.T, o *objects) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := o.Put(ctx, o.key("small"), strings.NewReader("x"), 1)
	wantCode(t, "Put", err, job.Canceled)
	o.absent(t, "small")
}

func cancelledMidway(t *testing.T, o *objects) {
	for _, announced := range []int64{10 << 20, 64 << 20, -1} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		body := &sampled{r: pattern(max(announced, 64<<20)), sample: func() {
			if n++; n == 5 || n == 40 {
				cancel()
			}
		}}
		_, err := o.Put(ctx, o.key("midway"), body, announced)
		cancel()
		wantCode(t, fmt.Sprintf("Put of %d bytes", announced), err, job.Canceled)
		o.absent(t, "midway")
	}
}

func cancelled(t *testing.T, o *objects) {
	o.put(t, "key", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := o.Get(ctx, o.key("key"), 0, -1)
	wantCode(t, "Get", err, job.Canceled)
	_, err = o.Stat(ctx, o.key("key"))
	wantCode(t, "Stat", err, job.Canceled)
	wantCode(t, "Delete", o.Delete(ctx, o.key("key")), job.Canceled)
	err = o.List(ctx, o.prefix, "", func(control.Object) bool { return true })
	wantCode(t, "List", err, job.Canceled)

	dead, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = o.Stat(dead, o.key("key"))
	wantCode(t, "Stat behind its deadline", err, job.Canceled)
	if got := o.read(t, "key", 0, -1); got != "x" {
		t.Errorf("key holds %q after cancelled calls", got)
	}
}
