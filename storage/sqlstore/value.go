package sqlstore

import (
	"math"
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
)

// dateLayout is the native API's (native.md, 1.2), always UTC.
const dateLayout = "Jan 2, 2006 3:04:05 PM"

// secondsDigits is up to how many digits a number is a date in seconds; a longer one is in milliseconds (native.md, 1.2).
const secondsDigits = 10

// span is a value as the half-open range [low, high) of stored numbers that it stands for. A date that is written in whole
// seconds means all of that second, because that is all a client is shown of it.
type span struct{ low, high int64 }

func invalid(name, what string) error {
	return job.Errorf(job.Invalid, job.WordInvalidField, "%s must be %s", name, what)
}

// textValue takes strings and the domain's string types.
func textValue(name string, v any) (string, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case job.Status:
		s = string(v)
	case job.Reason:
		s = string(v)
	case job.ID:
		s = string(v)
	case int64:
		s = strconv.FormatInt(v, 10)
	default:
		return "", invalid(name, "a text")
	}
	return s, checkText(name, s)
}

func statusValue(name string, v any) (string, error) {
	s, err := textValue(name, v)
	if err == nil && !job.Status(s).Valid() {
		err = invalid(name, "a job status")
	}
	return s, err
}

func boolValue(name string, v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, invalid(name, "true or false")
}

func intValue(name string, v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, invalid(name, "a whole number")
}

func minutesValue(name string, v any) (int64, error) {
	if d, ok := v.(time.Duration); ok {
		return int64(d), nil
	}
	n, err := intValue(name, v)
	if err == nil && (n > math.MaxInt64/int64(time.Minute) || n < math.MinInt64/int64(time.Minute)) {
		err = invalid(name, "a number of minutes")
	}
	return n * int64(time.Minute), err
}

func timeValue(name string, v any) (span, error) {
	switch v := v.(type) {
	case time.Time:
		return from(v, time.Microsecond), nil
	case int64:
		return number(strconv.FormatInt(v, 10))
	case string:
		v = strings.TrimSpace(v)
		if t, err := time.Parse(dateLayout, v); err == nil {
			return from(t, time.Second), nil
		}
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil && storable(t) {
			if strings.Contains(v, ".") {
				return from(t, time.Microsecond), nil
			}
			return from(t, time.Second), nil
		}
		if s, err := number(v); err == nil {
			return s, nil
		}
	}
	return span{}, invalid(name, "a date like 'Apr 12, 2019 12:40:51 PM' or '2019-04-12T12:40:51Z', or a number")
}

func number(digits string) (span, error) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return span{}, err
	}
	if len(strings.TrimPrefix(digits, "-")) <= secondsDigits {
		return from(time.Unix(n, 0), time.Second), nil
	}
	if t := time.UnixMilli(n); storable(t) {
		return from(t, time.Millisecond), nil
	}
	return span{}, strconv.ErrRange
}

// storable tells whether the time has a number of microseconds.
func storable(t time.Time) bool { return t.Year() > -200_000 && t.Year() < 200_000 }

func from(t time.Time, width time.Duration) span {
	low := t.UnixMicro()
	return span{low: low, high: low + width.Microseconds()}
}
