package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load parses a command line as a command does. The environment of the machine must not leak in.
func load(t *testing.T, args ...string) (Settings, error) {
	t.Helper()
	for _, s := range settings {
		if _, set := os.LookupEnv(EnvName(s.name)); set && !own[s.name] {
			t.Setenv(EnvName(s.name), "")
			if err := os.Unsetenv(EnvName(s.name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, Up)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(flags)
}

var own = map[string]bool{}

func setenv(t *testing.T, name, value string) {
	t.Helper()
	own[name] = true
	t.Cleanup(func() { delete(own, name) })
	t.Setenv(EnvName(name), value)
}

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "waybill.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	s, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:8080" || s.EngineListen != "127.0.0.1:7233" || s.EngineUIListen != "127.0.0.1:8233" {
		t.Errorf("addresses %s %s %s", s.Listen, s.EngineListen, s.EngineUIListen)
	}
	if !filepath.IsAbs(s.Data) || s.JobGrace != 10*time.Second || s.Sandbox != "auto" || s.MaxFileSize != 1<<30 {
		t.Errorf("got %+v", s)
	}
}

func TestFlagBeatsEnvironmentBeatsFile(t *testing.T) {
	path := settingsFile(t, "listen: 127.0.0.1:1\nengine-listen: 127.0.0.1:2\nengine-ui-listen: 127.0.0.1:3\nworkers: 7\n")
	setenv(t, "listen", "127.0.0.1:11")
	setenv(t, "engine-listen", "127.0.0.1:12")
	setenv(t, "admin-password", "from the environment")
	s, err := load(t, "--config", path, "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:0" || s.EngineListen != "127.0.0.1:12" || s.EngineUIListen != "127.0.0.1:3" || s.Workers != 7 {
		t.Errorf("got %+v", s)
	}
	if s.AdminPassword != "from the environment" {
		t.Error("the password of the environment was not taken")
	}
}

func TestAllFaultsAreReportedTogether(t *testing.T) {
	path := settingsFile(t, "lisssten: x\nworkers: [1, 2]\nnested:\n  key: 1\n")
	setenv(t, "log-level", "loud")
	setenv(t, "admin-password", "short")
	_, err := load(t, "--config", path, "--listen", "8080", "--engine-listen", "0.0.0.0:7233", "--engine-ui-listen", "127.0.0.1:99999",
		"--base-url", "ftp://x", "--job-grace", "soon", "--max-file-size", "-1", "--data", "")
	if err == nil {
		t.Fatal("taken")
	}
	for _, part := range []string{"lisssten", "workers takes one value", "nested.key", "WAYBILL_LOG_LEVEL", "WAYBILL_ADMIN_PASSWORD", "--listen",
		"--engine-listen", "loopback", "--engine-ui-listen", "--base-url", "--job-grace", "--max-file-size", "--data"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the report does not speak of %q:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), `"short"`) {
		t.Error("the report shows the password")
	}
}

func TestMissingOrBrokenFileIsReported(t *testing.T) {
	if _, err := load(t, "--config", filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := load(t, "--config", settingsFile(t, "a: [")); err == nil {
		t.Error("broken file taken")
	}
}

func TestExternalComponents(t *testing.T) {
	s, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if s.Database.URL != "" || s.S3.Endpoint != "" || s.Temporal.Address != "" || s.S3.Bucket != "waybill" || s.Temporal.Namespace != "default" || s.S3.TLS {
		t.Errorf("without settings: %+v", s)
	}
	setenv(t, "database", "postgres://waybill:hidden@db.example.com:5432/waybill")
	setenv(t, "s3-secret-key", "hidden")
	setenv(t, "master-key", strings.Repeat("0f", 32))
	s, err = load(t, "--s3-endpoint", "s3.example.com:443", "--s3-access-key", "key", "--s3-region", "eu-1", "--s3-bucket", "b", "--s3-tls",
		"--temporal", "temporal.example.com:7233", "--temporal-namespace", "jobs")
	if err != nil {
		t.Fatal(err)
	}
	want := S3{
		Endpoint: "s3.example.com:443", AccessKey: "key", SecretKey: "hidden", Region: "eu-1", Bucket: "b", CreateBucket: true, Lookup: "auto",
		TLS: true, MinTLS: "1.2", Timeout: time.Minute, Encryption: "none", Checksums: true, Lifecycle: "manage", PublicExpiry: 5 * time.Minute,
	}
	if s.S3 != want || s.Database.URL == "" || s.MasterKey == "" || s.Temporal.Address != "temporal.example.com:7233" || s.Temporal.Namespace != "jobs" {
		t.Errorf("got %+v", s)
	}
}

func TestSecretsHaveNoFlagAndAreNotShown(t *testing.T) {
	setenv(t, "database", "mysql://waybill:hidden@db.example.com/waybill")
	setenv(t, "master-key", "hidden")
	_, err := load(t, "--s3-endpoint", "s3.example.com:443", "--s3-access-key", "key", "--temporal", "nowhere")
	if err == nil {
		t.Fatal("taken")
	}
	for _, part := range []string{"--database (WAYBILL_DATABASE) is a URL", "WAYBILL_MASTER_KEY", "--s3-access-key", "WAYBILL_S3_SECRET_KEY and", "--temporal"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the report does not speak of %q:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "db.example.com") {
		t.Errorf("the report shows a secret: %v", err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, Up)
	for _, name := range []string{"s3-secret-key", "master-key", "admin-password"} {
		if flags.Lookup(name) != nil {
			t.Errorf("there is a flag for the secret %s", name)
		}
	}
}

func TestADatabaseURLOnTheCommandLineHoldsNoPassword(t *testing.T) {
	load := func(args ...string) (Settings, error) {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		AddFlags(flags, Up)
		if err := flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		return Load(flags)
	}
	s, err := load("--database", "postgres://waybill@db.example.com/waybill")
	if err != nil || s.Database.URL != "postgres://waybill@db.example.com/waybill" {
		t.Errorf("a URL without a password: %q, %v", s.Database.URL, err)
	}
	for _, name := range []string{"database", "database-direct"} {
		for _, url := range []string{"postgres://waybill:hidden@db.example.com/waybill", "postgres://db.example.com/waybill?password=hidden", "postgres://%zz:hidden@x"} {
			_, err := load("--"+name, url)
			if err == nil || !strings.Contains(err.Error(), EnvName(name)+"_FILE") || strings.Contains(err.Error(), "hidden") {
				t.Errorf("--%s %s: %v", name, url, err)
			}
		}
	}
	t.Setenv("WAYBILL_DATABASE", "postgres://waybill:hidden@db.example.com/waybill")
	if s, err := load(); err != nil || s.Database.URL == "" {
		t.Errorf("a password in the environment: %v", err)
	}
}

func TestTheCommandRunnerTableComesFromTheFile(t *testing.T) {
	path := settingsFile(t, `
listen: 127.0.0.1:1
runners:
  - name: djengine
    match: ["*.process.rtc", "*.map.rtc"]
    command: [djengine, -RC, "{entryPoint}"]
    environment: {DJ_HOME: /opt/dj, DEPTH: 3}
    read: [/srv/dj]
`)
	s, err := load(t, "--config", path)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Runners) != 1 || s.Listen != "127.0.0.1:1" {
		t.Fatalf("got %+v", s.Runners)
	}
	r := s.Runners[0]
	if r.Name != "djengine" || len(r.Match) != 2 || strings.Join(r.Command, " ") != "djengine -RC {entryPoint}" ||
		r.Environment["DEPTH"] != "3" || r.Environment["DJ_HOME"] != "/opt/dj" || r.Read[0] != "/srv/dj" {
		t.Errorf("got %+v", r)
	}
}

func TestAFaultyCommandRunnerTableIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"runners: djengine\n":                            "runners is a list of entries",
		"runners:\n  - {name: a, comand: [x]}\n":         "field comand not found",
		"runners:\n  - {name: a, command: [x, '{y}']}\n": `runners: entry 1 ("a"): command has "{y}": unknown placeholder {y}`,
	} {
		if _, err := load(t, "--config", settingsFile(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestVariablesOfBuilds(t *testing.T) {
	s, err := load(t, "--environment-variables", "PIP_X, NPM_Y")
	if err != nil || strings.Join(s.EnvironmentVariables, " ") != "PIP_X NPM_Y" {
		t.Errorf("got %v %v", s.EnvironmentVariables, err)
	}
	for _, bad := range []string{"A-B", "WAYBILL_MASTER_KEY"} {
		if _, err := load(t, "--environment-variables", bad); err == nil || !strings.Contains(err.Error(), "--environment-variables") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestASecretMayComeFromAFile(t *testing.T) {
	file := settingsFile(t, strings.Repeat("0f", 32)+"\n")
	t.Setenv("WAYBILL_MASTER_KEY_FILE", file)
	s, err := load(t)
	if err != nil || s.MasterKey != strings.Repeat("0f", 32) {
		t.Fatalf("got %q, %v", s.MasterKey, err)
	}
	setenv(t, "master-key", strings.Repeat("aa", 32))
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "WAYBILL_MASTER_KEY_FILE are both set") {
		t.Errorf("both: %v", err)
	}
	t.Setenv("WAYBILL_S3_SECRET_KEY_FILE", file+".none")
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "WAYBILL_S3_SECRET_KEY_FILE") {
		t.Errorf("a file that is not there: %v", err)
	}
	t.Setenv("WAYBILL_S3_SECRET_KEY_FILE", settingsFile(t, strings.Repeat("x", maxSecretFile+1)))
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file: %v", err)
	}
	t.Setenv("WAYBILL_S3_SECRET_KEY_FILE", settingsFile(t, " \n"))
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "holds nothing") {
		t.Errorf("an empty file: %v", err)
	}
	t.Setenv("WAYBILL_LISTEN_FILE", file) // no secret
	if s, err := load(t); err == nil && s.Listen != "127.0.0.1:8080" {
		t.Errorf("listen %q", s.Listen)
	}
}

// Callbacks and mails are made by whichever process is given them, so what they look like is told to all of them.
func TestEveryLastingProcessIsToldWhatCallbacksLookLike(t *testing.T) {
	for role, takes := range map[Role]bool{Up: true, API: true, WorkerOnly: true, Tool: false} {
		flags := pflag.NewFlagSet(string(role), pflag.ContinueOnError)
		AddFlags(flags, role)
		if err := flags.Parse([]string{"--base-url", "https://waybill.example.com", "--dates", "rfc3339"}); (err == nil) != takes {
			t.Errorf("%s: %v", role, err)
			continue
		}
		if !takes {
			continue
		}
		if s, err := Load(flags); err != nil || s.BaseURL != "https://waybill.example.com" || s.Dates != "rfc3339" {
			t.Errorf("%s: %q, %q, %v", role, s.BaseURL, s.Dates, err)
		}
	}
}
