// Package starter is the client side of the workflows: it starts, cancels and looks up jobs in Temporal for the use
// cases, and is the one place that turns Temporal's errors into Waybill's. It is the control.Starter of the real program.
//
// It imports the Temporal SDK and API, workflows, workflows/contract, internal/control (for the port) and internal/job.
package starter
