package bench

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/runner"
	"waybill/internal/runtimes"
	"waybill/internal/sandbox"
)

// noops are programs that do nothing, one for each runtime.
var noops = []struct {
	name    string
	file    string // of the package; the entry point
	content []byte
	macros  []job.Macro
	bare    func(file string) []string // the command that does the same by itself; nil: there is none
}{
	{name: "shell", file: "noop.sh", content: []byte(noop), bare: words("/bin/sh")},
	{name: "native", file: "noop", content: ownTrue(), bare: words()},
	{name: "python", file: "noop.py", content: []byte("pass\n"), bare: words("python3")},
	{name: "node", file: "noop.js", content: []byte("\n"), bare: words("node")},
	{name: "java", file: "noop.jar", content: javaNoop(), bare: words("java", "-jar")},
	{name: "wasm", file: "noop.wasm", content: wasmNoop},
	{name: "sql", file: "noop.sql", content: []byte("SELECT 1;\n"), macros: []job.Macro{{Key: "DATABASE_URL", Value: "sqlite::memory:"}}},
}

// wasmNoop is a module with a memory and an empty _start.
var wasmNoop = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
	"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" + "\x0a\x04\x01\x02\x00\x0b")

// javaClass is `public class Main { public static void main(String[] a) { } }`, compiled for Java 8.
const javaClass = "yv66vgAAADQADAoAAgADBwAEDAAFAAYBABBqYXZhL2xhbmcvT2JqZWN0AQAGPGluaXQ+AQADKClWBwAIAQAETWFpbgEABENvZGUBAARtYWluAQAWKFtM" +
	"amF2YS9sYW5nL1N0cmluZzspVgAhAAcAAgAAAAAAAgABAAUABgABAAkAAAARAAEAAQAAAAUqtwABsQAAAAAACQAKAAsAAQAJAAAADQAAAAEAAAABsQAAAAAAAA=="

func javaNoop() []byte {
	class, err := base64.StdEncoding.DecodeString(javaClass)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, member := range []struct{ name, text string }{
		{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: Main\r\n\r\n"}, {"Main.class", string(class)},
	} {
		w, failed := z.Create(member.name)
		if failed == nil {
			_, failed = io.WriteString(w, member.text)
		}
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return nil // a package without content is refused, and the table says so
	}
	return b.Bytes()
}

// ownTrue is the native program of this machine that does nothing.
func ownTrue() []byte {
	path, err := exec.LookPath("true")
	if err != nil {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return content
}

func words(before ...string) func(string) []string {
	return func(file string) []string { return append(slices.Clone(before), file) }
}

// ProgramFigures compares one runtime's no-op: by itself, in a job folder without a sandbox, and under the sandbox. Medians.
type ProgramFigures struct {
	Name             string
	Fault            string // why it was not measured
	Bare, Open, Held time.Duration
}

// ProgramHeading names the columns of ProgramFigures.String.
const ProgramHeading = "no-op of        bare exec    no sandbox       sandbox   sandbox adds   sandbox / bare"

func (f ProgramFigures) String() string {
	if f.Fault != "" {
		return fmt.Sprintf("%-12s %s", f.Name, strings.Join(strings.Fields(f.Fault), " "))
	}
	bare, ratio := "-", "-"
	if f.Bare > 0 {
		bare, ratio = millis(f.Bare), fmt.Sprintf("%.2f", float64(f.Held)/float64(f.Bare))
	}
	return fmt.Sprintf("%-12s %12s %13s %13s %14s %16s", f.Name, bare, millis(f.Open), millis(f.Held), millis(f.Held-f.Open), ratio)
}

// programs measures the no-op of every runtime. The three ways take turns, so that what else the machine does falls upon
// all alike.
func (o Options) programs(ctx context.Context, folder string) (all []ProgramFigures, err error) {
	table, err := runtimes.New(runtimes.Config{Runners: o.Settings.Runners})
	if err != nil {
		return nil, err
	}
	runners := map[sandbox.Mode]*runner.Runner{}
	for _, mode := range []sandbox.Mode{sandbox.Off, sandbox.Auto} {
		r, err := runner.New(ctx, runner.Config{Work: filepath.Join(folder, string(mode)), Sandbox: mode, Runtimes: table, Logger: o.Log})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		runners[mode] = r
	}
	fmt.Fprintf(o.Out, "sandbox: %s\n%s\n", runners[sandbox.Auto].Sandbox(), ProgramHeading)
	for i := range noops {
		f, err := o.program(ctx, folder, i, runners)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(o.Out, f)
		all = append(all, f)
	}
	return all, nil
}

func (o Options) program(ctx context.Context, folder string, i int, runners map[sandbox.Mode]*runner.Runner) (f ProgramFigures, err error) {
	n := noops[i]
	f.Name = n.name
	file := filepath.Join(folder, n.file)
	if err := os.WriteFile(file, n.content, 0o700); err != nil {
		return f, err
	}
	var bare, open, held []time.Duration
	for round := range o.Serial + 2 {
		var times [3]time.Duration
		if n.bare != nil {
			if times[0], err = bareRun(ctx, n.bare(file)); err != nil {
				f.Fault = err.Error()
				return f, ctx.Err()
			}
		}
		for k, mode := range []sandbox.Mode{sandbox.Off, sandbox.Auto} {
			if times[1+k], err = runOnce(ctx, runners[mode], i, round); err != nil {
				f.Fault = err.Error()
				return f, ctx.Err()
			}
		}
		if round < 2 { // the package is unpacked, the interpreter read
			continue
		}
		bare, open, held = append(bare, times[0]), append(open, times[1]), append(held, times[2])
	}
	f.Bare, f.Open, f.Held = median(bare), median(open), median(held)
	return f, nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// bareRun starts a command as any program would, and takes its output through a pipe as a job's is.
func bareRun(ctx context.Context, command []string) (time.Duration, error) {
	begin := time.Now()
	text, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w %s", command[0], err, text)
	}
	return time.Since(begin), nil
}

// runOnce runs a no-op as a job's attempt is run, from its package to its folder's end.
func runOnce(ctx context.Context, r *runner.Runner, i, round int) (took time.Duration, err error) {
	n := noops[i]
	begin := time.Now()
	sum := sha256.Sum256(n.content)
	lease, err := r.Cache().Use(ctx, runner.Package{Name: n.file, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(n.content))},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(n.content)), nil })
	if err != nil {
		return 0, err
	}
	defer lease.Release()
	var log strings.Builder
	e, err := r.Prepare(runner.Request{
		Job:     job.Job{ID: job.ID(fmt.Sprintf("69b9209b000000000000%04d", i)), Attempt: round + 1, Spec: job.Spec{EntryPoint: n.file, Macros: n.macros}},
		Package: lease, Log: &log, Grace: time.Second,
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, e.Close())
		took = time.Since(begin)
	}()
	if err := e.Furnish(ctx); err != nil {
		return 0, err
	}
	result, err := e.Run(ctx)
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("%s ends with %d: %s", n.file, result.ExitCode, log.String())
	}
	return 0, err
}
