package standalone

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/storage/objectstore"
	"waybill/workflows/contract"
)

const childDir = "WAYBILL_TEST_ENGINE_DIR"

// TestMain lets the test binary be the program that is killed: with childDir set it starts an engine, runs a workflow,
// says so and waits for its end.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := func() error {
		e, err := Start(context.Background(), freePorts(dir))
		if err != nil {
			return err
		}
		c, err := client.Dial(holding(e))
		if err != nil {
			return err
		}
		if err := runGreet(context.Background(), c, "before-the-kill"); err != nil {
			return err
		}
		fmt.Println("ready")
		select {}
	}()
	fmt.Println(err)
	os.Exit(1)
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

const uiUser, uiPassword = "admin", "secret"

func freePorts(dir string) Config {
	return Config{
		Dir: dir, TemporalListen: "127.0.0.1:0", UIListen: "127.0.0.1:0",
		SignIn: func(_ context.Context, user, password, _ string) error {
			if user != uiUser || password != uiPassword {
				return ErrRefused
			}
			return nil
		},
	}
}

// holding are the options of a client that shows the token.
func holding(e *Engine) client.Options {
	return client.Options{
		HostPort: e.TemporalAddress(), Logger: silent{}, Credentials: client.NewAPIKeyStaticCredentials(e.Token()),
		ConnectionOptions: client.ConnectionOptions{TLSDisabled: true},
	}
}

func greet(ctx workflow.Context) (string, error) {
	status := temporal.NewSearchAttributeKeyKeyword(contract.AttrStatus)
	return "hello", workflow.UpsertTypedSearchAttributes(ctx, status.ValueSet("completed"))
}

// runGreet runs a workflow to its end with a worker of its own.
func runGreet(ctx context.Context, c client.Client, id string) error {
	w := worker.New(c, "queue", worker.Options{})
	w.RegisterWorkflow(greet)
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: "queue",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(contract.AttrAccount).ValueSet("1"),
			temporal.NewSearchAttributeKeyKeyword(contract.AttrJob).ValueSet(id),
			temporal.NewSearchAttributeKeyKeyword(contract.AttrStatus).ValueSet("running"),
		),
	}, greet)
	if err != nil {
		return err
	}
	return wantHello(ctx, run)
}

func wantHello(ctx context.Context, run client.WorkflowRun) error {
	var got string
	if err := run.Get(ctx, &got); err != nil || got != "hello" {
		return fmt.Errorf("workflow result %q, %w", got, err)
	}
	return nil
}

func start(t *testing.T, c Config) *Engine {
	t.Helper()
	e, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, e) })
	return e
}

func stop(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, e *Engine) client.Client {
	t.Helper()
	c, err := client.Dial(holding(e))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEngine(t *testing.T) {
	dir := t.TempDir()
	e := start(t, freePorts(dir))
	if e.Rebuilt() {
		t.Error("a new engine says that it was rebuilt")
	}
	c := dial(t, e)
	if err := runGreet(t.Context(), c, "first"); err != nil {
		t.Fatal(err)
	}
	t.Run("search attributes can be queried", func(t *testing.T) { wantListed(t, c, "first") })
	t.Run("the web UI answers with HTML", func(t *testing.T) { wantHTML(t, e) })
	t.Run("the web UI reaches the server", func(t *testing.T) { wantAPI(t, e) })
	t.Run("the web UI refuses foreign host names", func(t *testing.T) { wantForeignHostRefused(t, e) })
	t.Run("objects are stored", func(t *testing.T) { wantObjects(t, e) })
	t.Run("the engine folder holds Temporal's files only", func(t *testing.T) { wantTemporalFilesOnly(t, dir) })
	t.Run("a second engine at the address is refused", func(t *testing.T) {
		other := freePorts(t.TempDir())
		other.TemporalListen = e.TemporalAddress()
		wantTaken(t, other, "--engine-listen", e.TemporalAddress())
		other = freePorts(t.TempDir())
		other.UIListen = e.UIAddress()
		wantTaken(t, other, "--engine-ui-listen", e.UIAddress())
	})
	first := e.TemporalAddress()
	stop(t, e)
	if conn, err := net.DialTimeout("tcp", first, time.Second); err == nil {
		_ = conn.Close()
		t.Error("the frontend still listens after Stop")
	}

	e = start(t, freePorts(dir))
	if e.Rebuilt() {
		t.Error("the second start rebuilt the engine")
	}
	c = dial(t, e)
	if err := wantHello(t.Context(), c.GetWorkflow(t.Context(), "first", "")); err != nil {
		t.Errorf("history after the restart: %v", err)
	}
	if err := runGreet(t.Context(), c, "second"); err != nil {
		t.Errorf("workflow after the restart: %v", err)
	}
	stop(t, e)

	// A server of another version must not touch the file.
	rewriteVersion(t, dir, func(v *version) { v.Server = "1.0.0" })
	e = start(t, freePorts(dir))
	if !e.Rebuilt() {
		t.Error("a file of another server version was used")
	}
	c = dial(t, e)
	if _, err := c.DescribeWorkflowExecution(t.Context(), "first", ""); err == nil {
		t.Error("the rebuilt engine knows the old workflow")
	}
	if err := runGreet(t.Context(), c, "first"); err != nil {
		t.Errorf("workflow after the rebuild: %v", err)
	}
	wantTemporalFilesOnly(t, dir)
}

func wantListed(t *testing.T, c client.Client, id string) {
	query := fmt.Sprintf("%s = '1' AND %s = '%s' AND %s = 'completed'",
		contract.AttrAccount, contract.AttrJob, id, contract.AttrStatus)
	var found []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); { // visibility follows the history
		res, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		if err != nil {
			t.Fatal(err)
		}
		found = nil
		for _, e := range res.GetExecutions() {
			found = append(found, e.GetExecution().GetWorkflowId())
		}
		if slices.Equal(found, []string{id}) {
			return
		}
	}
	t.Errorf("%s finds %q, want %s", query, found, id)
}

func get(t *testing.T, url, host string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	req.SetBasicAuth(uiUser, uiPassword)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func wantHTML(t *testing.T, e *Engine) {
	res, body := get(t, "http://"+e.UIAddress()+"/namespaces/default/workflows", "")
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") ||
		!strings.Contains(strings.ToLower(body), "<html") {
		t.Errorf("UI answers %s, %s, %.100q", res.Status, res.Header.Get("Content-Type"), body)
	}
}

func wantAPI(t *testing.T, e *Engine) {
	res, body := get(t, "http://"+e.UIAddress()+"/api/v1/namespaces/default/workflows?query=", "localhost")
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"first"`) {
		t.Errorf("UI's API answers %s, %.200q", res.Status, body)
	}
}

func wantForeignHostRefused(t *testing.T, e *Engine) {
	if res, _ := get(t, "http://"+e.UIAddress()+"/", "evil.example:8233"); res.StatusCode != http.StatusForbidden {
		t.Errorf("UI answers %s to a foreign host name", res.Status)
	}
}

func wantObjects(t *testing.T, e *Engine) {
	s3 := e.S3()
	store, err := objectstore.Open(t.Context(), objectstore.Config{
		Endpoint: s3.Endpoint, AccessKey: s3.AccessKey, SecretKey: s3.SecretKey, Region: s3.Region,
		Bucket: "waybill", CreateBucket: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Put(t.Context(), "a/b", strings.NewReader("content"), -1); err != nil {
		t.Fatal(err)
	}
	rc, err := store.Get(t.Context(), "a/b", 3, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || string(got) != "tent" {
		t.Errorf("read back %q, %v", got, err)
	}
}

func wantTemporalFilesOnly(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "engine"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); n != versionName && !strings.HasPrefix(n, databaseName) && !strings.HasPrefix(n, oldPrefix) {
			t.Errorf("the engine folder holds %s", n)
		}
	}
}

func wantTaken(t *testing.T, c Config, flag, address string) {
	t.Helper()
	e, err := Start(t.Context(), c)
	if err == nil {
		stop(t, e)
		t.Fatalf("started on the taken %s", address)
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v does not wrap EADDRINUSE", err)
	}
	if s := err.Error(); !strings.Contains(s, flag) || !strings.Contains(s, address) || strings.Contains(s, "\n") {
		t.Errorf("%q, want one line with %s and %s", s, flag, address)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) != 0 {
		t.Errorf("the refused start left %v, %v", left, err)
	}
}

func rewriteVersion(t *testing.T, dir string, change func(*version)) {
	t.Helper()
	path := filepath.Join(dir, "engine", versionName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v version
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	change(&v)
	if raw, err = json.Marshal(v); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKilledEngineKeepsItsHistories(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Errorf("the program that is to be killed says %q, %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed

	e := start(t, freePorts(dir))
	if e.Rebuilt() {
		t.Error("the engine was rebuilt after the kill")
	}
	c := dial(t, e)
	if err := wantHello(t.Context(), c.GetWorkflow(t.Context(), "before-the-kill", "")); err != nil {
		t.Errorf("history after the kill: %v", err)
	}
	if err := runGreet(t.Context(), c, "after-the-kill"); err != nil {
		t.Errorf("workflow after the kill: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"a file as data folder":     {func(c *Config) { c.Dir = file }, "folder"},
		"a read-only data folder":   {func(c *Config) { c.Dir = "/proc" }, "folder"},
		"a UI open to the network":  {func(c *Config) { c.UIListen = "0.0.0.0:0" }, "loopback only"},
		"an engine address without": {func(c *Config) { c.TemporalListen = "7233" }, "--engine-listen 7233 is not an address"},
		"a UI address without":      {func(c *Config) { c.UIListen = "x:y:z" }, "--engine-ui-listen x:y:z is not an address"},
		"an address not ours":       {func(c *Config) { c.TemporalListen = "192.0.2.1:0" }, "--engine-listen"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := freePorts(t.TempDir())
			c.change(&cfg)
			e, err := Start(t.Context(), cfg)
			if err == nil {
				stop(t, e)
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want it to say %q", err, c.want)
			}
		})
	}
}
