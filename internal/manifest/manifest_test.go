package manifest_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/manifest"
)

const full = `# all there is
name: rates
version: 1.10
description: |
  Loads the day's rates.
entryPoints:
  - name: load
    path: ./src//main.py
    runtime: python
    arguments: [--day, $(DAY), 7]
    environment: {MODE: load, VERBOSE: true, EMPTY: }
    dependencies: [src\requirements.txt]
    resources: {memoryMiB: 512}
  - path: report.sql
    runtime: my-runner.2
macros:
  - name: DAY
    description: As 2026-03-16
    default: 2026-03-16
  - {name: API_KEY, required: true, secure: true}
messages:
  in: [rates]
  out: [summary, done]
resources: {memoryMiB: 1024, cpus: 1.5, processes: 50, openFiles: 200, diskMiB: 2048, network: none}
`

func TestParseReadsAllThereIs(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	got, err := manifest.Parse("waybill.yaml", []byte(full), func(p string) bool { asked[p] = true; return true })
	if err != nil {
		t.Fatal(err)
	}
	day := "2026-03-16"
	want := job.Manifest{
		Name: "rates", Version: "1.10", Description: "Loads the day's rates.\n",
		EntryPoints: []job.EntryPoint{
			{
				Name: "load", Path: "src/main.py", Runtime: "python", Arguments: []string{"--day", "$(DAY)", "7"},
				Environment: map[string]string{"MODE": "load", "VERBOSE": "true", "EMPTY": ""}, Dependencies: []string{"src/requirements.txt"},
				Resources: job.Resources{MemoryMiB: 512},
			},
			{Name: "report.sql", Path: "report.sql", Runtime: "my-runner.2"},
		},
		Macros: []job.MacroRule{
			{Name: "DAY", Description: "As 2026-03-16", Default: &day}, {Name: "API_KEY", Required: true, Secure: true},
		},
		InMessages: []string{"rates"}, OutMessages: []string{"summary", "done"},
		Resources: job.Resources{MemoryMiB: 1024, CPUs: 1.5, Processes: 50, OpenFiles: 200, DiskMiB: 2048, Network: job.NetworkNone},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(asked) != 3 || !asked["src/main.py"] || !asked["src/requirements.txt"] || !asked["report.sql"] {
		t.Errorf("asked for %v", asked)
	}
	if r := got.ResourcesOf(&got.EntryPoints[0]); r.MemoryMiB != 512 || r.CPUs != 1.5 {
		t.Errorf("an entry point's own resources come before the package's: %+v", r)
	}
}

func TestParseTakesNothingForNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# only a comment\n", "---\n", "null", "name:\nentryPoints:\n", "{}"} {
		if m, err := manifest.Parse("waybill.yaml", []byte(text), nil); err != nil || !reflect.DeepEqual(m, job.Manifest{}) {
			t.Errorf("%q: %+v %v", text, m, err)
		}
	}
}

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("- {path: a, name: n}\n", 101)
	for name, c := range map[string]struct{ text, want string }{
		"unknown member":      {"name: x\nentryPoint: a\n", "line 2: 'entryPoint' is not known; the members are description, entryPoints, macros, messages, name, resources, version"},
		"unknown deep member": {"entryPoints:\n- path: a\n  args: [b]\n", "line 3: entryPoints[0].'args' is not known; the members are arguments, dependencies,"},
		"twice":               {"name: x\nversion: 1\nname: y\n", "line 3: 'name' is there twice; first in line 1"},
		"no path":             {"entryPoints:\n- name: x\n", "line 2: entryPoints[0].path is required"},
		"same name":           {"entryPoints:\n- path: a\n- {name: a, path: b}\n", "line 3: entryPoints[1].name 'a' is there twice; first in line 2"},
		"outside":             {"entryPoints:\n- path: a/../../b\n", "line 2: entryPoints[0].path 'a/../../b' is not a path inside the package"},
		"absolute":            {"entryPoints:\n- path: /etc/passwd\n", "not a path inside the package"},
		"a drive":             {"entryPoints:\n- path: C:x\n", "not a path inside the package"},
		"a list for a text":   {"name: [x]\n", "line 1: name is a list, not a text"},
		"a text for a list":   {"entryPoints: main.py\n", "line 1: entryPoints is a single value, not a list"},
		"a text for an item":  {"entryPoints:\n- main.py\n", "line 2: entryPoints[0] is a single value, not an object"},
		"an empty item":       {"entryPoints:\n-\n", "line 2: entryPoints[0] is empty"},
		"a list":              {"- a\n", "line 1: is a list, not an object"},
		"alias bomb":          {"name: &a x\nversion: *a\n", "line 1: name uses an anchor or an alias"},
		"merge":               {"<<: {name: x}\n", "'<<' is not known"},
		"tag":                 {"name: !!binary aGk=\n", "line 1: name has the tag '!!binary'"},
		"two documents":       {"name: a\n---\nname: b\n", "a second document begins"},
		"no YAML":             {"name: a\n b: c\n", "line 2: it is not YAML"},
		"a tab":               {"name: a\n\tb: c\n", "it is not YAML"},
		"required quoted":     {"macros:\n- {name: A, required: \"true\"}\n", "line 2: macros[0].required is neither true nor false"},
		"secret default":      {"macros:\n- name: A\n  secure: true\n  default: x\n", "line 4: macros[0].default is given for a secure macro"},
		"macro name":          {"macros:\n- name: A=B\n", "holds one of = $ ( )"},
		"own macro":           {"macros:\n- name: JOB_ID\n", "'JOB_ID' is a name of Waybill's own"},
		"macro without name":  {"macros:\n- default: x\n", "line 2: macros[0].name is required"},
		"memory":              {"resources: {memoryMiB: 0}\n", "line 1: resources.memoryMiB is not a whole number from 1 to"},
		"cpus":                {"resources: {cpus: .inf}\n", "resources.cpus is not a number above 0"},
		"network":             {"resources: {network: some}\n", "resources.network is neither full nor none"},
		"runtime":             {"entryPoints:\n- {path: a, runtime: 'rm -rf'}\n", "entryPoints[0].runtime is not the name of a runtime"},
		"variable":            {"entryPoints:\n- {path: a, environment: {A-B: x}}\n", "entryPoints[0].environment.'A-B' is not the name of an environment variable"},
		"own variable":        {"entryPoints:\n- {path: a, environment: {WAYBILL_EVENTS: x}}\n", "is a name of Waybill's own"},
		"too many":            {"entryPoints:\n" + many, "entryPoints has more than 100 items"},
		"deep":                {"name: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested too deep"},
		"control character":   {"name: \"a\\u0007b\"\n", "name holds control characters"},
		"message twice":       {"messages: {in: [a, b, a]}\n", "messages.in[2] 'a' is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Parse("p/waybill.yaml", []byte(c.text), nil)
			var e *job.Error
			if !errors.As(err, &e) || e.Word != job.WordInvalidPackage || !strings.Contains(e.Message, c.want) || !strings.HasPrefix(e.Message, "p/waybill.yaml, ") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestParseTellsAllFaultsInTheOrderOfLines(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("waybill.yaml", []byte("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\n"), nil)
	var faults *manifest.Faults
	if !errors.As(err, &faults) || len(faults.List) != 7 {
		t.Fatalf("got %v", err)
	}
	for i, f := range faults.List {
		if f.Line != i+1 {
			t.Errorf("fault %d is of line %d", i, f.Line)
		}
	}
	if !strings.HasSuffix(err.Error(), "and 2 more") && !strings.Contains(err.Error(), "; and 2 more") {
		t.Errorf("the message names a few: %v", err)
	}
}

// FuzzParse: whatever the bytes, no panic, no other error than invalid_package, and nothing past the limits.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Parse("waybill.yaml", text, func(p string) bool {
			if p == "" || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "../") || p == ".." || strings.Contains(p, "/../") {
				t.Errorf("asked for %q", p)
			}
			return true
		})
		if err != nil {
			var e *job.Error
			if !errors.As(err, &e) || e.Word != job.WordInvalidPackage || strings.ContainsAny(e.Message, "\n\x00") {
				t.Fatalf("got %v (%T)", err, err)
			}
			return
		}
		if len(m.EntryPoints) > 100 || len(m.Macros) > 500 {
			t.Errorf("%d entry points, %d macros", len(m.EntryPoints), len(m.Macros))
		}
		for _, e := range m.EntryPoints {
			if e.Name == "" || e.Path == "" {
				t.Errorf("an entry point without name or path: %+v", e)
			}
		}
	})
}
