package joblog

import (
	"context"
	"fmt"
	"io"
	"sort"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Source is the object store as the reader needs it.
type Source interface {
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error
}

// Reader reads job logs. It keeps nothing between calls.
type Reader struct{ Objects Source }

// Size is the number of bytes stored so far; 0 for a job without a log. It never shrinks, except for the moment in which
// a new attempt cuts off what a presumed-dead worker wrote last.
func (r Reader) Size(ctx context.Context, account int64, id job.ID) (int64, error) {
	log, err := list(ctx, r.Objects, job.LogPrefix(account, id))
	return end(log), err
}

// Open reads length bytes from offset; length -1 means to the end as it is now. Reading beyond the end gives what there
// is. Memory use does not depend on the size. The caller closes.
func (r Reader) Open(ctx context.Context, account int64, id job.ID, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || length < -1 {
		return nil, badRange(offset, length)
	}
	log, err := list(ctx, r.Objects, job.LogPrefix(account, id))
	if err != nil {
		return nil, err
	}
	return r.stream(ctx, log, offset, length), nil
}

func badRange(offset, length int64) error {
	return job.Errorf(job.Invalid, job.WordInvalidRange, "Offset %d, length %d is not a range", offset, length)
}

// stream reads from a place in the whole log.
func (r Reader) stream(ctx context.Context, log []segment, offset, length int64) io.ReadCloser {
	to := end(log)
	if length >= 0 && length < to-offset {
		to = offset + length
	}
	// Begin with the segment that holds the offset.
	first := sort.Search(len(log), func(i int) bool { return log[i].offset+log[i].size > offset })
	return &stream{ctx: ctx, objects: r.Objects, log: log[first:], at: offset, to: to}
}

// stream reads segment after segment.
type stream struct {
	ctx     context.Context
	objects Source
	log     []segment // still to read, the open one first
	at, to  int64
	open    io.ReadCloser
	left    int64 // of the open one
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.at >= s.to {
			return 0, io.EOF
		}
		if s.open == nil {
			if err := s.next(); err != nil {
				return 0, err
			}
		}
		n, err := s.open.Read(p[:min(int64(len(p)), s.left)])
		s.at += int64(n)
		s.left -= int64(n)
		if s.left == 0 {
			s.closeOpen()
			err = nil
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (s *stream) next() error {
	for len(s.log) > 0 && s.log[0].offset+s.log[0].size <= s.at {
		s.log = s.log[1:]
	}
	if len(s.log) == 0 || s.log[0].offset > s.at {
		return fmt.Errorf("log: no segment holds byte %d", s.at)
	}
	head := s.log[0]
	s.left = min(head.offset+head.size, s.to) - s.at
	var err error
	s.open, err = s.objects.Get(s.ctx, head.object, s.at-head.offset, s.left)
	return err
}

func (s *stream) closeOpen() error {
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	return err
}

func (s *stream) Close() error { return s.closeOpen() }
