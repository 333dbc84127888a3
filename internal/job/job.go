package job

import "time"

// ID is a job's id: 24 lower-case hex digits, roughly ordered by time.
type ID string

// ValidID tells whether s has the form of a job id (and of a config's object id).
func ValidID(s string) bool {
	if len(s) != 24 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Job is ONE execution of a job config.
type Job struct {
	ID         ID
	AccountID  int64
	ConfigID   int64
	ConfigName string // as it was at the start; the config may be renamed or deleted later
	OwnerID    int64  // the user whose jobs this is listed under: the submitter
	RunNumber  int64  // counts the config's runs from 1

	Status Status
	Reason Reason
	Taken  bool   // a worker has had it at least once, so it has a log
	Fence  int64  // fencing token of the attempt that may write; see Fence
	Change int64  // grows with every write to the row; followers compare it
	Worker string // identity of the worker that runs or ran it

	Spec        Spec
	Destination int64
	Tags        []string

	Attempt     int // attempts begun so far; 0 before the first
	Failures    int // attempts that ended with a failed program: what MaximumAttempts counts
	ReturnCode  *int
	Message     string // why it failed, in one line, safe to show
	ScheduledAt time.Time
	StartAfter  time.Time // Queued only: pause before the next attempt
	ReceivedAt  time.Time // first taken by a worker
	StartedAt   time.Time // the program was first started
	FinishedAt  time.Time

	SubmittedBy UserRef
	StoppedBy   UserRef
	StopGrace   time.Duration // what a stop leaves its program between SIGTERM and SIGKILL; 0: the setting

	RetryOf     ID // direct parent; empty for a first run
	Root        ID // first ancestor; empty for a first run
	RetryNumber int
	ResolvedBy  ID // the retry whose success completed this job's result
	ResolvedAt  time.Time

	RetryScope RetryScope // retries only: how much of the parent is done again

	Unreachable bool // the engine could not be reached at the start; the reconciler starts it

	Trigger Trigger   // what made the job
	FiredAt time.Time // TriggerSchedule only: the time the schedule names, which may be before ScheduledAt

	Lane     string // durable queue it goes through, see LaneOf; empty: none
	LaneSeq  int64  // its place in the order of the lane, from 1
	Position int    // read only, one job at a time: 1 is the next to leave the lane; 0: does not wait in one

	Records        Records // sums over the steps
	ErrorsOpen     int64   // record errors that wait for a retry or a person
	ErrorsResolved int64   // with ErrorsOpen: all record errors ever raised on this job

	// Sandbox is what held the program of the last attempt that was started back, in one line for people.
	Sandbox string

	CurrentStep string       // read only, one running job at a time: the step that was begun last and goes on
	OutMessages []OutMessage // read only, one job at a time: what it gave so far, without the bodies
	OutValues   []OutValue   // the same

	Warnings []string // what of its program's reports was not understood or not kept; a word, then what it is about
}

// Document is a job config with its newest job.
type Document struct {
	Config Config
	Run    Job // the zero value: it never ran
	Steps  int // of the run
}

// Waiting tells whether the job waits in its lane: it holds no place and nothing but the lane can let it go on.
func (j Job) Waiting() bool { return j.Status == Queued && j.Reason == ReasonSequenced }

// Records counts what became of records.
type Records struct {
	Read, Written, Failed, Ignored int64
}

// Trigger says what made a job.
type Trigger string

// The triggers (celigo.md, 9.3 has the wider list).
const (
	TriggerAPI      Trigger = "api"
	TriggerSchedule Trigger = "schedule"
	TriggerRetry    Trigger = "retry"

	TriggerDIEM        Trigger = "diem"        // the door for DIEM clients
	TriggerInformatica Trigger = "informatica" // that for clients of Informatica Cloud
)

// AnswerMessage is the name of the out message that is the answer of a program that somebody waits for.
const AnswerMessage = "out"

// Caller is what somebody who starts a job calls it.
type Caller struct {
	Request   string `json:"request,omitempty"`   // id of the call
	Reference string `json:"reference,omitempty"` // stored and shown, without effect
}

// RetryScope says how much of a finished job a retry does again (native.md, 7).
type RetryScope string

// The scopes.
const (
	RetryAll           RetryScope = "all"
	RetryFailedStep    RetryScope = "failed_step"
	RetryFailedRecords RetryScope = "failed_records"
)

// RootID is the first of the chain the job belongs to: itself for a first run.
func (j Job) RootID() ID {
	if j.Root != "" {
		return j.Root
	}
	return j.ID
}

// Spec is the snapshot of all a run needs, taken when the job is accepted. Later changes of the config or uploads to its
// file keys do not touch it. Secure macros are in it as sealed values only.
type Spec struct {
	PackageName    string            `json:"packageName"`
	PackageVersion int               `json:"packageVersion"`
	PackageSHA256  string            `json:"packageSha256"` // hex
	PackageSize    int64             `json:"packageSize"`   // bytes
	EntryPoint     string            `json:"entryPoint,omitempty"`
	LogLevel       string            `json:"logLevel,omitempty"`
	Macros         []Macro           `json:"macros,omitempty"`
	Files          map[string]string `json:"files,omitempty"`  // name -> text, laid into LOCAL_JOB_SPEC_DIR
	Inputs         []InputFile       `json:"inputs,omitempty"` // the config's other files, likewise; Files come before them
	Timeout        time.Duration     `json:"timeout,omitempty"`
	Retry          RetryPolicy       `json:"retry,omitzero"`
	OnLoss         WorkerLoss        `json:"onLoss,omitempty"`

	Concurrency  Concurrency   `json:"concurrency,omitzero"`   // as the config had it; Job.Lane is what came of it
	QueueTimeout time.Duration `json:"queueTimeout,omitempty"` // longest wait, lane included, for the first attempt
	TotalTimeout time.Duration `json:"totalTimeout,omitempty"` // from ScheduledAt over all attempts and pauses
	Callbacks    []Callback    `json:"callbacks,omitempty"`

	Resources       Resources `json:"resources,omitzero"` // what the config asks for; the package's own fill the gaps
	InMessages      []Message `json:"inMessages,omitempty"`
	OutMessageNames []string  `json:"outMessageNames,omitempty"` // messages somebody waits for

	RetryStep string `json:"retryStep,omitempty"` // RetryFailedStep only: the step that failed in the parent

	TaskType string `json:"taskType,omitempty"` // the type the run presents to Informatica clients; empty: none was said
	Schedule string `json:"schedule,omitempty"` // name of the schedule that made it
	// Fault is why the job is to fail without its program being started: something it needs was found missing when it was accepted,
	// and whoever started it looks for such faults in the job and not in the answer.
	Fault string `json:"fault,omitempty"`
	// ParameterFile is the key of the file that Fault is about, if it is about one: a retry looks for it again.
	ParameterFile string `json:"parameterFile,omitempty"`
	// Arguments are the program's first ones, as they are; those of its package follow.
	Arguments []string `json:"arguments,omitempty"`
	// Answer keeps the program's standard output as the out message AnswerMessage, if it gives none of that name itself.
	Answer bool   `json:"answer,omitempty"`
	Caller Caller `json:"caller,omitzero"`

	// Reach are the ids of the only job configs that the job's token is for: those of the API key that started it. Empty: all that the
	// submitter reaches.
	Reach []int64 `json:"reach,omitempty"`

	Trace Trace `json:"trace,omitzero"` // where the start of the job stands in a trace; none without tracing
}

// InputFile is a version of a file that a job gets besides its package.
type InputFile struct {
	Name       string // the file key: a path below LOCAL_JOB_SPEC_DIR
	Version    int
	SHA256     string     // hex
	Size       int64      // bytes
	SourceType EntityType // what has the file: the config, or what it links to
	SourceID   int64
}

// Deadline is when the job is over its total time; zero: never.
func (j Job) Deadline() time.Time {
	if j.Spec.TotalTimeout <= 0 {
		return time.Time{}
	}
	return j.ScheduledAt.Add(j.Spec.TotalTimeout)
}

// Fence makes the fencing token of an attempt: started is the workflow run's start, attempt Temporal's attempt number
// (from 1). It grows with every attempt and with every new run of the workflow, so a slow worker that was presumed dead
// holds a smaller one and its writes change nothing.
func Fence(started time.Time, attempt int32) int64 {
	return started.UnixMilli()<<20 | int64(attempt)&(1<<20-1)
}

// SettleFence is larger than the fence of every attempt of the same workflow run.
func SettleFence(started time.Time) int64 { return started.UnixMilli()<<20 | (1<<20 - 1) }

// Attempt is one try of a job.
type Attempt struct {
	Number     int
	Fence      int64
	Worker     string
	StartedAt  time.Time
	FinishedAt time.Time // zero while it runs
	ReturnCode *int
	Reason     Reason // why it ended; empty for success
	Message    string
	Sandbox    string // what held its program back, in one line for people; empty before it was started
}

// Step is a part of a job with its own status and counters. A program that reports no steps has one, named "main".
type Step struct {
	Index          int // from 0
	Name           string
	Status         Status
	Attempt        int
	StartedAt      time.Time
	FinishedAt     time.Time
	ReturnCode     *int
	RecordsRead    int64
	RecordsWritten int64
	RecordsFailed  int64
	RecordsIgnored int64
	ErrorsOpen     int64
	ErrorsResolved int64
	Message        string
}

// Output is a file the job left in LOCAL_JOB_OUT_DIR.
type Output struct {
	Name      string // path below the folder, with forward slashes
	Size      int64  // bytes
	SHA256    string // hex
	Object    string // key in the object store; empty while the program may still write to it
	CreatedAt time.Time
}

// Outcome is how an attempt, or the whole job, ended.
type Outcome struct {
	Status     Status // Completed, Failed, Cancelled
	Reason     Reason
	ReturnCode *int
	Message    string
	Outputs    []Output
	At         time.Time
}

// Family is the chain of a job and its retries, oldest first.
type Family struct {
	Root    ID
	Jobs    []Job
	Outcome Job // the job whose status stands for the whole chain
	Totals  FamilyTotals
}

// OutcomeOf picks the member of a chain that stands for its result: the newest one that completed and resolved the others,
// else the newest. A retry of single records that completed does not stand for the whole while the chain has open record
// errors. Members must be ordered oldest first and not be empty.
func OutcomeOf(members []Job) Job {
	clean := TotalsOf(members).ErrorsOpen == 0
	var newest *Job
	for i := len(members) - 1; i >= 0; i-- {
		m := &members[i]
		part := m.Status == Completed && m.RetryScope == RetryFailedRecords && !clean
		if m.Status == Completed && !part {
			return *m
		}
		if newest == nil && !part {
			newest = m
		}
	}
	if newest == nil { // only parts: their first run is missing
		newest = &members[len(members)-1]
	}
	return *newest
}
