package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/xid"
	"golang.org/x/sync/errgroup"

	"waybill/internal/control"
	"waybill/internal/job"
)

// RunObjects checks that a store behaves as control.Objects says. It writes below a prefix of its own, so it can be run on
// a bucket in use, and deletes what it wrote.
func RunObjects(t *testing.T, open func(t *testing.T) control.Objects) {
	t.Helper()
	cases := []struct {
		name string
		run  func(*testing.T, *objects)
	}{
		{"a small object of known size is read back", roundTrip(500, true)},
		{"a small object of unknown size is read back", roundTrip(500, false)},
		{"an empty object of known size is read back", roundTrip(0, true)},
		{"an empty object of unknown size is read back", roundTrip(0, false)},
		{"an object of exactly 1 MiB and known size is read back", roundTrip(1<<20, true)},
		{"an object of exactly 1 MiB and unknown size is read back", roundTrip(1<<20, false)},
		{"an object of one part and known size is read back", roundTrip(16<<20, true)},
		{"an object of one part and a byte of known size is read back", roundTrip(16<<20+1, true)},
		{"an object of one part of unknown size is read back", roundTrip(16<<20, false)},
		{"64 MiB of known size need little memory", bigObject(true)},
		{"64 MiB of unknown size need little memory", bigObject(false)},
		{"odd keys name different objects", oddKeys},
		{"ranges give what there is", ranges},
		{"a later put replaces an earlier one", overwrite},
		{"concurrent puts all arrive", concurrentPuts},
		{"concurrent puts to one key leave one of them", concurrentOverwrite},
		{"1,200 keys are listed in key order", listing},
		{"folders are listed in key order", siblings},
		{"stopping a listing early leaves nothing running", listStopped},
		{"an absent prefix lists nothing", listNothing},
		{"absent keys are not found", missing},
		{"deleting takes the object away", deleting},
		{"a body that ends early leaves nothing", shortBody},
		{"a body that is too long leaves nothing", longBody},
		{"a failing body leaves what was there", failingBody},
		{"a cancelled small put leaves nothing", cancelledSmall},
		{"a put cancelled midway leaves nothing", cancelledMidway},
		{"a cancelled context is told as such", cancelled},
	}
	store := open(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := &objects{Objects: store, prefix: "storagetest/" + xid.New().String() + "/"}
			t.Cleanup(func() { o.clear(t) })
			c.run(t, o)
		})
	}
}

// objects is the store under test with helpers that fail the test.
type objects struct {
	control.Objects
	prefix string
}

func (o *objects) key(name string) string { return o.prefix + name }

func (o *objects) put(t *testing.T, name, content string) {
	t.Helper()
	if _, err := o.Put(t.Context(), o.key(name), strings.NewReader(content), int64(len(content))); err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
}

func (o *objects) read(t *testing.T, name string, offset, length int64) string {
	t.Helper()
	rc, err := o.Get(t.Context(), o.key(name), offset, length)
	if err != nil {
		t.Fatalf("Get(%s, %d, %d): %v", name, offset, length, err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatalf("read of %s: %v", name, err)
	}
	return string(b)
}

// list returns the names below the case's prefix, without it.
func (o *objects) list(t *testing.T, prefix, after string) []string {
	t.Helper()
	if after != "" {
		after = o.key(after)
	}
	var names []string
	err := o.List(t.Context(), o.key(prefix), after, func(obj control.Object) bool {
		names = append(names, strings.TrimPrefix(obj.Key, o.prefix))
		return true
	})
	if err != nil {
		t.Fatalf("List(%s, %s): %v", prefix, after, err)
	}
	return names
}

func (o *objects) absent(t *testing.T, name string) {
	t.Helper()
	if _, err := o.Stat(t.Context(), o.key(name)); job.CodeOf(err) != job.NotFound {
		t.Errorf("Stat(%s) = %v, want not found", name, err)
	}
	if rc, err := o.Get(t.Context(), o.key(name), 0, -1); job.CodeOf(err) != job.NotFound {
		if err == nil {
			_ = rc.Close()
		}
		t.Errorf("Get(%s) = %v, want not found", name, err)
	}
	if names := o.list(t, "", ""); slices.Contains(names, name) {
		t.Errorf("%s is listed", name)
	}
}

func (o *objects) clear(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	var keys []string
	err := o.List(ctx, o.prefix, "", func(obj control.Object) bool {
		keys = append(keys, obj.Key)
		return true
	})
	if err != nil {
		t.Errorf("list what is left: %v", err)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, key := range keys {
		group.Go(func() error { return o.Delete(gctx, key) })
	}
	if err := group.Wait(); err != nil {
		t.Errorf("delete what is left: %v", err)
	}
}

// wantCode fails unless err has the code and is of the domain's type.
func wantCode(t *testing.T, what string, err error, code job.Code) {
	t.Helper()
	var own *job.Error
	if !errors.As(err, &own) || own.Code != code {
		t.Errorf("%s = %v, want a *job.Error with code %s", what, err, code)
	}
}

// pattern is size bytes that repeat with no power of two, so that a part in the wrong place shows.
func pattern(size int64) io.Reader { return io.LimitReader(&endless{}, size) }

type endless struct{ at int }

var motif = func() []byte {
	var b bytes.Buffer
	for i := range 997 {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.Bytes()
}()

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, motif[e.at:])
	e.at = (e.at + n) % len(motif)
	return n, nil
}

func digest(t *testing.T, r io.Reader) (sum [sha256.Size]byte, size int64) {
	t.Helper()
	h := sha256.New()
	size, err := io.Copy(h, r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	h.Sum(sum[:0])
	return sum, size
}
