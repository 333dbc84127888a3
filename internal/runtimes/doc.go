// Package runtimes turns an entry point into a command: which interpreter, engine or program of our own runs it, and with
// which words. It starts nothing itself; internal/runner does, in the sandbox.
//
// What an entry point may be is native API specification, section 5 ("Runner contract"); docs/packages.md has the table.
// Programs of our own that run as children of a worker, for WebAssembly and SQL scripts, are in the packages below this
// one, so that nobody links an engine who only wants a command.
//
// It imports the standard library, internal/archive and internal/job.
package runtimes
