package job

import (
	"errors"
	"fmt"
	"time"
)

// Code is the class of an error: what kind of thing went wrong, as far as a caller can act on it. Doors turn it into an
// HTTP status, the activities into retryable or not.
type Code string

// The classes. Only Unavailable, RateLimited, Canceled and Internal are worth repeating unchanged.
const (
	Invalid         Code = "invalid"         // the request is wrong and will stay wrong
	NotFound        Code = "not_found"       // no such thing, or it belongs to another account
	Conflict        Code = "conflict"        // the thing is in a state that forbids this
	Forbidden       Code = "forbidden"       // known caller, not allowed
	Unauthenticated Code = "unauthenticated" // not known who calls
	TooLarge        Code = "too_large"       // over a limit
	RateLimited     Code = "rate_limited"    // too many calls; RetryAfter says when to come back
	Unavailable     Code = "unavailable"     // database, object store or engine is down; nothing was changed
	Canceled        Code = "canceled"        // the caller gave up
	Internal        Code = "internal"        // a defect of ours
)

// Word is a stable, machine-readable detail within a Code, such as "duplicate_name". The list of words a door may show
// is fixed by its specification (docs/api); a word never changes its meaning.
type Word string

// The words used by the domain and the use cases. A door shows them as they are or maps them to its own vocabulary.
const (
	WordMissingField       Word = "missing_field"
	WordInvalidField       Word = "invalid_field"
	WordMalformedJSON      Word = "malformed_json"
	WordUnknownProperty    Word = "unknown_property"
	WordInvalidCursor      Word = "invalid_cursor"
	WordInvalidKey         Word = "invalid_key"
	WordInvalidPackage     Word = "invalid_package"
	WordPackageMissing     Word = "package_missing"
	WordDigestMismatch     Word = "digest_mismatch"
	WordUnknownRecord      Word = "unknown_record"
	WordBadCredentials     Word = "bad_credentials"
	WordUserInactive       Word = "user_inactive"
	WordLockedOut          Word = "locked_out"
	WordTokenMissing       Word = "token_missing"
	WordTokenInvalid       Word = "token_invalid"
	WordTokenExpired       Word = "token_expired"
	WordRefreshInvalid     Word = "refresh_invalid"
	WordRefreshReused      Word = "refresh_reused"
	WordAccessDenied       Word = "access_denied"
	WordNotFound           Word = "not_found"
	WordLogNotFound        Word = "log_not_found"
	WordDuplicateName      Word = "duplicate_name"
	WordInactiveConfig     Word = "inactive_config"
	WordJobFinished        Word = "job_finished"
	WordJobNotFinished     Word = "job_not_finished"
	WordNothingToRetry     Word = "nothing_to_retry"
	WordRetryActive        Word = "retry_active"
	WordIdempotency        Word = "idempotency_conflict"
	WordStale              Word = "stale" // a compare-and-set lost: the row has moved on
	WordTooLarge           Word = "too_large"
	WordInvalidRange       Word = "invalid_range"
	WordRateLimited        Word = "rate_limited"
	WordDependencyDown     Word = "dependency_down"
	WordCorruptObject      Word = "corrupt_object" // the object store gives out other bytes than were stored
	WordInternal           Word = "internal_error"
	WordInterpreterMissing Word = "interpreter_missing"
	WordEngineMissing      Word = "engine_missing"
	WordEnvironmentFailed  Word = "environment_failed"
	WordRunActive          Word = "run_active" // the config has a job that is not final
	WordConcurrencyLimit   Word = "concurrency_limit"
	WordInvalidCron        Word = "invalid_cron"
	WordInvalidTimeZone    Word = "invalid_time_zone"
	WordScheduleExists     Word = "schedule_exists"
	WordScheduleInUse      Word = "schedule_in_use"
	WordLinkExists         Word = "link_exists"
	WordLastAdmin          Word = "last_admin"
	WordRecordResolved     Word = "record_resolved"
	WordJobResolved        Word = "job_resolved"
	WordJobRetried         Word = "job_retried"
	WordDestinationInUse   Word = "destination_in_use"
	WordDeliveryActive     Word = "delivery_active"
)

// Error is the only error type that crosses a layer. Message is meant for the caller: it names the field or the id and
// never holds a secret, an SQL text or a stack. Err is the cause, for the log only.
type Error struct {
	Code    Code
	Word    Word // may be empty; doors then use a default for the Code
	Message string
	Err     error
	// RetryAfter, when positive, is how long a caller should wait before trying again.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a cause. The whole message is shown to callers; a cause belongs into Wrap.
func Errorf(code Code, word Word, format string, args ...any) *Error {
	return &Error{Code: code, Word: word, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error with a cause that is logged but never shown.
func Wrap(err error, code Code, word Word, format string, args ...any) *Error {
	return &Error{Code: code, Word: word, Message: fmt.Sprintf(format, args...), Err: err}
}

// CodeOf returns the class of err: Internal for an error that is not ours, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// WordOf returns the stable word of err, or "" when it has none.
func WordOf(err error) Word {
	var e *Error
	if errors.As(err, &e) {
		return e.Word
	}
	return ""
}
