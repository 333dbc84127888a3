package runner

import (
	"io/fs"
	"sync"
	"time"
)

// maxSights bounds what is remembered between two looks at the events: a program that writes both without end loses precision, no memory grows.
const maxSights = 4096

// sights remembers how long the events file was when lines of the log were stamped. What a program tells is read some time after it was
// written, its output at once; with this both have times of one order: an event that was there when output was read is no later than that.
type sights struct {
	mu   sync.Mutex
	all  []sight // growing in both
	size int64   // at the last one
}

type sight struct {
	size int64
	at   time.Time
}

// clock is the time of a block of output. It costs one look at an open file, and nothing is kept where the program tells nothing new.
func (s *sights) clock(stat func() (fs.FileInfo, error), now func() time.Time) func() time.Time {
	return func() time.Time {
		s.mu.Lock() // the three are one for whoever asks in between
		defer s.mu.Unlock()
		info, err := stat() // before the time is taken: who has looked at the file and taken the time earlier has not seen more
		at := now()
		if err == nil {
			s.note(info.Size(), at)
		}
		return at
	}
}

func (s *sights) note(size int64, at time.Time) {
	if size < s.size { // written anew
		s.all, s.size = nil, 0
	}
	if size > s.size && len(s.all) < maxSights {
		s.all, s.size = append(s.all, sight{size, at}), size
	}
}

// by is when the file was first seen to have so many bytes; they are asked for in the order of the file.
func (s *sights) by(size int64) (at time.Time, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	past := 0
	for past < len(s.all) && s.all[past].size < size {
		past++
	}
	if s.all = s.all[past:]; len(s.all) == 0 {
		return time.Time{}, false
	}
	return s.all[0].at, true
}

// EventsSeen is when output was read and the events file had at least so many bytes for the first time. seen is false where that was not
// yet. It is asked for ever more bytes.
func (e *Execution) EventsSeen(size int64) (at time.Time, seen bool) { return e.sights.by(size) }
