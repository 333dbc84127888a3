// Package fuzzdoors holds the test that drives every door's OpenAPI document against a server with a real SQLite database: valid calls,
// calls that are wrong in all ways that come to mind, and bytes that are no HTTP. It also executes the documents' examples. It has no code
// of its own besides tests; docs/testing.md tells how to run it longer and how to repeat a run.
package fuzzdoors
