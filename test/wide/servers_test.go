package wide

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// servers are the components that Waybill works with, as somebody else would run them.
type servers struct {
	dir                             string
	database, objects, engine       *process
	databaseAt, objectsAt, engineAt string // host:port
}

// The credentials of MinIO. It listens on loopback, for as long as the tests run.
const (
	accessKey = "wide-access-key"
	secretKey = "wide-secret-key-of-tests"
)

// shared are the servers of all tests that leave them as they were.
var shared struct {
	once    sync.Once
	servers *servers
	missing string // what the machine lacks
	err     error
}

// components starts the servers once, and skips the test where the machine has not all of them.
func components(t testing.TB) *servers {
	t.Helper()
	shared.once.Do(func() {
		var programs programs
		if programs, shared.missing, shared.err = findPrograms(); shared.missing != "" || shared.err != nil {
			return
		}
		shared.servers = newServers(filepath.Join(folder, "servers"), programs)
		shared.err = shared.servers.start(context.Background())
	})
	if shared.missing != "" {
		t.Skip("NOT RUN: " + shared.missing)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.servers
}

// programs are the servers' files.
type programs struct {
	postgres                 string // folder with initdb and postgres
	minio, temporal, schemas string
	owner                    *syscall.Credential // whom PostgreSQL runs as; nil: the caller
}

// findPrograms finds or builds the servers. missing tells what only the machine's owner can mend.
func findPrograms() (p programs, missing string, err error) {
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"} {
		found, _ := filepath.Glob(pattern)
		for _, dir := range found {
			if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
				p.postgres = dir // the last is the newest
			}
		}
	}
	if p.postgres == "" {
		return p, "no PostgreSQL server programs; on Debian: apt-get install postgresql", nil
	}
	if os.Getuid() == 0 {
		if p.owner, err = credential("postgres"); err != nil {
			return p, "PostgreSQL does not run as root, and there is no user postgres: " + err.Error(), nil
		}
	}
	if p.minio, missing = findMinIO(); missing != "" {
		return p, missing, nil
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "go.temporal.io/server").Output()
	if err != nil {
		return p, "", fmt.Errorf("the version of the Temporal server: %w", err)
	}
	version := strings.TrimSpace(string(out))
	p.temporal, err = built("temporal-server-"+version, "go.temporal.io/server/cmd/server")
	if err != nil {
		return p, "", err
	}
	p.schemas, err = built("temporal-sql-tool-"+version, "go.temporal.io/server/cmd/tools/sql")
	return p, "", err
}

// built is a program of the module's tools, which is kept for the next run.
func built(name, from string) (string, error) {
	path := filepath.Join(root, ".ci", "cache", name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	half := path + ".new"
	if err := build(half, from, "-ldflags=-s -w"); err != nil {
		return "", err
	}
	return path, os.Rename(half, path)
}

// findMinIO has test/bin/with-minio build it, where it is not there yet.
func findMinIO() (path, missing string) {
	if path = os.Getenv("MINIO_BIN"); path != "" {
		return path, ""
	}
	script := filepath.Join(root, "test", "bin", "with-minio")
	text, err := os.ReadFile(script)
	if err != nil {
		return "", err.Error()
	}
	_, rest, _ := strings.Cut(string(text), "\nversion=")
	version, _, _ := strings.Cut(rest, "\n")
	path = filepath.Join(root, ".ci", "cache", "minio-"+version)
	if _, err := os.Stat(path); err == nil {
		return path, ""
	}
	if text, err := exec.Command(script, "true").CombinedOutput(); err != nil {
		return "", "no MinIO: " + tail(string(text), 1)
	}
	return path, ""
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func newServers(dir string, p programs) *servers {
	s := &servers{dir: dir}
	s.database = s.postgres(p)
	s.objects = s.minio(p)
	s.engine = s.temporal(p)
	return s
}

func (s *servers) logs(name string) string { return filepath.Join(s.dir, name+".log") }

// start starts all of them, one after the other: Temporal's tables are in PostgreSQL.
func (s *servers) start(ctx context.Context) error {
	for _, p := range []*process{s.database, s.objects, s.engine} {
		if p.cmd == nil {
			return fmt.Errorf("%s can not be prepared: %w", p.name, errors.New(p.logs))
		}
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// end stops all, the last first.
func (s *servers) end() {
	for _, p := range []*process{s.engine, s.objects, s.database} {
		p.put()
	}
}

// listens tells whether somebody takes connections.
func listens(address string) func(context.Context, *process) error {
	return func(ctx context.Context, _ *process) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// open connects to one of PostgreSQL's databases, past all proxies.
func (s *servers) open(name string) (*sql.DB, error) {
	return sql.Open("pgx", fmt.Sprintf("postgres://waybill@%s/%s?sslmode=disable", s.databaseAt, name))
}

// connect makes a client of a namespace, past all proxies.
func (s *servers) connect(ctx context.Context, namespace string) (client.Client, error) {
	return client.DialContext(ctx, client.Options{
		HostPort: s.engineAt, Namespace: namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
}

// makeNamespace registers a namespace and waits until all of Temporal knows it.
func (s *servers) makeNamespace(ctx context.Context, name string) error {
	c, err := s.connect(ctx, name)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return within(ctx, time.Minute, func() error {
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: name})
		return err
	})
}

// ready asks an address of an HTTP server.
func answers(url string) func(context.Context, *process) error {
	return func(ctx context.Context, _ *process) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return final(err)
		}
		resp, err := plain.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
}
