package deployments

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"waybill/internal/app/settings"
)

// command is one command line of Waybill in deployments/, with the environment it is given.
type command struct {
	where string
	args  []string
	env   map[string]string
}

// roles are whose settings a command takes.
var roles = map[string]settings.Role{
	"api": settings.API, "worker": settings.WorkerOnly, "up": settings.Up, "migrate up": settings.Tool, "admin setup": settings.Tool,
}

// check loads the settings as the command would.
func (c command) check(t *testing.T) (s settings.Settings) {
	t.Helper()
	if c.args[0] == "health" {
		return s // it has no settings
	}
	for n := 2; n >= 1; n-- {
		if len(c.args) < n {
			continue
		}
		if role, there := roles[strings.Join(c.args[:n], " ")]; there {
			return c.load(t, role, c.args[n:])
		}
	}
	t.Errorf("%s: unknown command %q", c.where, c.args)
	return s
}

func (c command) load(t *testing.T, role settings.Role, args []string) settings.Settings {
	t.Helper()
	for name, value := range c.env {
		if !strings.HasPrefix(name, "WAYBILL_") {
			continue
		}
		if !settings.Known(name) {
			t.Errorf("%s: Waybill has no setting for %s", c.where, name)
		}
		if strings.HasSuffix(name, "_FILE") {
			value = secretFile(t, name)
		}
		t.Setenv(name, value)
		defer func() { _ = os.Unsetenv(name) }()
	}
	flags := pflag.NewFlagSet(c.where, pflag.ContinueOnError)
	settings.AddFlags(flags, role)
	if err := flags.Parse(args); err != nil {
		t.Errorf("%s: %v", c.where, err)
		return settings.Settings{}
	}
	if config := flags.Lookup("config"); config.Changed { // the file that is installed as this one
		if err := config.Value.Set(at("systemd", filepath.Base(config.Value.String()))); err != nil {
			t.Fatal(err)
		}
	}
	s, err := settings.Load(flags)
	if err != nil {
		t.Errorf("%s: %v", c.where, err)
	}
	return s
}

// secretFile is a file with what such a secret looks like.
func secretFile(t *testing.T, name string) string {
	t.Helper()
	value := "a-secret-of-a-test"
	switch name {
	case "WAYBILL_MASTER_KEY_FILE":
		value = strings.Repeat("0f", 32)
	case "WAYBILL_DATABASE_FILE":
		value = "postgres://waybill:x@postgres:5432/waybill?sslmode=disable"
	}
	return write(t, filepath.Join(t.TempDir(), "secret"), value+"\n")
}

// composeCommands are those of Waybill, by the names of their services.
func composeCommands(t *testing.T) map[string]command {
	t.Helper()
	found := map[string]command{}
	for name, service := range composeServices(t) {
		if !strings.HasPrefix(text(dig(service, "image")), "waybill") {
			continue
		}
		c := command{where: "compose: " + name, env: map[string]string{}}
		for _, a := range dig(service, "command").([]any) {
			c.args = append(c.args, a.(string))
		}
		for key, value := range dig(service, "environment").(map[string]any) {
			c.env[key] = substituted(fmt.Sprint(value))
		}
		found[name] = c
	}
	return found
}

func TestWaybillTakesTheCommandsOfTheComposeFile(t *testing.T) {
	commands, services := composeCommands(t), composeServices(t)
	for name, c := range commands {
		c.check(t)
		service := services[name]
		if probe, there := dig(service, "healthcheck", "test").([]any); there && text(probe[1]) != "/usr/bin/waybill" {
			t.Errorf("%s: the image holds no %v", name, probe[1])
		}
	}
	if found := len(commands); found != 5 {
		t.Errorf("%d services of Waybill", found)
	}
}

func TestWaybillTakesTheCommandsOfTheChart(t *testing.T) {
	found := 0
	for _, values := range valueFiles {
		for _, c := range chartCommands(t, values, rendered(t, values)) {
			found++
			c.check(t)
		}
	}
	if found != 7 {
		t.Errorf("%d containers", found)
	}
}

// chartCommands are those of the containers in what the chart made.
func chartCommands(t *testing.T, values, made string) (list []command) {
	t.Helper()
	for _, d := range documents(t, []byte(made)) {
		containers, _ := dig(d, "spec", "template", "spec", "containers").([]any)
		for _, container := range containers {
			c := command{where: fmt.Sprintf("chart %s: %v", values, dig(d, "metadata", "name")), env: map[string]string{}}
			for _, a := range dig(container, "args").([]any) {
				c.args = append(c.args, a.(string))
			}
			for _, e := range dig(container, "env").([]any) {
				value := text(dig(e, "value"))
				if dig(e, "valueFrom") != nil {
					value = "from-a-secret"
				}
				c.env[text(dig(e, "name"))] = value
			}
			list = append(list, c)
		}
	}
	return list
}

var unitSetting = regexp.MustCompile(`([A-Z0-9_]+)=(\S+)`)

func TestWaybillTakesTheCommandsOfTheUnits(t *testing.T) {
	for unit, c := range unitCommands(t) {
		if s := c.check(t); unit == "waybill-worker@.service" && s.Destination != instance {
			t.Errorf("%s: waybill-worker@%s serves %q", unit, instance, s.Destination)
		}
	}
}

// TestWaybillTakesTheSettingsThatAreProposed are those of waybill.env that are comments until somebody needs them: without an address for
// its balancer the API serves this machine only.
func TestWaybillTakesTheSettingsThatAreProposed(t *testing.T) {
	c := unitCommands(t)["waybill-api.service"]
	for _, m := range regexp.MustCompile(`(?m)^#(WAYBILL_[A-Z0-9_]+)=(.+)$`).FindAllStringSubmatch(string(read(t, at("systemd", "waybill.env"))), -1) {
		c.env[m[1]] = m[2]
	}
	s := c.check(t)
	if strings.HasPrefix(s.Listen, "127.") || s.Listen == "" || len(s.Audit.TrustedProxies) == 0 || s.JobsURL == "" {
		t.Errorf("listens at %q, believes %v, jobs call %q", s.Listen, s.Audit.TrustedProxies, s.JobsURL)
	}
}

// unitCommands are those of the units, by their names.
func unitCommands(t *testing.T) map[string]command {
	t.Helper()
	units, err := filepath.Glob(at("systemd", "*.service"))
	if err != nil || len(units) != 4 {
		t.Fatal(units, err)
	}
	commands := map[string]command{}
	for _, unit := range units {
		c := command{where: filepath.Base(unit), env: map[string]string{}}
		for line := range strings.Lines(string(read(t, at("systemd", "waybill.env")))) {
			if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") && c.where != "waybill.service" {
				c.env[key] = value
			}
		}
		for line := range strings.Lines(string(read(t, unit))) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "ExecStart":
				c.args = strings.Fields(value)[1:]
			case "Environment":
				for _, m := range unitSetting.FindAllStringSubmatch(value, -1) {
					c.env[m[1]] = strings.ReplaceAll(strings.ReplaceAll(m[2], "%i", instance), "%d", credentials)
				}
			}
		}
		if len(c.args) == 0 || len(c.env) == 0 {
			t.Fatalf("%s: nothing found", unit)
		}
		commands[c.where] = c
	}
	return commands
}

// instance is what the worker's unit is started for. systemd unescapes it for %I, as eu/west, but not for %i.
const instance = "eu-west"

// credentials is where a unit finds its own.
const credentials = "/run/credentials"

func TestUnitsAreWellFormed(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	units, _ := filepath.Glob(at("systemd", "*.service"))
	dir := t.TempDir()
	for _, unit := range units {
		// It looks whether the program is there.
		write(t, filepath.Join(dir, filepath.Base(unit)), strings.ReplaceAll(string(read(t, unit)), "/usr/local/bin/waybill", "/bin/true"))
	}
	for _, unit := range units {
		for line := range strings.Lines(must(t, analyze, "verify", filepath.Join(dir, filepath.Base(unit)))) {
			if strings.Contains(line, dir) && !strings.Contains(line, "executable") { // of the file in the temporary folder
				t.Error(line)
			}
		}
	}
	// What the instructions lay beside a unit is understood with it.
	role := string(read(t, at("systemd", "s3-role.conf")))
	for _, unit := range []string{"waybill-api.service", "waybill-worker@.service", "waybill-setup.service"} {
		if err := os.Mkdir(filepath.Join(dir, unit+".d"), 0o755); err != nil {
			t.Fatal(err)
		}
		path := write(t, filepath.Join(dir, unit+".d", "s3-role.conf"), role)
		for line := range strings.Lines(must(t, analyze, "verify", filepath.Join(dir, unit))) {
			if strings.Contains(line, path) && !strings.Contains(line, "executable") {
				t.Error(line)
			}
		}
		if text := string(read(t, at("systemd", unit))); !strings.Contains(text, "LoadCredential=s3-secret-key:") || !strings.Contains(text, "WAYBILL_S3_SECRET_KEY_FILE=") {
			t.Errorf("%s has nothing that s3-role.conf takes away", unit)
		}
	}
	bad := write(t, filepath.Join(dir, "bad.service"), "[Service]\nExecStart=/bin/true\nNoNewPrivilege=yes\n")
	if out, _ := try(t, analyze, "verify", bad); !strings.Contains(out, "NoNewPrivilege") {
		t.Errorf("a wrong directive is not told: %s", out)
	}
}

func TestUnknownSettingsAreFound(t *testing.T) {
	for name, want := range map[string]bool{
		"WAYBILL_NONSENSE": false, "WAYBILL_LISTEN_FILE": false, "PATH": false, "WAYBILL_MASTER_KEY_FILE": true, "WAYBILL_CONFIG": true, "WAYBILL_LISTEN": true,
	} {
		if settings.Known(name) != want {
			t.Errorf("%s: known %t", name, !want)
		}
	}
}
