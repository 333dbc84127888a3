package wide

import (
	"testing"
	"time"
)

// TestNothingFails: the harness and the load, with nothing going wrong.
func TestNothingFails(t *testing.T) {
	in := install(t, shape{apis: 2, workers: 2})
	l := in.drive(t)
	pause(t, 10*time.Second)
	l.recovered(t, time.Now())
	l.calm(t)
	in.stop(t)
}
