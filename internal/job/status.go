package job

// Status is where a job stands. It is stored as it is; every door renders it, together with Reason, through a table of
// its own. docs/job-states.md draws the machine.
type Status string

const (
	// Queued: accepted and stored, no worker has it. Set by submit and retry; set again by the worker when an attempt
	// failed and another one is due.
	Queued Status = "queued"
	// Running: a worker has it. Set by the worker (begin). Reason Initializing while files are prepared.
	Running Status = "running"
	// Cancelling: a user asked a running job to end, or its time is over. Set by cancel (REST) or by the worker.
	Cancelling Status = "cancelling"
	// Completed: the program ended with exit code 0. Set by the worker (finish).
	Completed Status = "completed"
	// Failed: anything else that is not a user's wish. Set by the worker (finish), by the workflow's settle step, by its
	// timers for a job that no worker takes in time, or by the reconciler.
	Failed Status = "failed"
	// Cancelled: a user's wish was carried out. Set by cancel for a job that is queued, by the worker, or by settle.
	Cancelled Status = "cancelled"
)

// Statuses lists every status, unfinished ones first.
var Statuses = []Status{Queued, Running, Cancelling, Completed, Failed, Cancelled}

// moves is the whole machine (native.md, 6.1). Running may become Running again: its reason changes, or a rerun begins
// after a lost worker. Queued becomes Failed when the time is over in which a worker was to take the job.
var moves = map[Status][]Status{
	Queued:     {Running, Failed, Cancelled},
	Running:    {Running, Queued, Cancelling, Completed, Failed},
	Cancelling: {Completed, Failed, Cancelled},
}

// CanBecome tells whether the machine allows the move.
func (s Status) CanBecome(next Status) bool {
	for _, to := range moves[s] {
		if to == next {
			return true
		}
	}
	return false
}

// Sources lists the statuses from which next may be reached, in the order of Statuses. Stores build their
// compare-and-set from it, so the machine is written down once.
func Sources(next Status) []Status {
	var from []Status
	for _, s := range Statuses {
		if s.CanBecome(next) {
			from = append(from, s)
		}
	}
	return from
}

// Path lists the moves that lead from one status to another by the fewest steps, the target last; nil when there is no
// way or nothing to do. The settle step and the reconciler walk it in one transaction, for jobs whose worker can no
// longer report the steps in between.
func Path(from, to Status) []Status {
	type node struct {
		at   Status
		path []Status
	}
	seen := map[Status]bool{from: true}
	for queue := []node{{at: from}}; len(queue) > 0; queue = queue[1:] {
		for _, next := range moves[queue[0].at] {
			path := append(append([]Status(nil), queue[0].path...), next)
			if next == to && from != to {
				return path
			}
			if !seen[next] {
				seen[next] = true
				queue = append(queue, node{next, path})
			}
		}
	}
	return nil
}

// Final tells whether the job has ended. Final statuses never change.
func (s Status) Final() bool { return s == Completed || s == Failed || s == Cancelled }

// Valid tells whether s is one of the statuses.
func (s Status) Valid() bool {
	for _, v := range Statuses {
		if v == s {
			return true
		}
	}
	return false
}

// Reason says why a job stands where it stands. Empty for the plain case.
type Reason string

const (
	ReasonNone           Reason = ""
	ReasonSequenced      Reason = "sequenced"       // Queued: waits in a lane
	ReasonInitializing   Reason = "initializing"    // Running: the worker prepares files
	ReasonError          Reason = "error"           // Failed: the program exited non-zero or died of a signal
	ReasonTimeout        Reason = "timeout"         // Cancelling or Failed: over its time
	ReasonStopped        Reason = "stopped"         // Cancelling or Cancelled: a user asked
	ReasonWorkerLost     Reason = "worker_lost"     // Failed: the worker's heartbeats stopped
	ReasonTerminated     Reason = "terminated"      // Failed: the engine's operator, or a limit, ended it
	ReasonInvalidPackage Reason = "invalid_package" // Failed: the package or its entry point can not be run
)
