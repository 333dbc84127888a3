// Package controltest puts the use cases of internal/control together for tests: over the database the test brings,
// with an object store, job logs and an engine in memory. Nothing but tests may import it.
package controltest
