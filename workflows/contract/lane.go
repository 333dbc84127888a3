package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
)

// Registered names of lanes and of limits on time.
const (
	LaneWorkflow = "Lane"

	// AdvanceLane admits waiting jobs as far as there are places, and tells their workflows.
	AdvanceLane = "AdvanceLane"
	// PokeLane makes a lane look at once, if there is anything it could do. A job of a lane calls it at its end.
	PokeLane = "PokeLane"
	// ExpireJob ends a job that is over a limit on its time, unless a worker has it.
	ExpireJob = "ExpireJob"

	// SignalAdmitted tells a Job that it holds a place in its lane. It has no payload.
	SignalAdmitted = "admitted"
	// SignalPoke tells a Lane that something changed. It has no payload.
	SignalPoke = "poke"

	// QueryProgress answers a JobProgress for a Job.
	QueryProgress = "progress"
	// QueryPosition answers a Place: for a Job without an argument, for a Lane with the id of a job.
	QueryPosition = "position"
)

// LaneWorkflowID is the workflow id of a lane. Names that hold more than letters, digits and plain signs, or are long, are
// replaced by a digest.
func LaneWorkflowID(account int64, lane string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":._-", r)
	}
	if len(lane) > 100 || strings.ContainsFunc(lane, func(r rune) bool { return !plain(r) }) {
		sum := sha256.Sum256([]byte(lane))
		lane = "digest:" + hex.EncodeToString(sum[:16]) // no lane's name begins so
	}
	return "lane-" + strconv.FormatInt(account, 10) + "-" + lane
}

// LaneInput is the argument of Lane.
type LaneInput struct {
	AccountID int64  `json:"accountId"`
	Lane      string `json:"lane"`
	// Told are admitted jobs whose workflows know it, carried from run to run so that none is told twice.
	Told []job.ID `json:"told,omitempty"`
}

// AdvanceInput is the argument of AdvanceLane.
type AdvanceInput struct {
	AccountID int64    `json:"accountId"`
	Lane      string   `json:"lane"`
	Told      []job.ID `json:"told,omitempty"`
}

// LaneStatus is the result of AdvanceLane, and the answer of QueryStatus for a Lane.
type LaneStatus struct {
	Lane   string `json:"lane"`
	Places int    `json:"places"` // how many jobs may hold a place at once
	Active int    `json:"active"` // jobs that hold one
	// Waiting counts jobs without a place; it stops at the number of Head when More is set.
	Waiting int      `json:"waiting"`
	More    bool     `json:"more,omitempty"`
	Head    []job.ID `json:"head,omitempty"` // the next to be admitted, in order
	// Told are admitted jobs that no worker has begun and whose workflows know that they may go on; Untold is how many
	// could not be told because their workflows have not started yet.
	Told   []job.ID `json:"told,omitempty"`
	Untold int      `json:"untold,omitempty"`
}

// Place is where a job stands in its lane.
type Place struct {
	Lane string `json:"lane,omitempty"`
	// LaneWorkflow is the workflow to ask for more.
	LaneWorkflow string `json:"laneWorkflow,omitempty"`
	Waiting      bool   `json:"waiting"`
	// Position is 1 for the next to be admitted. 0: not known here, or the job does not wait.
	Position int `json:"position,omitempty"`
	// Seq is the job's number in the order of the lane. They grow, and have gaps where jobs were cancelled.
	Seq int64 `json:"seq,omitempty"`
}

// JobProgress is the answer of QueryProgress.
type JobProgress struct {
	JobID job.ID `json:"jobId"`
	// Phase is what the workflow waits for: lane, worker, program, settling, leaving or nothing any more (ended). A program
	// that has just been started, or that pauses between two attempts, is in phase worker.
	Phase      string    `json:"phase"`
	Since      time.Time `json:"since"`
	Attempt    int       `json:"attempt,omitempty"`
	Worker     string    `json:"worker,omitempty"`
	QueueUntil time.Time `json:"queueUntil,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`
}

// PokeInput is the argument of PokeLane.
type PokeInput struct {
	AccountID int64  `json:"accountId"`
	Lane      string `json:"lane"`
}

// Limit names a limit on a job's time.
type Limit string

// The limits.
const (
	LimitQueue Limit = "queue" // a worker must have taken the job
	LimitTotal Limit = "total" // all of it must be over
)

// ExpireInput is the argument of ExpireJob.
type ExpireInput struct {
	JobID      job.ID    `json:"jobId"`
	AccountID  int64     `json:"accountId"`
	RunStarted time.Time `json:"runStarted"`
	Limit      Limit     `json:"limit"`
}

// ExpireResult is the result of ExpireJob.
type ExpireResult struct {
	// Ended tells that the job is final, as Job says: by this call or before it.
	Ended bool      `json:"ended"`
	Job   JobResult `json:"job"`
}
