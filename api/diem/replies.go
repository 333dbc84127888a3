package diem

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"waybill/api"
	"waybill/internal/job"
)

// answer is what a call is answered with: a text, or a value as JSON.
type answer struct {
	status int    // 0: 200
	text   string // used where json is nil
	json   any
	run    job.ID // the run it is about
	after  string // Retry-After
	cause  error  // of an answer that says, in the vendor's way, that nothing was done
	raw    func(*call)
}

type (
	message struct {
		Message string `json:"message"`
	}
	failure struct {
		Error string `json:"error"`
	}
	told struct { // of some messages that repeat the status
		Message string `json:"message"`
		Status  int    `json:"status"`
	}
	success struct {
		Success bool `json:"success"`
	}
)

// notThere is the vendor's, spelling and all.
const notThere = "resouce cannot be found"

func (a answer) write(c *call) {
	h := c.gin.Writer.Header()
	if a.run != "" {
		h.Set(headerJob, string(a.run))
	}
	if a.after != "" {
		h.Set("Retry-After", a.after)
	}
	if a.raw != nil {
		a.raw(c)
		return
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	text := []byte(a.text)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if a.json != nil {
		h.Set("Content-Type", "application/json")
		text = asJSON(a.json)
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	c.gin.Writer.WriteHeader(a.status)
	_, _ = c.gin.Writer.Write(text) // the client may be gone
}

// asJSON writes a value as the vendor's server does: without a line break behind it, and with <, > and & as they are.
func asJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // only of types that no answer has
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// refusal is how the door answers an error. What is not a *job.Error is a defect of ours: it is logged with the request id and not shown.
func (d *door) refusal(r *api.Request, err error) answer {
	var e *job.Error
	if !errors.As(err, &e) {
		e = job.Wrap(err, job.Internal, job.WordInternal, "Internal error")
	}
	switch {
	case errors.Is(err, errNoContentType):
		return answer{status: http.StatusNotFound, text: "Incorrect Content-Type"}
	case errors.Is(err, errNotParsed):
		return answer{status: http.StatusNotFound, text: "Your request could not be completed, incorrect parsing"}
	case e.Word == job.WordMalformedJSON:
		return answer{status: http.StatusBadRequest, json: message{"malformed JSON"}}
	case e.Code == job.RateLimited:
		return answer{status: http.StatusTooManyRequests, text: "You have exceeded the 100 requests per minute limit!", after: api.RetryAfter(e.RetryAfter)}
	case e.Word == api.WordRouteNotFound, e.Word == api.WordMethodNotAllowed:
		return answer{status: http.StatusNotFound, json: message{notThere}}
	case e.Code == job.Unavailable, e.Code == job.Canceled, e.Word == job.WordStale:
		r.Blame(err)
		return answer{status: http.StatusServiceUnavailable, json: told{"Service Unavailable", http.StatusServiceUnavailable}, after: api.RetryAfter(e.RetryAfter)}
	}
	switch e.Code {
	case job.Unauthenticated:
		return keyFault(err)
	case job.Forbidden:
		return answer{status: http.StatusForbidden, json: failure{"Forbidden"}}
	case job.TooLarge:
		return answer{status: http.StatusRequestEntityTooLarge, json: message{"request too large"}}
	case job.NotFound:
		return answer{status: http.StatusNotFound, json: message{e.Message}}
	case job.Conflict:
		return answer{status: http.StatusConflict, json: message{e.Message}}
	case job.Invalid:
		return answer{status: http.StatusBadRequest, json: message{e.Message}}
	}
	r.Blame(err)
	return internal(r)
}

// internal is the answer to a failure that nobody expects.
func internal(r *api.Request) answer {
	return answer{status: http.StatusInternalServerError, json: message{"An internal error happened. It has been logged with reference: " + r.ID}}
}

// nothingToRun is the answer about a config that has no program, and whether err says so (diem.md, 4.1).
func (c *call) nothingToRun(err error) (a answer, so bool) {
	switch job.WordOf(err) {
	case job.WordPackageMissing, job.WordInvalidPackage:
		c.Blame(err)
		a = internal(c.Request)
		a.cause = err
		return a, true
	}
	return a, false
}

// stray is an answer to a call that no function was reached by.
type stray struct {
	answer
	headers http.Header
}

func (s stray) Error() string           { return "the call was refused" }
func (s stray) GetStatus() int          { return s.status }
func (s stray) GetHeaders() http.Header { return s.headers }

// MarshalJSON gives the body.
func (s stray) MarshalJSON() ([]byte, error) {
	if s.json == nil {
		return asJSON(message{s.text}), nil
	}
	return asJSON(s.json), nil
}

func (d *door) strayFault(r *api.Request, err error) api.Fault {
	if _, bad := uuid.Parse(r.ID); bad != nil {
		r.ID = ownID(r.HTTP.Header.Get(headerRequest), "")
	}
	s := stray{answer: d.refusal(r, err), headers: http.Header{}}
	s.headers.Set(headerRequest, r.ID)
	s.headers.Set(headerCorrelation, ownID(r.HTTP.Header.Get(headerCorrelation), ""))
	if s.after != "" {
		s.headers.Set("Retry-After", s.after)
	}
	return s
}
