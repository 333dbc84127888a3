//go:build !linux

package runner

// spread has no meaning here.
func spread(string) {}
