package native

import (
	"testing"
	"time"
)

func TestDurationsAreWrittenToTheMillisecond(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "PT0S", -time.Second: "PT0S", 400 * time.Microsecond: "PT0S", time.Millisecond: "PT0.001S", 500 * time.Millisecond: "PT0.5S",
		19577 * time.Millisecond: "PT19.577S", 72*time.Second + 500*time.Millisecond: "PT1M12.5S", time.Hour: "PT1H",
		25*time.Hour + time.Second + 10*time.Millisecond: "PT25H1.01S", 59*time.Second + 999_600*time.Microsecond: "PT1M",
	} {
		if got := isoDuration(d); got != want {
			t.Errorf("%s is written %s, want %s", d, got, want)
		}
	}
}
