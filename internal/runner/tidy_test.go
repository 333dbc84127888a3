package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"waybill/internal/sandbox"
)

func TestAnAbandonedWorkFolderIsTidied(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	r, err := New(t.Context(), Config{Work: work, Sandbox: sandbox.Off})
	if err != nil {
		t.Fatal(err)
	}
	// A program as a run of this folder marks it, which outlives its worker.
	orphan := exec.Command("sleep", "600")
	orphan.Env = append(os.Environ(), sandbox.RunVariable+"="+r.id+".1")
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = orphan.Wait() // it is killed
	}()
	defer func() {
		_ = orphan.Process.Kill() // it may be dead
		<-ended
	}()
	left := filepath.Join(work, "jobs", "left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if n, err := Tidy(t.Context(), work); n != 0 || err != nil {
		t.Errorf("of a folder in use: %d, %v", n, err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a folder in use was tidied: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	n, err := Tidy(t.Context(), work)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the job folder is still there: %v", err)
	}
	if _, err := os.Stat("/proc/self/environ"); err == nil {
		if n != 1 {
			t.Errorf("%d programs were ended, want 1", n)
		}
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("the program goes on")
		}
	}
	again, err := New(t.Context(), Config{Work: work, Sandbox: sandbox.Off})
	if err != nil {
		t.Fatalf("the folder is not free after it was tidied: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if n, err := Tidy(t.Context(), filepath.Join(work, "packages")); n != 0 || err != nil {
		t.Errorf("of a folder nobody worked in: %d, %v", n, err)
	}
}
