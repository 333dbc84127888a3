package job

import "time"

// UserRef names a user where only the id and the name matter. The zero value means "nobody".
type UserRef struct {
	ID   int64
	Name string
}

// Config is a job config: what to run and how.
type Config struct {
	ID        int64
	ObjectID  string // 24 hex digits, unique over all accounts, never changes
	AccountID int64

	Name        string // 1 to 255 characters, unique in the account without regard to case
	Description string
	Active      bool
	Runtime     RuntimeConfig
	Destination int64 // 0: the account's default
	Timeout     time.Duration
	Retry       RetryPolicy
	OnLoss      WorkerLoss
	Tags        []string
	Labels      Labels
	Rules       Rules

	Owner      UserRef
	CreatedAt  time.Time
	CreatedBy  UserRef
	ModifiedAt time.Time
	ModifiedBy UserRef
}

// Labels are members of the vendor's job config that are stored and given back and have no effect (native.md, 4).
type Labels struct {
	AgentID       string `json:"agentId,omitempty"`
	IntegrationID string `json:"integrationId,omitempty"`
	ProfileID     string `json:"profileId,omitempty"`
	TaskType      string `json:"taskType,omitempty"`
}

// Rules are what a config asks of the engine beyond one attempt. They are stored as one JSON text, so members may be added
// without a migration.
type Rules struct {
	Blocking     bool          `json:"blocking,omitempty"` // the vendor's word for Concurrency{1, "", queue}
	Concurrency  Concurrency   `json:"concurrency,omitzero"`
	QueueTimeout time.Duration `json:"queueTimeout,omitempty"`
	TotalTimeout time.Duration `json:"totalTimeout,omitempty"`
	Callbacks    []Callback    `json:"callbacks,omitempty"`
	Retention    Retention     `json:"retention,omitzero"`
	Resources    Resources     `json:"resources,omitzero"`
}

// Concurrency limits how many jobs of one key run at once (native.md, 4). The zero value: no limit.
type Concurrency struct {
	Limit   int     `json:"limit,omitempty"`   // 1 or more; 0: no lane
	Key     string  `json:"key,omitempty"`     // may hold macros; empty: the config's id
	OnLimit OnLimit `json:"onLimit,omitempty"` // empty: queue
}

// OnLimit is what happens to a start at the limit.
type OnLimit string

const (
	OnLimitQueue OnLimit = "queue" // the job waits, first come first served
	OnLimitSkip  OnLimit = "skip"  // no job is made; the answer is the oldest active one of the key
	OnLimitFail  OnLimit = "fail"  // no job is made; Conflict, WordConcurrencyLimit
)

// Callback is an address that is told of a job's life (native.md, 4).
type Callback struct {
	URL    string   `json:"url"`
	Events []string `json:"events,omitempty"` // names of CallbackEvents; empty: all
	Sealed string   `json:"sealed,omitempty"` // the secret that signs deliveries, see internal/secret; empty: unsigned
	// Door is the door whose clients expect the call, which then is as they know it; empty: the native one. It is of one start, never a
	// config's.
	Door string `json:"door,omitempty"`

	// Only in the request that brings the callback, never stored:
	Secret string `json:"-"` // the secret in clear
	Keep   bool   `json:"-"` // the secret that is stored for this URL stays
}

// Retention says how long finished jobs are kept. Zero members set no limit.
type Retention struct {
	MaxAge   time.Duration `json:"maxAge,omitempty"`   // since the job ended
	MaxCount int           `json:"maxCount,omitempty"` // finished jobs kept, newest first
}

// RuntimeConfig says which package runs, where it starts, and with which values.
type RuntimeConfig struct {
	PackageName             string    `json:"packageName,omitempty"` // a file key on the config
	PackageVersion          int       `json:"packageVersion,omitempty"`
	EntryPoint              string    `json:"entryPoint,omitempty"`
	LogLevel                string    `json:"logLevel,omitempty"`
	PackageArtifactOverride bool      `json:"packageArtifactOverride,omitempty"`
	PackageEntityType       string    `json:"packageEntityType,omitempty"`
	PackageEntityID         string    `json:"packageEntityId,omitempty"`
	Macros                  []Macro   `json:"macros,omitempty"`
	InMessages              []Message `json:"inMessages,omitempty"`
	OutMessageNames         []string  `json:"outMessageNames,omitempty"`
}

// Macro is a named value. A secure one keeps its value only as Sealed; Value is then empty everywhere but in the request
// that brings it and in the worker that runs the job.
type Macro struct {
	Key         string `json:"key"`
	Value       string `json:"value,omitempty"`
	Sealed      string `json:"sealed,omitempty"` // base64 of the sealed value, see internal/secret
	Secure      bool   `json:"secure,omitempty"`
	Description string `json:"description,omitempty"`
	// Default is set in a job's snapshot only, on a value nobody gave: it is the package's own.
	Default bool `json:"default,omitempty"`
	// Literal is set in a job's snapshot only, on a value that is the caller's data and no text of ours: what looks like a reference in it is
	// none.
	Literal bool `json:"literal,omitempty"`
}

// RetryPolicy says how often one job is tried. The zero value means once.
type RetryPolicy struct {
	MaximumAttempts    int           `json:"maximumAttempts,omitempty"` // 0 and 1: no second attempt
	InitialInterval    time.Duration `json:"initialInterval,omitempty"`
	BackoffCoefficient float64       `json:"backoffCoefficient,omitempty"`
	MaximumInterval    time.Duration `json:"maximumInterval,omitempty"`
	NonRetryable       []int         `json:"nonRetryable,omitempty"` // exit codes that end the job at once
}

// Pause returns how long to wait after failed attempt n (counted from 1) before the next one.
func (p RetryPolicy) Pause(n int) time.Duration {
	initial, factor, limit := p.InitialInterval, p.BackoffCoefficient, p.MaximumInterval
	if initial <= 0 {
		initial = 10 * time.Second
	}
	if factor < 1 {
		factor = 2
	}
	if limit <= 0 {
		limit = 10 * time.Minute
	}
	pause := float64(initial)
	for range n - 1 {
		pause *= factor
		if pause >= float64(limit) {
			break
		}
	}
	return min(time.Duration(pause), limit)
}

// Again tells whether another attempt follows attempt n (counted from 1) that ended with exitCode.
func (p RetryPolicy) Again(n, exitCode int) bool {
	if n >= p.MaximumAttempts {
		return false
	}
	for _, code := range p.NonRetryable {
		if code == exitCode {
			return false
		}
	}
	return true
}

// WorkerLoss is what happens to a job whose worker stops giving signs of life.
type WorkerLoss string

const (
	Rerun WorkerLoss = "rerun" // a new attempt, not counted against MaximumAttempts; the default
	Fail  WorkerLoss = "fail"  // the job fails with ReasonWorkerLost
)
