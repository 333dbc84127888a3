// Package pack makes packages and looks at them, for authors: `waybill package init|build|inspect|verify`. It needs no server.
// What it says about a package comes from the code that reads an upload (internal/archive, internal/manifest), so what passes
// here is not refused there.
//
// An archive is reproducible: the same files give the same bytes with the same version of Waybill. Members are sorted, times
// are fixed, modes say no more than whether a file can be executed, and owners are left out.
//
// It imports the standard library, internal/archive, internal/control (the rules for file keys), internal/job,
// internal/manifest, internal/runtimes (their names), klauspost/compress and moby/patternmatcher.
package pack
