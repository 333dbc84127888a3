// Package job is Waybill's domain: the nouns of docs/glossary.md, the status machine, and the one error type.
//
// It imports the standard library only, and nothing in it does I/O, reads a clock or knows a transport. Stores, doors,
// workflows and the runner all speak in these types.
package job
