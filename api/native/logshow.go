package native

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	_ "time/tzdata" // zones by name, on machines without a time zone database too

	"github.com/charmbracelet/x/ansi/parser"

	"waybill/internal/control"
	"waybill/internal/job"
)

// logShow is how much of a log is sent, and how it is shown.
type logShow struct {
	zone   *time.Location // nil: UTC, in which the log is written
	tail   int64          // lines; -1: all
	since  time.Time      // zero: from the beginning
	strip  bool
	format logFormat
}

// logFormat is what a log is sent as.
type logFormat string

const (
	formatRaw  logFormat = "raw"
	formatText logFormat = "text"
	formatZip  logFormat = "zip"
)

func (f logFormat) contentType() string {
	switch f {
	case formatText:
		return "text/plain; charset=utf-8"
	case formatZip:
		return "application/zip"
	default:
		return "application/octet-stream"
	}
}

func (f logFormat) ending() string {
	switch f {
	case formatText:
		return ".txt"
	case formatZip:
		return ".zip"
	default:
		return ".log"
	}
}

// writer gives what to write the text to. end is called behind it.
func (f logFormat) writer(out io.Writer, name string, at time.Time) (to io.Writer, end func() error, err error) {
	if f != formatZip {
		return out, func() error { return nil }, nil
	}
	pack := zip.NewWriter(out)
	to, err = pack.CreateHeader(&zip.FileHeader{Name: name + ".log", Method: zip.Deflate, Modified: at.UTC()})
	return to, pack.Close, err
}

func (q LogQuery) read(now time.Time) (s logShow, err error) {
	s = logShow{tail: -1, format: formatRaw}
	if s.zone, err = zoneParam(q.ZoneID); err != nil {
		return s, err
	}
	if q.Tail != "" {
		if s.tail, err = strconv.ParseInt(q.Tail, 10, 64); err != nil || s.tail < 0 {
			return s, invalid("tail must be a number of lines, 0 or more")
		}
	}
	if q.Since != "" {
		if s.since, err = sinceParam(q.Since, now); err != nil {
			return s, err
		}
	}
	switch q.ANSI {
	case "", "keep":
	case "strip":
		s.strip = true
	default:
		return s, invalid("ansi must be keep or strip")
	}
	switch f := logFormat(q.Format); f {
	case "":
	case formatRaw, formatText, formatZip:
		s.format = f
	default:
		return s, invalid("format must be raw, text or zip")
	}
	return s, nil
}

// sinceParam reads a date, or a duration back from now. A plain number is a date, as it is everywhere in a request.
func sinceParam(s string, now time.Time) (time.Time, error) {
	if at, _, err := parseDate(s); err == nil {
		return at, nil
	}
	back, err := parseDuration(s)
	if err != nil {
		return time.Time{}, invalid("since must be a date like 'Apr 12, 2019 12:40:51 PM' or '2019-04-12T12:40:51Z', a number, or a duration like 15m")
	}
	return now.Add(-back), nil
}

// zoneParam reads a zone's name; nil means UTC, in which the log is written.
func zoneParam(name string) (*time.Location, error) {
	if name == "" || name == "UTC" || name == "Z" {
		return nil, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, job.Errorf(job.Invalid, job.WordInvalidTimeZone, "'%s' is not a time zone", cut(name))
	}
	return zone, nil
}

// asStored tells whether the bytes are sent as they are stored, all of them.
func (s logShow) asStored() bool {
	return s.zone == nil && s.tail < 0 && s.since.IsZero() && !s.strip && s.format != formatZip
}

// filter makes what rewrites the text on its way to out.
func (s logShow) filter(out io.Writer) flushWriter {
	if s.strip {
		out = &stripper{out: out}
	}
	return &restamper{out: out, zone: s.zone}
}

// flushWriter holds something back until it is flushed.
type flushWriter interface {
	io.Writer
	Flush() error
}

// from is where the log begins that is to be shown. Only some places of it are looked at, however long it is.
func (s logShow) from(ctx context.Context, log control.LogView) (from int64, err error) {
	if !s.since.IsZero() {
		if from, err = findSince(ctx, log, s.since); err != nil {
			return 0, err
		}
	}
	if s.tail >= 0 {
		return findTail(ctx, log, from, s.tail)
	}
	return from, nil
}

// lookAhead is how much of a log is read at once to find a line: more than a line may have, so that one always ends in it.
const lookAhead = 128 << 10

func readLog(ctx context.Context, log control.LogView, from, to int64) ([]byte, error) {
	text, err := log.Open(ctx, from, to-from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = text.Close() }() // it was only read
	return io.ReadAll(text)
}

// findTail is where the last n lines begin, but not before from. It reads backwards.
func findTail(ctx context.Context, log control.LogView, from, n int64) (int64, error) {
	if n == 0 {
		return log.Size, nil
	}
	end := log.Size // what stands behind it was looked at
	for end > from {
		begin := max(from, end-lookAhead)
		text, err := readLog(ctx, log, begin, end)
		if err != nil {
			return 0, err
		}
		if end == log.Size { // the end of the last line begins none
			text = bytes.TrimSuffix(text, []byte{'\n'})
		}
		for len(text) > 0 {
			at := bytes.LastIndexByte(text, '\n')
			if at < 0 {
				break
			}
			if n--; n == 0 {
				return begin + int64(at) + 1, nil
			}
			text = text[:at]
		}
		end = begin
	}
	return from, nil
}

// findSince is where the first line begins whose time is not before at. The lines are in order of time, but for those of two
// attempts on machines whose clocks differ.
func findSince(ctx context.Context, log control.LogView, at time.Time) (int64, error) {
	low, high := int64(0), log.Size // the line begins between them; one begins at low
	for high-low > 2*lookAhead {
		middle := low + (high-low)/2
		begin, stamped, err := firstStamp(ctx, log, middle, middle+lookAhead)
		switch {
		case err != nil:
			return 0, err
		case begin < 0: // nothing of ours; to show more than was asked for is better than less
			high = middle
		case stamped.Before(at):
			low = begin
		default:
			high = begin
		}
	}
	text, err := readLog(ctx, log, low, min(log.Size, high+int64(len(stampLayout))))
	if err != nil {
		return 0, err
	}
	for place := 0; int64(place) < high-low; {
		if stamped, ok := stampOf(text[place:]); ok && !stamped.Before(at) {
			return low + int64(place), nil
		}
		next := bytes.IndexByte(text[place:], '\n')
		if next < 0 {
			break
		}
		place += next + 1
	}
	return high, nil
}

// firstStamp finds the first line that begins behind from and has a stamp; begin is -1 if there is none before to.
func firstStamp(ctx context.Context, log control.LogView, from, to int64) (begin int64, at time.Time, err error) {
	text, err := readLog(ctx, log, from, to)
	if err != nil {
		return 0, at, err
	}
	for place := 0; ; {
		next := bytes.IndexByte(text[place:], '\n')
		if next < 0 {
			return -1, at, nil
		}
		place += next + 1
		if stamped, ok := stampOf(text[place:]); ok {
			return from + int64(place), stamped, nil
		}
	}
}

// stampOf reads the stamp a line begins with.
func stampOf(line []byte) (time.Time, bool) {
	if len(line) < len(stampLayout) {
		return time.Time{}, false
	}
	at, err := time.Parse(stampLayout, string(line[:len(stampLayout)]))
	return at, err == nil
}

// stripper leaves out the control sequences of terminals (ECMA-48), also those that come in pieces. One that has no end
// ends with its line. Other bytes stay as they are, UTF-8 or not.
type stripper struct {
	out   io.Writer
	state parser.State
	buf   []byte
}

func (s *stripper) Write(p []byte) (int, error) {
	s.buf = s.buf[:0]
	for _, b := range p {
		if b == '\n' || s.state == parser.GroundState && b != '\x1b' {
			s.state = parser.GroundState
			s.buf = append(s.buf, b)
			continue
		}
		next, action := parser.Table.Transition(s.state, b)
		if next == parser.Utf8State { // no sequence goes on with a character
			next, action = parser.GroundState, parser.PrintAction
		}
		if action == parser.PrintAction || action == parser.ExecuteAction {
			s.buf = append(s.buf, b)
		}
		s.state = next
	}
	if _, err := s.out.Write(s.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// stampLayout is how internal/joblog stamps a line, with a blank behind it.
const stampLayout = "2006-01-02T15:04:05.000Z"

// restamper rewrites the time stamp at the start of each line into another zone. Without a zone it copies.
type restamper struct {
	out    io.Writer
	zone   *time.Location
	head   []byte // of the line, until it is long enough to hold a stamp
	inLine bool   // the line's stamp is behind us
}

func (r *restamper) Write(p []byte) (int, error) {
	if r.zone == nil {
		return r.out.Write(p)
	}
	out := make([]byte, 0, len(p)+64)
	for rest := p; len(rest) > 0; {
		if r.inLine {
			end := bytes.IndexByte(rest, '\n') + 1
			if r.inLine = end == 0; r.inLine {
				end = len(rest)
			}
			out, rest = append(out, rest[:end]...), rest[end:]
			continue
		}
		take := min(len(rest), len(stampLayout)-len(r.head))
		if end := bytes.IndexByte(rest[:take], '\n'); end >= 0 { // a line too short for a stamp
			out = append(append(out, r.head...), rest[:end+1]...)
			r.head, rest = r.head[:0], rest[end+1:]
			continue
		}
		r.head, rest = append(r.head, rest[:take]...), rest[take:]
		if len(r.head) == len(stampLayout) {
			out = r.stamp(out)
		}
	}
	if _, err := r.out.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r *restamper) stamp(out []byte) []byte {
	at, err := time.Parse(stampLayout, string(r.head))
	if err != nil {
		out = append(out, r.head...)
	} else {
		out = at.In(r.zone).AppendFormat(out, "2006-01-02T15:04:05.000Z07:00")
	}
	r.head, r.inLine = r.head[:0], true
	return out
}

// Flush writes what was held back of a last line.
func (r *restamper) Flush() error {
	if len(r.head) == 0 {
		return nil
	}
	_, err := r.out.Write(r.head)
	r.head = r.head[:0]
	return err
}
