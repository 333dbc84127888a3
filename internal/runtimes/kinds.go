package runtimes

import (
	"os/exec"
	"slices"
)

// Kinds lists what this worker can run, in order: the built-in runtimes whose interpreter is there, and the entries of the
// command runner table whose program is. Native programs, WebAssembly and SQL scripts need nothing installed.
func (t *Table) Kinds() []string {
	list := []string{Native, SQL, Wasm}
	for runtime, interpreter := range interpreters {
		if _, err := exec.LookPath(interpreter); err == nil {
			list = append(list, runtime)
		}
	}
	for _, r := range t.runners {
		if _, err := exec.LookPath(r.Command[0]); err == nil {
			list = append(list, r.Name)
		}
	}
	slices.Sort(list)
	return list
}
