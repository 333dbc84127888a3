// This file lets roominit_linux.go declare functions without bodies, which the linker finds in the runtime.
