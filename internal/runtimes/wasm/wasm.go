package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// Exit codes beside a module's own.
const (
	exitFailed = 1 // the module can not be run, or trapped
	exitUsage  = 2
)

type options struct {
	cache   string
	compile bool
	memory  int // MiB of the job; 0: no limit
	file    string
	args    []string
}

// Main runs a module and returns its exit code. What it writes, and what is wrong with it, goes to out. A signal ends the
// process at once, as it does any program that makes no provision for it.
func Main(args []string, out *os.File) int {
	o := options{}
	flags := flag.NewFlagSet("run-wasm", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.cache, "cache", "", "folder of the compiled form")
	flags.BoolVar(&o.compile, "compile-only", false, "fill the cache and run nothing")
	flags.IntVar(&o.memory, "memory-mib", 0, "memory of the job")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return exitUsage
	}
	o.file, o.args = flags.Arg(0), flags.Args()[1:]
	module, err := os.ReadFile(o.file)
	if err != nil {
		return fail(out, err)
	}
	code, err := run(context.Background(), o, module, out)
	if err != nil {
		return fail(out, err)
	}
	return code
}

func fail(out io.Writer, err error) int {
	fmt.Fprintln(out, "waybill: WebAssembly:", err)
	return exitFailed
}

func run(ctx context.Context, o options, module []byte, out io.Writer) (int, error) {
	if component := []byte("\x00asm\x0d\x00\x01\x00"); bytes.HasPrefix(module, component) {
		return 0, errors.New("this is a component; only modules for WASI preview 1 can be run (wasm32-wasip1)")
	}
	rt, compiled, err := compile(ctx, o, module)
	if err != nil {
		return 0, err
	}
	defer rt.Close(ctx)
	if o.compile {
		return 0, nil
	}
	if _, ok := compiled.ExportedFunctions()["_start"]; !ok {
		return 0, errors.New("the module exports no function _start, so it is a library and no program")
	}
	for _, f := range compiled.ImportedFunctions() {
		if from, name, _ := f.Import(); from != wasi_snapshot_preview1.ModuleName {
			return 0, fmt.Errorf("the module imports %s.%s, which is not of WASI preview 1", from, name)
		}
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		return 0, err
	}
	err = instantiate(ctx, rt, compiled, config(o, out))
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		return int(exit.ExitCode() & 0xff), nil
	}
	return 0, err
}

// instantiate runs the module's _start. Where there is no room for its memory the allocator panics, which is an error here.
func instantiate(ctx context.Context, rt wazero.Runtime, compiled wazero.CompiledModule, cfg wazero.ModuleConfig) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case noMemory:
			err = p
		default:
			panic(p)
		}
	}()
	_, err = rt.InstantiateModule(withMemory(ctx), compiled, cfg)
	return err
}

// noMemory is why there is no room for a module's memory.
type noMemory struct{ error }

// compile takes the compiled form from the cache, or makes it. A cache that can not be used, because it is of another
// processor and can not be written to, is passed over.
func compile(ctx context.Context, o options, module []byte) (wazero.Runtime, wazero.CompiledModule, error) {
	cfg := wazero.NewRuntimeConfig()
	if pages := pagesFor(o.memory); pages > 0 {
		cfg = cfg.WithMemoryLimitPages(pages)
	}
	if o.cache != "" {
		if cache, err := wazero.NewCompilationCacheWithDir(o.cache); err == nil {
			rt := wazero.NewRuntimeWithConfig(ctx, cfg.WithCompilationCache(cache))
			compiled, err := rt.CompileModule(ctx, module)
			if err == nil || o.compile {
				return rt, compiled, err
			}
			_ = rt.Close(ctx)
		} else if o.compile {
			return nil, nil, err
		}
	}
	rt := wazero.NewRuntimeWithConfig(ctx, cfg)
	compiled, err := rt.CompileModule(ctx, module)
	return rt, compiled, err
}

const (
	pagesPerMiB = 16
	maxPages    = 65536
	hostMiB     = 64 // what this program needs besides the module's memory
)

// pagesFor gives a module so much of the job's memory that it is refused more before the job is over its limit: a refusal
// can be handled.
func pagesFor(mib int) uint32 {
	if mib <= 0 {
		return 0
	}
	own := max(mib-hostMiB, mib/2, 1)
	return uint32(min(own*pagesPerMiB, maxPages))
}

// config gives the module what a job's program has: words, environment, clocks, and the folders under their own names. The
// working directory is the root, which is where modules look for relative names; WASI knows no other.
func config(o options, out io.Writer) wazero.ModuleConfig {
	folders := wazero.NewFSConfig()
	if dir, err := os.Getwd(); err == nil {
		folders = folders.WithReadOnlyDirMount(dir, "/")
	}
	if tree := os.Getenv("WAYBILL_PACKAGE_DIR"); tree != "" {
		folders = folders.WithReadOnlyDirMount(tree, tree)
	}
	for _, dir := range writable() {
		folders = folders.WithDirMount(dir, dir)
	}
	c := wazero.NewModuleConfig().
		WithName("").WithArgs(append([]string{filepath.Base(o.file)}, o.args...)...).
		WithStdout(out).WithStderr(out).WithRandSource(rand.Reader).
		WithSysNanosleep().WithSysNanotime().WithSysWalltime().
		WithFSConfig(folders)
	for _, v := range os.Environ() {
		if name, value, ok := strings.Cut(v, "="); ok && name != "PWD" && name != "" {
			c = c.WithEnv(name, value)
		}
	}
	return c
}

// writable are the job's folders. The file for events, and what else is there for the program, lies in the one around them.
func writable() (dirs []string) {
	seen := map[string]bool{}
	add := func(dir string) {
		if dir != "" && filepath.IsAbs(dir) && !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	if events := os.Getenv("WAYBILL_EVENTS"); events != "" {
		add(filepath.Dir(events))
	}
	for _, name := range []string{"LOCAL_JOB_OUT_DIR", "LOCAL_JOB_SPEC_DIR", "TMPDIR"} {
		if dir := os.Getenv(name); len(dirs) == 0 || !strings.HasPrefix(dir, dirs[0]+"/") {
			add(dir)
		}
	}
	return dirs
}
