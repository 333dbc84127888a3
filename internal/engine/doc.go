// Package engine is how Waybill's processes reach Temporal, their own or somebody else's: the connection with its TLS and sign-in,
// the sealing of what histories hold, the endpoint that shows it to those allowed, and what the SDK measures. Every
// client of ours is made by Dial. It may import the SDK, gRPC, Prometheus, internal/job and internal/secret; it knows no settings, no
// store and no workflow.
package engine
