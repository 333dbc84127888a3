package wide

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.temporal.io/sdk/client"

	"waybill/test/internal/proxy"
)

// The servers that a process reaches through links of its own.
const (
	database = "database"
	objects  = "object store"
	engine   = "Temporal"
)

// installation is a Waybill of a test's own on the servers: a database, a bucket, a namespace, a master key, an account.
type installation struct {
	*servers
	name      string
	dir       string // data folders of its processes
	key       string
	db        *sql.DB       // past all proxies
	temporal  client.Client // past all proxies
	env       []string      // settings of all its processes
	apis      []*node
	workers   []*node
	program   string // that its processes begin with
	processes int
}

// node is one process of Waybill, with a link of its own to each server.
type node struct {
	*process
	url     string // of an API
	data    string
	program string // of the next start
	links   map[string]*proxy.Proxy
}

// shape is what processes an installation begins with.
type shape struct {
	apis, workers int
	env           []string // further settings of all processes
	program       string   // another one than the one under test, which makes the tables
}

// manners are settings that every process gets, so that a lost worker is found and a stop is over soon.
var manners = []string{
	"WAYBILL_WORKER_LOSS=5s", "WAYBILL_JOB_GRACE=2s", "WAYBILL_DRAIN_TIMEOUT=20s", "WAYBILL_ALLOW_SUB_MINUTE_SCHEDULES=true",
	"WAYBILL_DATES=rfc3339", "WAYBILL_LOG_FORMAT=json",
}

const password = "wide password, not a secret"

var installations atomic.Int64

// install sets an installation up the way an operator does, and starts its processes.
func install(t testing.TB, s shape) *installation {
	t.Helper()
	servers := components(t)
	number := installations.Add(1)
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(number) + byte(i)*7
	}
	in := &installation{
		servers: servers, name: fmt.Sprintf("wide%d", number), dir: filepath.Join(folder, t.Name()), key: hex.EncodeToString(key),
		program: cmp.Or(s.program, binary),
	}
	in.env = append(append(in.env, manners...), s.env...)
	in.env = append(in.env, "WAYBILL_MASTER_KEY="+in.key, "WAYBILL_TEMPORAL_NAMESPACE="+in.name, "WAYBILL_S3_BUCKET="+in.name,
		"WAYBILL_S3_ACCESS_KEY="+accessKey, "WAYBILL_S3_SECRET_KEY="+secretKey)
	if err := os.MkdirAll(in.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.end(t) })
	in.prepare(t)
	for range s.apis {
		in.addAPI(t)
	}
	for range s.workers {
		in.addWorker(t)
	}
	for _, n := range in.nodes() {
		if err := n.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// prepare makes database, namespace, tables and the first admin.
func (in *installation) prepare(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	main, err := in.open("postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer main.Close()
	if _, err := main.ExecContext(ctx, "CREATE DATABASE "+in.name); err != nil {
		t.Fatal(err)
	}
	if in.db, err = in.open(in.name); err != nil {
		t.Fatal(err)
	}
	if err := in.makeNamespace(ctx, in.name); err != nil {
		t.Fatal(err)
	}
	if in.temporal, err = in.connect(ctx, in.name); err != nil {
		t.Fatal(err)
	}
	in.tool(t, "", "migrate", "up")
	in.tool(t, password, "account", "create", "default", "--admin", "admin")
}

// settings are those that say where the servers are.
func (in *installation) settings(databaseAt, objectsAt, engineAt string) []string {
	return append(append(environment(), in.env...), "WAYBILL_DATABASE=postgres://waybill@"+databaseAt+"/"+in.name+"?sslmode=disable",
		"WAYBILL_S3_ENDPOINT="+objectsAt, "WAYBILL_TEMPORAL="+engineAt)
}

// tool runs a command of the program to its end, past all proxies, and gives what it prints.
func (in *installation) tool(t testing.TB, input string, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append(arguments, "--data", filepath.Join(in.dir, "tool"))...)
	cmd.Env = in.settings(in.databaseAt, in.objectsAt, in.engineAt)
	cmd.Stdin = strings.NewReader(input + "\n")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("waybill %s: %v\n%s", strings.Join(arguments, " "), err, text)
	}
	return string(text)
}

// newNode prepares a process with links of its own.
func (in *installation) newNode(t testing.TB, kind string) *node {
	t.Helper()
	in.processes++
	name := fmt.Sprintf("%s-%d", kind, in.processes)
	n := &node{data: filepath.Join(in.dir, name), links: map[string]*proxy.Proxy{}}
	for what, to := range map[string]string{database: in.databaseAt, objects: in.objectsAt, engine: in.engineAt} {
		p, err := proxy.New(what, to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		n.links[what] = p
	}
	n.process = &process{name: name, logs: filepath.Join(in.dir, name+".log")}
	return n
}

// run gives a process its command line.
func (in *installation) run(n *node, program string, arguments ...string) {
	n.program = program
	n.cmd = func() *exec.Cmd {
		cmd := exec.Command(n.program, append(arguments, "--data", n.data)...)
		cmd.Env = in.settings(n.links[database].Address(), n.links[objects].Address(), n.links[engine].Address())
		return cmd
	}
}

// addAPI starts an API process and does not wait for it to be ready.
func (in *installation) addAPI(t testing.TB, arguments ...string) *node {
	t.Helper()
	n := in.newNode(t, "api")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	n.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	in.run(n, in.program, append([]string{"api", "--listen", strings.TrimPrefix(n.url, "http://")}, arguments...)...)
	n.up = answers(n.url + "/readyz")
	in.apis = append(in.apis, n)
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	return n
}

// addWorker starts a worker of the default destination and does not wait for it to be ready.
func (in *installation) addWorker(t testing.TB, arguments ...string) *node {
	t.Helper()
	n := in.newNode(t, "worker")
	in.run(n, in.program, append([]string{"worker", "--concurrency", "8"}, arguments...)...)
	n.up = says("runs jobs of destination")
	in.workers = append(in.workers, n)
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	return n
}

// says tells whether a process has written the words since its start.
func says(words string) func(context.Context, *process) error {
	return func(_ context.Context, p *process) error {
		if !strings.Contains(p.said(), words) {
			return fmt.Errorf("it has not said that it %s", words)
		}
		return nil
	}
}

func (in *installation) nodes() []*node { return append(append([]*node{}, in.apis...), in.workers...) }

// stop ends all processes, which must go well.
func (in *installation) stop(t testing.TB) {
	t.Helper()
	for _, n := range append(append([]*node{}, in.workers...), in.apis...) {
		if n.alive() {
			if err := n.process.stop(); err != nil {
				t.Error(err)
			}
		}
	}
}

// end ends what is left, and says what the processes said when the test has failed.
func (in *installation) end(t testing.TB) {
	for _, n := range in.nodes() {
		n.put()
		if t.Failed() {
			t.Logf("the log of %s (%s) ends with:\n%s", n.name, n.logs, tail(n.said(), 15))
		}
	}
	if in.temporal != nil {
		in.temporal.Close()
	}
	if in.db != nil {
		in.db.Close()
	}
}
