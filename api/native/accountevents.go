package native

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

type accountEventsInput struct {
	JobConfigID string `query:"jobconfigid" doc:"Only jobs of this job config; either form of its id"`
	JobID       string `query:"jobid" doc:"Only this job"`
	LastEventID string `header:"Last-Event-ID" doc:"Goes on behind this event, without loss or repeats; without it the stream begins now"`
}

// What the events of the account-wide stream carry. jobEvent is common to all.
type (
	jobEvent struct {
		ID          string `json:"id" doc:"Of the job"`
		Time        string `json:"time" doc:"RFC 3339 in UTC, with microseconds"`
		JobConfigID string `json:"jobConfigId,omitempty"`
	}
	jobStatusEvent struct {
		jobEvent
		Status     string `json:"status"`
		Reason     string `json:"reason,omitempty"`
		Attempt    int    `json:"attempt,omitempty"`
		ReturnCode string `json:"returnCode,omitempty"`
		ServerID   string `json:"serverId,omitempty"`
	}
	jobResolvedEvent struct {
		jobEvent
		ResolvedByJob  string `json:"resolvedByJob,omitempty" doc:"The retry that completed the job's result"`
		RetryJob       string `json:"retryJob,omitempty" doc:"The retry whose end resolved record errors of the job"`
		ErrorsOpen     int64  `json:"errorsOpen"`
		ErrorsResolved int64  `json:"errorsResolved"`
	}
	jobProgressEvent struct {
		jobEvent
		Progress json.RawMessage `json:"progress"`
	}
	// gapEvent tells a listener who was away for too long that some of what it missed is not kept any more.
	gapEvent struct {
		Message string `json:"message"`
	}
)

const eventTime = "2006-01-02T15:04:05.000000Z"

// streamMark is the id of an event of the account-wide stream: its place, and when that was, in Unix seconds.
type streamMark struct {
	job.EventMark
	seconds int64
}

func (m streamMark) String() string { return fmt.Sprintf("%d-%d-%d", m.Tx, m.Seq, m.seconds) }

func streamMarkOf(s string) (m streamMark, err error) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return m, invalid("Last-Event-ID is not the id of an event of this stream")
	}
	for i, to := range []*int64{&m.Tx, &m.Seq, &m.seconds} {
		if *to, err = strconv.ParseInt(parts[i], 10, 64); err != nil {
			return m, invalid("Last-Event-ID is not the id of an event of this stream")
		}
	}
	return m, nil
}

func (d *door) accountEvents(ctx context.Context, in *accountEventsInput) (*streamReply, error) {
	c := d.call(ctx)
	q, err := d.eventQuery(ctx, c, in)
	if err != nil {
		return nil, err
	}
	now := d.server.Now()
	gap := ""
	if q.After, gap, err = d.resume(ctx, in.LastEventID, now); err != nil {
		return nil, err
	}
	return &streamReply{func(hc huma.Context) {
		s := &accountStream{sse: d.eventStream(ctx, c, api.Gin(hc)), d: d, at: streamMark{q.After, now.Unix()}, gap: gap}
		defer s.out.Done()
		waiting, cancel := d.untilClosing(ctx)
		defer cancel()
		c.ended(waiting, d.server.Feed.Follow(waiting, c.Actor, q, s.see))
	}}, nil
}

// resume finds the place behind which a stream goes on, and what the listener must be told of it.
func (d *door) resume(ctx context.Context, id string, now time.Time) (after job.EventMark, gap string, err error) {
	var m streamMark
	if id != "" {
		if m, err = streamMarkOf(id); err != nil {
			return after, "", err
		}
	}
	end, err := d.server.Feed.Events.LatestEvent(ctx)
	switch {
	case err != nil || id == "":
		return end, "", err
	case m.Behind(end): // of a database that is there no more; taken as it is, the listener would never hear anything
		return end, "The stream has not come to this place; read the jobs anew", nil
	case d.server.EventsKept > 0 && time.Unix(m.seconds, 0).Before(now.Add(-d.server.EventsKept)):
		gap = "Events older than " + shortDuration(d.server.EventsKept) + " are not kept; read the jobs anew"
	}
	return m.EventMark, gap, nil
}

// eventQuery reads what of the account's stream is asked for.
func (d *door) eventQuery(ctx context.Context, c call, in *accountEventsInput) (q control.EventQuery, err error) {
	if in.JobID != "" {
		j, err := d.server.Jobs.Get(ctx, c.Actor, in.JobID)
		if err != nil {
			return q, err
		}
		q.Job = j.ID
	}
	if in.JobConfigID != "" {
		config, err := d.server.Configs.Get(ctx, c.Actor, in.JobConfigID)
		if err != nil {
			return q, err
		}
		q.Of = config.ID
	}
	return q, nil
}

// accountStream tells one listener about the jobs of an account.
type accountStream struct {
	sse
	d     *door
	at    streamMark
	begun bool
	gap   string // to be told first
}

// see sends a batch of events. How far the stream was looked through is told even when nothing in it was for this
// listener: an id without data reaches an EventSource as its last id and as nothing else.
func (s *accountStream) see(events []job.Event, upTo job.EventMark) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if s.gap != "" {
		if err := s.event(s.at.String(), "gap", gapEvent{s.gap}); err != nil {
			return err
		}
		s.gap = ""
	}
	for _, e := range events {
		s.at = streamMark{e.At, e.Time.Unix()}
		if err := s.tell(e); err != nil {
			return err
		}
	}
	s.at = streamMark{upTo, s.d.server.Now().Unix()}
	if !s.begun || time.Since(s.last) >= commentEvery {
		s.begun = true
		if err := s.send(": alive\nid: " + s.at.String() + "\n\n"); err != nil {
			return err
		}
	}
	s.out.Flush()
	return nil
}

// tell sends one event. A kind that this version does not know is passed over.
func (s *accountStream) tell(e job.Event) error {
	about := jobEvent{ID: string(e.JobID), Time: e.Time.UTC().Format(eventTime)}
	switch e.Kind {
	case job.EventStatus:
		var change job.StatusChange
		if err := json.Unmarshal([]byte(e.Data), &change); err != nil {
			return err
		}
		about.JobConfigID = shownID(change.ConfigID)
		// As it was then: a pause that is over by now was one.
		return s.event(s.at.String(), "status", jobStatusEvent{
			jobEvent: about, Status: statusWord(change.Onto(job.Job{}), e.Time), Reason: string(change.Reason),
			Attempt: change.Attempt, ReturnCode: returnCode(change.ReturnCode), ServerID: change.Worker,
		})
	case job.EventResolved:
		var r job.Resolution
		if err := json.Unmarshal([]byte(e.Data), &r); err != nil {
			return err
		}
		return s.event(s.at.String(), "resolved", jobResolvedEvent{
			about, string(r.By), string(r.RetryJob), r.ErrorsOpen, r.ErrorsResolved,
		})
	case job.EventProgress:
		return s.event(s.at.String(), "progress", jobProgressEvent{about, json.RawMessage(e.Data)})
	}
	return nil
}
