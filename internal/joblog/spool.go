package joblog

import (
	"errors"
	"os"
)

// Spool is where a log waits on disk while the object store takes nothing. The zero value is none.
type Spool struct {
	Dir   string
	Limit int64 // bytes of one log
}

// spool is one log's. What is put in at the end is taken from the beginning, and the file's end is followed by its beginning:
// one that is never empty, because the store is slower than the program, stays within Limit too. Its file has no name, so
// nothing is left of it whatever happens to the process.
type spool struct {
	Spool
	file       *os.File
	from, to   int64 // what is in it: where in the file is the rest of a division by Limit
	outOfOrder error // the disk refused something; nothing more is put in
}

// empty tells whether nothing waits.
func (s *spool) empty() bool { return s.from == s.to }

// takes tells whether there is room for n bytes more.
func (s *spool) takes(n int) bool {
	return s.outOfOrder == nil && s.Dir != "" && s.to-s.from+int64(n) <= s.Limit
}

// put appends p, as a whole or not at all.
func (s *spool) put(p []byte) error {
	if s.file == nil {
		f, err := os.CreateTemp(s.Dir, "log-")
		if err == nil {
			if err = os.Remove(f.Name()); err != nil {
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			s.outOfOrder = err
			return err
		}
		s.file = f
	}
	if err := s.pieces(p, s.to, s.file.WriteAt); err != nil { // what was written of it is not counted
		s.outOfOrder = err
		return err
	}
	s.to += int64(len(p))
	return nil
}

// pieces does what is to be done with p at a place in at most two pieces: up to the file's end, and from its beginning.
func (s *spool) pieces(p []byte, place int64, do func([]byte, int64) (int, error)) error {
	at := place % s.Limit
	first := min(int64(len(p)), s.Limit-at)
	_, err := do(p[:first], at)
	if err == nil && first < int64(len(p)) {
		_, err = do(p[first:], 0)
	}
	return err
}

// take removes up to n bytes.
func (s *spool) take(n int) ([]byte, error) {
	p := make([]byte, min(int64(n), s.to-s.from))
	if err := s.pieces(p, s.from, s.file.ReadAt); err != nil {
		return nil, err
	}
	s.from += int64(len(p))
	if s.empty() {
		s.from, s.to = 0, 0
		// Its disk space is given back. When it can not be, the next bytes overwrite it.
		_ = s.file.Truncate(0)
	}
	return p, nil
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // it has no name and is not read again
		s.file = nil
	}
}
