// Package storagetest holds the conformance suites that every database and every object store must pass: what a port of
// internal/control promises, written as tests. It imports control, the domain and the testing package.
package storagetest
