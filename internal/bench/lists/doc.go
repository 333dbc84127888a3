// Package lists measures what reading jobs costs in a small and in a large installation: it fills databases of its own and asks
// both the same questions in turns. It imports the store and the domain, and no engine.
package lists
