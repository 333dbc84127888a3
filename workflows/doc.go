// Package workflows is what Temporal runs for Waybill: Job takes one job from start to its single terminal status, Retry
// runs a retry as its child and rolls the result up into the jobs above it. docs/job-states.md draws both.
//
// Workflow code decides from its input only: no settings, no environment, no clock but workflow.Now. It imports the
// Temporal SDK, workflows/contract and internal/job, nothing else; all work, and every write to a row, is in the
// activities, called by the names of the contract. Recorded histories are replayed by the tests (versions.go).
package workflows
