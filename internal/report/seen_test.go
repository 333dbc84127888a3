package report

import (
	"testing"
	"time"

	"waybill/internal/job"
)

// A step is dated by when its event was seen first, wherever that was: by whoever reads the program's output, or here.
func TestStepsAreDatedByWhoSawThemFirst(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)
	now := began
	f := &file{}
	c := newCollector(func(c *Config) { c.Now = func() time.Time { return now } })
	tail := NewTail(f)
	type sight struct {
		size int64
		at   time.Time
	}
	var sights []sight
	tail.SeenBy(func(size int64) (time.Time, bool) {
		for _, s := range sights {
			if s.size >= size {
				return s.at, true
			}
		}
		return time.Time{}, false
	})
	pass := func(ms int) { now = began.Add(time.Duration(ms) * time.Millisecond) }
	tell := func(line string) { f.text += line + "\n" }
	output := func() { sights = append(sights, sight{int64(len(f.text)), now}) }

	pass(10)
	tell(`{"type":"step","name":"a","status":"started"}`)
	pass(11)
	output()
	pass(20)
	for range 2000 { // each has a time of its own, which must not put a step off
		tell(`{"type":"error","message":"x"}`)
	}
	tell(`{"type":"step","name":"b","status":"started"}`)
	pass(21)
	output()
	pass(30)
	tell(`{"type":"step","name":"a","status":"finished"}`)
	pass(200)
	read(t, tail, c)
	tell(`{"type":"step","name":"b","status":"failed"}`)
	pass(300)
	output()
	pass(400)
	read(t, tail, c)
	steps := map[string]job.Step{}
	for _, s := range c.Take().Steps {
		steps[s.Name] = s
	}
	for name, want := range map[string][2]int{"a": {11, 200}, "b": {21, 300}} {
		for i, at := range []time.Time{steps[name].StartedAt, steps[name].FinishedAt} {
			if got := at.Sub(began); got != time.Duration(want[i])*time.Millisecond {
				t.Errorf("%s, %d: %s, want %d ms", name, i, got, want[i])
			}
		}
	}
}
