// Package standalone is the embedded engine of a Waybill that runs alone: the Temporal server on SQLite, its Web UI and
// an S3 gateway on a local folder, all in this process, on loopback.
//
// It is the only package besides cmd and test/e2e that links the Temporal server. It may import workflows/contract (the
// search attributes to register), internal/standalone/s3gateway and the servers' libraries; nothing of the rest of
// Waybill. docs/adr/0002-embedded-engine.md says why the server is set up as it is.
package standalone
