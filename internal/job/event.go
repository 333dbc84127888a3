package job

import "time"

// Event is an entry of the ordered stream of what happened to the jobs of an account. It is written in the transaction
// that makes it true, so the stream misses nothing and tells nothing that did not happen.
type Event struct {
	At        EventMark
	AccountID int64
	JobID     ID
	Kind      EventKind
	Data      string // JSON; EventStatus: a StatusChange
	Time      time.Time
}

// EventMark is a place in the stream. Marks grow in the order in which events may be read; the zero mark is before all.
type EventMark struct {
	Tx, Seq int64
}

// Behind tells whether the mark comes after another one.
func (m EventMark) Behind(other EventMark) bool {
	return m.Tx > other.Tx || m.Tx == other.Tx && m.Seq > other.Seq
}

// EventKind says what an event tells.
type EventKind string

// The kinds.
const (
	EventStatus   EventKind = "status"   // the job's status or reason changed
	EventProgress EventKind = "progress" // its program reported steps or counters; a ProgressChange
	EventResolved EventKind = "resolved" // a retry completed its result, or errors of it were resolved; a Resolution
)

// StatusChange is the data of EventStatus: the job as it stands after the change.
type StatusChange struct {
	Status     Status `json:"status"`
	Reason     Reason `json:"reason,omitempty"`
	Taken      bool   `json:"taken,omitempty"`
	Attempt    int    `json:"attempt,omitempty"`
	StartAfter int64  `json:"startAfter,omitempty"` // Unix microseconds
	ReturnCode *int   `json:"returnCode,omitempty"`
	Worker     string `json:"worker,omitempty"`
	ConfigID   int64  `json:"configId"`
}

// Onto gives the job as it stood right after the change. Times and messages of what came later are taken out.
func (c StatusChange) Onto(j Job) Job {
	j.Status, j.Reason, j.Taken, j.Attempt, j.ReturnCode = c.Status, c.Reason, c.Taken, c.Attempt, c.ReturnCode
	j.Worker, j.StartAfter = c.Worker, time.Time{}
	if c.StartAfter != 0 {
		j.StartAfter = time.UnixMicro(c.StartAfter).UTC()
	}
	if !c.Status.Final() {
		j.FinishedAt, j.Message, j.ResolvedBy, j.ResolvedAt = time.Time{}, "", "", time.Time{}
		j.OutMessages, j.OutValues, j.CurrentStep = nil, nil, ""
	}
	return j
}

// Resolution is the data of EventResolved.
type Resolution struct {
	By             ID    `json:"by,omitempty"`       // the retry that completed the job's result
	RetryJob       ID    `json:"retryJob,omitempty"` // the retry whose end resolved record errors of the job
	ByUser         bool  `json:"byUser,omitempty"`   // somebody resolved record errors of the job
	ErrorsOpen     int64 `json:"errorsOpen,omitempty"`
	ErrorsResolved int64 `json:"errorsResolved,omitempty"`
}
