// Package app is where Waybill is put together: typed settings, the wiring of stores, engine, use cases, doors and
// worker, and the order in which they start and stop. It may import everything below cmd; nothing but cmd imports it.
package app
