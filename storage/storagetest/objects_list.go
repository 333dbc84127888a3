package storagetest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/internal/control"
)

// listing uses more keys than S3 gives out per page.
//
// No folder here has a sibling whose name sorts before the slash (a-b or a.b beside a/): MinIO (seen with its release of
// February 2026) loses the tail of a listing that begins behind a key of such a folder. Waybill's own keys have no such
// siblings. siblings checks the order of such folders without a beginning.
func listing(t *testing.T, o *objects) {
	const total = 1200
	folders := []string{"a/x", "a0", "a00", "a/y/z", "b", "b1/c"}
	names := make([]string, total)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i := range names {
		names[i] = fmt.Sprintf("%s/%05d", folders[i%len(folders)], i)
		group.Go(func() error {
			_, err := o.Put(ctx, o.key(names[i]), strings.NewReader(names[i]), int64(len(names[i])))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)

	if got := o.list(t, "", ""); !slices.Equal(got, names) {
		t.Errorf("%d keys listed, want %d in key order; first difference %s", len(got), total, firstDifference(got, names))
	}
	for _, at := range []int{0, 1, 199, 998, 999, 1000, 1001, total - 2, total - 1} {
		if got := o.list(t, "", names[at]); !slices.Equal(got, names[at+1:]) {
			t.Errorf("behind key %d: %d keys, want %d; %s", at, len(got), total-at-1, firstDifference(got, names[at+1:]))
		}
	}
	// A key that does not exist is as good a beginning.
	if got := o.list(t, "", names[500]+"!"); !slices.Equal(got, names[501:]) {
		t.Errorf("behind the absent %s!: %d keys, want %d; %s", names[500], len(got), total-501,
			firstDifference(got, names[501:]))
	}
	for _, prefix := range []string{"a/", "a", "a/x/", "a0/0", "b/"} {
		var want []string
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				want = append(want, n)
			}
		}
		if got := o.list(t, prefix, ""); !slices.Equal(got, want) {
			t.Errorf("below %q: %d keys, want %d; %s", prefix, len(got), len(want), firstDifference(got, want))
		}
	}
	o.sizes(t)
}

// siblings has folders whose names sort around the slash ('-' and '.' before it, '0' behind it), where an engine that sorts
// by folder goes wrong.
func siblings(t *testing.T, o *objects) {
	want := []string{"a-b/1", "a-b/2", "a.b/1", "a/x/1", "a/x/2", "a/y", "a0/1", "a0b", "ab/1"}
	for i := range want { // in no order
		o.put(t, want[(i*4)%len(want)], "x")
	}
	if got := o.list(t, "", ""); !slices.Equal(got, want) {
		t.Errorf("list = %q, want %q", got, want)
	}
	if got := o.list(t, "a", ""); !slices.Equal(got, want) {
		t.Errorf("list of a = %q, want %q", got, want)
	}
}

// sizes checks that listings tell sizes: every object holds its own name.
func (o *objects) sizes(t *testing.T) {
	t.Helper()
	err := o.List(t.Context(), o.prefix, "", func(obj control.Object) bool {
		if want := int64(len(obj.Key) - len(o.prefix)); obj.Size != want {
			t.Errorf("%s is listed with %d bytes, want %d", obj.Key, obj.Size, want)
			return false
		}
		if age := time.Since(obj.Modified); age < -time.Hour || age > time.Hour {
			t.Errorf("%s is listed as stored at %s, which is not now", obj.Key, obj.Modified)
			return false
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d: %s instead of %s", i, got[i], want[i])
		}
	}
	return "only in length"
}

func listStopped(t *testing.T, o *objects) {
	for i := range 20 {
		o.put(t, fmt.Sprintf("%02d", i), "x")
	}
	before := runtime.NumGoroutine()
	const lists = 100
	for range lists {
		n := 0
		err := o.List(t.Context(), o.prefix, "", func(control.Object) bool {
			n++
			return n < 3
		})
		if err != nil || n != 3 {
			t.Fatalf("List = %v after %d keys, want no error after 3", err, n)
		}
	}
	// A leak would be one goroutine per listing; connections of the pool may come and go.
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before+lists/2 {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines run, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

func listNothing(t *testing.T, o *objects) {
	o.put(t, "a/b", "x")
	for _, c := range [][2]string{{"absent/", ""}, {"a/b/", ""}, {"", "a/b"}, {"a/", "z"}} {
		if got := o.list(t, c[0], c[1]); len(got) != 0 {
			t.Errorf("below %q behind %q: %q, want nothing", c[0], c[1], got)
		}
	}
}
