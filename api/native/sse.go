package native

import (
	"encoding/json"
	"time"

	"github.com/gin-gonic/gin"

	"waybill/api"
)

// A comment at least this often tells both ends, and the proxies between them, that the stream is alive (native.md, 8).
const commentEvery = 15 * time.Second

// sse is a reply of server-sent events.
type sse struct {
	out  *api.Stream
	last time.Time // something was sent
}

// eventStream begins one.
func (d *door) eventStream(g *gin.Context) sse {
	g.Header("Content-Type", "text/event-stream")
	g.Header("X-Accel-Buffering", "no")
	s := sse{out: api.NewStream(g.Writer)}
	s.out.Flush()
	return s
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
