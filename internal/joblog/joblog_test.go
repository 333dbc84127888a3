package joblog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// store is an object store in memory.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    int
	fail    error
}

func newStore() *store { return &store{objects: map[string][]byte{}} }

func (s *store) Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error) {
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		return control.Object{}, fmt.Errorf("%d bytes of %d: %w", len(b), size, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if s.fail != nil {
		return control.Object{}, s.fail
	}
	s.objects[key] = b
	return control.Object{Key: key, Size: size}, ctx.Err()
}

func (s *store) List(_ context.Context, prefix, after string, yield func(control.Object) bool) error {
	s.mu.Lock()
	var keys []string
	for k := range s.objects {
		if strings.HasPrefix(k, prefix) && k > after {
			keys = append(keys, k)
		}
	}
	s.mu.Unlock()
	sort.Strings(keys)
	for _, k := range keys {
		if !yield(control.Object{Key: k, Size: int64(len(s.objects[k]))}) {
			break
		}
	}
	return nil
}

func (s *store) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, found := s.objects[key]
	if !found {
		return nil, job.Errorf(job.NotFound, job.WordNotFound, "no %s", key)
	}
	if length < 0 {
		length = int64(len(b)) - offset
	}
	return io.NopCloser(bytes.NewReader(b[offset : offset+length])), nil
}

func (s *store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return nil
}

func (s *store) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

const (
	account = 1
	id      = job.ID("69b9209b00000000000000c1")
)

func read(t *testing.T, s *store, offset, length int64) string {
	t.Helper()
	r, err := Reader{s}.Open(t.Context(), account, id, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readSection(t *testing.T, s *store, fence, offset, length int64) string {
	t.Helper()
	v, err := Reader{s}.View(t.Context(), account, id, fence)
	if err != nil {
		t.Fatal(err)
	}
	r, err := v.Open(t.Context(), offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writer(t *testing.T, s *store, fence int64, first bool) *Writer {
	t.Helper()
	w, err := NewWriter(t.Context(), s, Target{Account: account, Job: id, Fence: fence, First: first})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); err != nil || n != len(text) {
		t.Fatal(n, err)
	}
}

func closeWriter(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsStoredForAnEmptyLog(t *testing.T) {
	t.Parallel()
	s := newStore()
	closeWriter(t, writer(t, s, 1, true))
	closeWriter(t, writer(t, s, 2, false))
	if s.count() != 0 {
		t.Errorf("stored %d segments", s.count())
	}
	if n, err := (Reader{s}).Size(t.Context(), account, id); n != 0 || err != nil {
		t.Errorf("size %d %v", n, err)
	}
	if text := read(t, s, 0, -1); text != "" {
		t.Errorf("read %q", text)
	}
}

func TestFlushTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := writer(t, s, 1, true)
		write(t, w, "one\n")
		time.Sleep(firstFlush - time.Millisecond)
		synctest.Wait()
		if s.count() != 0 {
			t.Error("flushed too early")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s.count() != 1 {
			t.Error("first flush is late")
		}
		write(t, w, "two\n")
		time.Sleep(flushEvery)
		synctest.Wait()
		if s.count() != 2 {
			t.Error("second flush is late")
		}
		write(t, w, strings.Repeat("x", flushBytes))
		synctest.Wait()
		if s.count() != 3 {
			t.Error("a full segment waits")
		}
		closeWriter(t, w)
		if got := read(t, s, 0, 8); got != "one\ntwo\n" || w.Bytes() != flushBytes+8 {
			t.Errorf("read %q, wrote %d", got, w.Bytes())
		}
	})
}

func TestUploadsAreRepeatedAndMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.setFail(errors.New("store is away"))
		w := writer(t, s, 1, true)
		chunk := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
		written := make(chan int, 100)
		go func() {
			for i := range 8 {
				io.WriteString(w, chunk)
				written <- i
			}
			close(written)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(written); n != 4 {
			t.Errorf("%d MiB were taken while nothing could be sent, want 4", n)
		}
		s.setFail(nil)
		for range written {
		}
		closeWriter(t, w)
		if got := read(t, s, 0, -1); got != strings.Repeat(chunk, 8) {
			t.Errorf("%d bytes came through", len(got))
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.setFail(errors.New("store is away"))
		w := writer(t, s, 1, true)
		write(t, w, "lost\n")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := w.Write([]byte("late")); err == nil {
			t.Error("a closed writer takes more")
		}
	})
}

func TestLaterAttemptsGoOnAndCutOffStaleWorkers(t *testing.T) {
	t.Parallel()
	s := newStore()
	old := writer(t, s, 10, true)
	write(t, old, "first ")
	closeWriter(t, old)
	again := writer(t, s, 20, false)
	if s.count() != 2 {
		t.Error("the new attempt does not announce itself")
	}
	// The old worker was only slow: it goes on where it was.
	stale := writer(t, s, 10, true)
	stale.offset, stale.start = 6, 6
	write(t, stale, "STALE ")
	closeWriter(t, stale)
	if got := read(t, s, 0, -1); got != "first " {
		t.Errorf("before the new attempt's first segment: %q", got)
	}
	write(t, again, "second")
	closeWriter(t, again)
	if got := read(t, s, 0, -1); got != "first second" {
		t.Errorf("got %q", got)
	}
	third := writer(t, s, 30, false)
	write(t, third, " third")
	closeWriter(t, third)
	want := "first second third"
	if n, _ := (Reader{s}).Size(t.Context(), account, id); n != int64(len(want)) {
		t.Errorf("size %d", n)
	}
	sections := map[int64]string{10: "first ", 20: "second", 30: " third", 15: ""}
	sizes, err := (Reader{s}).Sections(t.Context(), account, id)
	if err != nil || len(sizes) != 3 {
		t.Errorf("sections %v %v", sizes, err)
	}
	for fence, text := range sections {
		v, err := (Reader{s}).View(t.Context(), account, id, fence)
		if err != nil || v.Size != int64(len(text)) || sizes[fence] != v.Size {
			t.Errorf("section %d has %d (%d) bytes, %v", fence, v.Size, sizes[fence], err)
		}
		for from := 0; from <= len(text); from++ {
			for length := -1; length <= len(text); length++ {
				a, b := from, len(text)
				if length >= 0 {
					b = min(a+length, b)
				}
				if got := readSection(t, s, fence, int64(from), int64(length)); got != text[a:b] {
					t.Errorf("section %d from %d, %d bytes: %q, want %q", fence, from, length, got, text[a:b])
				}
			}
		}
	}
	for from := 0; from <= len(want)+1; from++ {
		for length := -1; length <= len(want)+1; length++ {
			a, b := min(from, len(want)), len(want)
			if length >= 0 {
				b = min(a+length, b)
			}
			if got := read(t, s, int64(from), int64(length)); got != want[a:b] {
				t.Fatalf("from %d, %d bytes: %q, want %q", from, length, got, want[a:b])
			}
		}
	}
}

func TestOpenRefusesRanges(t *testing.T) {
	t.Parallel()
	if _, err := (Reader{newStore()}).Open(t.Context(), account, id, -1, 5); job.WordOf(err) != job.WordInvalidRange {
		t.Errorf("got %v", err)
	}
}

func TestMasker(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text, want string
		secrets          []string
	}{
		{"plain", "password is hunter2, yes", "password is ***, yes", []string{"hunter2"}},
		{"at the end", "hunter2", "***", []string{"hunter2"}},
		{"only its beginning", "hunter", "hunter", []string{"hunter2"}},
		{"twice in a row", "hunter2hunter2!", "******!", []string{"hunter2"}},
		{"one inside another", "abcdef abc", "*** ***", []string{"abc", "abcdef"}},
		{"overlapping", "1xabc2", "1***2", []string{"xab", "abc"}},
		{"repeating", "aaaaaaaaab", "***b", []string{"aaa"}},
		{"two letters are too short", "ab abc", "ab ***", []string{"ab", "abc"}},
		{"with its newline", "key:\nline1\nline2 end", "key:\n*** end", []string{"line1\nline2\n"}},
		{"no secrets", "text", "text", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for size := 1; size <= len(c.text); size++ {
				var b bytes.Buffer
				m := NewMasker(&b, c.secrets)
				for rest := c.text; rest != ""; {
					n := min(size, len(rest))
					write(t, m, rest[:n])
					rest = rest[n:]
				}
				if err := m.Flush(); err != nil || b.String() != c.want {
					t.Fatalf("in pieces of %d: %q %v, want %q", size, b.String(), err, c.want)
				}
			}
		})
	}
}

// Whatever the secrets and the pieces, the result is what masking the whole text at once gives.
func TestMaskerInRandomPieces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a' + byte(r.IntN(2))
		}
		return string(b)
	}
	for range 3000 {
		secrets := []string{word(3 + r.IntN(4)), word(3 + r.IntN(2)), word(5)}
		text := word(r.IntN(40))
		run := func(pieces func() int) string {
			var b bytes.Buffer
			m := NewMasker(&b, secrets)
			for rest := text; rest != ""; {
				n := min(pieces(), len(rest))
				write(t, m, rest[:n])
				rest = rest[n:]
			}
			m.Flush()
			return b.String()
		}
		whole, pieces := run(func() int { return 100 }), run(func() int { return 1 + r.IntN(5) })
		if whole != pieces {
			t.Fatalf("%q with %q: %q at once, %q in pieces", text, secrets, whole, pieces)
		}
		for _, s := range secrets {
			if strings.Contains(whole, s) {
				t.Fatalf("%q shows %q", whole, s)
			}
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	at := func() time.Time { return time.Date(2026, 3, 17, 10, 41, 48, 123456789, time.FixedZone("", 3600)) }
	const ts = "2026-03-17T09:41:48.123Z "
	long := strings.Repeat("x", maxLine)
	cases := []struct {
		name  string
		in    []string
		want  string
		limit int64
	}{
		{"one line", []string{"hello\n"}, ts + "hello\n", 0},
		{"in pieces", []string{"he", "llo\nyou", "\n"}, ts + "hello\n" + ts + "you\n", 0},
		{"empty lines", []string{"\n\n"}, ts + "\n" + ts + "\n", 0},
		{"no newline at the end", []string{"hello"}, ts + "hello\n", 0},
		{"bytes stay", []string{"\xff\x00\r\n"}, ts + "\xff\x00\r\n", 0},
		{"long line", []string{long, "y\n"}, ts + long + "\n" + ts + "y\n", 0},
		{"exactly long", []string{long + "\n"}, ts + long + "\n", 0},
		{"limit", []string{"1234567890\n", "1234567890\n", "more\n"}, ts + "1234567890\n" + ts + "waybill: the log has reached its limit of 50 bytes; the rest is not kept\n", 50},
		{"limit inside a line", []string{"1234567890", "1234567890123456"}, ts + "1234567890" + "123456789012345\n" + ts + "waybill: the log has reached its limit of 50 bytes; the rest is not kept\n", 50},
		{"nothing", nil, "", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			l := NewLines(&b, c.limit, at)
			for _, s := range c.in {
				write(t, l, s)
			}
			if err := l.End(); err != nil || b.String() != c.want {
				t.Errorf("got %q %v, want %q", b.String(), err, c.want)
			}
		})
	}
	var b bytes.Buffer
	l := NewLines(&b, 0, at)
	write(t, l, "unfinished")
	l.Notef("told %d", 1)
	if want := ts + "unfinished\n" + ts + "waybill: told 1\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
