// Package contract is what the workflows, the activities and their callers agree on: names, ids, payloads, search
// attributes. It imports no SDK and no other package of Waybill but the domain, so anything may import it.
//
// Contracts are additive only: a field is never renamed, retyped or removed, because recorded histories hold it. The
// golden test in this package fails when a payload's JSON changes.
package contract

import (
	"time"

	"waybill/internal/job"
)

// Registered names. Renaming a Go function breaks no history; renaming one of these does.
const (
	JobWorkflow   = "Job"
	RetryWorkflow = "Retry"

	ExecutePackage = "ExecutePackage"
	SettleJob      = "SettleJob"
	RollUpRetry    = "RollUpRetry"

	// QueryStatus answers a JobStatus for a Job workflow.
	QueryStatus = "status"
	// SignalStarted tells a Job workflow that its program has been running for a while; it carries a Started. Short jobs
	// never send it, so they pay nothing for it.
	SignalStarted = "started"
)

// Error types of activity failures: the Type of a Temporal ApplicationError.
const (
	// ErrAttemptFailed: the program failed and another attempt is due; retryable, with the pause in NextRetryDelay.
	ErrAttemptFailed = "AttemptFailed"
	// ErrFenced: another attempt owns the job, or it is already final; non-retryable, the workflow then asks settle for
	// the truth.
	ErrFenced = "Fenced"
	// ErrJobFailed is how Job and Retry close when the job failed: non-retryable, with the JobResult as its details.
	ErrJobFailed = "JobFailed"
)

// Search attributes. All are of type Keyword but AttrTags, which is a KeywordList.
const (
	AttrAccount     = "WaybillAccount"     // decimal account id
	AttrJobConfig   = "WaybillJobConfig"   // decimal job config id
	AttrJob         = "WaybillJob"         // job id
	AttrStatus      = "WaybillStatus"      // job.Status
	AttrRootJob     = "WaybillRootJob"     // first of the retry chain; the job itself for a first run
	AttrParentJob   = "WaybillParentJob"   // direct parent, retries only
	AttrDestination = "WaybillDestination" // decimal destination id
	AttrTrigger     = "WaybillTrigger"     // job.Trigger
	AttrLane        = "WaybillLane"        // jobs of a lane, and the Lane itself
	AttrTags        = "WaybillTags"        // the job's tags, as far as MaxTagsBytes goes
)

// SearchAttributes lists those of type Keyword for registration, SearchAttributeLists those of type KeywordList. Stores of
// visibility have places for ten of the first kind and three of the second.
var (
	SearchAttributes = []string{
		AttrAccount, AttrJobConfig, AttrJob, AttrStatus, AttrRootJob, AttrParentJob, AttrDestination, AttrTrigger, AttrLane,
	}
	SearchAttributeLists = []string{AttrTags}
)

// SearchAttributeTypes gives the type of every search attribute, as Temporal names it.
func SearchAttributeTypes() map[string]string {
	types := make(map[string]string, len(SearchAttributes)+len(SearchAttributeLists))
	for _, name := range SearchAttributes {
		types[name] = "Keyword"
	}
	for _, name := range SearchAttributeLists {
		types[name] = "KeywordList"
	}
	return types
}

// MaxTagsBytes is how much of a job's tags is searchable in the engine: it takes values of 2 KiB at most.
const MaxTagsBytes = 1500

// MemoJobConfig is the memo key of the job config's name as it was at the start.
const MemoJobConfig = "jobConfig"

// JobWorkflowID is the workflow id of a job.
func JobWorkflowID(id job.ID) string { return "job-" + string(id) }

// RetryWorkflowID is the workflow id of the Retry that runs job id as its child.
func RetryWorkflowID(id job.ID) string { return "retry-" + string(id) }

// SystemQueue is the task queue of all workflows. Every process with a worker serves it and its StatusQueue, whatever
// destination it runs programs for, so no workflow waits for the worker of one destination. It is also the queue of an
// account's default destination: the programs of that one run where the workflows do, which Temporal starts fastest.
const SystemQueue = "waybill"

// StatusQueue is the task queue of the short activities (SettleJob, RollUpRetry) of workflows on a queue. It is apart from
// that one, so that a worker whose places are all taken by programs can still end a queued job and roll a retry up.
func StatusQueue(queue string) string { return queue + "-status" }

// JobInput is the argument of Job. Everything the workflow decides by is in it: a workflow reads no settings.
type JobInput struct {
	JobID     job.ID `json:"jobId"`
	AccountID int64  `json:"accountId"`
	ConfigID  int64  `json:"configId"`
	// ConfigName is shown in the memo; empty: no memo.
	ConfigName string `json:"configName,omitempty"`
	Root       job.ID `json:"root,omitempty"`
	Parent     job.ID `json:"parent,omitempty"`
	// TaskQueue is where ExecutePackage runs: the job's destination. The workflow itself runs on the SystemQueue.
	TaskQueue string `json:"taskQueue"`
	// Timeout of one attempt's program; 0: none.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Grace between SIGTERM and SIGKILL.
	Grace time.Duration `json:"grace"`
	// HeartbeatTimeout after which a silent worker is taken for lost.
	HeartbeatTimeout time.Duration `json:"heartbeatTimeout"`

	// Lane is the durable queue the job goes through; empty: none. Waiting tells that it holds no place in it yet.
	Lane    string `json:"lane,omitempty"`
	LaneSeq int64  `json:"laneSeq,omitempty"`
	Waiting bool   `json:"waiting,omitempty"`
	// QueueUntil is until when a worker must have taken the job first, Deadline when all of it must be over. Zero: no limit.
	QueueUntil time.Time `json:"queueUntil,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`

	// What follows is only shown: in search attributes and summaries.
	RunNumber   int64       `json:"runNumber,omitempty"`
	RetryNumber int         `json:"retryNumber,omitempty"`
	Destination int64       `json:"destination,omitempty"`
	Trigger     job.Trigger `json:"trigger,omitempty"`
	Tags        []string    `json:"tags,omitempty"`
}

// JobResult is the result of Job: what the row says.
type JobResult struct {
	JobID      job.ID     `json:"jobId"`
	Status     job.Status `json:"status"`
	Reason     job.Reason `json:"reason,omitempty"`
	ReturnCode *int       `json:"returnCode,omitempty"`
}

// JobStatus is the answer of QueryStatus: as far as the workflow knows.
type JobStatus struct {
	JobID    job.ID     `json:"jobId"`
	Status   job.Status `json:"status"`
	Reason   job.Reason `json:"reason,omitempty"`
	Worker   string     `json:"worker,omitempty"`
	Attempt  int        `json:"attempt,omitempty"`
	ExitCode *int       `json:"exitCode,omitempty"`
}

// Started is the payload of SignalStarted.
type Started struct {
	Worker  string `json:"worker"`
	Attempt int    `json:"attempt"`
}

// RetryInput is the argument of Retry: the new job, which knows its parent.
type RetryInput struct {
	Job JobInput `json:"job"`
}

// ExecuteInput is the argument of ExecutePackage.
type ExecuteInput struct {
	JobID     job.ID `json:"jobId"`
	AccountID int64  `json:"accountId"`
	// RunStarted is the start of the workflow run; with Temporal's attempt number it makes the fencing token.
	RunStarted time.Time `json:"runStarted"`
	// RunID is the workflow run RunStarted belongs to. A run made by a reset may take this whole input over from the run it
	// replaces; the activity tells by it.
	RunID   string        `json:"runId,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	Grace   time.Duration `json:"grace"`
	// Deadline is when the program must be over whatever its Timeout; zero: no such time.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Progress is the heartbeat of ExecutePackage.
type Progress struct {
	Fence    int64 `json:"fence"`
	LogBytes int64 `json:"logBytes"`
}

// SettleInput is the argument of SettleJob: what the workflow thinks happened. The row decides: a final one stays.
type SettleInput struct {
	JobID      job.ID     `json:"jobId"`
	AccountID  int64      `json:"accountId"`
	RunStarted time.Time  `json:"runStarted"`
	Status     job.Status `json:"status"`
	Reason     job.Reason `json:"reason,omitempty"`
	Message    string     `json:"message,omitempty"`
}

// RollUpInput is the argument of RollUpRetry.
type RollUpInput struct {
	JobID     job.ID `json:"jobId"`
	AccountID int64  `json:"accountId"`
}
