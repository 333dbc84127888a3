package joblog

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	maxLine = 64 << 10 // bytes; longer lines are split
	stamp   = "2006-01-02T15:04:05.000Z "
	// DefaultLimit is how much one attempt may log.
	DefaultLimit = 100 << 20
)

// Lines puts a time stamp in front of every line: RFC 3339, UTC, milliseconds, the time of the line's first byte. Bytes
// are kept as they are, UTF-8 or not; lines over 64 KiB are split; a last line without a newline gets one, so that the
// next attempt begins on its own line.
//
// The limit is met by a writer that can keep a tail (Writer): of what comes behind the first half of the limit, only the end
// is kept. With another one a line says that the limit is reached, and the rest is counted as written but dropped.
type Lines struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	limit int64
	line  int // bytes in the unfinished line; -1: between lines
	size  int64
	open  bool // the last byte written is no newline
	full  bool
	tail  bool // begun, so the writer sees to the limit
	buf   []byte
}

// tailKeeper is a writer that can drop what it was given first.
type tailKeeper interface{ KeepTail(n int64) }

// NewLines stamps what it writes to w. limit counts the bytes written, stamps included; 0 means DefaultLimit.
func NewLines(w io.Writer, limit int64, now func() time.Time) *Lines {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Lines{w: w, now: now, limit: limit, line: -1}
}

// Write stamps p. It fails only if the writer below does.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Notef adds a line of Waybill's own, on a line by itself.
func (l *Lines) Notef(format string, args ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("waybill: "+format+"\n", args...)
	if l.line >= 0 {
		text = "\n" + text
	}
	return l.write([]byte(text))
}

// End finishes the last line.
func (l *Lines) End() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line < 0 {
		return nil
	}
	return l.write([]byte("\n"))
}

func (l *Lines) write(p []byte) error {
	if l.full {
		return nil
	}
	l.buf = l.buf[:0]
	now := l.now().UTC()
	for len(p) > 0 {
		if l.line < 0 {
			l.buf = now.AppendFormat(l.buf, stamp)
			l.line = 0
		}
		piece, whole := p, false
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			piece, whole = p[:i], true
		}
		if room := maxLine - l.line; len(piece) > room {
			l.buf = append(append(l.buf, piece[:room]...), '\n')
			p = p[room:]
			l.line = -1
			continue
		}
		l.buf = append(l.buf, piece...)
		l.line += len(piece)
		p = p[len(piece):]
		if whole {
			l.buf = append(l.buf, '\n')
			l.line = -1
			p = p[1:]
		}
	}
	return l.pass(now)
}

// pass writes the buffer on, as far as the limit allows.
func (l *Lines) pass(now time.Time) error {
	if k, can := l.w.(tailKeeper); can {
		if err := l.beginTail(k); err != nil {
			return err
		}
	} else if l.size+int64(len(l.buf)) > l.limit {
		l.full = true
		room := l.limit - l.size
		l.buf = l.buf[:room]
		if cut := bytes.LastIndexByte(l.buf, '\n'); cut >= 0 { // keep whole lines
			l.buf = l.buf[:cut+1]
		} else if l.open {
			l.buf = append(l.buf, '\n')
		} else {
			l.buf = l.buf[:0]
		}
		l.buf = now.AppendFormat(l.buf, stamp)
		l.buf = fmt.Appendf(l.buf, "waybill: the log has reached its limit of %d bytes; the rest is not kept\n", l.limit)
		l.line = -1
	}
	if len(l.buf) == 0 {
		return nil
	}
	return l.put(l.buf)
}

// beginTail passes on what completes the first half and leaves the rest in the buffer, unless the half is not full or no
// line ends beyond it.
func (l *Lines) beginTail(k tailKeeper) error {
	half := l.limit / 2
	if l.tail || l.size+int64(len(l.buf)) <= half {
		return nil
	}
	from := max(0, half-l.size-1)
	end := bytes.IndexByte(l.buf[from:], '\n')
	if end < 0 {
		return nil
	}
	head := l.buf[:from+int64(end)+1]
	if err := l.put(head); err != nil {
		return err
	}
	k.KeepTail(l.limit - half)
	l.tail, l.buf = true, l.buf[len(head):]
	return nil
}

func (l *Lines) put(p []byte) error {
	l.size += int64(len(p))
	l.open = p[len(p)-1] != '\n'
	_, err := l.w.Write(p)
	return err
}
