package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/job"
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
	l := lease(t, r, "p.zip", pack(t, "main.py", "print('ran')", "requirements.txt", "--no-index\n./lib\n", "lib/backend.py", backend,
		"lib/pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"))
	_, log, err := furnished(t, r, l, 1, job.Spec{EntryPoint: "main.py", Macros: []job.Macro{
		{Key: "SSL_CERT_DIR", Value: foreign}, {Key: "PIP_FIND_LINKS", Value: filepath.Join(foreign, "master.key")},
		{Key: "SSL_CERT_FILE", Value: "/etc/shadow"},
	}})
	if job.WordOf(err) != job.WordEnvironmentFailed || strings.Contains(log.text(), "READ ") || strings.Count(log.text(), "HELD BACK") != 2 {
		t.Errorf("%v, log:\n%s", err, log.text())
	}
}
