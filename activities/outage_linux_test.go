package activities

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runner"
)

// outage is an object store that is away while somebody says so.
type outage struct {
	*objects
	away atomic.Bool
}

func (o *outage) Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error) {
	if o.away.Load() {
		return control.Object{}, job.Errorf(job.Unavailable, job.WordDependencyDown, "The object store is not available.")
	}
	return o.objects.Put(ctx, key, r, size)
}

// The program writes more than memory is given for a log while the store is away, ends, and leaves an output.
const chatty = `echo begins
while [ ! -e "$LOCAL_JOB_OUT_DIR/../away" ]; do sleep 0.01; done
i=0; while [ $i -lt 300 ]; do printf '%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n%0999d\n' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; i=$((i+1)); done
echo result > "$LOCAL_JOB_OUT_DIR/result"
echo ends
echo > "$LOCAL_JOB_OUT_DIR/../over"; sleep 0.1`

// drama has the store go away once the program runs and come back, if it does, once it has written everything.
func drama(t *testing.T, b *bench, back bool) *outage {
	o := &outage{objects: b.objects}
	b.cfg.Objects = o
	b.cfg.Spool = joblog.Spool{Dir: t.TempDir(), Limit: 64 << 20}
	b.when("begins", func() {
		o.away.Store(true)
		folder := filepath.Join(b.work, "jobs", string(jobID)+"-1")
		if err := os.WriteFile(filepath.Join(folder, "away"), nil, 0o600); err != nil {
			t.Error(err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(filepath.Join(folder, "over")); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Error("the program did not get to its end while the store was away")
				break
			}
		}
		if back {
			o.away.Store(false)
		}
	})
	return o
}

func TestAnOutageOfTheStoreDuringARunIsHarmless(t *testing.T) {
	b := newBench(t, chatty)
	drama(t, b, true)
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
	if outputs := b.store.outputs; len(outputs) != 1 || outputs[0].Name != "result" {
		t.Errorf("outputs = %v", outputs)
	}
	lines := strings.Split(strings.TrimSpace(b.log()), "\n")
	if len(lines) != 6002 || lines[0] != "begins" || lines[6001] != "ends" {
		t.Errorf("the log has %d lines, want all 6002 in their order", len(lines))
	}
}

func TestAStoreThatStaysAwayFailsTheJobForThatReason(t *testing.T) {
	b := newBench(t, chatty)
	b.cfg.ObjectPatience = 2 * time.Second
	drama(t, b, false)
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Failed, job.ReasonError, "Begin Started Finish")
	if message := b.store.get().Message; !strings.Contains(message, "object store was away for longer than 2s (object-store-patience)") {
		t.Errorf("message %q", message)
	}
}

// smallDisk is a file system with room for a few packages.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// onSmallDisk gives the bench's job a worker whose disk is full as long as the file that is returned is there.
func onSmallDisk(t *testing.T, b *bench) (filling string) {
	t.Helper()
	dir := smallDisk(t)
	r, err := runner.New(t.Context(), runner.Config{Work: filepath.Join(dir, "work"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	b.cfg.Runner, b.work = r, r.Work()
	filling = filepath.Join(dir, "filling")
	f, err := os.Create(filling)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	_ = f.Close()
	return filling
}

func TestAJobThatTheDiskHasNoRoomForRunsAgain(t *testing.T) {
	b := newBench(t, "echo ran")
	filling := onSmallDisk(t, b)
	_, err := b.execute()
	if err == nil || !strings.Contains(err.Error(), "The disk of worker worker-1 is full") {
		t.Fatalf("execute = %v, want that the disk is full", err)
	}
	b.check(job.Running, job.ReasonInitializing, "Begin")
	if err := os.Remove(filling); err != nil {
		t.Fatal(err)
	}
	b.in.RunStarted = b.in.RunStarted.Add(time.Second) // the next attempt
	if _, err := b.execute(); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Begin Started Finish")
}

func TestAJobThatMustNotRunAgainFailsWhereTheDiskIsFull(t *testing.T) {
	b := newBench(t, "echo ran")
	b.store.job.Spec.OnLoss = job.Fail
	onSmallDisk(t, b)
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Failed, job.ReasonError, "Begin Finish")
	if message := b.store.get().Message; !strings.Contains(message, "is full") || !strings.Contains(message, "did not run") {
		t.Errorf("message %q", message)
	}
}

// A log has no room on a full disk while the store is away, so the program waits; nothing of it is lost.
func TestALogOnAFullDiskWaitsForTheStore(t *testing.T) {
	b := newBench(t, chatty)
	o := drama(t, b, true)
	b.cfg.Spool.Dir = smallDisk(t)
	go func() { // the program gets to its end only when the store is back
		for range 20 {
			time.Sleep(100 * time.Millisecond)
		}
		o.away.Store(false)
	}()
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
	if lines := strings.Count(b.log(), "\n"); lines != 6002 {
		t.Errorf("the log has %d lines, want 6002", lines)
	}
}
