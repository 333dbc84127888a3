package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// stallLimit is how long one read or write of a body may stand still before the client is given up. The server has no
// overall limits, because an upload or a followed log may take hours; one that does not move is another matter.
const stallLimit = 60 * time.Second

// Stream writes a reply of which the end is not known: every write must get somewhere within a minute.
type Stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// NewStream begins a stream on w. Done must be called at its end.
func NewStream(w http.ResponseWriter) *Stream {
	return &Stream{w: w, control: http.NewResponseController(w)}
}

func (s *Stream) Write(p []byte) (int, error) {
	s.limit(time.Now().Add(stallLimit))
	return s.w.Write(p)
}

// Flush sends what has been written.
func (s *Stream) Flush() {
	s.limit(time.Now().Add(stallLimit))
	_ = s.control.Flush() // a client that is gone is seen at the next write, or by the context
}

// Done takes the limit off the connection, which may serve another call.
func (s *Stream) Done() { s.limit(time.Time{}) }

func (s *Stream) limit(at time.Time) {
	_ = s.control.SetWriteDeadline(at) // a writer without deadlines, in tests, has nobody to stall it
}

// patient reads a body of which every read must get somewhere within a minute, and which must all be there at the time until, if there is one.
type patient struct {
	io.ReadCloser
	control *http.ResponseController
	reply   http.Header
	now     func() time.Time
	until   time.Time
}

func (p *patient) Read(b []byte) (int, error) {
	limit := stallLimit
	if !p.until.IsZero() {
		limit = min(limit, p.until.Sub(p.now()))
	}
	if limit <= 0 {
		return 0, p.late(os.ErrDeadlineExceeded)
	}
	_ = p.control.SetReadDeadline(time.Now().Add(limit)) // the connection's clock is the machine's
	n, err := p.ReadCloser.Read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, p.late(err)
	case err != nil:
		// Off at the end, or it would strike while the call is held and look like a client that went away.
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// late has the connection end with the reply: the server would else wait for the rest of the body before it sends one.
func (p *patient) late(err error) error {
	p.reply.Set("Connection", "close")
	return err
}
