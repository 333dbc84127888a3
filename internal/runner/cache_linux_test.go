package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waybill/internal/job"
)

func TestCacheMakesRoomOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no file system of a size of its own can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	c := newCache(t, filepath.Join(disk, "packages"), 1<<30)
	text := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprint(i), 400_000)) }
	held, err := c.Use(t.Context(), packageOf("a.sh", text(0)), fetchOf(text(0)))
	if err != nil {
		t.Fatal(err)
	}
	idle := use(t, c, "a.sh", text(1))
	third := use(t, c, "a.sh", text(2))
	if there(idle) || !there(held.Dir) || !there(third) {
		t.Errorf("present: held %v, idle %v, new %v", there(held.Dir), there(idle), there(third))
	}
	huge := []byte(strings.Repeat("x", 900_000))
	if _, err := c.Use(t.Context(), packageOf("a.sh", huge), fetchOf(huge)); !errors.Is(err, unix.ENOSPC) || job.CodeOf(err) == job.Invalid {
		t.Errorf("got %v, want what does not blame the package", err)
	}
	held.Release()
	if !there(use(t, c, "a.sh", huge)) {
		t.Error("the package that fits by itself is not there")
	}
	c.errands.Wait()
	if left, _ := os.ReadDir(c.dir); len(left) != 1 {
		t.Errorf("in the cache: %v", names(left))
	}
}
