package app

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSpoolsOfProcessesThatAreGoneAreRemoved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dead, deadLock, err := openSpool(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "upload"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	alive, aliveLock, err := openSpool(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); err != nil {
		t.Errorf("the spool of a process that lives: %v", err)
	}
	if err := deadLock.Unlock(); err != nil { // as the kernel does when it is killed
		t.Fatal(err)
	}
	third, thirdLock, err := openSpool(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = aliveLock.Unlock(), thirdLock.Unlock() })
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the spool of a killed process: %v", err)
	}
	for _, spool := range []string{alive, third} {
		if _, err := os.Stat(spool); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "spool-*")); len(left) != 4 {
		t.Errorf("left are %v", left)
	}
}
