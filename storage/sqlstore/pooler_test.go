//go:build !race

package sqlstore_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waybill/storage/sqlstore"
	"waybill/storage/storagetest"
)

// pooler starts a pgbouncer with pool_mode=transaction before the test's PostgreSQL and gives its host and port. A URL that leads
// to a database there leads to it here.
func pooler(t *testing.T) string {
	t.Helper()
	server, err := url.Parse(os.Getenv(storagetest.PostgresVariable))
	if err != nil || server.Host == "" {
		storagetest.PostgresURL(t) // skips, or tells
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("no pgbouncer to test with (Debian: apt-get install pgbouncer)")
	}
	dir, err := os.MkdirTemp("", "waybill-pgbouncer-") // t.TempDir is for this user alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	_, port, _ := net.SplitHostPort(address)
	ini := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 2000
default_pool_size = 8
server_idle_timeout = 1
autodb_idle_timeout = 1
`, server.Hostname(), server.Port(), server.User.Username(), port)
	if err := os.WriteFile(ini, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{ini}
	if os.Getuid() == 0 { // it refuses to run as root
		args = []string{"-u", "nobody", ini}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log := &strings.Builder{}
	cmd := exec.Command(program, args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT) // at once
		<-ended
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("pgbouncer ended: %v\n%s", err, log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("pgbouncer does not listen")
		}
	}
}

// Behind a pooler every transaction may have another session: nothing may be kept in one.
func TestPostgresBehindAPoolerConforms(t *testing.T) {
	address := pooler(t)
	storagetest.RunStore(t, func(t *testing.T) storagetest.Store {
		direct := storagetest.PostgresURL(t)
		u, err := url.Parse(direct)
		if err != nil {
			t.Fatal(err)
		}
		u.Host = address
		return migrated(t, open(t, sqlstore.Config{
			Driver: sqlstore.Postgres, URL: u.String(), MaxConns: 8, Postgres: sqlstore.PostgresConfig{Direct: direct, Pooled: true},
		}))
	})
}
