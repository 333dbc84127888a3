package runner

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"waybill/internal/job"
)

// TestAWorkerWithoutNetwork has a job that asks for the network, and the build of its environment, knock at a port of the
// machine.
func TestAWorkerWithoutNetwork(t *testing.T) {
	needPythonVenv(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	knock := fmt.Sprintf(`import socket, sys
try:
    socket.create_connection(("127.0.0.1", %d), 5)
    sys.stderr.write("REACHED\n")
except OSError:
    sys.stderr.write("HELD BACK\n")
`, listener.Addr().(*net.TCPAddr).Port)
	for _, none := range []bool{false, true} {
		r := newRunner(t, func(c *Config) { c.NoNetwork = none })
		if err := r.sandbox.NetworkNone(); err != nil {
			t.Skip("skip: " + err.Error())
		}
		want := map[bool]string{false: "REACHED", true: "HELD BACK"}[none]
		if strings.HasSuffix(r.InForce(), "network none") != none {
			t.Errorf("it is told that %q is in force", r.InForce())
		}
		spec := job.Spec{EntryPoint: "main.py", Resources: job.Resources{Network: job.NetworkFull}}
		result, log, err := furnished(t, r, lease(t, r, "main.py", []byte(knock)), 1, spec)
		if err != nil || result.ExitCode != 0 || !strings.Contains(log.text(), want) {
			t.Errorf("a job: %+v %v, want %s, log:\n%s", result, err, want, log.text())
		}
		_, log, err = furnished(t, r, lease(t, r, "p.zip", withBackend(t, knock+"sys.exit(3)\n")), 2, spec)
		if job.WordOf(err) != job.WordEnvironmentFailed || !strings.Contains(log.text(), want) {
			t.Errorf("a build: %v, want %s, log:\n%s", err, want, log.text())
		}
	}
}
