package runner

import (
	"path/filepath"
	"strconv"

	"waybill/internal/job"
	"waybill/internal/macro"
	"waybill/internal/runtimes"
)

// command is a program to start.
type command struct {
	runtimes.Command
	dir string
	env []string
}

// argumentKey is under which key an argument is resolved together with the macros: no macro can have it.
func argumentKey(i int) string { return "\x00" + strconv.Itoa(i) }

// macrosOf lists the macros of the job and, as the lowest level, the environment its entry point asks for; arguments come
// along, to be resolved with them.
func macrosOf(j job.Job, point job.EntryPoint) []job.Macro {
	var asked, arguments []job.Macro
	for name, value := range point.Environment {
		asked = append(asked, job.Macro{Key: name, Value: value})
	}
	for i, value := range point.Arguments {
		arguments = append(arguments, job.Macro{Key: argumentKey(i), Value: value})
	}
	return macro.Merge(asked, j.Spec.Macros, arguments)
}

// values are resolved macros by key.
type values map[string]string

// split takes the arguments of the entry point out of what was resolved.
func split(resolved []macro.Resolved, arguments int) (macros []macro.Resolved, args []string) {
	at := map[string]int{}
	for i := range arguments {
		at[argumentKey(i)] = i
	}
	args = make([]string, arguments)
	for _, m := range resolved {
		if i, ok := at[m.Key]; ok {
			args[i] = m.Value
			continue
		}
		macros = append(macros, m)
	}
	return macros, args
}

// program is what internal/runtimes has to know to run the entry point.
func (e *Execution) program(tree string, arguments []string, v values) runtimes.Program {
	j := e.req.Job
	return runtimes.Program{
		Tree: tree, Entry: e.entry, Runtime: e.point.Runtime, Arguments: arguments,
		MemoryMiB: j.Spec.Resources.MemoryMiB,
		OutDir:    filepath.Join(e.dir, "out"), SpecDir: filepath.Join(e.dir, "spec"), TempDir: filepath.Join(e.dir, "tmp"),
		JobID: string(j.ID), JobConfigID: strconv.FormatInt(j.ConfigID, 10),
		Macro: func(name string) (string, bool) { s, ok := v[name]; return s, ok },
	}
}
