package wide

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDiskIsFull fills the disk of a worker's folder. Its jobs run elsewhere, and it takes jobs again once there is room.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	components(t)
	if help, err := exec.Command(binary, "worker", "--help").CombinedOutput(); err != nil || !strings.Contains(string(help), "--min-free-disk") {
		t.Skip("NOT RUN: workers of this program do not watch their disk")
	}
	disk := filepath.Join(folder, "small-disk")
	if err := os.MkdirAll(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=400m"); err != nil {
		t.Skipf("NOT RUN: no file system of a size of its own can be mounted here: %v", err)
	}
	t.Cleanup(func() { // after the processes' end
		if err := syscall.Unmount(disk, syscall.MNT_FORCE); err != nil && !errors.Is(err, syscall.EINVAL) {
			t.Error(err)
		}
	})
	in := install(t, shape{apis: 1, workers: 1})
	small := in.addWorker(t, "--work", filepath.Join(disk, "work"))
	if err := small.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := in.drive(t)
	pause(t, 5*time.Second)
	fill, err := os.Create(filepath.Join(disk, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); err == nil; {
		_, err = fill.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	fill.Close()
	full := time.Now()
	shows := func(note string) error {
		return within(t.Context(), time.Minute, func() error {
			a := l.client.call(t.Context(), http.MethodGet, "/api/workers", nil)
			notes := map[string]bool{}
			list, _ := a.object()["items"].([]any)
			for _, w := range list {
				if o, ok := w.(map[string]any); ok && o["note"] != nil {
					notes[fmt.Sprint(o["note"])] = true
				}
			}
			if (note != "") != notes["disk_full"] {
				return fmt.Errorf("%s", a)
			}
			return nil
		})
	}
	if err := shows("disk_full"); err != nil {
		t.Errorf("the full disk is not shown: %v", err)
	}
	t.Logf("the full disk is shown after %s", time.Since(full).Round(time.Millisecond))
	l.recovered(t, full)
	pause(t, 10*time.Second)
	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	if err := shows(""); err != nil {
		t.Errorf("the room is not noticed: %v", err)
	}
	t.Logf("the room is noticed after %s", time.Since(room).Round(time.Millisecond))
	l.recovered(t, room)
	l.calm(t)
	in.stop(t)
}
