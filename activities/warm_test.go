package activities

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// counted is an object store that writes down what it is asked for.
type counted struct {
	*objects
	mu    sync.Mutex
	calls []string
}

func (c *counted) note(call, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	part := strings.Split(key, "/") // accounts/N/blobs/... or accounts/N/jobs/ID/log/...
	if part[2] == "jobs" {
		part[2] = part[4]
	}
	c.calls = append(c.calls, call+" "+part[2])
	slices.Sort(c.calls) // the log may be stored before the outputs are or after
}

func (c *counted) Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error) {
	c.note("put", key)
	return c.objects.Put(ctx, key, r, size)
}

func (c *counted) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	c.note("get", key)
	return c.objects.Get(ctx, key, offset, length)
}

func (c *counted) List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error {
	c.note("list", prefix)
	return c.objects.List(ctx, prefix, after, yield)
}

// A job whose package the worker has asks the object store for nothing but to keep its log, if it writes one.
func TestWarmJobGoesToTheObjectStoreForItsLogOnly(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0":    "",
		"echo done": "put log",
		"exit 3":    "",
		`echo done; printf data >"$LOCAL_JOB_OUT_DIR/a"`: "put log, put out",
	} {
		b := newBench(t, script)
		store := &counted{objects: b.objects}
		b.cfg.Objects = store
		fresh := b.store.job
		for _, run := range []string{"cold", "warm"} {
			b.store.job, store.calls = fresh, nil
			if _, err := b.execute(); err != nil {
				t.Fatal(err)
			}
			if got := b.store.get().Status; got != job.Completed && script != "exit 3" {
				t.Fatalf("%q ends as %s", script, got)
			}
			expected := want
			if run == "cold" {
				expected = strings.TrimSuffix("get blobs, "+want, ", ")
			}
			if got := strings.Join(store.calls, ", "); got != expected {
				t.Errorf("%s run of %q: calls %q, want %q", run, script, got, expected)
			}
		}
	}
}
