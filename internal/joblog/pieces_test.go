package joblog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// A job that writes a line a second for ten hours leaves few segments, and none of its lines is late or lost.
func TestALongLogHasFewSegments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := writer(t, s, 1, true)
		most := 0
		var want strings.Builder
		for i := range 36000 {
			line := fmt.Sprintf("line %d\n", i)
			want.WriteString(line)
			write(t, w, line)
			time.Sleep(time.Second)
			if i%1000 == 0 {
				synctest.Wait()
				if n, err := (Reader{s}).Size(t.Context(), account, id); err != nil || n != int64(want.Len()) {
					t.Fatalf("after line %d the log has %d bytes, %v; want %d", i, n, err, want.Len())
				}
			}
			most = max(most, s.count())
		}
		closeWriter(t, w)
		if got := read(t, s, 0, -1); got != want.String() {
			t.Error("the log is not what was written")
		}
		if most > 200 || s.count() > 60 {
			t.Errorf("%d segments while it was written, %d at the end", most, s.count())
		}
	})
}

// The merging of segments that a store refuses to delete changes nothing of what is read.
func TestSegmentsThatCouldNotBeDeletedAreNotReadTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stubborn{newStore()}
		w, err := NewWriter(t.Context(), s, Target{Account: account, Job: id, Fence: 1, First: true})
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for i := range 100 {
			fmt.Fprintf(&want, "%d\n", i)
			write(t, w, fmt.Sprintf("%d\n", i))
			time.Sleep(time.Second)
		}
		closeWriter(t, w)
		if got := read(t, s.store, 0, -1); got != want.String() || s.count() < 100 {
			t.Errorf("%d segments, read %q", s.count(), got)
		}
		if sizes, err := (Reader{s}).Sections(t.Context(), account, id); err != nil || sizes[1] != int64(want.Len()) {
			t.Errorf("sizes %v, %v", sizes, err)
		}
	})
}

type stubborn struct{ *store }

func (*stubborn) Delete(context.Context, string) error { return errors.New("no") }

// full writes n lines of 100 bytes through a limit and gives them.
func full(t *testing.T, w *Writer, limit int64, n int) []string {
	t.Helper()
	lines := NewLines(w, limit, func() time.Time { return time.Date(2026, 3, 17, 9, 41, 48, 0, time.UTC) })
	want := make([]string, n)
	for i := range want {
		text := fmt.Sprintf("%074d\n", i)
		want[i] = "2026-03-17T09:41:48.000Z " + text
		write(t, lines, text)
	}
	if err := lines.End(); err != nil {
		t.Fatal(err)
	}
	return want
}

func TestOfALogOverItsLimitTheBeginningAndTheEndAreKept(t *testing.T) {
	t.Parallel()
	for _, n := range []int{5, 10, 19_000, 21_000, 150_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			const limit = 2_000_000
			s := newStore()
			w := writer(t, s, 7, true)
			want := full(t, w, limit, n)
			closeWriter(t, w)
			got := strings.SplitAfter(read(t, s, 0, -1), "\n")
			got = got[:len(got)-1]
			mark := slices.IndexFunc(got, func(l string) bool { return strings.Contains(l, "waybill: ") })
			// Segments are kept or dropped as a whole, and a fast writer's have up to maxUnsent bytes.
			if n <= 20_000 || mark < 0 && n*100 <= limit+2*maxUnsent {
				if mark >= 0 || !slices.Equal(got, want) {
					t.Fatalf("a log of %d lines within its limit has %d, and a mark at %d", n, len(got), mark)
				}
				return
			}
			if mark < limit/2/100-1 || !slices.Equal(got[:mark], want[:mark]) {
				t.Fatalf("the beginning has %d lines", mark)
			}
			tail := got[mark+1:]
			if len(tail) < limit/2/100 || len(got) > (limit+2*maxUnsent)/100 || !slices.Equal(tail, want[n-len(tail):]) {
				t.Fatalf("the end has %d lines, the log %d", len(tail), len(got))
			}
			dropped := (n - mark - len(tail)) * 100
			if says := fmt.Sprintf("waybill: %15d bytes of the log are not kept here: it is over its limit\n", dropped); !strings.HasSuffix(got[mark], says) {
				t.Errorf("the mark says %q, want %q", got[mark], says)
			}
			v, err := (Reader{s}).View(t.Context(), account, id, 0)
			if err != nil || !v.Cut || v.Size != int64(len(strings.Join(got, ""))) {
				t.Errorf("view %+v, %v", v, err)
			}
			for range 50 { // ranges are of what is read
				from := rand.Int64N(v.Size)
				length := rand.Int64N(v.Size - from)
				if part := read(t, s, from, length); part != strings.Join(got, "")[from:from+length] {
					t.Fatalf("from %d, %d bytes: wrong", from, length)
				}
			}
			// The next attempt goes on behind all that was written.
			next := writer(t, s, 8, false)
			write(t, next, "next\n")
			closeWriter(t, next)
			if all := read(t, s, 0, -1); all != strings.Join(got, "")+"next\n" {
				t.Error("the next attempt does not follow")
			}
			if part := readSection(t, s, 8, 0, -1); part != "next\n" {
				t.Errorf("its own part is %q", part)
			}
		})
	}
}

// Who follows a log that is over its limit sees every line while they keep up.
func TestAFollowerSeesLinesThatAreDroppedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, followAll)
}

func followAll(t *testing.T) {
	s := newStore()
	w := writer(t, s, 7, true)
	lines := NewLines(w, 200_000, time.Now)
	var place int64
	var seen strings.Builder
	follow := func() {
		stretches, err := (Reader{s}).Behind(t.Context(), account, id, place)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range stretches {
			r, err := one.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil || int64(len(text)) != one.To-one.From {
				t.Fatal(len(text), err)
			}
			seen.Write(text)
			place = one.To
		}
	}
	const n = 20
	for i := range n {
		write(t, lines, strings.Repeat(fmt.Sprintf("%d\n", i), 2000))
		time.Sleep(time.Second)
		synctest.Wait()
		follow()
	}
	closeWriter(t, w)
	follow()
	for i := range n {
		if got := strings.Count(seen.String(), fmt.Sprintf("Z %d\n", i)); got != 2000 {
			t.Errorf("line %d was seen %d times", i, got)
		}
	}
	if v, err := (Reader{s}).View(t.Context(), account, id, 0); err != nil || !v.Cut {
		t.Errorf("nothing was dropped: %v", err)
	}
}

// A reader who began before segments were put together, or dropped, reads on.
func TestReadingGoesOnWhileSegmentsChange(t *testing.T) {
	t.Parallel()
	s := newStore()
	put := func(offset int64, text string) {
		t.Helper()
		if _, err := s.Put(t.Context(), segmentName(job.LogPrefix(account, id), 1, offset), strings.NewReader(text), int64(len(text))); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(offset int64) { _ = s.Delete(t.Context(), segmentName(job.LogPrefix(account, id), 1, offset)) }
	open := func() (control.LogView, io.ReadCloser) {
		t.Helper()
		v, err := (Reader{s}).View(t.Context(), account, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Open(t.Context(), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		return v, r
	}
	put(0, "one.")
	put(4, "two.")
	put(8, "three.")
	_, merged := open()
	_, gone := open()
	stretches, err := (Reader{s}).Behind(t.Context(), account, id, 2)
	if err != nil || len(stretches) != 1 {
		t.Fatal(stretches, err)
	}
	put(0, "one.two.three.")
	remove(4)
	remove(8)
	if text, err := io.ReadAll(merged); err != nil || string(text) != "one.two.three." {
		t.Errorf("after a merge: %q, %v", text, err)
	}
	put(0, "one.")
	put(8, "three.")
	if text, err := io.ReadAll(gone); err != nil || string(text) != "one.three." {
		t.Errorf("after a drop: %q, %v", text, err)
	}
	r, err := stretches[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); string(text) != "e." || job.WordOf(err) != job.WordStale {
		t.Errorf("a follower after a drop: %q, %v", text, err)
	}
	remove(0)
	remove(8)
	_, none := open()
	if text, err := io.ReadAll(none); len(text) != 0 || err != nil {
		t.Errorf("an empty log: %q, %v", text, err)
	}
}

// slow is a store whose deletes take a while; none of them may be left when the writer is closed.
func TestCloseWaitsForWhatIsDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{store: newStore()}
		w, err := NewWriter(t.Context(), s, Target{Account: account, Job: id, Fence: 1, First: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 70 {
			write(t, w, "x\n")
			time.Sleep(time.Second)
		}
		closeWriter(t, w)
		if s.count() != 1 {
			t.Errorf("%d segments are left", s.count())
		}
		if got := read(t, s.store, 0, -1); got != strings.Repeat("x\n", 70) {
			t.Errorf("read %q", got)
		}
	})
}

type slow struct {
	*store
}

func (s *slow) Delete(ctx context.Context, key string) error {
	time.Sleep(50 * time.Millisecond)
	return s.store.Delete(ctx, key)
}
