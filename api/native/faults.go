package native

import (
	"errors"
	"net/http"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// fault is the error body of native.md, 1.5.
type fault struct {
	Timestamp string `json:"timestamp" doc:"When it happened"`
	Status    int    `json:"status" doc:"The HTTP status"`
	Reason    string `json:"error" doc:"The HTTP status as words"`
	Message   string `json:"message" doc:"What is wrong, for people; the wording may change"`
	Path      string `json:"path" doc:"The path that was called, without its query"`
	Code      string `json:"code" doc:"What is wrong, for programs; a code never changes its meaning"`
	headers   http.Header
}

func (f *fault) Error() string           { return f.Message }
func (f *fault) GetStatus() int          { return f.Status }
func (f *fault) GetHeaders() http.Header { return f.headers }

// shown is what a class of errors, or one word of it, is shown as.
type shown struct {
	status int
	code   string
}

// byClass is how each class of the domain's errors is shown when its word is not in byWord.
var byClass = map[job.Code]shown{
	job.Invalid:         {400, "invalid_field"},
	job.NotFound:        {404, "not_found"},
	job.Conflict:        {409, "duplicate_name"},
	job.Forbidden:       {403, "access_denied"},
	job.Unauthenticated: {401, "token_invalid"},
	job.TooLarge:        {413, "too_large"},
	job.RateLimited:     {429, "rate_limited"},
	job.Unavailable:     {503, "dependency_down"},
	job.Canceled:        {503, "dependency_down"}, // seen only when the server itself broke the call off
	job.Internal:        {500, "internal_error"},
}

// byWord lists every word this door shows and the status that goes with it. Together with byClass it is the only place
// where errors become HTTP.
var byWord = map[job.Word]shown{
	job.WordMissingField:         {400, "missing_field"},
	job.WordInvalidField:         {400, "invalid_field"},
	job.WordMalformedJSON:        {400, "malformed_json"},
	job.WordUnknownProperty:      {400, "unknown_property"},
	job.WordInvalidCursor:        {400, "invalid_cursor"},
	job.WordInvalidKey:           {400, "invalid_key"},
	job.WordInvalidPackage:       {400, "invalid_package"},
	job.WordPackageMissing:       {400, "package_missing"},
	job.WordDigestMismatch:       {400, "digest_mismatch"},
	job.WordUnknownRecord:        {400, "unknown_record"},
	job.WordInvalidCron:          {400, "invalid_cron"},
	job.WordInterpreterMissing:   {400, "invalid_package"},
	job.WordEngineMissing:        {400, "invalid_package"}, // these two are reasons of a worker and do not come up in a call
	job.WordEnvironmentFailed:    {400, "invalid_package"},
	job.WordInvalidTimeZone:      {400, "invalid_time_zone"},
	job.WordBadCredentials:       {401, "bad_credentials"},
	job.WordUserInactive:         {401, "user_inactive"},
	job.WordLockedOut:            {401, "locked_out"},
	job.WordTokenMissing:         {401, "token_missing"},
	job.WordTokenInvalid:         {401, "token_invalid"},
	job.WordTokenExpired:         {401, "token_expired"},
	job.WordRefreshInvalid:       {401, "refresh_invalid"},
	job.WordRefreshReused:        {401, "refresh_reused"},
	job.WordAccessDenied:         {403, "access_denied"},
	job.WordNotFound:             {404, "not_found"},
	job.WordLogNotFound:          {404, "log_not_found"},
	api.WordRouteNotFound:        {404, "route_not_found"},
	api.WordNotSupported:         {404, "not_supported"},
	api.WordMethodNotAllowed:     {405, "method_not_allowed"},
	job.WordDuplicateName:        {409, "duplicate_name"},
	job.WordInactiveConfig:       {409, "inactive_config"},
	job.WordJobFinished:          {409, "job_finished"},
	job.WordDeliveryActive:       {409, "delivery_active"},
	job.WordJobNotFinished:       {409, "job_not_finished"},
	job.WordNothingToRetry:       {409, "nothing_to_retry"},
	job.WordRetryActive:          {409, "retry_active"},
	job.WordScheduleExists:       {409, "schedule_exists"},
	job.WordRunActive:            {409, "concurrency_limit"},
	job.WordScheduleInUse:        {409, "schedule_in_use"},
	job.WordConcurrencyLimit:     {409, "concurrency_limit"},
	job.WordDestinationInUse:     {409, "destination_in_use"},
	job.WordLinkExists:           {409, "link_exists"},
	job.WordLastAdmin:            {409, "last_admin"},
	job.WordRecordResolved:       {409, "record_resolved"},
	job.WordJobResolved:          {409, "job_resolved"},
	job.WordJobRetried:           {409, "job_retried"},
	job.WordIdempotency:          {409, "idempotency_conflict"},
	api.WordPreconditionFailed:   {412, "precondition_failed"},
	job.WordTooLarge:             {413, "too_large"},
	api.WordUnsupportedMediaType: {415, "unsupported_media_type"},
	job.WordInvalidRange:         {416, "invalid_range"},
	job.WordRateLimited:          {429, "rate_limited"},
	job.WordInternal:             {500, "internal_error"},
	job.WordCorruptObject:        {500, "corrupt_object"},
	job.WordDependencyDown:       {503, "dependency_down"},
	control.WordNoWorker:         {503, "dependency_down"}, // only the DIEM door's calls have it
	// Others kept changing the record for as long as we tried. Nothing was changed and the call may be repeated, which is
	// what a 503 says.
	job.WordStale: {503, "dependency_down"},
}

// show finds how an error is shown. A word is only believed within its own class: a store that says not_found inside of
// an internal error is a defect, not a 404.
func show(e *job.Error) shown {
	s, ok := byWord[e.Word]
	if !ok || e.Code == job.Internal && s.status < 500 {
		return byClass[e.Code]
	}
	if e.Code == job.Unavailable && s.status < 500 {
		return byClass[e.Code]
	}
	return s
}

// faultOf renders any error. What is not a *job.Error is a defect of ours: it is logged with the request id and not
// shown.
func faultOf(r *api.Request, s style, err error) api.Fault {
	var e *job.Error
	if !errors.As(err, &e) {
		e = job.Wrap(err, job.Internal, job.WordInternal, "Internal error")
	}
	as := show(e)
	if as.status == 0 {
		as = byClass[job.Internal]
	}
	message := e.Message
	if as.status == http.StatusInternalServerError {
		message = "Internal error; the log has it under request " + r.ID
	}
	if as.status >= 500 {
		r.Blame(err)
	}
	f := &fault{
		Timestamp: s.date(r.Time), Status: as.status, Reason: http.StatusText(as.status), Message: message, Path: r.Path,
		Code: as.code, headers: http.Header{},
	}
	if as.status == http.StatusUnauthorized {
		f.headers.Set("WWW-Authenticate", "Bearer")
	}
	if as.status == http.StatusTooManyRequests || as.status == http.StatusServiceUnavailable || e.RetryAfter > 0 {
		f.headers.Set("Retry-After", api.RetryAfter(e.RetryAfter))
	}
	return f
}
