package job

import "time"

// Over fills the limits r does not set with those of below.
func (r Retention) Over(below Retention) Retention {
	if r.MaxAge <= 0 {
		r.MaxAge = below.MaxAge
	}
	if r.MaxCount <= 0 {
		r.MaxCount = below.MaxCount
	}
	return r
}

// Purge is a job that is over its retention: its row is gone, its workflow histories and objects are still to be deleted.
type Purge struct {
	ID        ID
	AccountID int64
	TakenAt   time.Time
}

// Purged counts what a retention run deleted.
type Purged struct {
	Jobs      int64 `json:"jobs,omitempty"`
	Histories int64 `json:"histories,omitempty"` // workflow runs
	Objects   int64 `json:"objects,omitempty"`   // in the object store
	Bytes     int64 `json:"bytes,omitempty"`     // of those objects
	Versions  int64 `json:"versions,omitempty"`  // of deleted file keys
	Failed    int64 `json:"failed,omitempty"`    // left for the next run, other than by an outage
}

// Plus adds up.
func (p Purged) Plus(q Purged) Purged {
	return Purged{
		Jobs: p.Jobs + q.Jobs, Histories: p.Histories + q.Histories, Objects: p.Objects + q.Objects, Bytes: p.Bytes + q.Bytes,
		Versions: p.Versions + q.Versions, Failed: p.Failed + q.Failed,
	}
}

// RetentionPlace is a job's place in the order in which jobs ended. The zero place is before all.
type RetentionPlace struct {
	Finished int64 `json:"finished,omitempty"` // Unix microseconds
	Job      ID    `json:"job,omitempty"`
}

// Before tells whether p comes before q.
func (p RetentionPlace) Before(q RetentionPlace) bool {
	return p.Finished < q.Finished || p.Finished == q.Finished && p.Job < q.Job
}

// RetentionMark is how far a retention run has come: it goes through accounts, their configs, and the jobs of each in the
// order in which they ended. The zero mark is the beginning.
type RetentionMark struct {
	Account int64 `json:"account,omitempty"` // the one it is at
	// Floor is the newest job that is over the account's count; zero: none is.
	Floor  RetentionPlace `json:"floor,omitzero"`
	Config int64          `json:"config,omitempty"` // the one it is at, or has finished
	// Bound is the newest job of the config that is over its limits; zero: the config is finished.
	Bound RetentionPlace `json:"bound,omitzero"`
	At    RetentionPlace `json:"at,omitzero"` // the last job looked at
	Done  bool           `json:"done,omitempty"`
}

// RetentionRun is a run of the retention over all accounts.
type RetentionRun struct {
	Started time.Time // by the engine's clock; tells runs apart
	Default Retention // for accounts without limits of their own
	// Now is what ages are counted from, by the clock that FinishedAt is written by: one that is ahead of it would take jobs that are
	// not over their age.
	Now time.Time
	// Settled is until when a job must have ended: those that ended later are left alone, for what follows an end (roll-up,
	// callbacks) is still being done.
	Settled time.Time
}

// RetentionResult is what the last run did in one account.
type RetentionResult struct {
	Started time.Time `json:"started"`
	Written time.Time `json:"written"` // last change of this result
	Done    bool      `json:"done,omitempty"`
	Purged
}

// JobPrefix is the object-store prefix of everything that belongs to one job: its log, its outputs, and what is kept for its
// retries.
func JobPrefix(account int64, id ID) string {
	return accountPrefix(account) + "jobs/" + string(id) + "/"
}
