#!/bin/sh
# Makes totals.wasm. Any compiler for WASI will do, such as that of Rust with --target wasm32-wasip1.
set -eu
GOOS=wasip1 GOARCH=wasm go build -o totals.wasm main.go
