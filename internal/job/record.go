package job

import (
	"encoding/json"
	"time"
)

// Bounds of what a program may report (native.md, 5). They keep one job from filling the database.
const (
	MaxRecordID    = 255      // bytes
	MaxRecordData  = 32 << 10 // bytes of JSON
	MaxSteps       = 1000     // a job's
	MaxErrors      = 100_000  // a job's
	MaxErrorCode   = 255      // bytes; longer ones are cut
	MaxErrorText   = 4000     // bytes; longer ones are cut
	MaxStepName    = 255      // bytes; longer ones are cut
	MaxTraceKey    = 255      // bytes; longer ones are cut
	MaxRetryChoice = 10_000   // records one call may name
)

// RecordError is one record a job could not bring through. Within a job its record id tells it from the others.
type RecordError struct {
	JobID          ID
	RecordID       string
	Attempt        int
	Step           string
	Code           string
	Message        string
	TraceKey       string
	Classification string // reserved for rules that sort errors; empty so far
	OccurredAt     time.Time
	Resolved       ErrorState
	ResolvedBy     UserRef // ResolvedByUser only
	ResolvedAt     time.Time
	RetryJob       ID     // the newest retry that was given the record or raised it again
	HasData        bool   // the record itself is kept
	Data           []byte // JSON; only in reports and for retries, lists come without
}

// ErrorState says whether a record error is open and, if not, why.
type ErrorState string

// The states.
const (
	ErrorOpen          ErrorState = ""
	ResolvedByUser     ErrorState = "user"       // somebody says that it is dealt with
	ResolvedByRetry    ErrorState = "retry"      // a retry brought the record through
	ResolvedSuperseded ErrorState = "superseded" // a retry raised it again; it is open there
)

// RecordData is a record as the next retry will send it.
type RecordData struct {
	Data []byte // JSON
	Rev  int    // counts the versions from 1
}

// RetryRecord is a line of the file a retry of records is given.
type RetryRecord struct {
	RecordID string          `json:"recordId"`
	Step     string          `json:"step,omitempty"`
	TraceKey string          `json:"traceKey,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// Report is what a running program told since the last one. Steps are told as they stand, not as what changed, so a
// report that is stored twice counts once.
type Report struct {
	Steps    []Step // those that changed
	Errors   []RecordError
	Progress *Progress  // nil: nothing new
	Warnings []string   // all there are so far; nil: nothing new
	Messages []Message  // those told since, the last of each name
	Values   []OutValue // the same
	Files    []Output   // what lies in the output folder now, Name and Size and CreatedAt; FilesSeen says whether it is new
	// FilesSeen tells that Files is the list as it stands.
	FilesSeen bool
	At        time.Time
}

// Progress is how far a program says it is.
type Progress struct {
	Step  string `json:"step,omitempty"`
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"` // 0: not known
}

// ProgressChange is the data of EventProgress: the job as it stands after a report.
type ProgressChange struct {
	Progress
	RecordsRead    int64 `json:"recordsRead"`
	RecordsWritten int64 `json:"recordsWritten"`
	RecordsFailed  int64 `json:"recordsFailed"`
	RecordsIgnored int64 `json:"recordsIgnored"`
	ErrorsOpen     int64 `json:"errorsOpen"`
}

// RetryState tells what retries a job has.
type RetryState struct {
	Made   bool // at least one
	Active ID   // one that has not finished
}

// FamilyTotals sums a chain up.
type FamilyTotals struct {
	Records                    Records
	ErrorsOpen, ErrorsResolved int64
}

// TotalsOf sums the members of a chain up.
func TotalsOf(members []Job) FamilyTotals {
	var t FamilyTotals
	for _, j := range members {
		t.Records.Read += j.Records.Read
		t.Records.Written += j.Records.Written
		t.Records.Failed += j.Records.Failed
		t.Records.Ignored += j.Records.Ignored
		t.ErrorsOpen += j.ErrorsOpen
		t.ErrorsResolved += j.ErrorsResolved
	}
	return t
}

// FirstFailed is the name of the step a retry of the failed step begins with: the first that failed, else the first that
// did not complete, else empty.
func FirstFailed(steps []Step) string {
	unfinished := ""
	for _, s := range steps {
		if s.Status == Failed {
			return s.Name
		}
		if unfinished == "" && s.Status != Completed {
			unfinished = s.Name
		}
	}
	return unfinished
}
