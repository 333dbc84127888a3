package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// TestMacrosOpenNothingToABuild has the build of an environment, which runs the package's own code, name a folder of the
// machine in the settings of pip.
func TestMacrosOpenNothingToABuild(t *testing.T) {
	needPythonVenv(t)
	r := sandboxed(t, nil)
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "master.key"), []byte("not for packages"), 0o600); err != nil {
		t.Fatal(err)
	}
	backend := fmt.Sprintf(`import sys
for name in (%q, "/etc/shadow"):
    try:
        sys.stderr.write("READ " + open(name).read() + "\n")
    except OSError:
        sys.stderr.write("HELD BACK " + name + "\n")
sys.exit(3)
`, filepath.Join(foreign, "master.key"))
	l := lease(t, r, "p.zip", withBackend(t, backend))
	_, log, err := furnished(t, r, l, 1, job.Spec{EntryPoint: "main.py", Macros: []job.Macro{
		{Key: "SSL_CERT_DIR", Value: foreign}, {Key: "PIP_FIND_LINKS", Value: filepath.Join(foreign, "master.key")},
		{Key: "SSL_CERT_FILE", Value: "/etc/shadow"},
	}})
	if job.WordOf(err) != job.WordEnvironmentFailed || strings.Contains(log.text(), "READ ") || strings.Count(log.text(), "HELD BACK") != 2 {
		t.Errorf("%v, log:\n%s", err, log.text())
	}
}

// withBackend is a package whose own code builds a library that it needs.
func withBackend(t *testing.T, backend string) []byte {
	t.Helper()
	return pack(t, "main.py", "print('ran')", "requirements.txt", "--no-index\n./lib\n", "lib/backend.py", backend,
		"lib/pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n")
}

// TestBombsInABuild has the build of an environment take more than it may. Each bomb is bounded, as those of the escape
// suite are.
func TestBombsInABuild(t *testing.T) {
	needPythonVenv(t)
	r := sandboxed(t, func(c *Config) {
		c.JobLimits.Memory = 256 * mib
		c.Environments.Max = 64 * mib
	})
	for limit, bomb := range map[string]string{
		sandbox.LimitMemory: `
import time
x = []
for i in range(400): x.append(bytearray(b"x" * (1 << 20)))
time.sleep(20)
`,
		sandbox.LimitDisk: `
import os, time
files = []
for i in range(200):
    f = os.open("f", os.O_CREAT | os.O_RDWR); os.unlink("f")
    os.write(f, b"x" * (1 << 20)); files.append(f)
time.sleep(20)
`,
	} {
		_, log, err := furnished(t, r, lease(t, r, limit+".zip", withBackend(t, bomb)), 1, job.Spec{EntryPoint: "main.py"})
		if job.WordOf(err) != job.WordEnvironmentFailed || !strings.Contains(fmt.Sprint(err), "was ended: it used more than its limit of ") {
			t.Errorf("%s: %v, log:\n%s", limit, err, log.text())
		}
	}
}
