package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestDutiesRunWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	var done []string
	fail := false
	note := func(name string) func(context.Context, bool) error {
		return func(_ context.Context, back bool) error {
			done = append(done, fmt.Sprintf("%s %v", name, back))
			if fail {
				return errors.New("away")
			}
			return nil
		}
	}
	r := newRounds([]Duty{{Name: "a", Do: note("a")}, {Name: "b", Every: time.Minute, Engine: true, Do: note("b")}})
	start := time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC)
	complaints := 0
	step := func(name string, at time.Duration, engine bool, want ...string) {
		t.Helper()
		done = nil
		r.run(t.Context(), start.Add(at), engine, func() {}, func(context.Context, string, error, ...any) { complaints++ })
		if !slices.Equal(done, want) {
			t.Errorf("%s: did %q, want %q", name, done, want)
		}
	}
	step("engine not there yet", 0, false, "a true")
	step("engine comes", time.Second, true, "a false", "b true")
	step("within the pause", 2*time.Second, true, "a false")
	step("engine away", 3*time.Second, false, "a false")
	step("engine back before the pause is over", 4*time.Second, true, "a false", "b true")
	fail = true
	step("due again", 65*time.Second, true, "a false", "b false")
	fail = false
	if complaints != 2 {
		t.Errorf("%d complaints, want 2", complaints)
	}
	step("after a failure", 126*time.Second, true, "a false", "b false")
}
