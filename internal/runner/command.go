package runner

import (
	"path/filepath"
	"slices"
	"strconv"

	"waybill/internal/job"
	"waybill/internal/macro"
	"waybill/internal/runtimes"
)

// command is a program to start.
type command struct {
	runtimes.Command
	dir  string
	tree string // where its package lies
	env  []string
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

// resolved is what macros and the entry point's arguments come to.
type resolved struct {
	macros    []macro.Resolved
	arguments []string
	known     map[string]string // macros by key
}

// resolveMacros resolves macros and arguments. They may refer to Waybill's own variables.
func (e *Execution) resolveMacros() error {
	all, err := macro.Resolve(macrosOf(e.req.Job, e.point), e.own, e.req.Open)
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i := range e.point.Arguments {
		at[argumentKey(i)] = i
	}
	first := e.req.Job.Spec.Arguments
	out := resolved{arguments: append(slices.Clone(first), make([]string, len(at))...), known: map[string]string{}}
	for _, m := range all {
		if i, ok := at[m.Key]; ok {
			out.arguments[len(first)+i] = m.Value
			continue
		}
		out.macros = append(out.macros, m)
		out.known[m.Key] = m.Value
	}
	e.resolved = out
	return nil
}

// settle decides how the program is started from the tree, with an environment or, where recipe is nil, without.
func (e *Execution) settle(tree string, recipe *runtimes.Recipe, environment string) (warnings []string, err error) {
	c, err := e.runner.runtimes.Command(e.program(tree))
	if err != nil {
		return nil, err
	}
	if recipe != nil {
		recipe.Apply(&c, environment)
	}
	e.command = command{Command: c, dir: filepath.Join(tree, filepath.FromSlash(e.entry.Root)), tree: tree}
	e.command.env, warnings = environ(e.resolved.macros, c, e.own, filepath.Join(e.dir, "tmp"), e.helpers)
	return warnings, nil
}

// program is what internal/runtimes has to know to run the entry point.
func (e *Execution) program(tree string) runtimes.Program {
	j := e.req.Job
	return runtimes.Program{
		Tree: tree, Entry: e.entry, Runtime: e.point.Runtime, Arguments: e.resolved.arguments,
		MemoryMiB: e.resources.MemoryMiB,
		OutDir:    filepath.Join(e.dir, "out"), SpecDir: filepath.Join(e.dir, "spec"), TempDir: filepath.Join(e.dir, "tmp"),
		JobID: string(j.ID), JobConfigID: strconv.FormatInt(j.ConfigID, 10),
		Macro: func(name string) (string, bool) { s, ok := e.resolved.known[name]; return s, ok },
	}
}
