package api_test

import (
	"testing"
	"time"

	"waybill/api"
)

func TestPauseIsToldInWholeSeconds(t *testing.T) {
	t.Parallel()
	for pause, want := range map[time.Duration]string{
		0: "1", -time.Second: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90",
	} {
		if got := api.RetryAfter(pause); got != want {
			t.Errorf("%v: %s, want %s", pause, got, want)
		}
	}
}
