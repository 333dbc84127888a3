package contract

import (
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
)

// Names of what a fire of a schedule does.
const (
	FireWorkflow    = "Fire"
	WebhookWorkflow = "Webhook"

	TakeFire    = "TakeFire"
	CallWebhook = "CallWebhook"
	LookAtJob   = "LookAtJob"
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

// WebhookWorkflowID is the workflow id of the call of a webhook after the fire of a time.
func WebhookWorkflowID(config int64, at time.Time) string {
	return "webhook-" + strconv.FormatInt(config, 10) + "-" + at.UTC().Format(time.RFC3339)
}

// FireInput is the argument of Fire.
type FireInput struct {
	AccountID int64 `json:"accountId"`
	ConfigID  int64 `json:"configId"`
}

// TakeFireInput is the argument of TakeFire.
type TakeFireInput struct {
	AccountID int64 `json:"accountId"`
	ConfigID  int64 `json:"configId"`
	// At is the time the schedule names, Started when the workflow began.
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
}

// Fired is what TakeFire made of a fire, and the result of Fire.
type Fired struct {
	Outcome string    `json:"outcome"`
	Message string    `json:"message,omitempty"`
	JobID   job.ID    `json:"jobId,omitempty"`
	At      time.Time `json:"at"`
	// Job is the job to be started; nil: there is none, or it has ended.
	Job *JobInput `json:"job,omitempty"`
	// Webhook tells that the schedule has one.
	Webhook bool `json:"webhook,omitempty"`
	// Status is what became of the job. Only in the result of Fire.
	Status job.Status `json:"status,omitempty"`
}

// CallWebhookInput is the argument of Webhook and CallWebhook.
type CallWebhookInput struct {
	AccountID int64 `json:"accountId"`
	ConfigID  int64 `json:"configId"`
}

// LookAtJobInput is the argument of LookAtJob, which answers a JobResult.
type LookAtJobInput struct {
	AccountID int64  `json:"accountId"`
	JobID     job.ID `json:"jobId"`
}
