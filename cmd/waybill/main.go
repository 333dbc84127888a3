// Command waybill is Waybill: all of it in one program. See the README.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"waybill/internal/runtimes/child"
)

func main() {
	child.Main(os.Args) // a job's program of ours; it needs nothing of what follows
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, stop, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
