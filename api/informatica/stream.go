package informatica

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"waybill/api"
	"waybill/internal/job"
)

// pieceRuns is how many runs are in memory with their steps, of which each may have a thousand.
const pieceRuns = 20

// stream answers with an entry for each run of jobs and of what next gives until it gives none, a piece at a time. What fails before the first
// piece is the error; afterwards the reply is broken off.
func (c *call) stream(
	ctx context.Context, jobs []job.Job, next func() ([]job.Job, error), steps bool, entry func(surroundings, job.Job) any,
) (streamed, error) {
	s, err := c.around(ctx, jobs, false)
	if err != nil {
		return nil, err
	}
	piece := func(jobs []job.Job) (entries []any, err error) {
		if steps {
			if s.steps, err = c.door.server.Jobs.StepsOf(ctx, c.Actor, jobs); err != nil {
				return nil, err
			}
		}
		for _, j := range jobs {
			entries = append(entries, entry(s, j))
		}
		return entries, nil
	}
	first, err := piece(jobs[:min(len(jobs), pieceRuns)])
	if err != nil {
		return nil, err
	}
	return func(c *call) {
		out := c.list()
		out.add(first)
		for jobs = jobs[min(len(jobs), pieceRuns):]; out.err == nil; {
			for some := range slices.Chunk(jobs, pieceRuns) {
				entries, err := piece(some)
				c.breakOff(err)
				if out.add(entries); out.err != nil {
					break
				}
			}
			if out.err != nil {
				break
			}
			var err error
			if jobs, err = next(); err == nil && len(jobs) > 0 {
				s, err = c.around(ctx, jobs, false)
			}
			c.breakOff(err)
			if len(jobs) == 0 {
				break
			}
		}
		c.breakOff(out.bad)
		out.end()
	}, nil
}

// breakOff ends a reply that has begun because of an error: a part of the list must not look like all of it.
func (c *call) breakOff(err error) {
	if err != nil {
		if c.HTTP.Context().Err() == nil { // else the client is gone
			c.Blame(err)
		}
		panic(http.ErrAbortHandler)
	}
}

// listWriter writes a list piece by piece.
type listWriter struct {
	c     *call
	out   *api.Stream // gives up a client that takes nothing
	begun bool
	err   error // why nothing more is written
	bad   error // it is an entry that can not be written, and not that the client is gone
}

func (c *call) list() *listWriter {
	c.gin.Header("Content-Type", c.as.contentType())
	c.gin.Status(http.StatusOK)
	w := &listWriter{c: c, out: api.NewStream(c.gin.Writer)}
	if c.as == asXML {
		w.write([]byte(xmlHead + "<" + listElement + ">"))
	} else {
		w.write([]byte("["))
	}
	return w
}

func (w *listWriter) write(text []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(text)
	}
}

func (w *listWriter) add(entries []any) {
	for _, e := range entries {
		text, err := json.Marshal(e)
		var out bytes.Buffer
		switch {
		case err != nil:
		case w.c.as == asXML:
			err = toXML(&out, text)
		default:
			if w.begun {
				_ = out.WriteByte(',')
			}
			_, _ = out.Write(text)
		}
		if err != nil {
			w.err, w.bad = err, err
			return
		}
		w.begun = true
		w.write(out.Bytes())
	}
}

func (w *listWriter) end() {
	defer w.out.Done()
	if w.c.as == asXML {
		w.write([]byte("</" + listElement + ">"))
		return
	}
	w.write([]byte("]\n"))
}
