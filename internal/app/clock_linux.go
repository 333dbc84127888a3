package app

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed tells how much time has gone since some moment, also while the machine slept: Go's own monotonic clock stands still then, and
// would make a clock that is right look wrong.
func elapsed() func() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return awake()
	}
	return func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it was there a moment ago
		return time.Duration(t.Nano())
	}
}
