package api

import (
	"strconv"
	"time"
)

// RetryAfter is a pause as the header of that name has it: in whole seconds, rounded up, at least one.
func RetryAfter(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}
