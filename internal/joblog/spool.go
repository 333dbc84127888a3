package joblog

import (
	"errors"
	"io"
	"os"
)

// Spool is where a log waits on disk while the object store takes nothing. The zero value is none.
type Spool struct {
	Dir   string
	Limit int64 // bytes of one log
}

// spool is one log's. What is put in at the end is taken from the beginning. Its file has no name, so nothing is left of it
// whatever happens to the process.
type spool struct {
	Spool
	file       *os.File
	from, to   int64 // what is in the file
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
	if _, err := s.file.WriteAt(p, s.to); err != nil { // what was written of it is not counted
		s.outOfOrder = err
		return err
	}
	s.to += int64(len(p))
	return nil
}

// take removes up to n bytes.
func (s *spool) take(n int) ([]byte, error) {
	p := make([]byte, min(int64(n), s.to-s.from))
	if _, err := s.file.ReadAt(p, s.from); err != nil && !errors.Is(err, io.EOF) {
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
