package wide

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The commands of deployments/compose/compose.yaml, with the environment, the scripts and the settings files it gives them, run as
// processes on this machine: names of services become addresses on loopback, and mounted files those of the project.
func TestComposeFileAsProcesses(t *testing.T) {
	t.Parallel()
	programs, missing, err := findPrograms()
	if err != nil {
		t.Fatal(err)
	}
	if missing != "" {
		t.Skip("NOT RUN: " + missing)
	}
	c := &composition{t: t, programs: programs, dir: filepath.Join(folder, t.Name()), ports: map[string]int{}, replace: map[string]string{}}
	c.load()
	c.postgres()
	c.objects()
	c.temporal()
	for range 2 { // also when it is all there
		c.run("setup", binary, c.command("setup")...)
	}
	apis := []*process{c.waybill("api-1", "8080"), c.waybill("api-2", "8080")}
	workers := []*process{c.waybill("worker-1", "9464"), c.waybill("worker-2", "9464")}
	c.balancer()
	c.use("first")
	// Either of both may go.
	for i, p := range []*process{apis[0], workers[0], apis[1], workers[1]} {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		c.use("without " + p.name)
		if err := p.start(t.Context()); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

// composition is the compose file made into processes.
type composition struct {
	t        *testing.T
	programs programs
	dir      string
	services map[string]composeService
	env      map[string]string // of .env
	secrets  map[string]string // what the files hold
	ports    map[string]int    // by service and port, such as "api-1:8080"
	replace  map[string]string // addresses inside of the containers' network, and what they are here
	token    string
}

type composeService struct {
	Command     []string
	Entrypoint  []string
	Environment map[string]string
	Healthcheck struct{ Test []string }
}

func (c *composition) file(name string) string {
	return filepath.Join(root, "deployments", "compose", name)
}

// load reads the file, makes the secrets, and chooses ports.
func (c *composition) load() {
	c.t.Helper()
	var file struct {
		Services map[string]composeService
		Secrets  map[string]struct{ File string }
	}
	text, err := os.ReadFile(c.file("compose.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err == nil {
		err = os.MkdirAll(c.dir, 0o755)
	}
	script := filepath.Join(c.dir, "make-env")
	if err == nil {
		text, err = os.ReadFile(c.file("make-env"))
	}
	if err == nil {
		err = os.WriteFile(script, text, 0o700)
	}
	if err == nil {
		err = exec.Command(script).Run()
	}
	if err == nil {
		text, err = os.ReadFile(filepath.Join(c.dir, ".env"))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.services, c.env = file.Services, map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
			c.env[key] = value
		}
	}
	for _, at := range []string{"postgres:5432", "minio:9000", "temporal:7233", "api-1:8080", "api-2:8080", "worker-1:9464", "worker-2:9464", "balancer:8080"} {
		if c.ports[at], err = freePort(); err != nil {
			c.t.Fatal(err)
		}
		c.replace[at] = fmt.Sprintf("127.0.0.1:%d", c.ports[at])
	}
	c.secrets = map[string]string{}
	for name, s := range file.Secrets { // each with the addresses of this machine
		path := filepath.Join(c.dir, s.File)
		secret, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		c.secrets[name] = c.here(string(secret))
		if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(c.secrets[name]), 0o600)); err != nil {
			c.t.Fatal(err)
		}
	}
	for name, s := range file.Secrets {
		c.replace["/run/secrets/"+name] = filepath.Join(c.dir, s.File)
	}
}

var composeVariable = regexp.MustCompile(`\$\$|\$\{([A-Z0-9_]+)(?:(:-|:\?)([^}]*))?\}`)

// here puts in variables of .env and the addresses of this machine. The longest names come first: one may begin with another.
func (c *composition) here(s string) string {
	s = composeVariable.ReplaceAllStringFunc(s, func(v string) string {
		m := composeVariable.FindStringSubmatch(v)
		if value, there := c.env[m[1]]; there || m[2] != ":-" {
			return value
		}
		return m[3]
	})
	var names []string
	for name := range c.replace {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		s = strings.ReplaceAll(s, name, c.replace[name])
	}
	return s
}

// command is that of a service, as its container sees it but for the addresses.
func (c *composition) command(service string) []string {
	var out []string
	for _, a := range c.services[service].Command {
		if port, found := strings.CutPrefix(a, "0.0.0.0:"); found {
			a = c.replace[service+":"+port]
		}
		out = append(out, c.here(a))
	}
	return out
}

func (c *composition) environment(service string, more ...string) []string {
	env := environment()
	for key, value := range c.services[service].Environment {
		env = append(env, key+"="+c.here(value))
	}
	return append(env, more...)
}

// run runs a command to its end.
func (c *composition) run(service, program string, args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), program, args...)
	cmd.Env = c.environment(service, "WAYBILL_DATA="+filepath.Join(c.dir, service))
	if text, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", service, err, text)
	}
}

// serve starts a process that lasts, and waits until it is ready.
func (c *composition) serve(name string, up func(context.Context, *process) error, cmd func() *exec.Cmd) *process {
	c.t.Helper()
	p := &process{name: name, logs: filepath.Join(c.dir, name+".log"), up: up, cmd: cmd}
	c.t.Cleanup(p.put)
	if err := p.start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// postgres runs the database as its image does: a new cluster, then the script that makes roles and databases.
func (c *composition) postgres() {
	c.t.Helper()
	home := filepath.Join(c.dir, "postgres")
	data := filepath.Join(home, "data")
	if err := os.MkdirAll(home, 0o755); err != nil {
		c.t.Fatal(err)
	}
	superuser := filepath.Join(home, "password")
	if err := os.WriteFile(superuser, []byte(c.secrets["postgres-password"]), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if o := c.programs.owner; o != nil {
		if err := os.Chown(home, int(o.Uid), int(o.Gid)); err != nil {
			c.t.Fatal(err)
		}
	}
	as := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(c.programs.postgres, program), args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = home, environment(), &syscall.SysProcAttr{Credential: c.programs.owner}
		return cmd
	}
	initdb := append([]string{"-D", data, "-U", "postgres", "--pwfile", superuser, "--no-sync"},
		strings.Fields(c.services["postgres"].Environment["POSTGRES_INITDB_ARGS"])...)
	if text, err := as("initdb", initdb...).CombinedOutput(); err != nil {
		c.t.Fatalf("initdb: %v\n%s", err, text)
	}
	at, port := c.replace["postgres:5432"], strconv.Itoa(c.ports["postgres:5432"])
	c.serve("postgres", listens(at), func() *exec.Cmd {
		return as("postgres", append(c.command("postgres")[1:], "-D", data, "-c", "port="+port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")...)
	})
	err := within(c.t.Context(), time.Minute, func() error { // it listens a moment before it takes anybody in
		cmd := exec.CommandContext(c.t.Context(), "sh", c.file("postgres-init.sh"))
		cmd.Env = append(environment(), "SECRETS="+filepath.Join(c.dir, "secrets"), "PGHOST=127.0.0.1", "PGPORT="+port, "PGPASSWORD="+c.secrets["postgres-password"])
		text, err := cmd.CombinedOutput()
		if err != nil && !bytes.Contains(text, []byte("starting up")) {
			err = final(fmt.Errorf("postgres-init.sh: %w\n%s", err, text))
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *composition) objects() {
	c.t.Helper()
	c.serve("minio", answers("http://"+c.replace["minio:9000"]+"/minio/health/ready"), func() *exec.Cmd {
		cmd := exec.Command(c.programs.minio, "server", "--address", c.replace["minio:9000"], filepath.Join(c.dir, "minio"))
		cmd.Env = c.environment("minio")
		return cmd
	})
}

// temporal makes its tables by the script and runs the server with the settings file.
func (c *composition) temporal() {
	c.t.Helper()
	tools := filepath.Join(c.dir, "tools")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Symlink(c.programs.schemas, filepath.Join(tools, "temporal-sql-tool")); err != nil {
		c.t.Fatal(err)
	}
	for range 2 { // also when they are there
		cmd := exec.CommandContext(c.t.Context(), "sh", c.file("temporal-schema.sh"))
		cmd.Env = c.environment("temporal-schema", "PATH="+tools+":"+os.Getenv("PATH"), "SECRETS="+filepath.Join(c.dir, "secrets"), "SQL_HOST=127.0.0.1", fmt.Sprintf("SQL_PORT=%d", c.ports["postgres:5432"]))
		if text, err := cmd.CombinedOutput(); err != nil {
			c.t.Fatalf("temporal-schema.sh: %v\n%s", err, text)
		}
	}
	env := []string{"BIND_ON_IP=127.0.0.1", "BROADCAST_ADDRESS=127.0.0.1", "HISTORY_SHARDS=4", "SQL_PASSWORD=" + c.secrets["temporal-database-password"], "DYNAMIC_CONFIG=" + c.file("temporal-dynamic.yaml"), fmt.Sprintf("FRONTEND_PORT=%d", c.ports["temporal:7233"])}
	for _, name := range []string{"FRONTEND_MEMBERSHIP_PORT", "MATCHING_PORT", "MATCHING_MEMBERSHIP_PORT", "HISTORY_PORT", "HISTORY_MEMBERSHIP_PORT", "WORKER_PORT", "WORKER_MEMBERSHIP_PORT", "METRICS"} {
		port, err := freePort()
		if err != nil {
			c.t.Fatal(err)
		}
		if name == "METRICS" {
			env = append(env, fmt.Sprintf("METRICS_LISTEN=127.0.0.1:%d", port))
			continue
		}
		env = append(env, fmt.Sprintf("%s=%d", name, port))
	}
	c.serve("temporal", listens(c.replace["temporal:7233"]), func() *exec.Cmd {
		cmd := exec.Command(c.programs.temporal, "--config-file", c.file("temporal.yaml"), "--allow-no-auth", "start")
		cmd.Dir, cmd.Env = c.dir, c.environment("temporal", env...)
		return cmd
	})
}

// waybill starts one of Waybill's services; it is ready when its own health check says so.
func (c *composition) waybill(service, port string) *process {
	c.t.Helper()
	probe := c.services[service].Healthcheck.Test[2:] // after CMD and the program
	for i := range probe {
		probe[i] = strings.ReplaceAll(probe[i], "127.0.0.1:"+port, c.replace[service+":"+port])
	}
	return c.serve(service, func(ctx context.Context, _ *process) error {
		if text, err := exec.CommandContext(ctx, binary, probe...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}, func() *exec.Cmd {
		cmd := exec.Command(binary, c.command(service)...)
		cmd.Env = c.environment(service, "WAYBILL_DATA="+filepath.Join(c.dir, service))
		return cmd
	})
}

// balancer runs nginx with the settings file, where the machine has nginx; else the test calls one API process after the other.
func (c *composition) balancer() {
	c.t.Helper()
	nginx := filepath.Join(root, ".ci", "cache", "nginx", "usr", "sbin", "nginx")
	if _, err := os.Stat(nginx); err != nil {
		if nginx, err = exec.LookPath("nginx"); err != nil {
			c.t.Skip("NOT RUN: nginx is not installed (.ci/run gets it); all before it was run")
		}
	}
	text, err := os.ReadFile(c.file("nginx.conf"))
	if err != nil {
		c.t.Fatal(err)
	}
	settings := strings.NewReplacer("listen 8080;", "listen "+c.replace["balancer:8080"]+";", "/tmp/", c.dir+"/nginx-",
		// Addresses need no resolving, and the nginx of Debian is older than the image's and can not.
		"api-1:8080 resolve", c.replace["api-1:8080"], "api-2:8080 resolve", c.replace["api-2:8080"]).Replace(string(text))
	path := filepath.Join(c.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.serve("nginx", answers("http://"+c.replace["balancer:8080"]+"/healthz"), func() *exec.Cmd {
		cmd := exec.Command(nginx, "-c", path, "-p", c.dir, "-g", "daemon off;")
		cmd.Env = environment()
		return cmd
	})
}

// use signs in through the balancer and runs a job.
func (c *composition) use(name string) {
	c.t.Helper()
	client := &rest{token: c.token, base: func() string { return "http://" + c.replace["balancer:8080"] }}
	if c.token == "" {
		c.token = client.must(c.t, http.StatusOK, http.MethodPost, "/api/login", object{"username": "admin", "password": c.secrets["waybill-admin-password"]}).text("access_token")
		client.token = c.token
	}
	// Programs are told the balancer's address, which is where this call goes, too.
	config := client.configure(c.t, name, `[ "$WAYBILL_URL" = "http://`+c.replace["balancer:8080"]+`" ] && echo it runs`+"\n", nil)
	id := client.must(c.t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", object{}).text("id")
	if a := client.finish(c.t, id, 2*time.Minute); a.text("status") != "FINISHED" {
		c.t.Errorf("%s: %s", name, a)
	}
}
