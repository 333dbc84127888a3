package native

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

type (
	logInput struct {
		JobPath
		LogQuery
		Follow  flag   `query:"follow" doc:"true: go on until the job ends; waits while it is queued"`
		Attempt string `query:"attempt" doc:"What that attempt wrote, from 1"`
	}
	// LogQuery is how much of a log is sent, and how it is shown.
	LogQuery struct {
		ZoneID string `query:"zoneid" doc:"Zone of the time stamps, such as Europe/Paris; UTC if not given"`
		Tail   string `query:"tail" doc:"The last lines only: how many"`
		Since  string `query:"since" doc:"Lines of that time and later only: a date, or a duration such as 15m or PT15M back from now"`
		ANSI   string `query:"ansi" enum:"keep,strip" doc:"strip: without the sequences that colour a terminal and move its cursor"`
		Format string `query:"format" enum:"raw,text,zip" doc:"text: as text/plain; zip: packed, as one file"`
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
	}, "application/octet-stream", "text/plain", "application/zip"), d.log)
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
	show, err := in.LogQuery.read(c.Time)
	if err != nil {
		return nil, err
	}
	follow, err := boolParam("follow", in.Follow)
	if err != nil {
		return nil, err
	}
	if in.Attempt != "" {
		if follow {
			return nil, invalid("follow and attempt can not be used together")
		}
		return d.oneAttempt(ctx, in.ID, in.Attempt, show)
	}
	j, err := d.server.Jobs.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	if err := control.HasLog(j); err != nil {
		return nil, err
	}
	if follow && show.format == formatZip {
		return nil, invalid("follow and format zip can not be used together")
	}
	view, err := d.server.Jobs.Logs.View(ctx, j.AccountID, j.ID, 0)
	if err != nil {
		return nil, err
	}
	if follow {
		from, err := show.from(ctx, view)
		if err != nil {
			return nil, err
		}
		place := int64(0)
		if from > 0 {
			place = view.Place(from)
		}
		return &streamReply{func(hc huma.Context) { d.followLog(ctx, c, api.Gin(hc), in.ID, place, show) }}, nil
	}
	return d.shownLog(ctx, logText{LogView: view, final: j.Status.Final(), name: "job-" + string(j.ID)}, show)
}

// oneAttempt answers with what one attempt wrote.
func (d *door) oneAttempt(ctx context.Context, id, number string, show logShow) (*streamReply, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, job.Errorf(job.NotFound, job.WordNotFound, "Attempt '%s' not found", cut(number))
	}
	j, a, err := d.server.Jobs.Attempt(ctx, d.call(ctx).Actor, id, n)
	if err != nil {
		return nil, err
	}
	view, err := d.server.Jobs.Logs.View(ctx, j.AccountID, j.ID, a.Fence)
	if err != nil {
		return nil, err
	}
	name := "job-" + string(j.ID) + "-attempt-" + strconv.Itoa(n)
	return d.shownLog(ctx, logText{LogView: view, final: !a.FinishedAt.IsZero(), name: name}, show)
}

// logText is a log, or a part of one.
type logText struct {
	control.LogView
	final bool   // it does not change any more
	name  string // of a file that holds it
}

func (d *door) shownLog(ctx context.Context, log logText, show logShow) (*streamReply, error) {
	from, err := show.from(ctx, log.LogView)
	if err != nil {
		return nil, err
	}
	return &streamReply{func(hc huma.Context) { d.sendLog(ctx, api.Gin(hc), log, from, show) }}, nil
}

// sendLog answers with a log. A range is one of the bytes as they are stored, so a log of which something is left out or
// rewritten has none and is sent whole (RFC 9110, 14.2 allows it); so is one that drops from its middle while it is read.
func (d *door) sendLog(ctx context.Context, c *gin.Context, log logText, from int64, show logShow) {
	c.Header("Content-Type", show.format.contentType())
	c.Header("Content-Disposition", `attachment; filename="`+log.name+show.format.ending()+`"`)
	if show.asStored() && (log.final || !log.Cut) {
		if log.final {
			c.Header("ETag", `"`+strings.TrimPrefix(log.name, "job-")+"-"+strconv.FormatInt(log.Size, 10)+`"`)
		}
		d.server.ServeContent(c, api.Content{Size: log.Size, Open: func(offset, length int64) (io.ReadCloser, error) {
			return log.Open(ctx, offset, length)
		}})
		return
	}
	text, err := log.Open(ctx, from, -1)
	if err != nil {
		d.server.Fail(c, err)
		return
	}
	defer func() { _ = text.Close() }() // it was only read
	reply := api.NewStream(c.Writer)
	defer reply.Done()
	out, end, err := show.format.writer(reply, log.name, d.server.Now())
	if err == nil {
		out := show.filter(out)
		_, err = io.Copy(out, text)
		err = errors.Join(err, out.Flush(), end())
	}
	d.broken(ctx, err)
}

// broken breaks a reply off that can not be finished, so that its reader does not take it for whole.
func (d *door) broken(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ctx.Err() == nil && job.CodeOf(err) != job.Unauthenticated { // whose token has ended comes back and is told so
		api.RequestOf(ctx).Blame(err)
	}
	panic(http.ErrAbortHandler)
}

// followLog sends the log as it grows, from a place on, until the job is final.
func (d *door) followLog(ctx context.Context, c call, g *gin.Context, id string, place int64, show logShow) {
	g.Header("Content-Type", show.format.contentType())
	g.Header("X-Accel-Buffering", "no")
	out := api.NewStream(g.Writer)
	defer out.Done()
	out.Flush()
	text := show.filter(out)
	waiting, cancel := d.untilClosing(ctx)
	defer cancel()
	signedIn := d.signedIn(ctx, c)
	err := d.server.Jobs.WatchLog(waiting, c.Actor, id, func(j job.Job) (more bool, err error) {
		if err := signedIn(); err != nil {
			return false, err
		}
		place, err = d.copyLog(waiting, j, place, func(int64) (io.Writer, error) { return text, nil })
		if err != nil {
			return false, err
		}
		if j.Status.Final() {
			err = text.Flush()
		}
		out.Flush()
		return !j.Status.Final(), err
	})
	d.broken(ctx, err)
}

// copyLog copies what the log has from a place on, each stretch to what to gives for its place, and tells the place behind.
func (d *door) copyLog(ctx context.Context, j job.Job, place int64, to func(from int64) (io.Writer, error)) (int64, error) {
	if !j.Taken {
		return place, nil
	}
	stretches, err := d.server.Jobs.Logs.Behind(ctx, j.AccountID, j.ID, place)
	for _, s := range stretches {
		out, err := to(s.From)
		if err != nil {
			return place, err
		}
		n, err := copyStretch(ctx, out, s)
		place = s.From + n
		if job.WordOf(err) == job.WordStale { // dropped while it was read: the next look goes on behind it
			return place, nil
		}
		if err != nil {
			return place, err
		}
	}
	return place, err
}

func copyStretch(ctx context.Context, to io.Writer, s control.LogStretch) (int64, error) {
	text, err := s.Open(ctx)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, text)
	return n, errors.Join(err, text.Close())
}
