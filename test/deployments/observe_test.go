package deployments

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rules is a file of alerts, or of records.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Alert  string `yaml:"alert,omitempty"`
	Record string `yaml:"record,omitempty"`
	Expr   string `yaml:"expr"`
}

func alerts(t *testing.T) (list []rule) {
	t.Helper()
	var r rules
	if err := yaml.Unmarshal(fileOf(t, at("prometheus", "alerts.yml")), &r); err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Groups {
		list = append(list, g.Rules...)
	}
	if len(list) < 10 {
		t.Fatalf("only %d alerts found", len(list))
	}
	return list
}

func fileOf(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// expressions are those of the dashboard, with the variables that Grafana puts in filled.
func expressions(t *testing.T) (list []string) {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(fileOf(t, at("grafana", "dashboards", "waybill.json")), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			list = append(list, strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"))
		}
	}
	if len(list) < 30 {
		t.Fatalf("only %d expressions found", len(list))
	}
	return list
}

func TestAlertsComeWhenTheyMust(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	must(t, promtool, "check", "config", at("prometheus", "prometheus.yml"))
	must(t, promtool, "test", "rules", at("prometheus", "alerts_test.yml"))
}

func TestEveryAlertIsTested(t *testing.T) {
	t.Parallel()
	text := string(fileOf(t, at("prometheus", "alerts_test.yml")))
	for _, a := range alerts(t) {
		if strings.Count(text, a.Alert) < 2 {
			t.Errorf("%s is not tested both ways", a.Alert)
		}
	}
}

func TestTheDashboardsExpressionsAreWellFormed(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	var r rules
	r.Groups = append(r.Groups, struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	}{Name: "dashboard"})
	for i, e := range expressions(t) {
		r.Groups[0].Rules = append(r.Groups[0].Rules, rule{Record: "expression_" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Expr: e})
	}
	text, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, promtool, "check", "rules", "--lint=none", file)
}

func TestAlertsAndDashboardUseMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	told := map[string]bool{}
	name := regexp.MustCompile(`waybill_[a-z_]+`)
	for _, m := range name.FindAllString(string(fileOf(t, filepath.Join(root, "docs", "metrics.md"))), -1) {
		told[m] = true
	}
	used := expressions(t)
	for _, a := range alerts(t) {
		used = append(used, a.Expr)
	}
	for _, e := range used {
		for _, m := range name.FindAllString(e, -1) {
			plain := m
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				plain = strings.TrimSuffix(plain, suffix)
			}
			if !told[m] && !told[plain] {
				t.Errorf("%s of %q is not in docs/metrics.md", m, e)
			}
		}
	}
}

// TestAlertsKnowTheJobsThatAreScraped: what an alert or a panel says of the label job fits what the compose file's Prometheus and the
// operator of the chart give their targets.
func TestAlertsKnowTheJobsThatAreScraped(t *testing.T) {
	t.Parallel()
	jobs := map[string][]string{}
	for _, one := range documents(t, read(t, at("prometheus", "prometheus.yml")))[0]["scrape_configs"].([]any) {
		jobs["compose"] = append(jobs["compose"], text(dig(one, "job_name")))
	}
	for _, d := range documents(t, []byte(rendered(t, "full"))) {
		for _, kind := range []string{"endpoints", "podMetricsEndpoints"} {
			list, _ := dig(d, "spec", kind).([]any)
			for _, endpoint := range list {
				jobs["chart"] = append(jobs["chart"], jobOf(endpoint))
			}
		}
	}
	label := regexp.MustCompile(`job=~"([^"]*)"`)
	used := expressions(t)
	for _, a := range alerts(t) {
		used = append(used, a.Expr)
	}
	asked := 0
	for _, e := range used {
		for _, m := range label.FindAllStringSubmatch(e, -1) {
			asked++
			fits := regexp.MustCompile("^(?:" + m[1] + ")$") // Prometheus anchors
			for where, names := range jobs {
				if !slices.ContainsFunc(names, fits.MatchString) {
					t.Errorf("%s: %s fits none of the jobs %q", where, m[0], names)
				}
			}
		}
	}
	if asked == 0 || len(jobs["chart"]) != 2 || len(jobs["compose"]) < 3 {
		t.Errorf("%d expressions ask for %v", asked, jobs)
	}
}

// jobOf is the label job of what an endpoint of the operator finds, as far as the endpoint says.
func jobOf(endpoint any) string {
	relabelings, _ := dig(endpoint, "relabelings").([]any)
	for _, r := range relabelings {
		if text(dig(r, "targetLabel")) == "job" && dig(r, "sourceLabels") == nil {
			return text(dig(r, "replacement"))
		}
	}
	return ""
}

func TestTheChartHasTheAlerts(t *testing.T) {
	t.Parallel()
	if string(fileOf(t, at("prometheus", "alerts.yml"))) != string(fileOf(t, at("helm", "waybill", "files", "alerts.yml"))) {
		t.Error("deployments/helm/waybill/files/alerts.yml is not a copy of deployments/prometheus/alerts.yml")
	}
}
