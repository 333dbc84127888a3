// Package logs adds to every line of the log what its context knows: the place in a trace, the request, the job. It imports the
// standard library and the OpenTelemetry API.
package logs
