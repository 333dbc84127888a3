// Package wasm runs WebAssembly modules that are made for WASI preview 1, with wazero. It is what `waybill run-wasm` does, a
// process of its own in a job's sandbox (ADR 0009).
//
// It imports the standard library, wazero and golang.org/x/sys.
package wasm
