//go:build linux && (amd64 || arm64)

package sandbox

// cloneKeeper returns the process id, or minus an error number.
func cloneKeeper(k *keeper) int
