package joblog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("the store is away")

// text is lines that tell their place, so that one in the wrong place shows.
func text(from, lines int) []byte {
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "%09d %s\n", from+i, "................................................................")
	}
	return b.Bytes()
}

const perLine = 75

func TestALogGoesOnWhileTheStoreIsAway(t *testing.T) {
	for name, tail := range map[string]bool{"head": false, "tail": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				w, err := NewWriter(t.Context(), s, Target{Account: account, Job: id, Fence: 1, First: true, Spool: Spool{dir, 64 << 20}})
				if err != nil {
					t.Fatal(err)
				}
				s.setFail(errAway)
				var want bytes.Buffer
				for i := range 250 { // 18 MB: much more than memory is given
					p := text(i*1000, 1000)
					want.Write(p)
					if tail && i == 10 {
						w.KeepTail(1 << 40)
					}
					if n, err := w.Write(p); n != len(p) || err != nil {
						t.Fatalf("Write = %d, %v", n, err)
					}
				}
				if names, _ := os.ReadDir(dir); len(names) != 0 {
					t.Errorf("the spool has %s in it: it would stay there after a crash", names[0].Name())
				}
				time.Sleep(time.Minute)
				s.setFail(nil)
				p := text(250_000, 10) // goes behind what waits
				want.Write(p)
				if _, err := w.Write(p); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := read(t, s, 0, -1); got != want.String() {
					t.Errorf("the log has %d bytes, want the %d that were written, in their order", len(got), want.Len())
				}
			})
		})
	}
}

func TestAFullSpoolHoldsTheProgramUp(t *testing.T) {
	for name, dir := range map[string]string{"full": t.TempDir(), "no disk": filepath.Join(t.TempDir(), "absent")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				s.setFail(errAway)
				w, err := NewWriter(t.Context(), s, Target{Account: account, Job: id, Fence: 1, First: true, Spool: Spool{dir, 1 << 20}})
				if err != nil {
					t.Fatal(err)
				}
				const pieces = 100 // 7.5 MB, with room for 5
				written := make(chan int, pieces)
				go func() {
					defer close(written)
					for i := range pieces {
						if _, err := w.Write(text(i*1000, 1000)); err != nil {
							return
						}
						written <- i
					}
				}()
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := len(written); n == pieces || n*1000*perLine < maxUnsent-1<<20 {
					t.Fatalf("%d of %d pieces were taken while the store was away", n, pieces)
				}
				s.setFail(nil)
				for range written { //nolint:revive // until the writer is through
				}
				if err := w.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := read(t, s, 0, -1); got != string(text(0, pieces*1000)) {
					t.Errorf("the log has %d bytes, want %d in their order", len(got), pieces*1000*perLine)
				}
			})
		})
	}
}

func TestWhatIsSpooledIsGivenUpWithTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.setFail(errAway)
		w, err := NewWriter(t.Context(), s, Target{Account: account, Job: id, Fence: 1, First: true, Spool: Spool{t.TempDir(), 64 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if _, err := w.Write(text(i*1000, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v, want its time to be over", err)
		}
		if w.spool.file != nil {
			t.Error("the spool's file is still open")
		}
	})
}

// A store that is slower than the program never lets the spool run empty.
func TestASpoolThatIsNeverEmptyStaysWithinItsLimit(t *testing.T) {
	const limit = 1000
	s := spool{Spool: Spool{t.TempDir(), limit}}
	t.Cleanup(s.close)
	var in, out bytes.Buffer
	for i := range 200 {
		p := text(i, 1)
		for !s.takes(len(p)) {
			got, err := s.take(137)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(got)
		}
		if err := s.put(p); err != nil {
			t.Fatal(err)
		}
		in.Write(p)
		if info, err := s.file.Stat(); err != nil || info.Size() > limit {
			t.Fatalf("after %d bytes the file has %d, %v; want %d at most", in.Len(), info.Size(), err, limit)
		}
	}
	for !s.empty() {
		got, err := s.take(137)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(got)
	}
	if !bytes.Equal(in.Bytes(), out.Bytes()) {
		t.Error("what was taken is not what was put in, in its order")
	}
	if info, err := s.file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the empty spool has %d bytes on disk, %v", info.Size(), err)
	}
}
