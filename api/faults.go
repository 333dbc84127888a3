package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"waybill/internal/job"
)

// Words for what goes wrong before a use case is reached.
const (
	WordRouteNotFound        job.Word = "route_not_found"
	WordNotSupported         job.Word = "not_supported"
	WordMethodNotAllowed     job.Word = "method_not_allowed"
	WordUnsupportedMediaType job.Word = "unsupported_media_type"
	WordPreconditionFailed   job.Word = "precondition_failed"
)

// Fault is an error as a door shows it: it is its own JSON body.
type Fault interface {
	error
	GetStatus() int          // HTTP status
	GetHeaders() http.Header // to be added to the reply
}

// Encoded is a Fault that writes itself, for doors that do not speak JSON alone.
type Encoded interface {
	ContentType() string
	Encode() ([]byte, error)
}

// Door is one of the APIs the server speaks, as far as the server must know it.
type Door struct {
	Name  string   // "native"
	Bases []string // path prefixes, such as "/api"; the longest that fits a request owns it
	// WholePaths: operations are registered with their whole paths, below one of the bases each.
	WholePaths bool
	// Fault renders an error. It must take any error and show only what a *job.Error says.
	Fault func(r *Request, err error) Fault
	// Stray, when set, answers calls below the bases that no route takes; else they are a Fault.
	Stray gin.HandlerFunc
}

// hasBase tells whether path lies under base.
func hasBase(path, base string) bool {
	return strings.HasPrefix(path, base) &&
		(len(path) == len(base) || path[len(base)] == '/' || strings.HasSuffix(base, "/"))
}

// ofDoor tells whether a path lies under a base of a door.
func (s *Server) ofDoor(path string) bool {
	for _, d := range s.doors {
		for _, base := range d.Bases {
			if hasBase(path, base) {
				return true
			}
		}
	}
	return false
}

// doorOf finds the door that owns the path: that of the longest base, else the first one registered.
func (s *Server) doorOf(path string) Door {
	best, length := Door{Fault: plainFault}, -1
	for i, d := range s.doors {
		if i == 0 {
			best = d
		}
		for _, base := range d.Bases {
			if len(base) > length && hasBase(path, base) {
				best, length = d, len(base)
			}
		}
	}
	return best
}

// Fail answers a call with an error in the shape of the door the path belongs to, if nothing has been answered yet.
func (s *Server) Fail(c *gin.Context, err error) {
	if c.Writer.Written() {
		return
	}
	r := RequestOf(c.Request.Context())
	f := r.door.Fault(r, err)
	WriteFault(c.Writer, f)
}

// WriteFault writes an error as the whole reply.
func WriteFault(w http.ResponseWriter, f Fault) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range", "Content-Disposition", "Content-Digest",
		"ETag", "Last-Modified", "Accept-Ranges"} {
		h.Del(name) // they described the reply that did not come about
	}
	for name, values := range f.GetHeaders() {
		h[name] = values
	}
	if own, ok := f.(Encoded); ok {
		if text, err := own.Encode(); err == nil {
			h.Set("Content-Type", own.ContentType())
			w.WriteHeader(f.GetStatus())
			_, _ = w.Write(text)
			return
		}
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(f.GetStatus())
	_ = json.NewEncoder(w).Encode(f) // the client may be gone
}

// plain is the error body of a server without doors.
type plain struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (p plain) Error() string         { return p.Message }
func (plain) GetStatus() int          { return http.StatusNotFound }
func (plain) GetHeaders() http.Header { return nil }

func plainFault(*Request, error) Fault { return plain{string(WordRouteNotFound), "Not found"} }

// humaFaults makes huma's own errors - of a body that can not be read, of a resolver - take the shape of the door. It
// is a global of huma's, so it is set once and looks the door up in the request.
var humaFaults = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false // lists that are empty are sent as such or left out
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		r := RequestOf(ctx.Context())
		f := r.door.Fault(r, firstOf(status, msg, errs))
		for name, values := range f.GetHeaders() {
			for _, value := range values {
				ctx.SetHeader(name, value)
			}
		}
		return f
	}
})

// firstOf picks the error of ours among those huma collected, or makes one of its status.
func firstOf(status int, msg string, errs []error) error {
	for _, err := range errs {
		if job.CodeOf(err) != job.Internal || job.WordOf(err) != "" {
			return err
		}
	}
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return job.Errorf(job.TooLarge, job.WordTooLarge, "The body is too large")
	case status >= 400 && status < 500:
		return job.Errorf(job.Invalid, job.WordInvalidField, "The request can not be read: %s", msg)
	case len(errs) > 0:
		return errs[0]
	}
	return job.Errorf(job.Internal, job.WordInternal, "%s", msg)
}
