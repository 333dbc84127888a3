package settings

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"waybill/internal/runtimes"
)

// Settings is everything that can be set. Each has a flag, an environment variable (WAYBILL_ and the flag's name in
// capitals, "-" as "_") and a key of the settings file (the flag's name); flag beats environment beats file. A secret has no
// flag, but may be in a file that the environment names: WAYBILL_..._FILE.
type Settings struct {
	Data                  string
	Listen                string
	BaseURL               string
	JobsURL               string // where programs call the API; empty: BaseURL
	AdminPassword         string
	EngineListen          string
	EngineUIListen        string
	LogLevel              string
	LogFormat             string
	Sandbox               string
	Workers               int // jobs that run at once; 0: by the number of cores
	JobGrace              time.Duration
	WorkerLoss            time.Duration
	DrainTimeout          time.Duration
	ShutdownDelay         time.Duration // api only: between the loss of readiness and the end of the REST server
	MaxFileSize           int64
	CacheSize             int64
	Dates                 string
	SubMinuteSchedules    bool // cron patterns may fire more than once a minute
	CallbacksAllowPrivate bool // users may name addresses that are not public
	EventRetention        time.Duration

	SMTP    SMTP
	Jobs    JobLimits
	Outputs OutLimits
	Outages Outages
	Limits  Limits

	DIEMServicesTimeout time.Duration // see control.Calls

	NoWorker    bool              // up only: run no programs in this process
	Destination string            // worker only: its name in the account "default", account/name, or its id
	Concurrency int               // worker only: as Workers
	Work        string            // worker only: folder for packages and running jobs; empty: one in the data folder
	Labels      map[string]string // of the worker

	EnvironmentSize      int64         // bytes of all environments of a worker
	EnvironmentMaxSize   int64         // bytes of one
	EnvironmentBuildTime time.Duration // for one
	EnvironmentVariables []string      // passed to builds besides those that are known

	Runners []runtimes.Runner // the command runner table; in the settings file only

	RetentionInterval time.Duration // pause between two runs of the retention
	RetentionMaxAge   time.Duration // for accounts that set none; 0: for ever
	RetentionMaxCount int           // the same; 0: any number

	MasterKey string // hex, or several with commas between them, the newest first; empty: the file master.key in the data folder
	Audit     Audit
	OIDC      OIDC
	Database  Database
	S3        S3
	Temporal  Temporal
	Observe   Observe
	Engine    Engine
}

// SMTP is the server that takes mail; with an empty Host none is sent.
type SMTP struct {
	Host, User, Password, From string
	Port                       int
	TLS                        string // none, starttls, tls
}

// setting describes one member of Settings.
type setting struct {
	name, value, help string
	secret            bool                     // no flag: a command line can be read by every user of the machine
	bare              func(value string) error // a secret with a flag all the same: what the flag may not hold
	flag              bool                     // true or false; the flag alone means true
	only              []Role                   // none: every command has the flag
}

// Role is what a process is there for.
type Role string

// The roles.
const (
	Up         Role = "up"     // all of Waybill
	API        Role = "api"    // serves REST, and the system's queues
	WorkerOnly Role = "worker" // runs programs, and serves the system's queues
	Tool       Role = "tool"   // looks after an installation, and ends
)

// Who has a flag that not all have.
var (
	alone   = []Role{Up}
	servers = []Role{Up, API}
	workers = []Role{WorkerOnly}
	lasting = []Role{Up, API, WorkerOnly} // any of them makes callbacks and mails
)

var settings = slices.Concat(auditSettings, oidcSettings, jobLimitSettings, outLimitSettings, outageSettings, limitSettings, diemSettings, databaseSettings, s3Settings, temporalSettings, observeSettings, engineSettings, processSettings, []setting{
	{name: "data", value: "waybill-data", help: "folder that holds everything Waybill keeps"},
	{name: "listen", only: servers, value: "127.0.0.1:8080", help: "address of the REST API; port 0 picks a free one"},
	{name: "base-url", only: lasting, help: "URL by which clients reach the REST API, used in links of answers, callbacks and mails, and by programs without --jobs-url: the same for all processes (default: from --listen; of a worker, that of the data folder's waybill up)"},
	{name: "admin-password", secret: true, help: "password of the user admin, made at the first start (default: random)"},
	{name: "engine-listen", only: alone, value: "127.0.0.1:7233", help: "address of the Temporal gRPC frontend; port 0 picks a free one"},
	{name: "engine-ui-listen", only: alone, value: "127.0.0.1:8233", help: "address of the Temporal Web UI; port 0 picks a free one"},
	{name: "log-level", value: "info", help: "debug, info, warn or error"},
	{name: "log-format", value: "text", help: "text or json"},
	{name: "sandbox", value: "auto", help: "isolation of jobs: auto (as far as the machine can), strict (or refuse), off"},
	{name: "workers", only: alone, value: "0", help: "jobs that run at once (default: 16 for each core)"},
	{name: "no-worker", only: alone, value: "false", flag: true, help: "run no jobs in this process; other workers do"},
	{name: "destination", only: workers, value: "default", help: "destination whose jobs are run: NAME, ACCOUNT/NAME or its id"},
	{name: "concurrency", only: workers, value: "0", help: "jobs that run at once (default: 16 for each core)"},
	{name: "work", only: workers, help: "folder for packages and running jobs (default: one of its own in the data folder)"},
	{name: "labels", help: "what to show of the worker, such as zone=a,disk=ssd"},
	{name: "job-grace", value: "10s", help: "time between the wish that a job end and its kill"},
	{name: "worker-loss", value: "15s", help: "silence after which a worker is taken for lost"},
	{name: "drain-timeout", value: "30s", help: "time that running jobs get when the program stops"},
	{name: "max-file-size", only: servers, value: "1073741824", help: "largest file that can be uploaded, in bytes"},
	{name: "cache-size", value: "4294967296", help: "disk space for unpacked packages, in bytes"},
	{name: "environment-size", value: "4294967296", help: "disk space for environments (libraries that packages need), in bytes"},
	{name: "environment-max-size", value: "2147483648", help: "largest environment, in bytes"},
	{name: "environment-build-time", value: "10m", help: "time for building an environment"},
	{name: "environment-variables", help: "variables of the worker that builds of environments see, such as PIP_KEYRING_PROVIDER,NPM_AUTH (default: those docs/packages.md lists)"},
	{name: "event-retention", value: "168h", help: "time for which the events of jobs are kept, and streams of them can be resumed"},
	{name: "allow-sub-minute-schedules", only: servers, value: "false", flag: true, help: "let cron patterns fire more than once a minute"},
	{name: "callbacks-allow-private", value: "false", flag: true, help: "let webhooks and callbacks reach addresses that are not public"},
	{name: "smtp-host", help: "mail server (default: no mail is sent)"},
	{name: "smtp-port", value: "587", help: "port of the mail server"},
	{name: "smtp-user", help: "user to sign in to the mail server with (default: no sign-in)"},
	{name: "smtp-password", secret: true, help: "password to sign in to the mail server with"},
	{name: "smtp-from", help: "sender of mail, such as 'Waybill <waybill@example.com>'"},
	{name: "smtp-tls", value: "starttls", help: "protection of mail: none, starttls (required) or tls (from the first byte)"},
	{name: "dates", only: lasting, value: "medium", help: "date format of replies and callbacks, the same for all processes: medium or rfc3339"},
	{name: "retention-interval", value: "10m", help: "pause between two runs of the retention, which deletes jobs that are over their time"},
	{name: "retention-max-age", value: "0s", help: "how long finished jobs are kept where account and job config set no age; 0s: for ever"},
	{name: "retention-max-count", value: "0", help: "how many finished jobs an account keeps where it and the job config set no number; 0: all"},
	{name: "master-key", secret: true, help: "key that seals secrets, in hex (default: made at the first start, in the data folder)"},
})

const envPrefix = "WAYBILL_"

// EnvName is the environment variable of a setting.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Name is how messages name a setting: its flag, where it has one, and its environment variable.
func Name(name string) string {
	for _, s := range settings {
		if s.name == name && s.secret && s.bare == nil {
			return EnvName(name)
		}
	}
	return "--" + name + " (" + EnvName(name) + ")"
}

// AddFlags puts a flag for each setting of the role on the set, and --config for the file.
func AddFlags(flags *pflag.FlagSet, role Role) {
	flags.String("config", "", "settings file (YAML); also "+EnvName("config"))
	for _, s := range settings {
		if s.secret && s.bare == nil || s.only != nil && !slices.Contains(s.only, role) {
			continue
		}
		flags.String(s.name, s.value, s.help+"; also "+EnvName(s.name))
		if s.flag {
			flags.Lookup(s.name).NoOptDefVal = "true"
		}
	}
}

// Load reads the settings from file, environment and flags, and reports every fault it finds, together.
func Load(flags *pflag.FlagSet) (Settings, error) {
	k := koanf.New("\n") // names hold no newline, so keys stay flat
	defaults := map[string]any{}
	for _, s := range settings {
		defaults[s.name] = s.value
	}
	var faults []error
	add := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	add(k.Load(confmap.Provider(defaults, "\n"), nil))
	path, _ := flags.GetString("config")
	if path == "" {
		path = os.Getenv(EnvName("config"))
	}
	var runners []runtimes.Runner
	if path != "" {
		var err error
		runners, err = loadFile(k, path)
		add(err)
	}
	add(loadSecrets(k))
	add(k.Load(env.Provider("\n", env.Opt{Prefix: envPrefix, TransformFunc: func(name, value string) (string, any) {
		name = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "_", "-"))
		if _, known := defaults[name]; !known {
			return "", nil // the environment may hold variables of others
		}
		return name, value
	}}), nil))
	add(k.Load(posflag.ProviderWithFlag(flags, "\n", nil, func(f *pflag.Flag) (string, any) {
		if _, known := defaults[f.Name]; !known || !f.Changed {
			return "", nil
		}
		return f.Name, f.Value.String()
	}), nil))
	add(bareFlags(flags))
	s, more := parse(k)
	s.Runners = runners
	faults = append(faults, more...)
	return s, errors.Join(faults...)
}

// bareFlags refuses what a command line may not hold, for it can be read by every user of the machine.
func bareFlags(flags *pflag.FlagSet) error {
	var faults []error
	for _, s := range settings {
		if f := flags.Lookup(s.name); s.bare != nil && f != nil && f.Changed {
			if err := s.bare(f.Value.String()); err != nil {
				faults = append(faults, fmt.Errorf("--%s %w; give it as %s or %s", s.name, err, EnvName(s.name), EnvName(s.name)+fileSuffix))
			}
		}
	}
	return errors.Join(faults...)
}

// fileSuffix ends the name of an environment variable that names a file with a secret in it.
const fileSuffix = "_FILE"

// maxSecretFile bounds a file with a secret.
const maxSecretFile = 64 << 10 // bytes

// loadSecrets lays the secrets into k that files hold, which WAYBILL_..._FILE name, as containers are given them. White space
// at the end is no part of a secret.
func loadSecrets(k *koanf.Koanf) error {
	found := map[string]any{}
	var faults []error
	for _, s := range settings {
		path := os.Getenv(EnvName(s.name) + fileSuffix)
		if !s.secret || path == "" {
			continue
		}
		if os.Getenv(EnvName(s.name)) != "" {
			faults = append(faults, fmt.Errorf("%s and %s are both set: give one", EnvName(s.name), EnvName(s.name)+fileSuffix))
			continue
		}
		text, err := readSecret(path)
		if err == nil && text == "" { // as if it were not given: another database, or a key made anew, in silence
			err = fmt.Errorf("%s holds nothing", path)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", EnvName(s.name)+fileSuffix, err))
			continue
		}
		found[s.name] = text
	}
	return errors.Join(append(faults, k.Load(confmap.Provider(found, "\n"), nil))...)
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxSecretFile:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretFile)
	}
	return strings.TrimRight(string(text), " \t\r\n"), nil
}

// loadFile lays the settings of a file into k. The command runner table, which is no single value, comes back by itself.
func loadFile(k *koanf.Koanf, path string) ([]runtimes.Runner, error) {
	own := koanf.New("\n")
	if err := own.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	var faults []error
	runners, err := loadRunners(own, path)
	if err != nil {
		faults = append(faults, err)
	}
	for _, key := range own.Keys() {
		if !k.Exists(key) {
			faults = append(faults, fmt.Errorf("settings file %s: unknown setting %q", path, strings.ReplaceAll(key, "\n", ".")))
			continue
		}
		if v := own.Get(key); reflect.ValueOf(v).Kind() == reflect.Slice {
			faults = append(faults, fmt.Errorf("settings file %s: %s takes one value", path, key))
		}
	}
	return runners, errors.Join(append(faults, k.Merge(own))...)
}

// parse turns texts into values and checks each.
func parse(k *koanf.Koanf) (Settings, []error) {
	p := parser{k: k}
	s := Settings{
		Data:               p.path("data"),
		Listen:             p.address("listen"),
		BaseURL:            p.url("base-url"),
		JobsURL:            p.url("jobs-url"),
		AdminPassword:      k.String("admin-password"),
		EngineListen:       p.loopback("engine-listen"),
		EngineUIListen:     p.loopback("engine-ui-listen"),
		LogLevel:           p.word("log-level", "debug", "info", "warn", "error"),
		LogFormat:          p.word("log-format", "text", "json"),
		Sandbox:            p.word("sandbox", "auto", "strict", "off"),
		Workers:            int(p.number("workers", 0, 10_000)),
		JobGrace:           p.duration("job-grace", 0, time.Hour),
		WorkerLoss:         p.duration("worker-loss", 3*time.Second, time.Hour),
		DrainTimeout:       p.duration("drain-timeout", 0, 24*time.Hour),
		MaxFileSize:        p.number("max-file-size", 1, 1<<50),
		CacheSize:          p.number("cache-size", 0, 1<<50),
		Dates:              p.word("dates", "medium", "rfc3339"),
		SubMinuteSchedules: p.truth("allow-sub-minute-schedules"), CallbacksAllowPrivate: p.truth("callbacks-allow-private"),
		EventRetention: p.duration("event-retention", time.Minute, 10*366*24*time.Hour),

		SMTP: SMTP{
			Host: k.String("smtp-host"), Port: int(p.number("smtp-port", 1, 65535)), User: k.String("smtp-user"),
			Password: k.String("smtp-password"), From: k.String("smtp-from"), TLS: p.word("smtp-tls", "none", "starttls", "tls"),
		},

		Jobs: p.jobLimits(), Outputs: p.outLimits(), Outages: p.outages(), Limits: p.limits(),
		DIEMServicesTimeout: p.diemServicesTimeout(),
		EnvironmentSize:     p.number("environment-size", 0, 1<<50), EnvironmentMaxSize: p.number("environment-max-size", 1, 1<<50),
		EnvironmentBuildTime: p.duration("environment-build-time", time.Second, 24*time.Hour), EnvironmentVariables: p.variables("environment-variables"),

		NoWorker: p.truth("no-worker"), Destination: p.text("destination"), Work: p.path("work"),
		Concurrency: int(p.number("concurrency", 0, 10_000)), Labels: p.labels("labels"),

		RetentionInterval: p.duration("retention-interval", time.Second, 366*24*time.Hour),
		RetentionMaxAge:   p.duration("retention-max-age", 0, 100*366*24*time.Hour),
		RetentionMaxCount: int(p.number("retention-max-count", 0, 1_000_000)),

		OIDC: p.oidc(), MasterKey: p.key("master-key"), Audit: p.audit(), Database: p.database(), S3: p.s3(), Temporal: p.temporal(), Observe: p.observe(), Engine: p.engine(), ShutdownDelay: p.shutdownDelay(),
	}
	if s.Data == "" {
		p.fault("data", "must not be empty")
	}
	if s.SMTP.Host != "" {
		if _, err := mail.ParseAddress(s.SMTP.From); err != nil {
			p.fault("smtp-from", "is an e-mail address, not %q", s.SMTP.From)
		}
		if s.SMTP.User != "" && s.SMTP.TLS == "none" {
			p.fault("smtp-tls", "must not be none with --smtp-user: the password would go in clear")
		}
		if s.SMTP.User != "" && s.SMTP.Password == "" {
			p.fault("smtp-password", "must not be empty with --smtp-user")
		}
	}
	if n := len(s.AdminPassword); n > 0 && (n < 8 || n > 1024) {
		p.fault("admin-password", "has 8 to 1024 bytes")
	}
	return s, p.faults
}

// Known tells whether there is a setting of that environment variable, be it the value itself or the file of a secret.
func Known(variable string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool {
		return variable == EnvName(s.name) || s.secret && variable == EnvName(s.name)+fileSuffix
	}) || variable == EnvName("config")
}
