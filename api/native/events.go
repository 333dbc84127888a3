package native

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/job"
)

// A comment at least this often tells both ends, and the proxies between them, that the stream is alive (native.md, 8).
const commentEvery = 15 * time.Second

// maxEventLine bounds one log event; a longer line comes in pieces.
const maxEventLine = 64 << 10 // bytes

type (
	statusEvent struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}
	progressEvent struct {
		Step  string `json:"step"`
		Done  int    `json:"done"`
		Total int    `json:"total"`
	}
	logEvent struct {
		Line string `json:"line"`
	}
)

// mark is how far a listener has come. Every event's id holds the whole of it, so that any server can go on from any
// event: nothing is kept for a listener who is away.
type mark struct {
	offset int64  // bytes of the log that were sent
	status string // last status and reason sent
	reason string
	done   int // last progress sent
	total  int
}

func (m mark) String() string {
	return fmt.Sprintf("%d_%s_%s_%d_%d", m.offset, m.status, strings.ReplaceAll(m.reason, "_", "-"), m.done, m.total)
}

// markOf reads an event's id. One that is not ours begins from the start.
func markOf(s string) (m mark, ok bool) {
	parts := strings.Split(s, "_")
	if len(parts) != 5 {
		return m, false
	}
	var err1, err2, err3 error
	m.offset, err1 = strconv.ParseInt(parts[0], 10, 64)
	m.status, m.reason = parts[1], strings.ReplaceAll(parts[2], "-", "_")
	m.done, err2 = strconv.Atoi(parts[3])
	m.total, err3 = strconv.Atoi(parts[4])
	if err1 != nil || err2 != nil || err3 != nil || m.offset < 0 {
		return mark{}, false
	}
	return m, true
}

func (d *door) events(ctx context.Context, in *eventsInput) (*streamReply, error) {
	c := d.call(ctx)
	j, err := d.server.Jobs.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	m, resumed := markOf(in.LastEventID)
	if resumed && j.Status.Final() && m.status == statusWord(j, c.Time) {
		size, err := d.server.Jobs.Logs.Size(ctx, j.AccountID, j.ID)
		if err != nil {
			return nil, err
		}
		if m.offset >= size {
			// All has been told. 204 is how an EventSource is told to stop asking.
			return &streamReply{func(hc huma.Context) { hc.SetStatus(http.StatusNoContent) }}, nil
		}
	}
	return &streamReply{func(hc huma.Context) {
		g := api.Gin(hc)
		g.Header("Content-Type", "text/event-stream")
		g.Header("X-Accel-Buffering", "no")
		f := &follower{d: d, c: c, out: api.NewStream(g.Writer), mark: m}
		defer f.out.Done()
		f.out.Flush()
		waiting, cancel := d.untilClosing(ctx)
		defer cancel()
		err := d.server.Jobs.Watch(waiting, c.Actor, in.ID, nil, func(j job.Job) (bool, error) { return f.see(waiting, j) })
		if err != nil && waiting.Err() == nil {
			c.Blame(err) // the listener comes back with the last id
		}
	}}, nil
}

// follower tells one listener about one job.
type follower struct {
	d      *door
	c      call
	out    *api.Stream
	mark   mark
	told   bool      // the first look is behind us
	change int64     // of the row at the last look
	last   time.Time // something was sent
}

// see sends what is new. The present status comes first; a later one that is final comes after the last line of the
// log.
func (f *follower) see(ctx context.Context, j job.Job) (more bool, err error) {
	final := j.Status.Final()
	first := !f.told
	f.told = true
	if first || !final {
		if err := f.status(j); err != nil {
			return false, err
		}
	}
	if first || j.Change != f.change || final {
		if err := f.progress(ctx, j); err != nil {
			return false, err
		}
	}
	f.change = j.Change
	if err := f.log(ctx, j); err != nil {
		return false, err
	}
	if err := f.status(j); err != nil {
		return false, err
	}
	if time.Since(f.last) >= commentEvery {
		if err := f.send(": alive\n\n"); err != nil {
			return false, err
		}
	}
	f.out.Flush()
	return !final, nil
}

func (f *follower) status(j job.Job) error {
	word := statusWord(j, f.d.server.Now())
	if word == f.mark.status && string(j.Reason) == f.mark.reason {
		return nil
	}
	f.mark.status, f.mark.reason = word, string(j.Reason)
	return f.event("status", statusEvent{ID: string(j.ID), Status: word, Reason: string(j.Reason)})
}

// progress counts the steps that are over.
func (f *follower) progress(ctx context.Context, j job.Job) error {
	if !j.Taken {
		return nil
	}
	steps, err := f.d.server.Jobs.Reader.Steps(ctx, j.AccountID, j.ID)
	if err != nil || len(steps) == 0 {
		return err
	}
	p := progressEvent{Step: steps[len(steps)-1].Name, Total: len(steps)}
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Status.Final() {
			p.Done++
		} else {
			p.Step = steps[i].Name
		}
	}
	if p.Done == f.mark.done && p.Total == f.mark.total {
		return nil
	}
	f.mark.done, f.mark.total = p.Done, p.Total
	return f.event("progress", p)
}

// log sends the lines that are new. The last one waits for its end, unless the job has come to its own.
func (f *follower) log(ctx context.Context, j job.Job) error {
	lines := &lineEvents{f: f, from: f.mark.offset}
	if _, err := f.d.copyLog(ctx, lines, j, f.mark.offset); err != nil {
		return err
	}
	if j.Status.Final() && len(lines.held) > 0 {
		return lines.line(lines.held, len(lines.held))
	}
	return nil
}

// lineEvents cuts a log into events.
type lineEvents struct {
	f    *follower
	from int64 // place of the first byte of held
	held []byte
}

func (l *lineEvents) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			l.held = append(l.held, rest...)
			rest = nil
		} else {
			l.held = append(l.held, rest[:end]...)
			rest = rest[end+1:]
		}
		if err := l.pieces(); err != nil {
			return 0, err
		}
		if end >= 0 {
			if err := l.line(l.held, len(l.held)+1); err != nil {
				return 0, err
			}
			l.held = l.held[:0]
		}
	}
	return len(p), nil
}

// pieces sends what is longer than an event may be, cut between characters.
func (l *lineEvents) pieces() error {
	for len(l.held) > maxEventLine {
		cut := maxEventLine
		for cut > maxEventLine-utf8.UTFMax && !utf8.RuneStart(l.held[cut]) {
			cut--
		}
		if err := l.line(l.held[:cut], cut); err != nil {
			return err
		}
		l.held = append(l.held[:0], l.held[cut:]...)
	}
	return nil
}

// line sends an event; size is what it takes up in the log.
func (l *lineEvents) line(text []byte, size int) error {
	l.from += int64(size)
	l.f.mark.offset = l.from
	return l.f.event("log", logEvent{Line: strings.ToValidUTF8(string(bytes.TrimSuffix(text, []byte{'\r'})), "\uFFFD")})
}

// event sends an event with the mark as its id.
func (f *follower) event(name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return f.send("id: " + f.mark.String() + "\nevent: " + name + "\ndata: " + string(text) + "\n\n")
}

func (f *follower) send(text string) error {
	f.last = time.Now()
	_, err := f.out.Write([]byte(text))
	return err
}
