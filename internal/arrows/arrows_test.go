// Package arrows holds the test that keeps the house in order: imports go one way (docs/architecture.md).
package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Deps", "waybill/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, "waybill/") {
			packages = append(packages, p)
		}
	}
}

// below tells whether path is the package root or one below it.
func below(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// A rule forbids packages below from to depend, directly or through others, on packages below any of never, unless they
// are below one of except.
type rule struct {
	from   string
	except []string
	never  []string
}

var rules = []rule{
	// The domain knows no technology and no other package of ours.
	{from: "waybill/internal/job", never: []string{"waybill/api", "waybill/internal/control", "waybill/storage", "waybill/workflows"}},
	// Use cases know no store, no engine, no transport.
	{from: "waybill/internal/control", never: []string{"waybill/storage", "waybill/api", "waybill/activities", "waybill/workflows/starter",
		"waybill/internal/runner", "waybill/internal/app", "go.temporal.io", "gorm.io", "github.com/minio", "github.com/gin-gonic", "net/http"}},
	// Doors never import storage or Temporal.
	{from: "waybill/api", never: []string{"waybill/storage", "waybill/workflows/starter", "waybill/activities", "waybill/internal/runner",
		"waybill/internal/app", "waybill/internal/standalone", "go.temporal.io", "gorm.io", "github.com/minio"}},
	// Workflow code is deterministic: it knows the contract and the domain.
	{from: "waybill/workflows", except: []string{"waybill/workflows/starter"}, never: []string{"waybill/storage", "waybill/api", "waybill/internal/control",
		"waybill/internal/app", "waybill/activities", "waybill/internal/runner", "gorm.io", "github.com/minio", "github.com/gin-gonic"}},
	{from: "waybill/workflows/contract", never: []string{"go.temporal.io"}},
	{from: "waybill/workflows/starter", never: []string{"waybill/storage", "waybill/api", "waybill/activities", "gorm.io", "github.com/minio"}},
	{from: "waybill/activities", never: []string{"waybill/storage", "waybill/api", "waybill/internal/app", "gorm.io", "github.com/minio", "github.com/gin-gonic"}},
	{from: "waybill/internal/runner", never: []string{"waybill/storage", "waybill/api", "waybill/internal/app", "go.temporal.io", "gorm.io", "github.com/minio"}},
	// Spans are begun by the API of OpenTelemetry; only what sets tracing up, and what links all of Waybill, knows its SDK.
	{from: "waybill", except: []string{"waybill/internal/telemetry", "waybill/internal/standalone", "waybill/internal/app", "waybill/internal/bench", "waybill/cmd", "waybill/test"},
		never: []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters"}},
	{from: "waybill/internal/tracing", never: []string{"net/http", "go.temporal.io", "waybill/internal/control"}},
	// The children are for mains: what only needs a command links no engine.
	{from: "waybill/internal", except: []string{"waybill/internal/runtimes/child", "waybill/internal/runtimes/wasm"}, never: []string{"github.com/tetratelabs/wazero"}},
	{from: "waybill/internal/environments", never: []string{"waybill/internal/runner", "waybill/internal/runtimes", "waybill/internal/sandbox", "waybill/internal/control"}},
	{from: "waybill/internal/runtimes", never: []string{"waybill/internal/runner", "waybill/internal/control", "waybill/internal/macro", "waybill/storage", "waybill/api",
		"waybill/internal/app", "go.temporal.io", "gorm.io", "github.com/minio"}},
	{from: "waybill/internal/sandbox", never: []string{"waybill/internal/runner", "waybill/internal/control", "waybill/internal/archive", "waybill/internal/macro", "go.temporal.io"}},
	// A technology lives in one room.
	{from: "waybill", except: []string{"waybill/storage/sqlstore", "waybill/internal/app", "waybill/internal/bench", "waybill/cmd", "waybill/test"},
		never: []string{"gorm.io"}},
	{from: "waybill", except: []string{"waybill/storage/objectstore", "waybill/internal/app", "waybill/internal/standalone", "waybill/internal/bench", "waybill/cmd", "waybill/test"},
		never: []string{"github.com/minio/minio-go"}},
	// The Temporal server takes minutes to compile and ten seconds to link.
	{from: "waybill", except: []string{"waybill/internal/standalone", "waybill/internal/app", "waybill/internal/bench", "waybill/cmd", "waybill/test"},
		never: []string{"go.temporal.io/server"}},
	{from: "waybill/internal/app/settings", never: []string{"go.temporal.io/server"}},
	{from: "waybill/internal/app/datafolder", never: []string{"go.temporal.io/server"}},
}

// direct rules look at a package's own imports only.
var direct = []rule{
	{from: "waybill", except: []string{"waybill/storage/sqlstore"}, never: []string{"gorm.io"}},
	{from: "waybill", except: []string{"waybill/storage/objectstore"}, never: []string{"github.com/minio/minio-go"}},
	{from: "waybill", except: []string{"waybill/internal/standalone"}, never: []string{"go.temporal.io/server", "github.com/versity", "github.com/temporalio/ui-server"}},
	{from: "waybill", except: []string{"waybill/api"}, never: []string{"github.com/gin-gonic/gin", "github.com/danielgtaylor/huma"}},
}

func TestImportArrowsGoOneWay(t *testing.T) {
	packages := list(t)
	if len(packages) < 15 {
		t.Fatalf("only %d packages found: the test looks at the wrong tree", len(packages))
	}
	for _, p := range packages {
		if p.ImportPath == "waybill/internal/job" {
			onlyStandard(t, p)
		}
		for _, r := range rules {
			forbid(t, p.ImportPath, p.Deps, r)
		}
		for _, r := range direct {
			forbid(t, p.ImportPath, p.Imports, r)
		}
	}
}

// onlyStandard holds the domain to the standard library, whose import paths have no dot in their first part.
func onlyStandard(t *testing.T, p listed) {
	for _, to := range p.Deps {
		if first, _, _ := strings.Cut(to, "/"); strings.Contains(first, ".") || first == "waybill" {
			t.Errorf("%s must not depend on %s", p.ImportPath, to)
		}
	}
}

func forbid(t *testing.T, from string, imports []string, r rule) {
	for _, bad := range broken(from, imports, r) {
		t.Errorf("%s must not depend on %s", from, bad)
	}
}

func broken(from string, imports []string, r rule) []string {
	if !below(from, r.from) {
		return nil
	}
	for _, e := range r.except {
		if below(from, e) {
			return nil
		}
	}
	var bad []string
	for _, to := range imports {
		for _, n := range r.never {
			if below(to, n) && !below(to, r.from) {
				bad = append(bad, to)
			}
		}
	}
	return bad
}

func TestABrokenRuleIsNoticed(t *testing.T) {
	r := rule{from: "waybill/api", except: []string{"waybill/api/free"}, never: []string{"gorm.io"}}
	for _, c := range []struct {
		from, to string
		want     int
	}{
		{"waybill/api/native", "gorm.io/gorm", 1}, {"waybill/api", "gorm.io", 1}, {"waybill/api/free", "gorm.io/gorm", 0},
		{"waybill/apiary", "gorm.io/gorm", 0}, {"waybill/api", "gorm.iox", 0}, {"waybill/api", "fmt", 0},
	} {
		if got := len(broken(c.from, []string{c.to}, r)); got != c.want {
			t.Errorf("%s -> %s: %d findings, want %d", c.from, c.to, got, c.want)
		}
	}
}
