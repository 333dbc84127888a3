package runner

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// wasmModule compiles a Go program for WASI preview 1; the toolchain that runs this test can do that.
func wasmModule(t *testing.T, source string) []byte {
	t.Helper()
	need(t, "go")
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": source, "go.mod": "module m\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "m.wasm", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for wasip1: %v\n%s", err, out)
	}
	module, err := os.ReadFile(filepath.Join(dir, "m.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

const wasmSource = `package main

import "os"

func must(err error) {
	if err != nil {
		println("failed:", err.Error())
		os.Exit(9)
	}
}

func readable(name string) string {
	if _, err := os.ReadFile(name); err != nil {
		return "no"
	}
	return "yes"
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "eat" {
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	}
	data, err := os.ReadFile("data.txt")
	must(err)
	whole, err := os.ReadFile(os.Getenv("WAYBILL_PACKAGE_DIR") + "/P/data.txt")
	must(err)
	must(os.WriteFile(os.Getenv("LOCAL_JOB_OUT_DIR")+"/out.txt", []byte("out"), 0o600))
	must(os.WriteFile(os.Getenv("TMPDIR")+"/t", nil, 0o600))
	f, err := os.OpenFile(os.Getenv("WAYBILL_EVENTS"), os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	_, err = f.WriteString("{\"type\":\"progress\",\"done\":1}\n")
	must(err)
	if os.WriteFile("new.txt", nil, 0o600) == nil {
		println("the package can be written to")
	}
	os.Symlink(os.Getenv("OUTSIDE"), os.Getenv("TMPDIR")+"/link")
	println(string(data), string(whole), os.Getenv("M"), len(os.Args), readable("/etc/passwd"), readable(os.Getenv("TMPDIR")+"/link"))
	os.Exit(5)
}
`

func TestWebAssemblyRuns(t *testing.T) {
	module := string(wasmModule(t, wasmSource))
	r := newRunner(t, nil)
	if !r.sandbox.Enforced() {
		t.Skip("this machine has no sandbox, so nothing holds a module's links back")
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("not for modules"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := lease(t, r, "p.zip", pack(t, "P/m.wasm", module, "P/data.txt", "data"))
	spec := job.Spec{EntryPoint: "m.wasm", Macros: []job.Macro{{Key: "M", Value: "macro"}, {Key: "OUTSIDE", Value: outside}}}
	for number := 1; number <= 2; number++ {
		result, log, err := furnished(t, r, l, number, spec)
		if err != nil || result.ExitCode != 5 || last(log) != "data data macro 1 no no" {
			t.Fatalf("%+v %v, log:\n%s", result, err, log.text())
		}
		if compiled := strings.Contains(log.text(), "building the compiled form of P/m.wasm"); compiled != (number == 1) {
			t.Errorf("attempt %d: compiled %v", number, compiled)
		}
	}
	cached := 0
	_ = filepath.WalkDir(filepath.Join(r.work, "environments"), func(name string, d fs.DirEntry, _ error) error {
		if d != nil && d.Type().IsRegular() && strings.Contains(name, "/cache/") {
			cached++
		}
		return nil
	})
	if cached != 1 {
		t.Errorf("%d compiled modules in the cache, want one", cached)
	}
}

func TestWebAssemblyIsRefusedMemory(t *testing.T) {
	r := newRunner(t, nil)
	l := lease(t, r, "p.zip", pack(t, "m.wasm", string(wasmModule(t, wasmSource))))
	l.entry.about.Archive.Manifest = &job.Manifest{EntryPoints: []job.EntryPoint{{Name: "m", Path: "m.wasm", Arguments: []string{"eat", "memory"}}}}
	result, log, err := furnished(t, r, l, 1, job.Spec{EntryPoint: "m.wasm", Resources: job.Resources{MemoryMiB: 192}})
	if err != nil || result.ExitCode != 2 || !strings.Contains(log.text(), "out of memory") {
		t.Errorf("%+v %v, log:\n%.1000s", result, err, log.text())
	}
}

// loops is a module that does nothing else, and never looks at the time.
const loops = "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x07\x0a\x01\x06_start\x00\x00" + "\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b"

func TestWebAssemblyStopsAtOnce(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		r := newRunner(t, func(c *Config) { c.Sandbox = mode })
		a := mustPrepare(t, r, lease(t, r, "m.wasm", []byte(loops)), job.Spec{})
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stop")
		timer := time.AfterFunc(300*time.Millisecond, func() { cancel(stop) })
		defer timer.Stop()
		result, err := a.Run(ctx)
		if err != nil || !result.Stopped || result.Signal != "SIGTERM" {
			t.Errorf("%s: %+v %v, want an end by SIGTERM", mode, result, err)
		}
		cancel(nil)
	}
}

func TestModulesThatCanNotRun(t *testing.T) {
	r := newRunner(t, nil)
	for text, want := range map[string]string{
		"\x00asm\x0d\x00\x01\x00":                     "this is a component",
		"\x00asm\x01\x00\x00\x00":                     "exports no function _start",
		"\x00asm\x01\x00\x00\x00\xff":                 "WebAssembly: ",
		strings.Replace(loops, "_start", "_stark", 1): "exports no function _start",
	} {
		a := mustPrepare(t, r, lease(t, r, "m.wasm", []byte(text)), job.Spec{})
		result, err := a.Run(t.Context())
		if err != nil || result.ExitCode != 1 || !strings.Contains(a.log.text(), want) {
			t.Errorf("%q: %+v %v %q", text, result, err, a.log.text())
		}
	}
}
