package deployments

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waybill/internal/app/settings"
)

// setByTheChart are the settings that the templates give to processes by themselves.
func setByTheChart(t *testing.T) (names []string) {
	t.Helper()
	out, err := render(t, "--values", at("helm", "waybill", "ci", "minimal.yaml"), "--set", "temporal.apiKey=true")
	if err != nil {
		t.Fatal(out)
	}
	for _, c := range chartCommands(t, "minimal", out) {
		for variable := range c.env {
			names = append(names, strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "WAYBILL_")), "_", "-"))
		}
		for _, a := range c.args {
			if flag, is := strings.CutPrefix(a, "--"); is {
				flag, _, _ = strings.Cut(flag, "=")
				names = append(names, flag)
			}
		}
	}
	if len(names) < 20 {
		t.Fatalf("the chart sets %q only", names)
	}
	return append(names, "data") // where its volume is
}

// TestTheChartTakesTheSettingsThereAre, no misspelt ones, no secrets in the clear, and none that it would overrule.
func TestTheChartTakesTheSettingsThereAre(t *testing.T) {
	t.Parallel()
	own := setByTheChart(t)
	want := []string{"config"}
	for _, name := range slices.Concat(settings.Names(settings.API), settings.Names(settings.WorkerOnly)) {
		if !slices.Contains(own, name) && !slices.Contains(own, strings.TrimSuffix(name, "-file")) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	var schema struct {
		Defs struct {
			Settings struct {
				PropertyNames struct {
					Enum []string `json:"enum"`
				} `json:"propertyNames"`
			} `json:"settings"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(read(t, at("helm", "waybill", "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	if got := schema.Defs.Settings.PropertyNames.Enum; !slices.Equal(got, want) {
		text, _ := json.Marshal(want)
		t.Errorf("values.schema.json: $defs/settings/propertyNames/enum is not\n%s\nbut %q", text, got)
	}
}

func TestTheChartRefusesOtherSettings(t *testing.T) {
	t.Parallel()
	refused := []string{
		"retention-maxx-age", "oidc-client-secret", "database-direct", "s3-session-token", "smtp-password", "master-key-file", "concurrency",
		"drain-timeout", "metrics-listen", "shutdown-delay", "workers", "engine-listen", "data",
	}
	for _, place := range []string{"settings.", "api.settings."} {
		args := []string{"--values", at("helm", "waybill", "ci", "minimal.yaml")}
		for _, name := range refused {
			args = append(args, "--set", place+name+"=1")
		}
		out, err := render(t, args...)
		if err == nil {
			t.Errorf("%s: all were taken", place)
		}
		for _, name := range refused {
			if !strings.Contains(out, "propertyName '"+name+"'") {
				t.Errorf("%s%s is not refused:\n%s", place, name, out)
			}
		}
	}
}

// TestNumbersArriveAsTheyAreWritten: Helm reads numbers of files as floats.
func TestNumbersArriveAsTheyAreWritten(t *testing.T) {
	const values = `
settings: {trace-sampling: 0.25, cache-size: 53687091200, allow-sub-minute-schedules: true, retention-max-age: 720h, retention-max-count: 0}
api: {settings: {max-file-size: 2147483648}, terminationGracePeriodSeconds: 1000000}
`
	file := write(t, filepath.Join(t.TempDir(), "numbers.yaml"), values)
	out, err := render(t, "--values", at("helm", "waybill", "ci", "minimal.yaml"), "--values", file)
	if err != nil {
		t.Fatal(out)
	}
	found := map[string]string{}
	for _, c := range chartCommands(t, "numbers", out) {
		c.check(t)
		for name, value := range c.env {
			found[name] = value
		}
	}
	for name, want := range map[string]string{
		"WAYBILL_TRACE_SAMPLING": "0.25", "WAYBILL_CACHE_SIZE": "53687091200", "WAYBILL_MAX_FILE_SIZE": "2147483648",
		"WAYBILL_ALLOW_SUB_MINUTE_SCHEDULES": "true", "WAYBILL_RETENTION_MAX_AGE": "720h", "WAYBILL_RETENTION_MAX_COUNT": "0",
	} {
		if found[name] != want {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
	if !strings.Contains(out, "terminationGracePeriodSeconds: 1000000\n") {
		t.Error("a large number of seconds is written as a float")
	}
}
