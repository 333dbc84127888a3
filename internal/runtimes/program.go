package runtimes

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waybill/internal/archive"
	"waybill/internal/job"
)

// The runtimes. Entries of the command runner table come beside them, under names of their own.
const (
	Shell  = "shell"
	Python = "python"
	Node   = "node"
	Java   = "java"
	Wasm   = "wasm"
	SQL    = "sql"
	Native = "native"
)

// Program is an entry point that is to be run.
type Program struct {
	Tree      string // the unpacked package, absolute
	Entry     archive.Entry
	Runtime   string   // waybill.yaml's word; empty: told by the file
	Arguments []string // macros already resolved
	MemoryMiB int      // of the job; 0: no limit

	// For the placeholders of the command runner table.
	OutDir, SpecDir, TempDir string
	JobID, JobConfigID       string
	Macro                    func(name string) (string, bool)
}

// file is the entry point's place on the disk.
func (p Program) file() string { return filepath.Join(p.Tree, filepath.FromSlash(p.Entry.Member)) }

// shown is how messages name the entry point.
func (p Program) shown() string { return "entry point '" + p.Entry.Member + "'" }

// Command is how a program is started.
type Command struct {
	Runtime     string            // a constant of this package, or the name of an entry of the command runner table
	Interpreter string            // what runs it, absolute; empty: nothing does (Native)
	Path        string            // absolute
	Argv        []string          // with the name in front
	Env         map[string]string // beside the usual; macros of the same name come first
	Fixed       map[string]string // the same, and over macros
	Read        []string          // files and folders it must be able to read besides its package
}

// Config says what a worker can run besides what is built in.
type Config struct {
	Runners []Runner // the command runner table
	Self    string   // this very program, which runs SQL scripts and WebAssembly as a child; empty: os.Executable
}

// Table knows how entry points are run.
type Table struct {
	runners []Runner
	self    string
	probes  probes
}

// New checks the settings; all that is wrong with them is told together.
func New(cfg Config) (*Table, error) {
	if err := CheckRunners(cfg.Runners); err != nil {
		return nil, err
	}
	t := &Table{runners: cfg.Runners, self: cfg.Self}
	if t.self == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		t.self = self
	}
	return t, nil
}

// Command decides how the program is run. In this order: the runtime waybill.yaml names; the #! line, whatever the file's
// name (its x bit is not needed); the command runner table; the first bytes, for native executables; the ending. A #! line
// whose interpreter is not there gives way to what follows. Errors are job.Invalid: WordInvalidPackage,
// WordInterpreterMissing, WordEngineMissing.
func (t *Table) Command(p Program) (Command, error) {
	head, err := readHead(p.file())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Command{}, invalidEntry("Entry point '%s' is not in the package", p.Entry.Member)
		}
		return Command{}, err
	}
	if p.Runtime != "" {
		return t.named(p, head)
	}
	var missing error
	if line, ok := shebang(head); ok {
		c, err := fromShebang(line, p)
		if err == nil {
			return c, nil
		}
		missing = err
	}
	if r, ok := t.match(p.Entry.Member); ok {
		return r.command(p)
	}
	runtime := guess(p.Entry.Member, head)
	switch {
	case runtime != "":
		return t.as(runtime, p)
	case missing != nil:
		return Command{}, missing
	case isVendorKind(p.Entry.Member):
		return Command{}, job.Errorf(job.Invalid, job.WordEngineMissing,
			"No engine runs entry point '%s' on this worker (engine_missing): the setting 'runners' has no entry that matches it", p.Entry.Member)
	}
	return Command{}, invalidEntry("Entry point '%s' can not be run: it is neither a script (.sh, .py, .js, .mjs, .cjs, .sql), a .jar, a .wasm nor a "+
		"native executable, does not begin with #!, and no entry of the setting 'runners' matches it", p.Entry.Member)
}

// named follows waybill.yaml.
func (t *Table) named(p Program, head []byte) (Command, error) {
	if !slices.Contains(builtin, p.Runtime) {
		for _, r := range t.runners {
			if r.Name == p.Runtime {
				return r.command(p)
			}
		}
		return Command{}, job.Errorf(job.Invalid, job.WordEngineMissing,
			"Entry point '%s' wants the runtime '%s', which this worker does not have (engine_missing): it is none of %s, and the setting 'runners' has no entry of that name",
			p.Entry.Member, p.Runtime, strings.Join(builtin, ", "))
	}
	if line, ok := shebang(head); ok { // it may name a version: python3.12
		if c, err := fromShebang(line, p); err == nil && c.Runtime == p.Runtime {
			return c, nil
		}
	}
	return t.as(p.Runtime, p)
}

var builtin = []string{Shell, Python, Node, Java, Wasm, SQL, Native}

// as runs the program in a built-in runtime.
func (t *Table) as(runtime string, p Program) (Command, error) {
	switch runtime {
	case Java:
		return jar(p)
	case Wasm:
		return t.child(Wasm, p)
	case SQL:
		return t.child(SQL, p)
	case Native:
		return Command{Runtime: Native, Path: p.file(), Argv: append([]string{p.file()}, p.Arguments...)}, nil
	}
	path, err := lookUp(interpreters[runtime], p.shown())
	return Command{
		Runtime: runtime, Interpreter: path, Path: path, Argv: append([]string{path, p.file()}, p.Arguments...),
	}, err
}

// interpreters by runtime, for files that do not name their own in a #! line.
var interpreters = map[string]string{Shell: "/bin/sh", Python: "python3", Node: "node", Java: "java"}

var endings = map[string]string{
	".sh": Shell, ".py": Python, ".js": Node, ".mjs": Node, ".cjs": Node, ".jar": Java, ".wasm": Wasm, ".sql": SQL,
}

// guess tells the runtime of a file that does not name one.
func guess(member string, head []byte) string {
	if runtime := endings[strings.ToLower(filepath.Ext(member))]; runtime != "" {
		return runtime
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return Native
	case bytes.HasPrefix(head, []byte("\x00asm\x01\x00\x00\x00")):
		return Wasm
	default:
		return ""
	}
}

// isVendorKind tells the entry points of the vendor's engine (native.md, 5).
func isVendorKind(member string) bool {
	name := strings.TrimSuffix(strings.ToLower(member), ".rtc")
	for _, suffix := range []string{".process", ".map", ".tf.xml", ".ip.xml"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func invalidEntry(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidPackage, format, args...)
}
