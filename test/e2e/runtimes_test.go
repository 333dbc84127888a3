package e2e

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authored is a package as the author of one language makes it. Its program says "hello WHO from LANGUAGE", leaves WHO in
// result.txt and ends with the exit code EXIT.
type authored struct {
	needs   []string // commands that this machine must have, to make the package or to run it
	members func(t *testing.T) []member
	key     string // "": p.zip
	entry   string
	builds  string // the environment that the first job builds, as its log names it
}

const shellProgram = `#!/bin/sh
. ./lib/greet.sh
greet "$WHO"
echo "$WHO" >"$LOCAL_JOB_OUT_DIR/result.txt"
exit "$EXIT"
`

const pythonProgram = `import os, sys
from greet import greet
greet(os.environ["WHO"])
with open(os.path.join(os.environ["LOCAL_JOB_OUT_DIR"], "result.txt"), "w") as f:
    f.write(os.environ["WHO"] + "\n")
sys.exit(int(os.environ["EXIT"]))
`

const pythonLibrary = "def greet(who):\n    print('hello', who, 'from python')\n"

const nodeProgram = `const { greet } = require("greet");
greet(process.env.WHO);
require("fs").writeFileSync(process.env.LOCAL_JOB_OUT_DIR + "/result.txt", process.env.WHO + "\n");
process.exit(Number(process.env.EXIT));
`

const nodeLibrary = "exports.greet = (who) => console.log(`hello ${who} from node`);\n"

const javaProgram = `package app;
import java.nio.file.*;
public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println("hello " + System.getenv("WHO") + " from java");
        Files.writeString(Path.of(System.getenv("LOCAL_JOB_OUT_DIR"), "result.txt"), System.getenv("WHO") + "\n");
        System.exit(Integer.parseInt(System.getenv("EXIT")));
    }
}
`

const goProgram = `package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

func main() {
	language := map[string]string{"wasip1": "wasm"}[runtime.GOOS]
	if language == "" {
		language = "native"
	}
	fmt.Println("hello", os.Getenv("WHO"), "from", language)
	err := os.WriteFile(filepath.Join(os.Getenv("LOCAL_JOB_OUT_DIR"), "result.txt"), []byte(os.Getenv("WHO")+"\n"), 0o644)
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
	code, _ := strconv.Atoi(os.Getenv("EXIT"))
	os.Exit(code)
}
`

var authors = map[string]authored{
	"shell": {
		entry: "main.sh",
		members: func(*testing.T) []member {
			return []member{{name: "main.sh", text: shellProgram}, {name: "lib/greet.sh", text: "greet() { echo \"hello $1 from shell\"; }\n"}}
		},
	},
	"python": {
		needs: []string{"python3"}, entry: "main.py",
		members: func(*testing.T) []member {
			return []member{{name: "main.py", text: pythonProgram}, {name: "greet/__init__.py", text: pythonLibrary}}
		},
	},
	"python with a wheel": {
		needs: []string{"python3"}, entry: "main.py", builds: "built the Python environment of requirements.txt",
		members: func(t *testing.T) []member {
			return []member{
				{name: "main.py", text: pythonProgram}, {name: "wheels/greet-1.0-py3-none-any.whl", text: wheel(t)},
				{name: "requirements.txt", text: "--no-index\n./wheels/greet-1.0-py3-none-any.whl\n"},
			}
		},
	},
	"node with npm": {
		needs: []string{"node", "npm"}, entry: "main.js", builds: "built the Node environment of package-lock.json",
		members: npmMembers,
	},
	"node": {
		needs: []string{"node"}, entry: "main.js",
		members: func(*testing.T) []member {
			return []member{{name: "main.js", text: nodeProgram}, {name: "node_modules/greet/index.js", text: nodeLibrary}}
		},
	},
	"java in a package": {
		needs: []string{"javac", "java"}, entry: "app.jar",
		members: func(t *testing.T) []member {
			return []member{{name: "app.jar", text: string(javaArchive(t))}}
		},
	},
	"java as a package": {
		needs: []string{"javac", "java"}, key: "app.jar",
		members: func(t *testing.T) []member { return javaMembers(t) },
	},
	"wasm": {
		needs: []string{"go"}, entry: "bin/program.wasm", builds: "compiled form of bin/program.wasm",
		members: func(t *testing.T) []member {
			return []member{{name: "bin/program.wasm", text: goBuild(t, "GOOS=wasip1", "GOARCH=wasm")}}
		},
	},
	"native": {
		needs: []string{"go"}, entry: "bin/program",
		members: func(t *testing.T) []member {
			return []member{{name: "bin/program", text: goBuild(t, "CGO_ENABLED=0")}}
		},
	},
}

// language is what the program calls itself.
func language(name string) string { return strings.Fields(name)[0] }

func TestRuntimes(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "runtimes")
	for name, a := range authors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, need := range a.needs {
				if _, err := exec.LookPath(need); err != nil {
					t.Skipf("%s is not installed", need)
				}
			}
			content, err := zipOf(a.members(t)...)
			if err != nil {
				t.Fatal(err)
			}
			key := a.key
			if key == "" {
				key = "p.zip"
			}
			config := c.configure(t, unique(name), setup{key: key, content: content, entry: a.entry, runtime: object{
				"macros": []object{{"key": "WHO", "value": "world"}, {"key": "EXIT", "value": "0"}},
			}})
			for _, run := range []string{"first", "second"} {
				job := c.submit(t, config).text("id")
				j := c.finish(t, job, 5*time.Minute)
				log := c.log(t, job)
				if j.text("status") != "FINISHED" || j.text("returnCode") != "0" || j.text("attempt") != "1" {
					t.Fatalf("the %s job ends as %v, its log is\n%s", run, j, log)
				}
				if want := "hello world from " + language(name); !strings.Contains(log, want) {
					t.Errorf("the log of the %s job does not tell %q:\n%s", run, want, log)
				}
				expect(t, "the result of the "+run+" job", c.output(t, job, "result.txt"), "world\n")
				if built := strings.Contains(log, "building the "); built != (a.builds != "" && run == "first") {
					t.Errorf("the %s job built an environment: %v; its log is\n%s", run, built, log)
				}
				if a.builds != "" && run == "first" && !strings.Contains(log, a.builds) {
					t.Errorf("the log of the first job does not tell %q:\n%s", a.builds, log)
				}
			}
			job := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs",
				object{"runtimeConfig": object{"macros": []object{{"key": "EXIT", "value": "7"}}}}).object(t).text("id")
			j := c.finish(t, job, 5*time.Minute)
			if j.text("status") != "ERROR" || j.text("returnCode") != "7" || j.text("reason") != "error" {
				t.Errorf("the job that fails ends as %v, its log is\n%s", j, c.log(t, job))
			}
		})
	}
}

// goBuild compiles goProgram.
func goBuild(t *testing.T, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(goProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", out, source)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return readText(t, out)
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// javaMembers are those of a .jar of javaProgram.
func javaMembers(t *testing.T) []member {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "Main.java")
	if err := os.WriteFile(source, []byte(javaProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.CommandContext(t.Context(), "javac", "-d", dir, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return []member{
		{name: "META-INF/MANIFEST.MF", text: "Manifest-Version: 1.0\r\nMain-Class: app.Main\r\n\r\n"},
		{name: "app/Main.class", text: readText(t, filepath.Join(dir, "app", "Main.class"))},
	}
}

func javaArchive(t *testing.T) []byte {
	t.Helper()
	content, err := zipOf(javaMembers(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// wheel is a package for pip, made by hand.
func wheel(t *testing.T) string {
	t.Helper()
	const info = "greet-1.0.dist-info/"
	content, err := zipOf(
		member{name: "greet/__init__.py", text: pythonLibrary},
		member{name: info + "METADATA", text: "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n"},
		member{name: info + "WHEEL", text: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		member{name: info + "RECORD", text: "greet/__init__.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// npmMembers are those of a package whose library npm installs from an archive beside it.
func npmMembers(t *testing.T) []member {
	t.Helper()
	library, err := tarOf(
		member{name: "package/package.json", text: `{"name": "greet", "version": "1.0.0", "main": "index.js"}`},
		member{name: "package/index.js", text: nodeLibrary},
	)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(library)
	const project = `{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:vendor/greet-1.0.0.tgz"}}`
	lock := fmt.Sprintf(`{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
  "": {"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:vendor/greet-1.0.0.tgz"}},
  "node_modules/greet": {"version": "1.0.0", "resolved": "file:vendor/greet-1.0.0.tgz", "integrity": "sha512-%s"}}}`,
		base64.StdEncoding.EncodeToString(sum[:]))
	return []member{
		{name: "main.js", text: nodeProgram}, {name: "package.json", text: project}, {name: "package-lock.json", text: lock},
		{name: "vendor/greet-1.0.0.tgz", text: string(library)},
	}
}

// TestRunnerTable runs packages of their own kind with a command of the settings, and with one that is not installed.
func TestRunnerTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	engine := filepath.Join(dir, "engine", "djengine")
	if err := os.MkdirAll(filepath.Dir(engine), 0o755); err != nil {
		t.Fatal(err)
	}
	const program = `#!/bin/sh
echo "engine runs $1 $2 for $WHO of $COMPANY"
cp "$2" "$LOCAL_JOB_OUT_DIR/result.txt"
exit "$EXIT"
`
	if err := os.WriteFile(engine, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "settings.yaml")
	text := fmt.Sprintf(`runners:
  - name: engine
    match: ["*.rtc", "*.process"]
    command: [%q, "-RC", "{entryPoint}"]
    environment: {COMPANY: "{macro:CUSTOMER}"}
  - name: other
    match: ["*.other"]
    command: [/no/such/engine, "{entryPoint}"]
`, engine)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, options{data: folder(t), args: []string{"--config", settings}})
	c := p.admin(t)
	macros := func(exit string) object {
		return object{"macros": []object{{"key": "WHO", "value": "world"}, {"key": "EXIT", "value": exit}, {"key": "CUSTOMER", "value": "ACME"}}}
	}
	content, err := zipOf(member{name: "META-INF/MANIFEST.MF", text: "Manifest-Version: 1.0\nMain-Process: proj\\flow.process.rtc\n"},
		member{name: "proj/flow.process.rtc", text: "compiled\n"}, member{name: "proj/flow.other", text: "for nobody\n"})
	if err != nil {
		t.Fatal(err)
	}
	for exit, status := range map[string]string{"0": "FINISHED", "3": "ERROR"} {
		id := c.submit(t, c.configure(t, unique("engine"), setup{key: "p.djar", content: content, runtime: macros(exit)})).text("id")
		j := c.finish(t, id, time.Minute)
		log := c.log(t, id)
		if j.text("status") != status || j.text("returnCode") != exit {
			t.Errorf("the job of the engine ends as %v, its log is\n%s", j, log)
		}
		if !strings.Contains(log, "engine runs -RC ") || !strings.Contains(log, "/proj/flow.process.rtc for world of ACME\n") {
			t.Errorf("the log does not tell how the engine was called:\n%s", log)
		}
		expect(t, "the result", c.output(t, id, "result.txt"), "compiled\n")
	}
	missing := c.configure(t, "missing", setup{key: "p.djar", content: content, entry: "flow.other", runtime: macros("0")})
	id := c.submit(t, missing).text("id")
	j := c.finish(t, id, time.Minute)
	if m := j.text("message"); j.text("status") != "FAILED" || !strings.Contains(m, "engine_missing") ||
		!strings.Contains(m, "/no/such/engine") || !strings.Contains(m, "'runners'") {
		t.Errorf("the job of the missing engine ends as %v", j)
	}
	if log := c.log(t, id); !strings.Contains(log, "engine_missing") {
		t.Errorf("its log does not tell why:\n%s", log)
	}
}
