package report

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"time"
)

const (
	maxLine  = 1 << 20   // bytes; room for a message of 750 KB, written as JSON
	chunk    = 64 << 10  // bytes read in one call
	maxTotal = 256 << 20 // bytes read of one attempt
	maxTurn  = 1 << 20   // bytes read at once, so that what was read is stored in between
)

// File is what a Tail reads: *os.File.
type File interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// Tail gives the lines of a file that grows. The file was opened before the program began, so the program can not have
// another one read by putting it in its place.
type Tail struct {
	file    File
	at      int64 // read so far
	total   int64 // the same, over all that was written and cut off again
	limit   int64
	held    []byte // the beginning of a line
	passing bool   // the rest of a line that was too long
	full    bool
	buf     []byte
	seen    func(size int64) (time.Time, bool) // nil: nobody looks but Read
}

// NewTail begins at the file's start.
func NewTail(f File) *Tail { return &Tail{file: f, limit: maxTotal} }

// SeenBy has the steps that lines tell of dated by when somebody saw the file that long, if that was before it was read here.
func (t *Tail) SeenBy(seen func(size int64) (at time.Time, ok bool)) { t.seen = seen }

// line gives a whole line to c: the file has it since it had so many bytes, and read is a time at which it was not known here.
func (t *Tail) line(c *Collector, text []byte, size int64, read time.Time) {
	at := read
	if t.seen != nil {
		if earlier, ok := t.seen(size); ok && earlier.Before(at) {
			at = earlier
		}
	}
	c.dated(at)
	c.Line(text)
}

// Read gives the lines that are new to c, as many as one turn takes, and tells whether there is more.
func (t *Tail) Read(c *Collector) (more bool, err error) {
	info, err := t.file.Stat()
	if err != nil || t.full {
		return false, err
	}
	read := c.cfg.Now()     // after the look at the file: what was stamped before its last lines were written is older than that
	if info.Size() < t.at { // written anew, as a shell does with ">"
		t.at, t.held, t.passing = 0, nil, false
		c.Limit("the file was cut off and written anew; use it to append only")
	}
	if t.buf == nil {
		t.buf = make([]byte, chunk)
	}
	for turn := 0; turn < maxTurn && t.at < info.Size(); {
		n, err := t.file.ReadAt(t.buf[:min(int64(len(t.buf)), info.Size()-t.at)], t.at)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				return false, nil // cut off since
			}
			return false, err
		}
		t.at += int64(n)
		t.total += int64(n)
		turn += n
		t.split(t.buf[:n], c, read)
		if t.total >= t.limit {
			t.full, t.held = true, nil
			c.Limit("the file has reached its limit; the rest is not read")
			return false, nil
		}
	}
	return t.at < info.Size(), nil
}

// Last gives a last line that has no newline. The program has ended.
func (t *Tail) Last(c *Collector) {
	if len(t.held) > 0 {
		t.line(c, t.held, t.at, c.cfg.Now())
		t.held = nil
	}
}

func (t *Tail) split(p []byte, c *Collector, read time.Time) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		piece, rest := p, []byte(nil)
		if end >= 0 {
			piece, rest = p[:end], p[end+1:]
		}
		p = rest
		size := t.at - int64(len(p))
		switch {
		case t.passing:
		case len(t.held)+len(piece) > maxLine:
			t.held, t.passing = nil, true
			c.TooLong()
		case end >= 0 && len(t.held) == 0:
			t.line(c, piece, size, read)
		default:
			t.held = append(t.held, piece...)
		}
		if end < 0 {
			return
		}
		if len(t.held) > 0 {
			t.line(c, t.held, size, read)
			t.held = t.held[:0]
		}
		t.passing = false
	}
}
