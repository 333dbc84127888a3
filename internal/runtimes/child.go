package runtimes

import "strconv"

// The words by which this program is asked to run something as a child of itself. They are hidden commands, taken before
// anything else is looked at.
const (
	RunWasm = "run-wasm"
	RunSQL  = "run-sql"
)

// WasmEngine is the engine for WebAssembly and its version, part of the keys of compiled modules.
const WasmEngine = "wazero 1.12.0"

// child runs the program by this very program, as a process of its own: it has the sandbox, the limits, the signals and the
// log of any other program.
func (t *Table) child(runtime string, p Program) (Command, error) {
	argv := []string{"waybill", map[string]string{Wasm: RunWasm, SQL: RunSQL}[runtime]}
	if runtime == Wasm && p.MemoryMiB > 0 {
		argv = append(argv, "--memory-mib="+strconv.Itoa(p.MemoryMiB))
	}
	argv = append(argv, "--", p.file())
	return Command{
		Runtime: runtime, Interpreter: t.self, Path: t.self, Argv: append(argv, p.Arguments...), Read: []string{t.self},
	}, nil
}
