package runtimes

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// tree makes an unpacked package of name, text pairs.
func tree(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		file := filepath.Join(dir, filepath.FromSlash(pairs[i]))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(pairs[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tools puts empty programs of these names on an otherwise empty PATH and gives their folder.
func tools(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

func table(t *testing.T, runners ...Runner) *Table {
	t.Helper()
	tab, err := New(Config{Runners: runners, Self: "/self"})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestTheRuntimeIsToldByManifestThenByHeadThenByTableThenByEnding(t *testing.T) {
	bin := tools(t, "python3", "python3.99", "node", "engine")
	dir := tree(t, "a.sh", "echo", "b.py", "pass", "c.mjs", "", "d.py", "#!/usr/bin/env python3.99\n", "e.process", "#!/bin/sh\n",
		"f.process.rtc", "<x/>", "g.bin", "\x7fELF....", "h", "\x00asm\x01\x00\x00\x00", "i.sql", "select 1", "P/j.map.RTC", "<x/>", "k.txt", "text", "l.sh", "#!/no/such\n")
	engine := Runner{Name: "vendor", Match: []string{"*.process", "*.process.rtc", "p/*.map.rtc"}, Command: []string{"engine", "-RC", "{entryPoint}"}}
	tab := table(t, engine)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		member, runtime string
		want            Command
	}{
		{"a.sh", "", Command{Runtime: Shell, Path: "/bin/sh", Argv: []string{"/bin/sh", in("a.sh"), "x"}}},
		{"b.py", "", Command{Runtime: Python, Path: bin + "/python3", Argv: []string{bin + "/python3", in("b.py"), "x"}}},
		{"c.mjs", "", Command{Runtime: Node, Path: bin + "/node", Argv: []string{bin + "/node", in("c.mjs"), "x"}}},
		{"d.py", "", Command{Runtime: Python, Path: bin + "/python3.99", Argv: []string{bin + "/python3.99", in("d.py"), "x"}}},
		{"d.py", Python, Command{Runtime: Python, Path: bin + "/python3.99", Argv: []string{bin + "/python3.99", in("d.py"), "x"}}},
		{"e.process", "", Command{Runtime: Shell, Path: "/bin/sh", Argv: []string{"/bin/sh", in("e.process"), "x"}}},
		{"e.process", "vendor", Command{Runtime: "vendor", Path: bin + "/engine", Argv: []string{bin + "/engine", "-RC", in("e.process"), "x"}}},
		{"f.process.rtc", "", Command{Runtime: "vendor", Path: bin + "/engine", Argv: []string{bin + "/engine", "-RC", in("f.process.rtc"), "x"}}},
		{"P/j.map.RTC", "", Command{Runtime: "vendor", Path: bin + "/engine", Argv: []string{bin + "/engine", "-RC", in("P/j.map.RTC"), "x"}}},
		{"g.bin", "", Command{Runtime: Native, Path: in("g.bin"), Argv: []string{in("g.bin"), "x"}}},
		{"h", "", Command{Runtime: Wasm, Path: "/self", Argv: []string{"waybill", "run-wasm", "--", in("h"), "x"}}},
		{"i.sql", "", Command{Runtime: SQL, Path: "/self", Argv: []string{"waybill", "run-sql", "--", in("i.sql"), "x"}}},
		{"k.txt", Python, Command{Runtime: Python, Path: bin + "/python3", Argv: []string{bin + "/python3", in("k.txt"), "x"}}},
		{"l.sh", "", Command{Runtime: Shell, Path: "/bin/sh", Argv: []string{"/bin/sh", in("l.sh"), "x"}}},
	} {
		got, err := tab.Command(Program{Tree: dir, Entry: archive.Entry{Member: c.member}, Runtime: c.runtime, Arguments: []string{"x"}})
		if err != nil || got.Runtime != c.want.Runtime || got.Path != c.want.Path || !slices.Equal(got.Argv, c.want.Argv) {
			t.Errorf("%s as %q: %+v %v, want %+v", c.member, c.runtime, got, err, c.want)
		}
	}
	if kinds := tab.Kinds(); !slices.Equal(kinds, []string{Native, Node, Python, Shell, SQL, "vendor", Wasm}) {
		t.Errorf("kinds %v", kinds)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	tools(t)
	dir := tree(t, "a.py", "", "b.js", "", "c.jar", jarOf(t, "Main-Class: X\n"), "d.process", "<x/>", "e.map.rtc", "<x/>", "f.tf.xml", "<x/>", "g.ip.xml", "<x/>",
		"h.special", "", "i", "#!/usr/bin/env cobol\n", "j.txt", "text", "k.jar", jarOf(t, "X: Y\n"), "l.jar", "no zip")
	tab := table(t, Runner{Name: "special", Match: []string{"*.special"}, Command: []string{"/opt/none/engine"}},
		Runner{Name: "wants", Command: []string{"/bin/sh", "{macro:LICENCE}"}})
	for _, c := range []struct {
		member, runtime string
		word            job.Word
		want            string
	}{
		{"a.py", "", job.WordInterpreterMissing, "Interpreter 'python3' of entry point 'a.py' is not installed"},
		{"b.js", "", job.WordInterpreterMissing, "Interpreter 'node'"},
		{"c.jar", "", job.WordInterpreterMissing, "Interpreter 'java'"},
		{"d.process", "", job.WordEngineMissing, "the setting 'runners' has no entry that matches"},
		{"e.map.rtc", "", job.WordEngineMissing, "engine_missing"},
		{"f.tf.xml", "", job.WordEngineMissing, "engine_missing"},
		{"g.ip.xml", "", job.WordEngineMissing, "engine_missing"},
		{"h.special", "", job.WordEngineMissing, "The engine '/opt/none/engine' that runs entry point 'h.special' is not installed on this worker (engine_missing): see command of 'special' in the setting 'runners'"},
		{"i", "", job.WordInterpreterMissing, "'cobol'"},
		{"j.txt", "", job.WordInvalidPackage, "'j.txt' can not be run"},
		{"k.jar", "", job.WordInvalidPackage, "names no Main-Class"},
		{"l.jar", "", job.WordInvalidPackage, "is no .jar that can be read"},
		{"j.txt", "cobol", job.WordEngineMissing, "wants the runtime 'cobol', which this worker does not have"},
		{"j.txt", "wants", job.WordInvalidField, "Macro 'LICENCE' is not set, and the runner 'wants'"},
		{"none", "", job.WordInvalidPackage, "is not in the package"},
	} {
		_, err := tab.Command(Program{Tree: dir, Entry: archive.Entry{Member: c.member}, Runtime: c.runtime})
		if job.CodeOf(err) != job.Invalid || job.WordOf(err) != c.word || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s as %q: %v (%s), want %s %q", c.member, c.runtime, err, job.WordOf(err), c.word, c.want)
		}
	}
}

// jarOf makes a .jar with a manifest and nothing else.
func jarOf(t *testing.T, manifest string) string {
	t.Helper()
	var b strings.Builder
	z := zip.NewWriter(&b)
	w, err := z.Create("META-INF/MANIFEST.MF")
	if err == nil {
		_, err = w.Write([]byte(manifest))
	}
	if err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestARunnersCommandIsFilled(t *testing.T) {
	bin := tools(t, "engine")
	licences := t.TempDir()
	dir := tree(t, "P/x.process", "<x/>")
	p := Program{
		Tree: dir, Entry: archive.Entry{Member: "P/x.process", Root: "P"}, Arguments: []string{"one two", "{jobId}"},
		OutDir: "/o", SpecDir: "/s", TempDir: "/t", JobID: "69b", JobConfigID: "44",
		Macro: func(name string) (string, bool) { return "{jobId}", name == "M" },
	}
	tab := table(t, Runner{
		Name: "e", Match: []string{"*.process"}, Read: []string{licences, "/none/at/all"},
		Command:     []string{"engine", "--x={{{member}}}", "{arguments}", "{packageDir}:{outDir}:{specDir}:{tempDir}", "{jobId}-{jobConfigId}-{macro:M}"},
		Environment: map[string]string{"LICENCE": "{macro:M}/l"},
	})
	c, err := tab.Command(p)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{bin + "/engine", "--x={P/x.process}", "one two", "{jobId}", dir + ":/o:/s:/t", "69b-44-{jobId}"}
	if !slices.Equal(c.Argv, want) {
		t.Errorf("argv %q, want %q", c.Argv, want)
	}
	if c.Fixed["LICENCE"] != "{jobId}/l" {
		t.Errorf("environment %v", c.Fixed)
	}
	if !slices.Equal(c.Read, []string{bin + "/engine", licences}) {
		t.Errorf("read %v", c.Read)
	}
}

func TestATableIsCheckedAsAWhole(t *testing.T) {
	err := CheckRunners([]Runner{
		{Name: "Bad Name", Command: []string{"x"}},
		{Name: "python", Command: []string{"x"}},
		{Name: "a", Command: []string{"x"}}, {Name: "a", Command: []string{"x"}},
		{Name: "b", Match: []string{"[", ""}, Command: []string{"x"}},
		{Name: "c"},
		{Name: "d", Command: []string{"{entryPoint}"}},
		{Name: "e", Command: []string{"bin/x"}},
		{Name: "f", Command: []string{"x", "{nope}", "{macro:}", "{open"}},
		{Name: "g", Command: []string{"x"}, Environment: map[string]string{"A-B": "1", "C": "{nope}"}},
		{Name: "h", Command: []string{"x"}, Read: []string{"rel", "/"}},
	})
	for _, want := range []string{
		`entry 1 ("Bad Name"): name has small letters`, "name is that of a built-in runtime", `entry 4 ("a"): the name is taken`,
		`"[", which is no pattern`, `"", which is no pattern`, "command is empty", "begins with a placeholder", "relative path",
		"unknown placeholder {nope}", "unknown placeholder {macro:}", "not closed", `"A-B", which is no name`, "environment C: unknown", `"rel", which is no absolute`, `"/", which`,
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("no word of %q in:\n%v", want, err)
		}
	}
	good := []Runner{{Name: "djengine", Match: []string{"*.process.rtc", "*.map.rtc"}, Command: []string{"djengine", "-RC", "{entryPoint}"}}}
	if err := CheckRunners(good); err != nil {
		t.Error(err)
	}
}

func TestJavaCommands(t *testing.T) {
	bin := tools(t, "java")
	dir := tree(t, "app.jar", jarOf(t, "Manifest-Version: 1.0\r\nMain-Class: com.x.\r\n Main\r\n\r\nName: other\r\n"))
	tab := table(t)
	for name, c := range map[string]struct {
		p    Program
		want string
	}{
		"a jar in a package":     {Program{Entry: archive.Entry{Member: "app.jar"}, Arguments: []string{"a"}}, "-jar DIR/app.jar a"},
		"memory":                 {Program{Entry: archive.Entry{Member: "app.jar"}, MemoryMiB: 512}, "-Xmx384m -jar DIR/app.jar"},
		"memory of the author's": {Program{Entry: archive.Entry{Member: "app.jar"}, MemoryMiB: 512, Macro: func(n string) (string, bool) { return "-Xmx1g", n == "JAVA_TOOL_OPTIONS" }}, "-jar DIR/app.jar"},
		"temp":                   {Program{Entry: archive.Entry{Member: "app.jar"}, TempDir: "/t", MemoryMiB: 8}, "-Djava.io.tmpdir=/t -Duser.home=/t -Xmx8m -jar DIR/app.jar"},
	} {
		c.p.Tree = dir
		got, err := tab.Command(c.p)
		want := bin + "/java " + strings.ReplaceAll(c.want, "DIR", dir)
		if err != nil || got.Path != bin+"/java" || strings.Join(got.Argv, " ") != want || got.Runtime != Java {
			t.Errorf("%s: %q %v, want %q", name, strings.Join(got.Argv, " "), err, want)
		}
	}
}

// The keys of compiled modules name the engine; it must be the one that is linked.
func TestTheEnginesVersionIsTheOneRequired(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	name, version, _ := strings.Cut(WasmEngine, " ")
	if want := "/" + name + " v" + version; !strings.Contains(string(text), want+"\n") && !strings.Contains(string(text), want+" ") {
		t.Errorf("go.mod has no %s; change WasmEngine with it", want)
	}
}
