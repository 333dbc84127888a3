package app

import (
	"context"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/app/settings"
	"waybill/internal/job"
)

// inSource are metrics as the code names them: descriptors' names in full, and the family whose names are put together.
var inSource = regexp.MustCompile(`"(waybill_[a-z_]+)"`)

// composed are names that are put together from parts.
var composed = map[string][]string{
	"waybill_retention_": {
		"waybill_retention_jobs_total", "waybill_retention_histories_total", "waybill_retention_objects_total", "waybill_retention_bytes_total",
		"waybill_retention_versions_total", "waybill_retention_failures_total",
	},
}

func metricsOfTheSource(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range []string{".", "../../api", "../engine", "../standalone"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			text, err := os.ReadFile(folder + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range inSource.FindAllStringSubmatch(string(text), -1) {
				if parts, is := composed[m[1]]; is {
					for _, name := range parts {
						found[name] = true
					}
					continue
				}
				found[m[1]] = true
			}
		}
	}
	return found
}

func TestEveryMetricIsDocumentedAndTheReverse(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	told, columns := map[string]bool{}, 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		// The head of a table says how many columns there are; a row with fewer is shown in the wrong ones.
		if n := strings.Count(line, "|"); columns == 0 {
			columns = n
		} else if n != columns {
			t.Errorf("docs/metrics.md has a row of %d columns in a table of %d: %s", n-1, columns-1, line)
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`(waybill_[a-z_]+)`").FindAllStringSubmatch(first, -1) {
			told[m[1]] = true
		}
	}
	made := metricsOfTheSource(t)
	if len(made) < 30 {
		t.Fatalf("only %d metrics found: the test looks at the wrong files", len(made))
	}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		if !told[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if !made[name] {
			t.Errorf("docs/metrics.md tells of %s, which nothing makes", name)
		}
	}
}

// What a process registers at its start is what the source names: the test above looks at texts only.
func TestTheRegistryHasWhatTheSourceNames(t *testing.T) {
	t.Parallel()
	p := newParts(settings.Settings{}, nil)
	p.meters.backlog.from(func(context.Context, time.Time) (job.Backlog, error) {
		return job.Backlog{Queued: 2, Oldest: time.Now().Add(-time.Minute), Lanes: 1, Deepest: 3, Waiting: 3, WithoutWorker: 1}, nil
	}, time.Now)
	p.meters.submitted(job.TriggerAPI, "refused", job.WordInactiveConfig)
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	made, values := metricsOfTheSource(t), map[string]float64{}
	for _, f := range families {
		if !made[f.GetName()] {
			t.Errorf("the registry has %s, which the source does not name", f.GetName())
		}
		for _, m := range f.Metric {
			key := f.GetName()
			for _, l := range m.Label {
				key += " " + l.GetValue()
			}
			values[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for key, want := range map[string]float64{
		"waybill_jobs_open queued": 2, "waybill_jobs_open waiting": 3, "waybill_jobs_open running": 0, "waybill_lane_depth_max": 3,
		"waybill_jobs_without_worker": 1, "waybill_submissions_total refused api " + string(job.WordInactiveConfig): 1,
	} {
		if got, there := values[key]; !there || got != want {
			t.Errorf("%s is %v, want %v: %v", key, got, want, values)
		}
	}
	if age := values["waybill_jobs_oldest_queued_seconds"]; age < 59 || age > 300 {
		t.Errorf("the oldest queued job is %v s old, want a minute", age)
	}
}

// shownBy is what a process shows of queued jobs when it is asked for its metrics; -1: nothing.
func shownBy(t *testing.T, b *backlogMeter) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(b)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "waybill_jobs_open" && m.Label[0].GetValue() == "queued" {
				return m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func TestOpenJobsAreCountedWhenSomebodyAsksAndNotTooOften(t *testing.T) {
	t.Parallel()
	b, asked, queued, away := newBacklogMeter(), 0, 7, error(nil)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b.now = func() time.Time { return now }
	wrong := time.Hour // this machine is ahead of the clock that signs of life are written by
	if got := shownBy(t, b); got != -1 {
		t.Errorf("before the database is open %v is shown", got)
	}
	b.from(func(ctx context.Context, seen time.Time) (job.Backlog, error) {
		asked++
		if _, limited := ctx.Deadline(); !limited || now.Add(-wrong).Sub(seen) != job.WorkerSilence {
			t.Errorf("the count has the deadline %v, and workers count since %v", limited, seen)
		}
		return job.Backlog{Queued: queued, Oldest: now.Add(-wrong - time.Minute)}, away
	}, func() time.Time { return now.Add(-wrong) })
	for _, step := range []struct {
		name          string
		after         time.Duration
		queued, asked int
		away          error
		shown         float64
	}{
		{"at first", 0, 7, 1, nil, 7},
		{"asked again at once", time.Second, 8, 1, nil, 7},
		{"asked later", everyBacklog, 8, 2, nil, 8},
		{"the database is away", everyBacklog, 9, 3, errors.New("away"), 8},
		{"asked at once while it is away", time.Second, 9, 3, errors.New("away"), 8},
		{"it stays away", backlogLives, 9, 4, errors.New("away"), -1},
		{"it is back", everyBacklog, 10, 5, nil, 10},
	} {
		now, queued, away = now.Add(step.after), step.queued, step.away
		if got := shownBy(t, b); got != step.shown || asked != step.asked {
			t.Errorf("%s: %v queued jobs are shown, counted %d times; want %v, %d times", step.name, got, asked, step.shown, step.asked)
		}
		if _, age, shown := b.look(); shown && age != time.Minute {
			t.Errorf("%s: the oldest job is %s old, not a minute", step.name, age)
		}
	}
}
