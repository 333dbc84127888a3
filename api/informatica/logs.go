package informatica

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"time"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// sessionLog gives the log of a run or, for a step, the lines that were written while it went on: programs write one log.
func (d *door) sessionLog(ctx context.Context, c *call, in *sessionLogQuery, _ *none) (streamed, error) {
	item, err := number("itemId", in.ItemID, 1)
	if err != nil {
		return nil, err
	}
	j, err := c.ended(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := control.HasLog(j); err != nil {
		return nil, err
	}
	var from, to time.Time
	if item > 0 {
		steps, err := d.server.Jobs.Steps(ctx, c.Actor, in.ID)
		if err != nil {
			return nil, err
		}
		if item > int64(len(steps)) {
			return nil, job.Errorf(job.NotFound, job.WordNotFound, "Run %s has no item %d", j.ID, item)
		}
		from, to = steps[item-1].StartedAt, steps[item-1].FinishedAt
	}
	view, err := d.server.Jobs.Logs.View(ctx, j.AccountID, j.ID, 0)
	if err != nil {
		return nil, err
	}
	if item == 0 {
		return func(c *call) { // a range, too
			c.gin.Header("Content-Type", "text/plain; charset=utf-8")
			d.server.ServeContent(c.gin, api.Content{Size: view.Size, Open: func(offset, length int64) (io.ReadCloser, error) {
				return view.Open(ctx, offset, length)
			}})
		}, nil
	}
	text, err := view.Open(ctx, 0, -1)
	if err != nil {
		return nil, err
	}
	return func(c *call) {
		defer func() { _ = text.Close() }() // it was only read
		c.gin.Header("Content-Type", "text/plain; charset=utf-8")
		c.gin.Status(http.StatusOK)
		stream := api.NewStream(c.gin.Writer)
		defer stream.Done()
		c.brokenOff(ctx, copyBetween(stream, text, from, to))
	}, nil
}

// brokenOff ends a reply that can not be completed so that nobody takes it for the whole.
func (c *call) brokenOff(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		c.Blame(err)
		panic(http.ErrAbortHandler)
	}
}

// stampLayout is how lines of logs begin.
const stampLayout = "2006-01-02T15:04:05.000Z"

// copyBetween copies the lines whose stamps lie between two times, both included; lines have milliseconds only.
func copyBetween(out io.Writer, in io.Reader, from, to time.Time) error {
	from = from.Truncate(time.Millisecond)
	lines := bufio.NewReaderSize(in, 64<<10)
	within := false
	for begin := true; ; {
		line, err := lines.ReadSlice('\n')
		if begin && len(line) >= len(stampLayout) {
			if at, bad := time.Parse(stampLayout, string(line[:len(stampLayout)])); bad == nil {
				within = !at.Before(from) && (to.IsZero() || !at.After(to))
			}
		}
		if within {
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		begin = err == nil
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// errorPage is how many failed records are read at once.
const errorPage = 500

func (d *door) errorLog(ctx context.Context, c *call, in *entryPath, _ *none) (streamed, error) {
	if _, err := c.ended(ctx, in.ID); err != nil {
		return nil, err
	}
	q := job.Query{Size: errorPage, Keyset: true, Sort: []job.Sort{{Property: "occurred"}}}
	list, err := d.server.Jobs.Errors(ctx, c.Actor, in.ID, q)
	if err != nil {
		return nil, err
	}
	return func(c *call) {
		c.gin.Header("Content-Type", "text/csv; charset=utf-8")
		c.gin.Header("Content-Disposition", `attachment; filename="errors-`+in.ID+`.csv"`)
		c.gin.Status(http.StatusOK)
		stream := api.NewStream(c.gin.Writer)
		defer stream.Done()
		out := csv.NewWriter(stream)
		err := out.Write([]string{"recordId", "step", "code", "message"})
		for err == nil {
			for _, e := range list.Items {
				err = errors.Join(err, out.Write([]string{control.PlainCell(e.RecordID), control.PlainCell(e.Step), control.PlainCell(e.Code), control.PlainCell(e.Message)}))
			}
			if !list.More || err != nil {
				break
			}
			q.After = list.Next
			list, err = d.server.Jobs.Errors(ctx, c.Actor, in.ID, q)
		}
		out.Flush()
		c.brokenOff(ctx, errors.Join(err, out.Error()))
	}, nil
}
