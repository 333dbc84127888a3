package activities

import (
	"context"
	"io"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runner"
	"waybill/workflows/contract"
)

// Objects is the object store: packages are read from it, logs and outputs written to it.
type Objects interface {
	Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error)
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error
	Delete(ctx context.Context, key string) error
}

// Secrets opens sealed macro values.
type Secrets interface {
	Open(sealed string) (string, error)
}

// Tokens makes the access tokens of jobs (control.JobTokens).
type Tokens interface {
	Issue(j job.Job, fence int64) (string, error)
}

// Bell wakes those who wait for a job in this process, after each write to its row or log.
type Bell interface{ Ring(id job.ID) }

// Gone is asked to look at a job whose workflow or activity the engine no longer knows: the reconciler.
type Gone interface {
	Check(ctx context.Context, account int64, id job.ID)
}

// Engine is the part of the Temporal client used beside the SDK's own reporting.
type Engine interface {
	SignalWorkflow(ctx context.Context, workflowID, runID, signal string, arg any) error
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
}

// LaneEngine is the workflows on both sides of a lane: jobs that are told of their place, and the lane itself.
type LaneEngine interface {
	PokeLane(ctx context.Context, l job.LaneRef) error
	// Admit answers NotFound for a job whose workflow has not started.
	Admit(ctx context.Context, id job.ID) error
}

// Config is what the activities work with.
type Config struct {
	Run        control.Run
	Settlement control.Settlement
	Expiry     control.Expiry
	Lanes      control.LaneStore
	LaneEngine LaneEngine
	Fires      Fires
	Jobs       JobReader
	Objects    Objects
	Secrets    Secrets
	Tokens     Tokens        // nil: jobs get none
	URL        func() string // by which programs reach the API; nil or empty: not known
	Bell       Bell          // may be nil
	Gone       Gone          // may be nil
	Purger     Purger
	Loop       Loop
	Runner     *runner.Runner
	Engine     Engine // nil: the worker's own client
	Worker     string // identity, shown on the job

	// Drain is how long a running program may go on once the worker has been told to stop; then it is stopped and the job
	// runs again elsewhere. It must be shorter than the worker's WorkerStopTimeout by more than a job's grace, or the
	// engine is not told and finds out by the missing heartbeats. 0: it is stopped at once.
	Drain time.Duration
	// Ending is closed when the worker's process has been told to stop. nil: when the SDK's worker has been. A process that
	// takes no more jobs and yet goes on stops its SDK worker without meaning its programs.
	Ending <-chan struct{}
	// Patience is how long a write to the database is repeated while it is away, before the attempt is given up. 0: two minutes.
	Patience time.Duration
	// ObjectPatience is how long an access to the object store is. 0: ten minutes.
	ObjectPatience time.Duration
	// Spool is where logs wait on disk while the object store is away.
	Spool joblog.Spool
	// Beat is the pause between heartbeats: cancels arrive with their answers. 0: one second.
	Beat time.Duration
	// NoteStarted is how long a program runs before its workflow is told. 0: half a second.
	NoteStarted time.Duration

	Now func() time.Time
	Log *slog.Logger
}

// Activities are the activities, ready to be registered.
type Activities struct {
	cfg  Config
	loop chan struct{} // holds the reconciler's loop of this process
}

// New makes the activities.
func New(cfg Config) *Activities {
	if cfg.Patience <= 0 {
		cfg.Patience = 2 * time.Minute
	}
	if cfg.ObjectPatience <= 0 {
		cfg.ObjectPatience = 10 * time.Minute
	}
	if cfg.Beat <= 0 {
		cfg.Beat = time.Second
	}
	if cfg.NoteStarted <= 0 {
		cfg.NoteStarted = 500 * time.Millisecond
	}
	if cfg.Loop.Patience <= 0 {
		cfg.Loop.Patience = 5 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Activities{cfg: cfg, loop: make(chan struct{}, 1)}
}

// Registry is the part of a worker the activities need.
type Registry interface {
	RegisterActivityWithOptions(a any, o activity.RegisterOptions)
}

// Register makes the activities known under the names of the contract.
func (a *Activities) Register(r Registry) {
	r.RegisterActivityWithOptions(a.ExecutePackage, activity.RegisterOptions{Name: contract.ExecutePackage})
	r.RegisterActivityWithOptions(a.SettleJob, activity.RegisterOptions{Name: contract.SettleJob})
	r.RegisterActivityWithOptions(a.AdvanceLane, activity.RegisterOptions{Name: contract.AdvanceLane})
	r.RegisterActivityWithOptions(a.PokeLane, activity.RegisterOptions{Name: contract.PokeLane})
	r.RegisterActivityWithOptions(a.ExpireJob, activity.RegisterOptions{Name: contract.ExpireJob})
	r.RegisterActivityWithOptions(a.TakeFire, activity.RegisterOptions{Name: contract.TakeFire})
	r.RegisterActivityWithOptions(a.LookAtJob, activity.RegisterOptions{Name: contract.LookAtJob})
	r.RegisterActivityWithOptions(a.RollUpRetry, activity.RegisterOptions{Name: contract.RollUpRetry})
	r.RegisterActivityWithOptions(a.PurgeJobs, activity.RegisterOptions{Name: contract.PurgeJobs})
	r.RegisterActivityWithOptions(a.PurgePackages, activity.RegisterOptions{Name: contract.PurgePackages})
	r.RegisterActivityWithOptions(a.Reconcile, activity.RegisterOptions{Name: contract.Reconcile})
}

func (a *Activities) ring(id job.ID) {
	if a.cfg.Bell != nil {
		a.cfg.Bell.Ring(id)
	}
}

func resultOf(j job.Job) contract.JobResult {
	return contract.JobResult{JobID: j.ID, Status: j.Status, Reason: j.Reason, ReturnCode: j.ReturnCode}
}
