package native

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	_ "time/tzdata" // zones by name, on machines without a time zone database too

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

type (
	logInput struct {
		JobPath
		ZoneID string `query:"zoneid" doc:"Zone of the time stamps, such as Europe/Paris; UTC if not given"`
		Follow flag   `query:"follow" doc:"true: go on until the job ends; waits while it is queued"`
	}
	eventsInput struct {
		JobPath
		LastEventID string `header:"Last-Event-ID" doc:"Goes on behind this event, without loss or repeats"`
	}
)

func (d *door) followRoutes() {
	tags := []string{"Jobs"}
	operation(d, bearer, binary(huma.Operation{
		Method: "GET", Path: "/jobs/{id}/log", Summary: "Read or follow the log of a job", Tags: tags,
	}, "application/octet-stream"), d.log)
	operation(d, bearer, binary(huma.Operation{
		Method: "GET", Path: "/jobs/{id}/events", Summary: "Follow a job by server-sent events: status, progress, log", Tags: tags,
	}, "text/event-stream"), d.events)
	operation(d, bearer, binary(huma.Operation{
		Method: "GET", Path: "/events", Tags: tags,
		Summary: "Follow the jobs of the account by server-sent events: status, progress, resolved",
	}, "text/event-stream"), d.accountEvents)
}

func (d *door) log(ctx context.Context, in *logInput) (*streamReply, error) {
	c := d.call(ctx)
	zone, err := zoneParam(in.ZoneID)
	if err != nil {
		return nil, err
	}
	follow, err := boolParam("follow", in.Follow)
	if err != nil {
		return nil, err
	}
	j, err := d.server.Jobs.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	if err := control.HasLog(j); err != nil {
		return nil, err
	}
	if follow {
		return &streamReply{func(hc huma.Context) { d.followLog(ctx, c, api.Gin(hc), in.ID, zone) }}, nil
	}
	size, err := d.server.Jobs.Logs.Size(ctx, j.AccountID, j.ID)
	if err != nil {
		return nil, err
	}
	text := logText{size: size, open: func(offset, length int64) (io.ReadCloser, error) {
		return d.server.Jobs.Logs.Open(ctx, j.AccountID, j.ID, offset, length)
	}}
	if j.Status.Final() { // it does not change any more
		text.tag = string(j.ID) + "-" + strconv.FormatInt(size, 10)
	}
	return &streamReply{func(hc huma.Context) { d.sendLog(ctx, api.Gin(hc), text, zone) }}, nil
}

// logText is a log, or a part of one, as it is now.
type logText struct {
	size int64
	tag  string // of a text that does not change any more
	open func(offset, length int64) (io.ReadCloser, error)
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

// sendLog answers with a log. A range is one of the bytes as they are stored, so a log with its stamps rewritten has none
// and is sent whole (RFC 9110, 14.2 allows it).
func (d *door) sendLog(ctx context.Context, c *gin.Context, log logText, zone *time.Location) {
	c.Header("Content-Type", "application/octet-stream")
	if zone == nil {
		if log.tag != "" {
			c.Header("ETag", `"`+log.tag+`"`)
		}
		d.server.ServeContent(c, api.Content{Size: log.size, Open: log.open})
		return
	}
	text, err := log.open(0, log.size)
	if err != nil {
		d.server.Fail(c, err)
		return
	}
	defer func() { _ = text.Close() }() // it was only read
	reply := api.NewStream(c.Writer)
	defer reply.Done()
	out := &restamper{out: reply, zone: zone}
	_, err = io.Copy(out, text)
	d.broken(ctx, errors.Join(err, out.Flush()))
}

// broken breaks a reply off that can not be finished, so that its reader does not take it for whole.
func (d *door) broken(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		api.RequestOf(ctx).Blame(err)
	}
	panic(http.ErrAbortHandler)
}

// followLog sends the log as it grows until the job is final.
func (d *door) followLog(ctx context.Context, c call, g *gin.Context, id string, zone *time.Location) {
	g.Header("Content-Type", "application/octet-stream")
	g.Header("X-Accel-Buffering", "no")
	out := api.NewStream(g.Writer)
	defer out.Done()
	out.Flush()
	stamps := &restamper{out: out, zone: zone}
	at := int64(0)
	waiting, cancel := d.untilClosing(ctx)
	defer cancel()
	err := d.server.Jobs.Watch(waiting, c.Actor, id, nil, func(j job.Job) (bool, error) {
		n, err := d.copyLog(waiting, stamps, j, at)
		at += n
		if err != nil {
			return false, err
		}
		if j.Status.Final() {
			err = stamps.Flush()
		}
		out.Flush()
		return !j.Status.Final(), err
	})
	d.broken(ctx, err)
}

// copyLog copies what the log has from offset on and tells how much that was.
func (d *door) copyLog(ctx context.Context, to io.Writer, j job.Job, offset int64) (int64, error) {
	if !j.Taken {
		return 0, nil
	}
	size, err := d.server.Jobs.Logs.Size(ctx, j.AccountID, j.ID)
	if err != nil || size <= offset {
		return 0, err
	}
	text, err := d.server.Jobs.Logs.Open(ctx, j.AccountID, j.ID, offset, size-offset)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, text)
	return n, errors.Join(err, text.Close())
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
