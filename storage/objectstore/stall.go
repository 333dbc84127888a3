package objectstore

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// A store that hangs, or a network that swallows what is sent, may go on to acknowledge keep-alives: nothing of TCP ends a request then.
// So each piece of a body has a time limit in either direction. An answer's body is watched here and not by deadlines of the connection,
// where a read is always under way: while it lies idle, and while a long body is still on its way to the store.

// stalled is the error of a request whose body does not go on.
type stalled struct{ doing string }

func (e *stalled) Error() string { return "timeout " + e.doing }

// Timeout and Temporary make it a net.Error.
func (*stalled) Timeout() bool   { return true }
func (*stalled) Temporary() bool { return true }

var errReadStalled = &stalled{"waiting for more of an answer"}

// call is one use of the store, which may take several requests. A request that was waited for in vain is not repeated in it: each
// wait is as long as the timeout, and whoever has patience for more comes again.
type call struct {
	mu   sync.Mutex
	over map[string]error // by method: that of an upload in parts is not that by which it is ended
}

type callKey struct{}

// once begins a call.
func once(ctx context.Context) context.Context { return context.WithValue(ctx, callKey{}, &call{}) }

func (c *call) ended(method string) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over[method]
}

func (c *call) end(method string, err error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == nil {
		c.over = map[string]error{}
	}
	c.over[method] = err
}

// impatient carries requests out and does not wait for long.
type impatient struct {
	next  http.RoundTripper
	limit time.Duration // of each read of an answer's body
}

func (i *impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	c, _ := req.Context().Value(callKey{}).(*call)
	if err := c.ended(req.Method); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper must
		}
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	resp, err := i.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		if req.Context().Err() == nil && waitedFor(err) {
			c.end(req.Method, err)
		}
		return nil, err
	}
	resp.Body = newAwaited(ctx, cancel, resp.Body, i.limit)
	return resp, nil
}

// waitedFor tells whether an error took the whole timeout. A dial has a short one of its own.
func waitedFor(err error) bool {
	var (
		timeout net.Error
		op      *net.OpError
	)
	return errors.As(err, &timeout) && timeout.Timeout() && !(errors.As(err, &op) && op.Op == "dial")
}

// awaited is an answer's body of which each read is waited for as long as the limit.
type awaited struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // of the request the body belongs to
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer // runs during a read
}

func newAwaited(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limit time.Duration) *awaited {
	a := &awaited{ReadCloser: body, ctx: ctx, cancel: cancel, limit: limit}
	a.timer = time.AfterFunc(limit, func() { cancel(errReadStalled) })
	a.timer.Stop()
	return a
}

func (a *awaited) Read(p []byte) (int, error) {
	a.timer.Reset(a.limit)
	n, err := a.ReadCloser.Read(p)
	a.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(a.ctx), errReadStalled) {
		err = errReadStalled
	}
	return n, err
}

func (a *awaited) Close() error {
	a.timer.Stop()
	err := a.ReadCloser.Close()
	a.cancel(nil)
	return err
}

// moving is a connection on which a write fails when for the limit not a byte of it is taken. One that goes on takes its time.
type moving struct {
	net.Conn
	limit time.Duration

	mu    sync.Mutex
	given time.Time // deadline that the owner of the connection has set for writes
}

func (m *moving) Write(p []byte) (n int, err error) {
	for {
		if err := m.moveOn(); err != nil {
			return n, err
		}
		taken, err := m.Conn.Write(p[n:])
		n += taken
		if err == nil || taken == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// moveOn sets the deadline of the next write.
func (m *moving) moveOn() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := time.Now().Add(m.limit)
	if !m.given.IsZero() && m.given.Before(next) {
		next = m.given
	}
	return m.Conn.SetWriteDeadline(next)
}

func (m *moving) SetWriteDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given = t
	return m.Conn.SetWriteDeadline(t)
}

func (m *moving) SetDeadline(t time.Time) error {
	if err := m.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	return m.SetWriteDeadline(t)
}
