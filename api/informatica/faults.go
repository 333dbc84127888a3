package informatica

import (
	"errors"
	"net/http"

	"waybill/api"
	"waybill/internal/job"
)

// fault is the error object of v2 (informatica.md, 3.1).
type fault struct {
	Type        string `json:"@type"`
	Code        string `json:"code" doc:"What is wrong, for programs; a code never changes its meaning"`
	Description string `json:"description" doc:"What is wrong, for people; the wording may change"`
	StatusCode  int    `json:"statusCode" doc:"The HTTP status, but 403 with UI_10000"`
}

// coreFault is the error object of v3.
type coreFault struct {
	Error coreError `json:"error"`
}

type coreError struct {
	Code      string  `json:"code"`
	Message   string  `json:"message"`
	RequestID string  `json:"requestId"`
	Details   *string `json:"details"`
}

// shownFault is an error with all that its reply needs.
type shownFault struct {
	status  int
	message string
	body    any
	as      format
	headers http.Header
}

func (f *shownFault) Error() string           { return f.message }
func (f *shownFault) GetStatus() int          { return f.status }
func (f *shownFault) GetHeaders() http.Header { return f.headers }

// ContentType and Encode write the reply (api.Encoded).
func (f *shownFault) ContentType() string { return f.as.contentType() }

// Encode writes the body.
func (f *shownFault) Encode() ([]byte, error) { return f.as.encode(f.body) }

// shown is what a class of errors, or one word of it, is shown as.
type shown struct {
	status int
	code   string
}

// Codes that are not WB_ and a few that the handlers name.
const (
	codeLogin     = "UI_10000" // the vendor's for a refused login, with statusCode 403 under HTTP 401
	codeCoreLogin = "IDS_085"
	codeSession   = "AUTH_01"
)

var byClass = map[job.Code]shown{
	job.Invalid:         {400, "WB_BAD_FIELD"},
	job.NotFound:        {404, "WB_NOT_FOUND"},
	job.Conflict:        {403, "WB_FORBIDDEN"},
	job.Forbidden:       {403, "WB_FORBIDDEN"},
	job.Unauthenticated: {401, codeSession},
	job.TooLarge:        {413, "WB_TOO_LARGE"},
	job.RateLimited:     {429, "WB_TOO_MANY"},
	job.Unavailable:     {503, "WB_UNAVAILABLE"},
	job.Canceled:        {503, "WB_UNAVAILABLE"}, // seen only when the server itself broke the call off
	job.Internal:        {500, "WB_INTERNAL"},
}

// Words of this door's own.
const (
	wordTaskType   job.Word = "task_type"
	wordNotRunning job.Word = "not_running"
)

// byWord lists the words that are shown otherwise than their class.
var byWord = map[job.Word]shown{
	job.WordMalformedJSON:        {400, "WB_BAD_BODY"},
	wordTaskType:                 {400, "WB_TASK_TYPE"},
	job.WordDuplicateName:        {400, "WB_DUPLICATE_NAME"},
	job.WordBadCredentials:       {401, codeLogin},
	job.WordUserInactive:         {401, codeLogin},
	job.WordLockedOut:            {401, codeLogin},
	job.WordRunActive:            {403, "WB_ALREADY_RUNNING"},
	job.WordConcurrencyLimit:     {403, "WB_ALREADY_RUNNING"},
	wordNotRunning:               {403, "WB_NOT_RUNNING"},
	job.WordInactiveConfig:       {403, "WB_INACTIVE"},
	job.WordPackageMissing:       {403, "WB_NO_PACKAGE"},
	job.WordScheduleInUse:        {403, "WB_IN_USE"},
	job.WordScheduleExists:       {403, "WB_SCHEDULE_EXISTS"},
	job.WordIdempotency:          {400, "WB_BAD_FIELD"},
	api.WordMethodNotAllowed:     {405, "WB_METHOD"},
	api.WordUnsupportedMediaType: {415, "WB_MEDIA_TYPE"},
	job.WordStale:                {503, "WB_UNAVAILABLE"}, // others kept changing the record; nothing was changed
}

// show finds how an error is shown. A word is only believed within its own class.
func show(e *job.Error) shown {
	s, ok := byWord[e.Word]
	if !ok || e.Code == job.Internal || e.Code == job.Unavailable {
		s = byClass[e.Code]
	}
	if s.status == 0 {
		return byClass[job.Internal]
	}
	return s
}

// loginRefused is what is said of every login that fails, whatever is the matter.
const loginRefused = "User name or password is not valid."

// faultOf renders any error. What is not a *job.Error is a defect of ours: it is logged with the request id and not shown.
func faultOf(r *api.Request, err error) api.Fault {
	var e *job.Error
	if !errors.As(err, &e) {
		e = job.Wrap(err, job.Internal, job.WordInternal, "Internal error")
	}
	as := show(e)
	f := &shownFault{status: as.status, message: e.Message, as: formatOf(r.HTTP), headers: http.Header{}}
	inBody := as.status
	switch {
	case as.status == http.StatusInternalServerError:
		f.message = "Internal error; the log has it under request " + r.ID
	case as.code == codeLogin:
		f.message, inBody = loginRefused, http.StatusForbidden
	}
	if as.status >= 500 {
		r.Blame(err)
	}
	if as.status == http.StatusTooManyRequests || as.status == http.StatusServiceUnavailable || e.RetryAfter > 0 {
		f.headers.Set("Retry-After", api.RetryAfter(e.RetryAfter))
	}
	if isV3(r.Path) {
		if as.code == codeLogin {
			as.code = codeCoreLogin
		}
		f.body = coreFault{coreError{Code: as.code, Message: f.message, RequestID: r.ID}}
		return f
	}
	f.body = fault{Type: "error", Code: as.code, Description: f.message, StatusCode: inBody}
	return f
}
