package runner

import (
	"io/fs"
	"os"
	"testing"
	"time"
)

type fileOf struct {
	fs.FileInfo
	size int64
}

func (f fileOf) Size() int64 { return f.size }

func TestSightsOfTheEvents(t *testing.T) {
	t.Parallel()
	var s sights
	began := time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)
	size, failed, seconds := int64(0), error(nil), 0
	clock := s.clock(func() (fs.FileInfo, error) { return fileOf{size: size}, failed }, func() time.Time { return began.Add(time.Duration(seconds) * time.Second) })
	output := func(at int, length int64) {
		t.Helper()
		seconds, size = at, length
		if got := clock(); !got.Equal(began.Add(time.Duration(at) * time.Second)) {
			t.Errorf("the clock says %s", got)
		}
	}
	ask := func(length int64, want int) {
		t.Helper()
		at, seen := s.by(length)
		if seen != (want > 0) || seen && !at.Equal(began.Add(time.Duration(want)*time.Second)) {
			t.Errorf("%d bytes: %s %v, want %d", length, at, seen, want)
		}
	}
	output(1, 0)
	if s.all != nil {
		t.Error("something is kept of a program that tells nothing")
	}
	output(2, 10)
	output(3, 10)
	output(4, 30)
	ask(5, 2)
	ask(10, 2)
	ask(11, 4)
	ask(31, 0)
	output(5, 40)
	ask(31, 5)
	output(6, 7) // written anew
	ask(7, 6)
	ask(8, 0)
	failed = os.ErrClosed
	output(7, 100)
	failed = nil
	ask(8, 0)
	for i := range 2 * maxSights {
		output(8, int64(1000+i))
	}
	if len(s.all) != maxSights {
		t.Errorf("%d are kept", len(s.all))
	}
}
