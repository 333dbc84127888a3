package informatica

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/job"
)

// Rows are the counters of an entry; exported, or the document would not see what it is embedded in. What the vendor counts at a source are the records read, what at a target those written.
type Rows struct {
	FailedSource  int64 `json:"failedSourceRows"`
	SuccessSource int64 `json:"successSourceRows"`
	FailedTarget  int64 `json:"failedTargetRows"`
	SuccessTarget int64 `json:"successTargetRows"`
}

func rowsOf(r job.Records) Rows {
	return Rows{SuccessSource: r.Read, FailedTarget: r.Failed, SuccessTarget: r.Written}
}

// monitorEntry is a run, or a step of one, that has not ended. The name of its type is spelled as the vendor's service spells it.
type monitorEntry struct {
	Type           string `json:"@type"`
	ID             string `json:"id"`
	TaskType       string `json:"type"`
	TaskID         string `json:"taskId,omitempty"`
	TaskName       string `json:"taskName,omitempty"`
	ObjectName     string `json:"objectName" doc:"Of a child: the step's name"`
	RunID          int64  `json:"runId"`
	StartTime      string `json:"startTime,omitempty" doc:"Wall-clock time of the account's time zone, in spite of its Z"`
	StartTimeUTC   string `json:"startTimeUtc,omitempty"`
	ExecutionState string `json:"executionState" doc:"QUEUED, INITIALIZED, RUNNING, STOPPING; of a child also COMPLETED, FAILED"`
	Rows
	ErrorMsg       string         `json:"errorMsg,omitempty"`
	AgentID        string         `json:"agentId,omitempty" doc:"The worker"`
	EnvironmentID  string         `json:"runtimeEnvironmentId,omitempty" doc:"The destination"`
	StartedBy      string         `json:"startedBy,omitempty"`
	RunContextType string         `json:"runContextType,omitempty"`
	ScheduleName   string         `json:"scheduleName,omitempty"`
	CallbackURL    string         `json:"callbackURL,omitempty"`
	Entries        []monitorEntry `json:"entries"`
}

// monitorType and logType name the two kinds of entries.
const (
	monitorType = "activityMonitoryEntry"
	logType     = "activityLogEntry"
)

// logEntry is a run, or a step of one, that has ended.
type logEntry struct {
	Type          string `json:"@type"`
	ID            string `json:"id"`
	TaskType      string `json:"type"`
	ObjectID      string `json:"objectId,omitempty"`
	ObjectName    string `json:"objectName"`
	RunID         int64  `json:"runId"`
	AgentID       string `json:"agentId,omitempty"`
	EnvironmentID string `json:"runtimeEnvironmentId,omitempty"`
	StartTime     string `json:"startTime,omitempty"`
	EndTime       string `json:"endTime,omitempty"`
	StartTimeUTC  string `json:"startTimeUtc,omitempty"`
	EndTimeUTC    string `json:"endTimeUtc,omitempty"`
	State         int    `json:"state" doc:"1 success, 2 warning, 3 failed; of a child also 4: it never ran"`
	Rows
	TotalSuccess   *int64     `json:"totalSuccessRows,omitempty"`
	TotalFailed    *int64     `json:"totalFailedRows,omitempty"`
	ErrorMsg       string     `json:"errorMsg,omitempty"`
	StartedBy      string     `json:"startedBy,omitempty"`
	RunContextType string     `json:"runContextType,omitempty"`
	ScheduleName   string     `json:"scheduleName,omitempty"`
	IsStopped      *bool      `json:"isStopped,omitempty"`
	Entries        []logEntry `json:"entries"`
}

// The states of the log.
const (
	stateSuccess = 1
	stateWarning = 2
	stateFailed  = 3
	stateNever   = 4
)

// executionState is the state of a run that has not ended.
func executionState(j job.Job) string {
	switch {
	case j.Status == job.Queued:
		return "QUEUED"
	case j.Status == job.Cancelling:
		return "STOPPING"
	case j.Reason == job.ReasonInitializing:
		return "INITIALIZED"
	}
	return "RUNNING"
}

// wasStopped tells whether a run that has ended was stopped, or cancelled before it began.
func wasStopped(j job.Job) bool {
	return j.Status == job.Cancelled && (j.Reason == job.ReasonStopped || !j.Taken)
}

// endState is the state of a run that has ended, and what is said of it.
func endState(j job.Job) (state int, message string) {
	switch {
	case j.Status == job.Completed && j.Records.Failed > 0:
		return stateWarning, counted(j.Records.Failed, "record") + " failed"
	case j.Status == job.Completed:
		return stateSuccess, ""
	case wasStopped(j) && j.StoppedBy.Name != "":
		return stateFailed, "Stopped by " + j.StoppedBy.Name
	case wasStopped(j):
		return stateFailed, "Stopped by an operator"
	case j.Message != "":
		return stateFailed, j.Message
	}
	return stateFailed, "The run failed (" + string(j.Reason) + ")"
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// begun is when a run began: when a worker took it or, until then, when it was accepted.
func begun(j job.Job) time.Time {
	if !j.ReceivedAt.IsZero() {
		return j.ReceivedAt
	}
	return j.ScheduledAt
}

// contextOf says what started a run.
func contextOf(j job.Job) string {
	if j.Trigger == job.TriggerSchedule {
		return "SCHEDULER"
	}
	return "REST_API"
}

// environmentOf is the destination of a run.
func environmentOf(j job.Job) string {
	if j.Destination == 0 {
		return ""
	}
	return decimal(j.Destination)
}

// surroundings are what entries need beside their jobs.
type surroundings struct {
	zone    *time.Location
	objects map[int64]string // object ids of the configs
	steps   map[job.ID][]job.Step
}

// around looks up what entries of jobs need; steps only where they are asked for.
func (c *call) around(ctx context.Context, jobs []job.Job, steps bool) (s surroundings, err error) {
	if s.zone, err = c.zone(ctx); err != nil {
		return s, err
	}
	var configs []int64
	seen := map[int64]bool{}
	for _, j := range jobs {
		if !seen[j.ConfigID] {
			seen[j.ConfigID] = true
			configs = append(configs, j.ConfigID)
		}
	}
	if s.objects, err = c.door.server.Configs.ObjectIDs(ctx, c.Actor.AccountID, configs); err != nil {
		return s, err
	}
	if steps && len(jobs) > 0 {
		s.steps, err = c.door.server.Jobs.StepsOf(ctx, c.Actor, jobs)
	}
	return s, err
}

func (s surroundings) monitored(j job.Job) monitorEntry {
	e := monitorEntry{
		Type: monitorType, ID: string(j.ID), TaskType: typeOf(j), TaskID: s.objects[j.ConfigID], TaskName: j.ConfigName, RunID: j.RunNumber,
		StartTime: wall(begun(j), s.zone), StartTimeUTC: utc(begun(j)), ExecutionState: executionState(j), Rows: rowsOf(j.Records),
		AgentID: j.Worker, EnvironmentID: environmentOf(j), StartedBy: j.SubmittedBy.Name, RunContextType: contextOf(j),
		ScheduleName: j.Spec.Schedule, CallbackURL: callbackOf(j), Entries: []monitorEntry{},
	}
	for _, step := range s.steps[j.ID] {
		e.Entries = append(e.Entries, s.monitoredStep(j, step))
	}
	return e
}

func (s surroundings) monitoredStep(j job.Job, step job.Step) monitorEntry {
	state := executionState(j)
	switch step.Status {
	case job.Completed:
		state = "COMPLETED"
	case job.Failed, job.Cancelled:
		state = "FAILED"
	}
	return monitorEntry{
		Type: monitorType, ID: childID(j, step), TaskType: typeOf(j), ObjectName: step.Name, RunID: j.RunNumber,
		StartTime: wall(step.StartedAt, s.zone), StartTimeUTC: utc(step.StartedAt), ExecutionState: state, Rows: rowsOf(recordsOf(step)),
		ErrorMsg: step.Message, Entries: []monitorEntry{},
	}
}

// childID names a step: the run's id and the step's number, from 1.
func childID(j job.Job, step job.Step) string { return fmt.Sprintf("%s-%d", j.ID, step.Index+1) }

func recordsOf(s job.Step) job.Records {
	return job.Records{Read: s.RecordsRead, Written: s.RecordsWritten, Failed: s.RecordsFailed}
}

func (s surroundings) logged(j job.Job) logEntry {
	state, message := endState(j)
	stopped, written, failed := wasStopped(j), j.Records.Written, j.Records.Failed
	e := logEntry{
		Type: logType, ID: string(j.ID), TaskType: typeOf(j), ObjectID: s.objects[j.ConfigID], ObjectName: j.ConfigName, RunID: j.RunNumber,
		AgentID: j.Worker, EnvironmentID: environmentOf(j), StartTime: wall(begun(j), s.zone), EndTime: wall(j.FinishedAt, s.zone),
		StartTimeUTC: utc(begun(j)), EndTimeUTC: utc(j.FinishedAt), State: state, Rows: rowsOf(j.Records), TotalSuccess: &written, TotalFailed: &failed,
		ErrorMsg: message, StartedBy: j.SubmittedBy.Name, RunContextType: contextOf(j), ScheduleName: j.Spec.Schedule, IsStopped: &stopped,
		Entries: []logEntry{},
	}
	for _, step := range s.steps[j.ID] {
		e.Entries = append(e.Entries, s.loggedStep(j, step))
	}
	return e
}

func (s surroundings) loggedStep(j job.Job, step job.Step) logEntry {
	state := stateFailed
	switch {
	case step.StartedAt.IsZero():
		state = stateNever
	case step.Status == job.Completed && step.RecordsFailed > 0:
		state = stateWarning
	case step.Status == job.Completed:
		state = stateSuccess
	}
	return logEntry{
		Type: logType, ID: childID(j, step), TaskType: typeOf(j), ObjectName: step.Name, RunID: j.RunNumber,
		StartTime: wall(step.StartedAt, s.zone), EndTime: wall(step.FinishedAt, s.zone), StartTimeUTC: utc(step.StartedAt), EndTimeUTC: utc(step.FinishedAt),
		State: state, Rows: rowsOf(recordsOf(step)), ErrorMsg: step.Message, Entries: []logEntry{},
	}
}
