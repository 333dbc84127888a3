package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

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
	offset int64         // bytes of the log that were sent
	event  job.EventMark // of the stream of events
	status string        // last status and reason sent
	reason string
	done   int // last progress sent
	total  int
}

func (m mark) String() string {
	return fmt.Sprintf("%d_%s_%s_%d_%d_%d_%d", m.offset, m.status, strings.ReplaceAll(m.reason, "_", "-"), m.done, m.total,
		m.event.Tx, m.event.Seq)
}

// markOf reads an event's id. One that is not ours begins from the start.
func markOf(s string) (m mark, ok bool) {
	parts := strings.Split(s, "_")
	if len(parts) != 7 {
		return m, false
	}
	var errs [5]error
	m.offset, errs[0] = strconv.ParseInt(parts[0], 10, 64)
	m.status, m.reason = parts[1], strings.ReplaceAll(parts[2], "-", "_")
	m.done, errs[1] = strconv.Atoi(parts[3])
	m.total, errs[2] = strconv.Atoi(parts[4])
	m.event.Tx, errs[3] = strconv.ParseInt(parts[5], 10, 64)
	m.event.Seq, errs[4] = strconv.ParseInt(parts[6], 10, 64)
	if errors.Join(errs[:]...) != nil || m.offset < 0 {
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
	if resumed {
		end, err := d.server.Feed.Events.LatestEvent(ctx)
		if err != nil {
			return nil, err
		}
		if m.event.Behind(end) { // of a database that is there no more: no event would ever come after it
			m, resumed = mark{offset: m.offset}, false
		}
	}
	if resumed && j.Status.Final() && m.status == statusWord(j, c.Time) {
		rest, err := d.server.Jobs.Logs.Behind(ctx, j.AccountID, j.ID, m.offset)
		if err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			// All has been told. 204 is how an EventSource is told to stop asking.
			return &streamReply{func(hc huma.Context) { hc.SetStatus(http.StatusNoContent) }}, nil
		}
	}
	return &streamReply{func(hc huma.Context) {
		f := &follower{sse: d.eventStream(ctx, c, api.Gin(hc)), d: d, mark: m, told: resumed}
		defer f.out.Done()
		waiting, cancel := d.untilClosing(ctx)
		defer cancel()
		c.ended(waiting, d.server.Jobs.WatchLog(waiting, c.Actor, in.ID, func(j job.Job) (bool, error) { return f.see(waiting, j) }))
	}}, nil
}

// follower tells one listener about one job.
type follower struct {
	sse
	d      *door
	mark   mark
	told   bool      // the present status was sent: what follows is what the stream of events says
	looked bool      // the first look is behind us
	change int64     // of the row at the last look
	state  job.Job   // as the last event left it
	since  time.Time // the row has been final without an event that says so

	reported  *job.Progress // what the program told last and was not sent yet
	byProgram bool          // the program tells how far it is, so its steps are not counted
}

// patience is how long the end of a job is waited for in the stream of events, when the row has it already: another
// transaction that stays open holds the stream up.
const patience = 5 * time.Second

// see sends what is new. The present status comes first; a later one that is final comes after the last line of the
// log. Statuses come from the stream of events, because a row shows only the last of several that followed fast.
func (f *follower) see(ctx context.Context, j job.Job) (more bool, err error) {
	if err := f.signedIn(); err != nil {
		return false, err
	}
	first, fresh := !f.looked, !f.told
	f.looked = true
	states, err := f.states(ctx, j)
	if err != nil {
		return false, err
	}
	end := f.mark.event
	for _, s := range states {
		f.state, end = s.Job, s.at
		if s.Status.Final() && !fresh {
			break // told last, so until then the mark is before it
		}
		f.mark.event = s.at
		if err := f.status(s.Job); err != nil {
			return false, err
		}
	}
	final := f.state.Status.Final()
	if first || len(states) > 0 || j.Change != f.change || final || f.reported != nil {
		if err := f.progress(ctx, j); err != nil {
			return false, err
		}
	}
	f.change = j.Change
	if err := f.log(ctx, f.state); err != nil {
		return false, err
	}
	f.mark.event = end
	if err := f.status(f.state); err != nil { // also a pause that is over, which no event tells
		return false, err
	}
	if err := f.alive(); err != nil {
		return false, err
	}
	f.out.Flush()
	return !final, nil
}

// moment is the job as it stood after the event at a mark.
type moment struct {
	job.Job
	at job.EventMark
}

// states lists the job as it stood after each of its changes since the last look. The first look of a listener who
// does not resume gives the present state only.
func (f *follower) states(ctx context.Context, j job.Job) ([]moment, error) {
	feed := f.d.server.Feed.Events
	if !f.told {
		f.told = true
		return f.present(ctx, j)
	}
	events, upTo, err := feed.Events(ctx, control.EventQuery{
		Scope: job.Scope{AccountID: j.AccountID}, Job: j.ID, After: f.mark.event,
	})
	if err != nil {
		return nil, err
	}
	var states []moment
	for _, e := range events {
		if e.Kind == job.EventProgress {
			if err := f.report(e); err != nil {
				return nil, err
			}
		}
		if e.Kind != job.EventStatus {
			continue
		}
		s, err := stateOf(j, e)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	if len(states) == 0 {
		f.mark.event = upTo
	}
	if len(states) == 0 && f.state.ID == "" { // resumed, and nothing happened since
		if states, err = f.present(ctx, j); err != nil {
			return nil, err
		}
	}
	return f.impatient(j, states), nil
}

// present is the job as the newest event left it, from which on events are read.
func (f *follower) present(ctx context.Context, j job.Job) ([]moment, error) {
	feed := f.d.server.Feed.Events
	last, found, err := feed.LastStatus(ctx, j.AccountID, j.ID)
	if err != nil {
		return nil, err
	}
	if !found { // the events were deleted since, or can not be read yet
		end, err := feed.LatestEvent(ctx)
		return []moment{{j, end}}, err
	}
	s, err := stateOf(j, last)
	return []moment{s}, err
}

// impatient adds the row's own state when it is final and no event says so for long.
func (f *follower) impatient(j job.Job, states []moment) []moment {
	if !j.Status.Final() || (len(states) > 0 && states[len(states)-1].Status.Final()) {
		return states
	}
	if f.since.IsZero() {
		f.since = time.Now()
	}
	if time.Since(f.since) < patience {
		return states
	}
	return append(states, moment{j, f.mark.event})
}

// stateOf is the job as an event left it.
func stateOf(j job.Job, e job.Event) (moment, error) {
	var change job.StatusChange
	if err := json.Unmarshal([]byte(e.Data), &change); err != nil {
		return moment{}, job.Wrap(err, job.Internal, job.WordInternal, "An event can not be read")
	}
	return moment{change.Onto(j), e.At}, nil
}

func (f *follower) status(j job.Job) error {
	word := statusWord(j, f.d.server.Now())
	if word == f.mark.status && string(j.Reason) == f.mark.reason {
		return nil
	}
	f.mark.status, f.mark.reason = word, string(j.Reason)
	return f.event("status", statusEvent{ID: string(j.ID), Status: word, Reason: string(j.Reason)})
}

// report takes notice of how far the program says it is.
func (f *follower) report(e job.Event) error {
	var change job.ProgressChange
	if err := json.Unmarshal([]byte(e.Data), &change); err != nil {
		return job.Wrap(err, job.Internal, job.WordInternal, "An event can not be read")
	}
	if change.Progress != (job.Progress{}) {
		f.reported, f.byProgram = &change.Progress, true
	}
	return nil
}

// progress sends how far the program says it is or, of one that does not say, counts the steps that are over. Steps may
// be ahead of the status that was told last, so none is counted before RUNNING was told.
func (f *follower) progress(ctx context.Context, j job.Job) error {
	if p := f.reported; p != nil {
		f.reported = nil
		return f.sendProgress(progressEvent{Step: p.Step, Done: int(p.Done), Total: int(p.Total)})
	}
	if !f.state.Taken || f.state.Reason == job.ReasonInitializing || f.byProgram {
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
	return f.sendProgress(p)
}

func (f *follower) sendProgress(p progressEvent) error {
	if p.Done == f.mark.done && p.Total == f.mark.total {
		return nil
	}
	f.mark.done, f.mark.total = p.Done, p.Total
	return f.event("progress", p)
}

// log sends the lines that are new. The last one waits for its end, unless the job has come to its own.
func (f *follower) log(ctx context.Context, j job.Job) error {
	lines := &lineEvents{f: f, from: f.mark.offset}
	_, err := f.d.copyLog(ctx, j, f.mark.offset, func(from int64) (io.Writer, error) {
		if from == lines.from+int64(len(lines.held)) {
			return lines, nil
		}
		err := lines.last() // what follows it is gone
		lines.from = from
		return lines, err
	})
	if err == nil && j.Status.Final() {
		err = lines.last()
	}
	return err
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

// last sends a line that has no end.
func (l *lineEvents) last() error {
	if len(l.held) == 0 {
		return nil
	}
	err := l.line(l.held, len(l.held))
	l.held = l.held[:0]
	return err
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
	return f.sse.event(f.mark.String(), name, data)
}
