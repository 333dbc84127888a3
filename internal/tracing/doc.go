// Package tracing is what the parts of Waybill that do work know of traces: beginning a span below the one of a context, and
// carrying a trace from process to process in the form of W3C Trace Context. It knows the OpenTelemetry API only, no SDK and no
// exporter; in a context without a span that is recorded it does nothing. internal/telemetry makes the spans that others
// hang below. It imports the domain and the OpenTelemetry API.
package tracing
