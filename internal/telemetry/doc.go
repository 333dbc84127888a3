// Package telemetry makes traces: it sets the OpenTelemetry SDK and its exporter up, and joins workflows and activities to the
// traces of whoever started them. Other packages begin spans by internal/tracing and know nothing of this one. It imports the
// OpenTelemetry SDK, the Temporal SDK, tracing and the contract.
package telemetry
