package activities

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/internal/joblog"
)

// stamps gives the times of the lines of the log by their texts.
func (b *bench) stamps() map[string]time.Time {
	b.t.Helper()
	r, err := joblog.Reader{Objects: b.objects}.Open(context.Background(), account, jobID, 0, -1)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]time.Time{}
	for line := range strings.Lines(string(text)) {
		stamp, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if out[rest], err = time.Parse("2006-01-02T15:04:05.000Z", stamp); err != nil {
			b.t.Fatal(err)
		}
	}
	return out
}

// What a program logs in a step lies between the step's times, though its output and its events are read apart: the log of a step is made by them.
func TestLinesOfAStepLieBetweenItsTimes(t *testing.T) {
	b := newBench(t, `
tell() { printf '{"type":"step","name":"%s","status":"%s"}\n' "$1" "$2" >>"$WAYBILL_EVENTS"; }
await() { until [ -e "$LOCAL_JOB_SPEC_DIR/$1" ]; do sleep 0.02; done; }
tell a started
echo "first of a"
await one
echo "last of a"
await two
tell a finished
tell b started
echo "first of b"
await three
tell b finished`)
	for name, line := range map[string]string{"one": "first of a", "two": "last of a", "three": "first of b"} {
		b.when(line, func() {
			if err := os.WriteFile(filepath.Join(b.work, "jobs", string(jobID)+"-1", "spec", name), nil, 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	steps, _, _ := b.told()
	if len(steps) != 2 {
		t.Fatalf("steps %+v", steps)
	}
	stamps := b.stamps()
	for i, lines := range map[int][]string{0: {"first of a", "last of a"}, 1: {"first of b"}} {
		from, to := steps[i].StartedAt.Truncate(time.Millisecond), steps[i].FinishedAt // stamps have milliseconds only
		for _, line := range lines {
			if at, logged := stamps[line]; !logged || at.Before(from) || at.After(to) {
				t.Errorf("%q at %s (%v), outside of %s from %s to %s", line, at, logged, steps[i].Name, from, to)
			}
		}
	}
	if !stamps["last of a"].Before(steps[1].StartedAt.Truncate(time.Millisecond)) {
		t.Errorf("the last line of a is in b: %s, %s", stamps["last of a"], steps[1].StartedAt)
	}
}
