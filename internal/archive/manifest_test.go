package archive

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/manifest"
)

const sampleWaybill = `name: sample
entryPoints:
  - name: load
    path: src\main.py
    runtime: python
    arguments: [--all]
    dependencies: [requirements.txt]
  - path: run.sh
`

// both gives what Inspect and Unpack find, which has to be the same.
func both(t *testing.T, key string, data []byte) (job.Archive, error) {
	t.Helper()
	a, err := Inspect(t.Context(), bytes.NewReader(data), int64(len(data)), key, DefaultLimits)
	parent := t.TempDir()
	dst := filepath.Join(parent, "p")
	b, unpacked := Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), key, dst, DefaultLimits)
	if !reflect.DeepEqual(a, b) || (err == nil) != (unpacked == nil) {
		t.Fatalf("inspect %+v %v, unpack %+v %v", a, err, b, unpacked)
	}
	if left, _ := os.ReadDir(parent); err != nil && len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := Remove(dst); err != nil {
		t.Fatal(err)
	}
	return a, err
}

func TestWaybillYAMLComesFirst(t *testing.T) {
	t.Parallel()
	files := []part{{name: "src/main.py"}, {name: "run.sh"}, {name: "other.sh"}, {name: "requirements.txt"}}
	a, err := both(t, "a.zip", makeZip(t, append(files, part{name: "waybill.yaml", body: sampleWaybill})...))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.EntryPoints, " "); got != "load run.sh" {
		t.Errorf("entry points %q: scripts nobody declared are no entry points beside those of waybill.yaml", got)
	}
	if a.Default() != "load" {
		t.Errorf("the default is %q", a.Default())
	}
	members := []string{"other.sh", "requirements.txt", "run.sh", "src/main.py", "waybill.yaml"}
	for given, want := range map[string]string{"": "load", "load": "load", "src/main.py": "load", `src\main.py`: "load", "run.sh": "run.sh", "other.sh": ""} {
		e, err := Match(a, members, given)
		switch {
		case err != nil:
			t.Errorf("%q: %v", given, err)
		case want == "" && e.Point != nil, want != "" && (e.Point == nil || e.Point.Name != want):
			t.Errorf("%q: got %+v", given, e.Point)
		}
	}

	// The rules of native.md stay: all compiled members are listed, and Main-Process is the default.
	a, err = both(t, "a.djar", makeZip(t, append(files, part{name: "waybill.yaml", body: sampleWaybill},
		part{name: "b.process.rtc"}, part{name: "run.sh.map.rtc"}, part{name: jarManifestName, body: "Main-Process: b.process\n"})...))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.EntryPoints, " "); got != "load run.sh b.process.rtc run.sh.map.rtc" || a.Default() != "b.process" {
		t.Errorf("entry points %q, default %q", got, a.Default())
	}
}

func TestWaybillYAMLInTheProjectFolder(t *testing.T) {
	t.Parallel()
	a, err := both(t, "a.tgz", makeTarGz(t, part{name: "proj/waybill.yml", body: sampleWaybill}, part{name: "proj/src/main.py"},
		part{name: "proj/run.sh"}, part{name: "proj/requirements.txt"}, part{name: "proj/deep/waybill.yaml", body: "nonsense: true"}))
	if err != nil {
		t.Fatal(err)
	}
	m := a.Manifest
	if m == nil || m.Folder != "proj" || m.EntryPoints[0].Path != "proj/src/main.py" || m.EntryPoints[0].Dependencies[0] != "proj/requirements.txt" {
		t.Fatalf("got %+v", m)
	}
	members := []string{"proj/deep/waybill.yaml", "proj/requirements.txt", "proj/run.sh", "proj/src/main.py", "proj/waybill.yml"}
	for _, given := range []string{"load", "src/main.py", "proj/src/main.py"} {
		e, err := Match(a, members, given)
		if err != nil || e.Point == nil || e.Member != "proj/src/main.py" {
			t.Errorf("%q: %+v %v", given, e, err)
		}
		if given != "proj/src/main.py" && e.Root != "proj" {
			t.Errorf("%q runs in %q, not in the folder its path is relative to", given, e.Root)
		}
	}
}

func TestAMemberWithTwoEntryPointsIsNamedByThem(t *testing.T) {
	t.Parallel()
	text := "entryPoints:\n- {name: up, path: m.py, arguments: [up]}\n- {name: down, path: m.py, arguments: [down]}\n"
	a, err := both(t, "a.zip", makeZip(t, part{name: "waybill.yaml", body: text}, part{name: "m.py"}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Match(a, []string{"m.py", "waybill.yaml"}, "m.py")
	checkInvalid(t, err, "name one of 'up', 'down'")
	if e, err := Match(a, []string{"m.py"}, "down"); err != nil || e.Point.Arguments[0] != "down" {
		t.Errorf("%+v %v", e, err)
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		parts []part
		want  string
	}{
		"a path that is not there": {[]part{{name: "waybill.yaml", body: "name: x\nentryPoints:\n- name: a\n  path: gone.py\n"}},
			"waybill.yaml, line 4: entryPoints[0].path 'gone.py' is not a file of the package"},
		"a folder": {[]part{{name: "waybill.yaml", body: "entryPoints:\n- path: src\n"}, {name: "src/a.py"}},
			"line 2: entryPoints[0].path 'src' is not a file of the package"},
		"a dependency that is not there": {[]part{{name: "waybill.yaml", body: "entryPoints:\n- path: a.py\n  dependencies:\n  - r.txt\n"}, {name: "a.py"}},
			"line 4: entryPoints[0].dependencies[0] 'r.txt' is not a file of the package"},
		"two at the top":  {[]part{{name: "waybill.yaml"}, {name: "waybill.yml"}, {name: "a"}}, "more than one manifest: 'waybill.yaml', 'waybill.yml'"},
		"two folders":     {[]part{{name: "a/waybill.yaml"}, {name: "b/waybill.yml"}}, "more than one manifest"},
		"no YAML":         {[]part{{name: "waybill.yaml", body: "a: [\n"}}, "it is not YAML"},
		"one byte":        {[]part{{name: "waybill.yaml", body: "x"}}, "not an object"},
		"too large":       {[]part{{name: "waybill.yaml", body: "# " + strings.Repeat("x", manifest.MaxSize)}}, "more than 65536 bytes"},
		"unknown members": {[]part{{name: "p/waybill.yaml", body: "entrypoints: []\n"}}, "p/waybill.yaml, line 1: 'entrypoints' is not known"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := both(t, "a.zip", makeZip(t, c.parts...))
			checkInvalid(t, err, c.want)
		})
	}
	_, err := both(t, "a.tgz", makeTarGz(t, part{name: "real.yaml"}, part{name: "waybill.yaml", link: "real.yaml", typ: '2'}))
	checkInvalid(t, err, "is a link")
	var faults *manifest.Faults
	if _, err := both(t, "a.zip", makeZip(t, part{name: "waybill.yaml", body: "a: 1\nb: 2\n"})); !errors.As(err, &faults) || len(faults.List) != 2 {
		t.Errorf("got %v, want both faults, each by itself", err)
	}
}

func TestAJavaProgramIsItsOwnEntryPoint(t *testing.T) {
	t.Parallel()
	main := part{name: jarManifestName, body: "Manifest-Version: 1.0\r\nMain-Class: demo.Main\r\n"}
	cases := []struct {
		name, key string
		parts     []part
		jar       string
		entry     []string
	}{
		{"a program", "lib/Tool.jar", []part{main, {name: "demo/Main.class"}, {name: "res/x.js"}}, "Tool.jar", []string{"Tool.jar"}},
		{"a library", "lib.jar", []part{{name: jarManifestName, body: "Manifest-Version: 1.0\r\n"}, {name: "demo/Lib.class"}}, "", nil},
		{"a zip of the same", "tool.zip", []part{main, {name: "run.sh"}}, "", []string{"run.sh"}},
		{"processes come first", "tool.jar", []part{main, {name: "a.process"}}, "", []string{"a.process"}},
		{"so does waybill.yaml", "tool.jar", []part{main, {name: "x.sh"}, {name: "waybill.yaml", body: "entryPoints: [{path: x.sh}]"}}, "", []string{"x.sh"}},
		{"a name that is taken", "tool.jar", []part{main, {name: "tool.jar"}}, "", []string{"tool.jar"}},
		{"programs without a script", "a.zip", []part{{name: "b.wasm"}, {name: "a.sql"}, {name: "c.jar"}}, "", []string{"a.sql", "b.wasm", "c.jar"}},
		{"data beside a script", "a.zip", []part{{name: "b.wasm"}, {name: "a.sql"}, {name: "c.jar"}, {name: "run.py"}}, "", []string{"run.py"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := both(t, c.key, makeZip(t, c.parts...))
			if err != nil || a.Jar != c.jar || strings.Join(a.EntryPoints, " ") != strings.Join(c.entry, " ") {
				t.Errorf("got %+v %v", a, err)
			}
		})
	}
}
