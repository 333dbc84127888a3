//go:build !unix

package wasm

import "context"

func withMemory(ctx context.Context) context.Context { return ctx }
