package sqlstore

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"waybill/internal/job"
)

// writerFile tells the test program that it is the second process of TestTwoProcessesWriteOneFile.
const writerFile = "WAYBILL_TEST_SQLITE_FILE"

const writes = 500

// write gives many signs of life of one worker: each is a transaction.
func write(t *testing.T, store *Store, id string) {
	t.Helper()
	for i := range writes {
		_, err := store.Beat(t.Context(), job.Worker{
			ID: fmt.Sprint(id, i%10), AccountID: 1, TaskQueue: "shared", Running: i, Status: job.WorkerOnline, BeatAt: time.Now(),
		})
		if err != nil {
			t.Fatalf("write %d of %s: %v", i, id, err)
		}
	}
}

// The worker processes of one machine and the one that serves the API share the file. Nobody may be told that it is busy.
func TestTwoProcessesWriteOneFile(t *testing.T) {
	file := os.Getenv(writerFile)
	second := file != ""
	if !second {
		t.Parallel()
		file = filepath.Join(t.TempDir(), "shared.db")
	}
	store, err := Open(t.Context(), Config{Driver: SQLite, Path: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if second {
		if err := store.CheckSchema(t.Context()); err != nil {
			t.Fatal(err)
		}
		write(t, store, "second")
		return
	}
	if err := store.CheckSchema(t.Context()); job.CodeOf(err) != job.Unavailable {
		t.Errorf("of a file without tables it is said: %v, want that one has to wait", err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	account, _, err := store.CreateAccount(t.Context(), job.Account{Name: "one", CreatedAt: time.Now()}, "shared", job.User{Name: "one", CreatedAt: time.Now()})
	if err != nil || account.ID != 1 {
		t.Fatalf("account %+v, %v", account, err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTwoProcessesWriteOneFile$")
	cmd.Env = append(os.Environ(), writerFile+"="+file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for over := false; !over; { // all the time, so that the two are at it together
		write(t, store, "first")
		select {
		case err := <-ended:
			if over = true; err != nil {
				t.Fatalf("the second process: %v\n%s", err, out.String())
			}
		default:
		}
	}
	if list, err := store.Workers(t.Context(), account.ID); err != nil || len(list) != 20 {
		t.Errorf("%d workers, %v, want the ten of each process", len(list), err)
	}
}
