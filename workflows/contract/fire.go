package contract

import (
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
)

// Names of what a fire of a schedule does.
const (
	FireWorkflow = "Fire"

	TakeFire  = "TakeFire"
	LookAtJob = "LookAtJob"
)

// FireNotDue is the outcome of a fire that was none; the others are those of job.FireOutcome.
const FireNotDue = "not_due"

const schedulePrefix = "schedule-"

// ScheduleID is the id of a config's schedule in the engine.
func ScheduleID(config int64) string { return schedulePrefix + strconv.FormatInt(config, 10) }

// ScheduleConfig is the config a schedule's id names; false for a schedule of somebody else.
func ScheduleConfig(id string) (int64, bool) {
	digits, ours := strings.CutPrefix(id, schedulePrefix)
	config, err := strconv.ParseInt(digits, 10, 64)
	return config, ours && err == nil && config > 0 && ScheduleID(config) == id
}

// FireWorkflowID is the workflow id of a config's fires; the engine appends the time.
func FireWorkflowID(config int64) string { return "fire-" + strconv.FormatInt(config, 10) }

// FireInput is the argument of Fire. The engine passes on what it was told of the schedule last.
type FireInput struct {
	AccountID int64 `json:"accountId"`
	ConfigID  int64 `json:"configId"`
	// Paused and End are how the engine has the schedule. It does not fire by itself while it is paused or after its end: such a
	// fire was asked for.
	Paused bool      `json:"paused,omitempty"`
	End    time.Time `json:"end,omitzero"`
}

// TakeFireInput is the argument of TakeFire.
type TakeFireInput struct {
	AccountID int64 `json:"accountId"`
	ConfigID  int64 `json:"configId"`
	// At is the time the schedule names, Started when the workflow began.
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	// Paused and End are the FireInput's.
	Paused bool      `json:"paused,omitempty"`
	End    time.Time `json:"end,omitzero"`
}

// Fired is what TakeFire made of a fire, and the result of Fire.
type Fired struct {
	Outcome string    `json:"outcome"`
	Message string    `json:"message,omitempty"`
	JobID   job.ID    `json:"jobId,omitempty"`
	At      time.Time `json:"at"`
	// Job is the job to be started; nil: there is none, or it has ended.
	Job *JobInput `json:"job,omitempty"`
	// Status is what became of the job. Only in the result of Fire.
	Status job.Status `json:"status,omitempty"`
}

// LookAtJobInput is the argument of LookAtJob, which answers a JobResult.
type LookAtJobInput struct {
	AccountID int64  `json:"accountId"`
	JobID     job.ID `json:"jobId"`
}
