package app

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"waybill/internal/app/settings"
	"waybill/storage/sqlstore"
)

// fresh is what a process shows of its counters before anything has happened.
func fresh(t *testing.T) map[string][]map[string]string {
	t.Helper()
	p := newParts(settings.Settings{}, nil)
	p.watchStore(&sqlstore.Config{})
	observeRun(nil, p.metrics)
	observeDeliveries(p.metrics)
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string][]map[string]string{}
	for _, f := range families {
		for _, m := range f.Metric {
			if m.GetCounter().GetValue() != 0 {
				t.Errorf("%s has counted before anything happened", f.GetName())
			}
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			shown[f.GetName()] = append(shown[f.GetName()], labels)
		}
	}
	return shown
}

var (
	grown   = regexp.MustCompile(`(increase|rate)\((waybill_[a-z_]+_total)(?:\{([^}]*)\})?\[`)
	matcher = regexp.MustCompile(`(\w+)(=~?)"([^"]*)"`)
)

// withoutZero are counters of which an alert or the dashboard asks the rate, and which show their series once there is something to show.
var withoutZero = []string{
	"waybill_http_requests_total",         // a series for each route and status; rates are of many requests
	"waybill_database_wait_seconds_total", // of pools, once the database is open
	"waybill_package_fetches_total",       // of a worker, once it has its cache
	"waybill_package_uses_total",
}

// Prometheus sees no increase in a series' first sample: what an alert asks the increase of must be shown by a process that has counted
// nothing yet, for each value of a label that the alert names.
func TestAFreshProcessShowsWhatAlertsAskTheIncreaseOf(t *testing.T) {
	t.Parallel()
	shown, asked := fresh(t), 0
	for _, file := range []string{"prometheus/alerts.yml", "grafana/dashboards/waybill.json"} {
		text, err := os.ReadFile("../../deployments/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range grown.FindAllStringSubmatch(strings.ReplaceAll(string(text), `\"`, `"`), -1) {
			if m[1] == "rate" && slices.Contains(withoutZero, m[2]) {
				continue
			}
			asked++
			for _, wanted := range selected(m[3]) {
				if !slices.ContainsFunc(shown[m[2]], func(labels map[string]string) bool { return has(labels, wanted) }) {
					t.Errorf("%s asks for %s, and a fresh process shows no %s with %v", file, m[0], m[2], wanted)
				}
			}
		}
	}
	if asked < 10 {
		t.Errorf("only %d expressions were looked at", asked)
	}
}

// selected are the labels that matchers name, one for each combination of their alternatives.
func selected(matchers string) []map[string]string {
	all := []map[string]string{{}}
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		values := []string{m[3]}
		if m[2] == "=~" {
			values = strings.Split(m[3], "|")
		}
		var more []map[string]string
		for _, one := range all {
			for _, value := range values {
				next := map[string]string{m[1]: value}
				for k, v := range one {
					next[k] = v
				}
				more = append(more, next)
			}
		}
		all = more
	}
	return all
}

func has(labels, wanted map[string]string) bool {
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// Those who add and end workers of one destination ask by its task queue.
func TestPlacesAreShownByTaskQueue(t *testing.T) {
	t.Parallel()
	p := newParts(settings.Settings{}, nil)
	places, err := newSlots(3)
	if err != nil {
		t.Fatal(err)
	}
	observeSlots(places, "waybill-1-2", p.metrics)
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		if name := f.GetName(); name == "waybill_worker_slots" || name == "waybill_worker_running" {
			for _, l := range f.Metric[0].Label {
				found[name+" "+l.GetName()+" "+l.GetValue()] = f.Metric[0].GetGauge().GetValue()
			}
		}
	}
	if slots, there := found["waybill_worker_slots task_queue waybill-1-2"]; !there || slots != 3 {
		t.Errorf("3 places are shown as %v", found)
	}
	if running, there := found["waybill_worker_running task_queue waybill-1-2"]; !there || running != 0 {
		t.Errorf("no running program is shown as %v", found)
	}
}
