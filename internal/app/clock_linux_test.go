package app

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSleepCountsAsTimeThatHasGone(t *testing.T) {
	t.Parallel()
	read := func() time.Duration {
		var at unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
			t.Skipf("no clock here counts sleep: %v", err)
		}
		return time.Duration(at.Nano())
	}
	before, gone, after := read(), newClock().gone(), read()
	if gone < before || gone > after {
		t.Errorf("%s have gone, want what has gone since the machine started, between %s and %s", gone, before, after)
	}
}
