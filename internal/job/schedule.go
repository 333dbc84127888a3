package job

import "time"

// Schedule says when a job config's jobs start by themselves. A config has one at most.
type Schedule struct {
	ConfigID  int64
	AccountID int64

	Rule   ScheduleRule
	Paused bool
	Note   string // why it is paused, or was resumed
	Runs   int64  // fires that made a job

	Backfills []Backfill // the last ones asked for
	Shared    int64      // the SharedSchedule it follows; 0: it is the config's own

	Version    int64 // grows with every change
	Synced     int64 // the version the engine has been told of
	CreatedAt  time.Time
	ModifiedAt time.Time
}

// ScheduleRule is what a user says of a schedule. It is stored as one JSON text.
type ScheduleRule struct {
	Name        string       `json:"name,omitempty"`
	Kind        ScheduleKind `json:"kind"`
	Cron        string       `json:"cron,omitempty"`
	Interval    string       `json:"interval,omitempty"`
	Zone        string       `json:"zone,omitempty"` // IANA name; empty: UTC
	Description string       `json:"description,omitempty"`

	Overlap Overlap       `json:"overlap,omitempty"`
	CatchUp time.Duration `json:"catchUp,omitempty"` // how old a missed fire may be to be made up; 0: DefaultCatchUp
	Jitter  time.Duration `json:"jitter,omitempty"`  // fires come up to this much later
	Start   time.Time     `json:"start,omitzero"`
	End     time.Time     `json:"end,omitzero"`
	MaxRuns int64         `json:"maxRuns,omitempty"` // 0: no limit
	Webhook *Webhook      `json:"webhook,omitempty"`
	// Calendar is what the pattern or the interval alone can not say; nil: nothing.
	Calendar *Calendar `json:"calendar,omitempty"`
}

// DefaultCatchUp is native.md, 6.3.
const DefaultCatchUp = 10 * time.Minute

// CatchUpWindow is how old a missed fire may be to be made up.
func (r ScheduleRule) CatchUpWindow() time.Duration {
	if r.CatchUp > 0 {
		return r.CatchUp
	}
	return DefaultCatchUp
}

// ScheduleKind is the vendor's type of a schedule.
type ScheduleKind string

// The kinds.
const (
	CronSchedule     ScheduleKind = "cron"
	IntervalSchedule ScheduleKind = "interval"
)

// Overlap is what a fire does while the job of an earlier one is not final.
type Overlap string

// The overlaps. Beyond them the config's own Concurrency holds for scheduled jobs as for all others.
const (
	OverlapAllow       Overlap = "allow"        // starts beside it; the default
	OverlapSkip        Overlap = "skip"         // does not start
	OverlapQueueOne    Overlap = "queue_one"    // waits for its end; a second one that waits is not started
	OverlapCancelOther Overlap = "cancel_other" // cancels it, waits for its end, and starts
)

// Webhook is a call made after each fire, as a Delivery.
type Webhook struct {
	Method   string   `json:"method"`
	Endpoint string   `json:"endpoint"`
	Payload  string   `json:"payload,omitempty"`
	Headers  []string `json:"headers,omitempty"` // their names
	Sealed   string   `json:"sealed,omitempty"`  // names and values as JSON, see internal/secret
}

// EventScheduleFired is the event of the delivery that calls a schedule's webhook.
const EventScheduleFired = "schedule.fired"

// Backfill is a stretch of the past whose fires a user asked for.
type Backfill struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// MaxBackfills is how many of them a schedule remembers.
const MaxBackfills = 20

// Exhausted tells whether all runs the schedule may make have been made.
func (s Schedule) Exhausted() bool { return s.Rule.MaxRuns > 0 && s.Runs >= s.Rule.MaxRuns }

// Asked tells whether a user asked for the fire of that time by a backfill.
func (s Schedule) Asked(at time.Time) bool {
	for _, b := range s.Backfills {
		if !at.Before(b.From) && !at.After(b.To) {
			return true
		}
	}
	return false
}

// Fire is one time a schedule came due, and what came of it.
type Fire struct {
	ConfigID  int64
	AccountID int64
	At        time.Time // the time the schedule names, or when a run by hand began; with the config it identifies the fire
	FiredAt   time.Time // when it was taken up
	Begun     time.Time // when its workflow began: tells a repeat from a second request for the same time
	Kind      FireKind
	Outcome   FireOutcome
	JobID     ID
	Message   string // why there is no job
}

// KeptFires is how many fires of a schedule are remembered.
const KeptFires = 100

// FireKind says why a schedule fired.
type FireKind string

// The kinds of fires.
const (
	FireDue      FireKind = "schedule" // it was time
	FireAsked    FireKind = "run"      // a user or an operator wanted it now
	FireBackfill FireKind = "backfill" // a user or an operator wanted a time of the past
)

// FireOutcome is what came of a fire.
type FireOutcome string

// The outcomes.
const (
	FirePending FireOutcome = "pending" // taken up, the job is being submitted
	FireStarted FireOutcome = "started" // a job was made
	FireSkipped FireOutcome = "skipped" // the limit of the config's lane is reached and it says skip
	FireMissed  FireOutcome = "missed"  // too late: a newer one is made in its place, or it is older than the catch-up window
	FireRefused FireOutcome = "refused" // no job may be made: see Message
)
