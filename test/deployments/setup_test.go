package deployments

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEachWayMakesWhatItsProcessesNeed: the API does not start without its namespace, and nobody signs in without an admin. So each way
// runs the whole set-up, and gives it the master key, else it makes no keys, and the password of the first admin.
func TestEachWayMakesWhatItsProcessesNeed(t *testing.T) {
	t.Parallel()
	for way, commands := range map[string][]command{
		"compose": slices.Collect(maps.Values(composeCommands(t))),
		"chart":   chartCommands(t, "minimal", rendered(t, "minimal")),
		"systemd": slices.Collect(maps.Values(unitCommands(t))),
	} {
		at := slices.IndexFunc(commands, func(c command) bool { return strings.HasPrefix(strings.Join(c.args, " "), "admin setup") })
		if at < 0 {
			t.Errorf("%s: nothing runs waybill admin setup", way)
			continue
		}
		for _, name := range []string{"WAYBILL_MASTER_KEY_FILE", "WAYBILL_ADMIN_PASSWORD_FILE", "WAYBILL_DATABASE_FILE"} {
			if commands[at].env[name] == "" {
				t.Errorf("%s is not given %s", commands[at].where, name)
			}
		}
	}
}

// TestUnitsAreGivenTheSecretsTheyName, from files that the instructions tell of.
func TestUnitsAreGivenTheSecretsTheyName(t *testing.T) {
	t.Parallel()
	told := string(read(t, at("..", "docs", "deployment.md")))
	loaded := regexp.MustCompile(`(?m)^LoadCredential=([a-z0-9-]+):/etc/waybill/secrets/([a-z0-9-]+)$`)
	named := 0
	for unit, c := range unitCommands(t) {
		given := map[string]bool{}
		for _, m := range loaded.FindAllStringSubmatch(string(read(t, at("systemd", unit))), -1) {
			given[m[1]] = true
			if !strings.Contains(told, m[2]) {
				t.Errorf("%s needs the file %s, of which docs/deployment.md does not tell", unit, m[2])
			}
		}
		for name, value := range c.env {
			secret, found := strings.CutPrefix(value, credentials+"/")
			if found && !given[secret] {
				t.Errorf("%s: %s names a secret that the unit is not given", unit, name)
			}
			if found {
				named++
			}
		}
		if !strings.Contains(told, strings.TrimSuffix(strings.ReplaceAll(unit, "@", "@DESTINATION"), ".service")) {
			t.Errorf("docs/deployment.md does not tell of %s", unit)
		}
	}
	if named < 8 {
		t.Errorf("only %d secrets are named", named)
	}
}
