// Package child holds the programs of our own that a worker starts as children of itself, in the sandbox of a job: the
// WebAssembly host and the runner of SQL scripts. A command's main calls Main before anything else, and so does the TestMain
// of a package whose tests run such jobs.
package child

import (
	"os"

	"waybill/internal/runtimes"
	"waybill/internal/runtimes/sqlscript"
	"waybill/internal/runtimes/wasm"
)

// Main runs the child that args, with the program's name in front, ask for, and ends the process. It returns when they ask
// for none.
func Main(args []string) {
	if len(args) < 2 {
		return
	}
	switch args[1] {
	case runtimes.RunWasm:
		os.Exit(wasm.Main(args[2:], os.Stdout))
	case runtimes.RunSQL:
		os.Exit(sqlscript.Main(args[2:], os.Stdout))
	}
}
