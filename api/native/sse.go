package native

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/gin-gonic/gin"

	"waybill/api"
	"waybill/internal/job"
)

// A comment at least this often tells both ends, and the proxies between them, that the stream is alive (native.md, 8).
const commentEvery = 15 * time.Second

// sse is a reply of server-sent events.
type sse struct {
	out      *api.Stream
	last     time.Time    // something was sent
	signedIn func() error // tells now and then whether the caller still is
}

// eventStream begins one.
func (d *door) eventStream(ctx context.Context, c call, g *gin.Context) sse {
	g.Header("Content-Type", "text/event-stream")
	g.Header("X-Accel-Buffering", "no")
	s := sse{out: api.NewStream(g.Writer), signedIn: d.signedIn(ctx, c)}
	s.out.Flush()
	return s
}

// signedIn gives what looks, as often as comments are sent, whether the caller's token or key still counts, and sees as much as it did:
// a stream has no end of its own, and would outlive a logout or a policy that is taken away. The listener comes back and is told
// 401, or what there is to see now. That it can not be looked up is no reason to end anything.
func (d *door) signedIn(ctx context.Context, c call) func() error {
	looked := c.Time
	return func() error {
		now := d.server.Now()
		if now.Sub(looked) < commentEvery {
			return nil
		}
		looked = now
		again := api.Request{HTTP: c.HTTP, Address: c.Address}
		switch err := d.identify(ctx, &again, bearer); {
		case job.CodeOf(err) == job.Unauthenticated:
			return err
		case err == nil && (!again.Actor.Allows(job.View) || !reflect.DeepEqual(again.Actor.Scope(), c.Actor.Scope())):
			return job.Errorf(job.Forbidden, job.WordAccessDenied, "What the caller may see has changed")
		}
		return nil
	}
}

// ended notes why a stream ended, unless the listener is the reason.
func (c call) ended(waiting context.Context, err error) {
	if err != nil && waiting.Err() == nil && job.CodeOf(err) != job.Unauthenticated && job.CodeOf(err) != job.Forbidden {
		c.Blame(err) // the listener comes back with the last id
	}
}

// event sends an event.
func (s *sse) event(id, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.send("id: " + id + "\nevent: " + name + "\ndata: " + string(text) + "\n\n")
}

// alive sends a comment when nothing was sent for long.
func (s *sse) alive() error {
	if time.Since(s.last) < commentEvery {
		return nil
	}
	return s.send(": alive\n\n")
}

func (s *sse) send(text string) error {
	s.last = time.Now()
	_, err := s.out.Write([]byte(text))
	return err
}
