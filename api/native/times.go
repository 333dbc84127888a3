package native

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// isoPattern is the part of ISO 8601 durations without years and months, which have no fixed length.
var isoPattern = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,9})?)S)?)?$`)

var errDuration = errors.New("not a duration")

// parseDuration reads 30s, 1h30m, PT30S or a plain number of seconds.
func parseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseFloat(s, 64); err == nil && strings.Trim(s, "0123456789.") == "" {
		if n > math.MaxInt64/float64(2*time.Second) {
			return 0, errDuration
		}
		return time.Duration(n * float64(time.Second)), nil
	}
	upper := strings.ToUpper(s)
	if strings.HasPrefix(upper, "P") {
		return parseISO(upper)
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errDuration
	}
	return d, nil
}

func parseISO(s string) (time.Duration, error) {
	m := isoPattern.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "T") || s == "P" {
		return 0, errDuration
	}
	total := 0.0
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, errDuration
		}
		total += n * float64(unit)
	}
	if total > math.MaxInt64/2 {
		return 0, errDuration
	}
	return time.Duration(total), nil
}

// parseDate reads a date of a request: either layout, or a number - up to 10 digits are seconds, more are milliseconds
// (native.md, 1.2). width is how long the written date lasts: a second, when no fraction is given.
func parseDate(s string) (at time.Time, width time.Duration, err error) {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(mediumLayout, s); err == nil {
		return t, time.Second, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		if strings.Contains(s, ".") {
			return t.UTC(), time.Microsecond, nil
		}
		return t.UTC(), time.Second, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return at, 0, err
	case len(strings.TrimPrefix(s, "-")) <= 10:
		return time.Unix(n, 0).UTC(), time.Second, nil
	}
	return time.UnixMilli(n).UTC(), time.Millisecond, nil
}

// dateParam reads a date that a query parameter holds.
func dateParam(name, s string) (time.Time, time.Duration, error) {
	at, width, err := parseDate(s)
	if err != nil {
		return at, 0, invalid(
			"%s must be a date like 'Apr 12, 2019 12:40:51 PM' or '2019-04-12T12:40:51Z', or a number",
			name,
		)
	}
	return at, width, nil
}
