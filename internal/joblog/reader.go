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

// View is the log of a job as it is now: the part of the attempt that holds the fence or, with fence 0, the whole. A job
// without a log has an empty one. What is seen stays readable while the log grows; what is dropped from the middle of a
// running job's log meanwhile is left out.
func (r Reader) View(ctx context.Context, account int64, id job.ID, fence int64) (control.LogView, error) {
	prefix := job.LogPrefix(account, id)
	look := func(ctx context.Context) ([]segment, error) {
		if fence == 0 {
			return list(ctx, r.Objects, prefix)
		}
		return section(ctx, r.Objects, prefix, fence)
	}
	log, err := look(ctx)
	if err != nil {
		return control.LogView{}, err
	}
	v := control.LogView{Size: sizeOf(log), Cut: hasGap(log), Place: func(offset int64) int64 { return placeOf(log, offset) }}
	v.Open = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		if offset < 0 || length < -1 {
			return nil, job.Errorf(job.Invalid, job.WordInvalidRange, "Offset %d, length %d is not a range", offset, length)
		}
		if length < 0 || length > v.Size-offset {
			length = max(0, v.Size-offset)
		}
		return &stream{ctx: ctx, objects: r.Objects, look: look, log: log, at: placeOf(log, offset), left: length}, nil
	}
	return v, nil
}

// Size is the number of bytes stored so far; 0 for a job without a log. It never shrinks, except for the moment in which
// a new attempt cuts off what a presumed-dead worker wrote last, and while a running job drops from the middle.
func (r Reader) Size(ctx context.Context, account int64, id job.ID) (int64, error) {
	v, err := r.View(ctx, account, id, 0)
	return v.Size, err
}

// Open reads length bytes from offset; length -1 means to the end as it is now. Reading beyond the end gives what there
// is. Memory use does not depend on the size. The caller closes.
func (r Reader) Open(ctx context.Context, account int64, id job.ID, offset, length int64) (io.ReadCloser, error) {
	v, err := r.View(ctx, account, id, 0)
	if err != nil {
		return nil, err
	}
	return v.Open(ctx, offset, length)
}

// Behind lists what the log has from a place on. Places count all that was ever written, so that a follower's stays right
// whatever is dropped: a stretch that begins later than the place, or than the stretch before it ends, says that what was
// between is gone.
func (r Reader) Behind(ctx context.Context, account int64, id job.ID, place int64) ([]control.LogStretch, error) {
	prefix := job.LogPrefix(account, id)
	log, err := list(ctx, r.Objects, prefix)
	if err != nil {
		return nil, err
	}
	look := func(ctx context.Context) ([]segment, error) { return list(ctx, r.Objects, prefix) }
	var found []control.LogStretch
	for _, s := range log {
		from, to := max(place, s.offset), s.offset+s.size
		switch n := len(found); {
		case to <= place || s.size == 0:
		case n > 0 && found[n-1].To == from:
			found[n-1].To = to
		default:
			found = append(found, control.LogStretch{From: from, To: to})
		}
	}
	for i := range found {
		s := &found[i]
		s.Open = func(ctx context.Context) (io.ReadCloser, error) {
			return &stream{ctx: ctx, objects: r.Objects, look: look, log: log, at: s.From, left: s.To - s.From, whole: true}, nil
		}
	}
	return found, nil
}

func sizeOf(log []segment) (size int64) {
	for _, s := range log {
		size += s.size
	}
	return size
}

func hasGap(log []segment) bool {
	for i := 1; i < len(log); i++ {
		if log[i].offset > log[i-1].offset+log[i-1].size {
			return true
		}
	}
	return false
}

// placeOf is where the byte stands that has so many stored ones before it.
func placeOf(log []segment, offset int64) int64 {
	for _, s := range log {
		if offset < s.size {
			return s.offset + offset
		}
		offset -= s.size
	}
	return end(log)
}

// stream reads segment after segment, and passes over gaps.
type stream struct {
	ctx     context.Context
	objects Source
	look    func(context.Context) ([]segment, error)
	log     []segment
	at      int64 // place of the next byte
	left    int64 // bytes still to read
	whole   bool  // a gap is an error: the reader counts places

	open   io.ReadCloser
	object segment // the open one
	inOpen int64   // bytes left of it
	missed bool    // the log was listed anew for this place
	short  bool    // something was dropped that was there at the beginning
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.left <= 0 {
			return 0, io.EOF
		}
		if s.open == nil {
			if err := s.next(); err != nil {
				return 0, err
			}
		}
		n, err := s.open.Read(p[:min(int64(len(p)), s.inOpen)])
		s.at += int64(n)
		s.left -= int64(n)
		s.inOpen -= int64(n)
		if n > 0 {
			s.missed = false
		}
		if s.inOpen == 0 {
			_ = s.Close()
			err = nil
		} else if err == io.EOF {
			_ = s.Close()
			err = s.again(io.ErrUnexpectedEOF)
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// next opens the segment that holds the place or, over a gap, the next one.
func (s *stream) next() error {
	i := sort.Search(len(s.log), func(i int) bool { return s.log[i].offset+s.log[i].size > s.at })
	switch {
	case i == len(s.log) && s.short:
		return io.EOF
	case i == len(s.log):
		return fmt.Errorf("log: no segment holds byte %d", s.at)
	}
	head := s.log[i]
	if head.offset > s.at {
		if s.whole {
			return errGap
		}
		s.at = head.offset
	}
	length := min(head.offset+head.size-s.at, s.left)
	wanted := length
	if length == head.size {
		wanted = -1 // what is read as a whole is compared with its checksum; what it grew by since is left
	}
	open, err := s.objects.Get(s.ctx, head.object, s.at-head.offset, wanted)
	switch {
	case job.CodeOf(err) == job.NotFound:
		return s.again(err)
	case err != nil:
		return err
	}
	s.open, s.object, s.inOpen = open, head, length
	return nil
}

// errGap is how a stretch ends whose rest was dropped while it was read.
var errGap = job.Errorf(job.Conflict, job.WordStale, "that part of the log is not kept any more")

// again lists the log anew after a segment was not as it had been listed: it was put together with others, or dropped.
func (s *stream) again(err error) error {
	if s.missed {
		return err
	}
	s.missed = true
	log, failed := s.look(s.ctx)
	if failed != nil {
		return failed
	}
	s.log = log
	i := sort.Search(len(log), func(i int) bool { return log[i].offset+log[i].size > s.at })
	s.short = s.short || i == len(log) || log[i].offset > s.at
	return s.next()
}

func (s *stream) Close() error {
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	return err
}
