package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/runtimes"
)

// javaJar compiles one class and packs it; extra are name, text pairs more.
func javaJar(t *testing.T, manifest, source string, extra ...string) []byte {
	t.Helper()
	need(t, "java")
	need(t, "javac")
	dir := t.TempDir()
	file := filepath.Join(dir, "Main.java")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "javac", "--release", "11", "-d", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	class, err := os.ReadFile(filepath.Join(dir, "Main.class"))
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, append([]string{"META-INF/MANIFEST.MF", manifest, "Main.class", string(class)}, extra...)...)
}

const javaSource = `public class Main {
  public static void main(String[] a) throws Exception {
    System.out.println("hello " + String.join(",", a) + " heap " + Runtime.getRuntime().maxMemory() / 1048576 + " " + System.getenv("M"));
    java.nio.file.Files.createTempFile("x", "y");
    java.nio.file.Files.writeString(java.nio.file.Path.of(System.getenv("LOCAL_JOB_OUT_DIR"), "o.txt"), "out");
    System.exit(6);
  }
}`

func TestJavaRuns(t *testing.T) {
	r := newRunner(t, nil)
	jar := javaJar(t, "Main-Class: Main\n", javaSource)
	a := mustPrepare(t, r, lease(t, r, "p.zip", pack(t, "lib/app.jar", string(jar))), job.Spec{
		EntryPoint: "lib/app.jar", Macros: []job.Macro{{Key: "M", Value: "macro"}}, Resources: job.Resources{MemoryMiB: 256},
	})
	result, err := a.Run(t.Context())
	if err != nil || result.ExitCode != 6 || a.log.text() != "hello  heap 192 macro\n" {
		t.Errorf("%+v %v, log %q", result, err, a.log.text())
	}
}

func withRunners(t *testing.T, list ...runtimes.Runner) func(*Config) {
	t.Helper()
	table, err := runtimes.New(runtimes.Config{Runners: list})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Runtimes = table }
}

// A licensed engine lives where the operator put it, outside of all that programs may read.
func TestAnEngineRunsPackagesOfItsKind(t *testing.T) {
	home := t.TempDir()
	engine := filepath.Join(home, "bin", "djengine")
	script := "#!/bin/sh\necho engine \"$@\" with $(cat \"$ENGINE_HOME/licence\") for $TARGET\ncat \"$2\"\nexit 7\n"
	if err := os.MkdirAll(filepath.Dir(engine), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{engine: script, filepath.Join(home, "licence"): "a licence"} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := newRunner(t, withRunners(t, runtimes.Runner{
		Name: "djengine", Match: []string{"*.process.rtc", "*.map.rtc"}, Read: []string{home},
		Command:     []string{engine, "-RC", "{entryPoint}", "-out", "{outDir}"},
		Environment: map[string]string{"ENGINE_HOME": home, "TARGET": "<{macro:TARGET}>", "JOB_ID": "not this"},
	}))
	a := mustPrepare(t, r, lease(t, r, "p.djar", pack(t, "Sample-1.0/x.process.rtc", "declarative\n")), job.Spec{
		EntryPoint: "x.process", Macros: []job.Macro{{Key: "TARGET", Value: "out"}},
	})
	result, err := a.Run(t.Context())
	text := a.log.text()
	if err != nil || result.ExitCode != 7 || !strings.HasSuffix(text, "declarative\n") || !strings.Contains(text, "with a licence for <out>\n") ||
		!strings.HasPrefix(text, "engine -RC ") || !strings.Contains(text, "/x.process.rtc -out "+filepath.Join(a.dir, "out")) {
		t.Errorf("%+v %v, log %q", result, err, text)
	}
	if !strings.Contains(strings.Join(r.Kinds(), " "), "djengine") {
		t.Errorf("kinds %v", r.Kinds())
	}
}

func TestArgumentsAndEnvironmentOfAnEntryPoint(t *testing.T) {
	r := newRunner(t, nil)
	l := lease(t, r, "p.zip", pack(t, "run.sh", `echo "$1" "$2" "$A" "$B" "$C"`))
	l.entry.about.Archive.Manifest = &job.Manifest{EntryPoints: []job.EntryPoint{{
		Name: "main", Path: "run.sh", Arguments: []string{"one $(A)", "$(SECRET)"},
		Environment: map[string]string{"A": "asked", "B": "asked $(A)", "C": "$(SECRET)"},
	}}}
	a := mustPrepare(t, r, l, job.Spec{EntryPoint: "run.sh", Macros: []job.Macro{
		{Key: "A", Value: "macro"}, {Key: "SECRET", Sealed: "sealed:hush-hush", Secure: true},
	}})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "one macro *** macro asked macro ***\n"; a.log.text() != want {
		t.Errorf("log %q, want %q", a.log.text(), want)
	}
}

// A package may be an executable .jar itself; its Class-Path names libraries inside it.
func TestAJarAsPackage(t *testing.T) {
	r := newRunner(t, nil)
	source := `public class Main {
  public static void main(String[] a) throws Exception {
    System.out.println("hello " + Class.forName("Lib").getField("VALUE").get(null));
  }
}`
	library := javaJar(t, "X: Y\n", "public class Main {} class Unused {}", "Lib.class", libraryClass(t))
	jar := javaJar(t, "Main-Class: Main\nClass-Path: lib/lib.jar\n", source, "lib/lib.jar", string(library))
	a := mustPrepare(t, r, lease(t, r, "app.jar", jar), job.Spec{})
	result, err := a.Run(t.Context())
	if err != nil || result.ExitCode != 0 || a.log.text() != "hello from a library\n" {
		t.Errorf("%+v %v, log %q", result, err, a.log.text())
	}
}

func libraryClass(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Lib.java")
	if err := os.WriteFile(file, []byte(`public class Lib { public static String VALUE = "from a library"; }`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "javac", "--release", "11", "-d", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	class, err := os.ReadFile(filepath.Join(dir, "Lib.class"))
	if err != nil {
		t.Fatal(err)
	}
	return string(class)
}
