package runtimes

import "path/filepath"

// wasmRecipe compiles a module once: compiling takes longer than most runs.
func (t *Table) wasmRecipe(w Wish) *Recipe {
	in := w.ingredients(Wasm, WasmEngine)
	in.Env = nil // nothing is fetched
	in.Package, in.Folder = w.Package, w.Program.Entry.Member
	program := w.Program
	return &Recipe{
		Key: in.key(), Title: "compiled form of " + w.Program.Entry.Member,
		steps: func(b Building) []Step {
			program.Tree = b.Tree
			return []Step{{
				Path: t.self, Dir: b.Dir, Read: []string{t.self},
				Argv: []string{"waybill", RunWasm, "--compile-only", "--cache=" + filepath.Join(b.Dir, "cache"), "--", program.file()},
			}}
		},
		apply: func(c *Command, dir string) {
			c.Argv = append([]string{c.Argv[0], c.Argv[1], "--cache=" + filepath.Join(dir, "cache")}, c.Argv[2:]...)
		},
	}
}
