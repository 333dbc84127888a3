// Package limit counts calls: how many each caller made, here and, where several processes serve the same callers, in all of them.
// Every caller has a bucket that each call puts something into and that leaks; when it would flow over, the call is refused. Memory
// does not grow with the number of callers, and a caller who is far from its limit costs no more than a look into a map
// (docs/adr/0021-limits.md). It knows no door and no database: it imports an LRU map and the standard library.
package limit
