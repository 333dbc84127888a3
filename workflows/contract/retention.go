package contract

import (
	"time"

	"waybill/internal/job"
)

// Names of the retention.
const (
	RetentionWorkflow = "Retention"
	PurgeJobs         = "PurgeJobs"
	PurgePackages     = "PurgePackages"

	// RetentionID is the id of the schedule; the ids of the workflows it starts begin with it.
	RetentionID = "retention"
)

// RetentionInput is the argument of Retention. The schedule starts it with the zero value; the rest is how far the runs
// before came, when one continues as new.
type RetentionInput struct {
	Started time.Time         `json:"started,omitzero"`
	Mark    job.RetentionMark `json:"mark,omitzero"`
	Deleted job.Purged        `json:"deleted,omitzero"`
}

// RetentionResult is the result of Retention.
type RetentionResult struct {
	Deleted job.Purged `json:"deleted"`
}

// PurgeInput is the argument of PurgeJobs and PurgePackages.
type PurgeInput struct {
	// Started tells runs apart, and is the time ages are counted to.
	Started time.Time         `json:"started"`
	Mark    job.RetentionMark `json:"mark,omitzero"`
}

// PurgeResult is the result of PurgeJobs and PurgePackages.
type PurgeResult struct {
	Mark    job.RetentionMark `json:"mark,omitzero"` // Done: nothing is left
	Deleted job.Purged        `json:"deleted"`
}
