package app

import (
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

// inSource are metrics as the code names them: descriptors' names in full, and the two families whose names are put together.
var inSource = regexp.MustCompile(`"(waybill_[a-z_]+)"`)

// composed are names that are put together from parts.
var composed = map[string][]string{
	"waybill_package_":       {"waybill_package_uses_total", "waybill_package_fetches_total", "waybill_package_removals_total"},
	"waybill_package_cache_": {"waybill_package_cache_packages", "waybill_package_cache_bytes"},
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
	told := map[string]bool{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
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
	p.meters.backlog.set(time.Now(), job.Backlog{Queued: 2, Oldest: time.Now().Add(-time.Minute), Lanes: 1, Deepest: 3, Waiting: 3, WithoutWorker: 1})
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

func TestAnOldBacklogIsNotShown(t *testing.T) {
	t.Parallel()
	b := newBacklogMeter()
	registry := prometheus.NewRegistry()
	registry.MustRegister(b)
	b.set(time.Now().Add(-backlogLives-time.Second), job.Backlog{Queued: 7})
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("it is shown: %v %v", families, err)
	}
}
