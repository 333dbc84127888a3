package job

import (
	"slices"
	"time"
)

// What a delivery can tell of (native.md, 4).
const (
	EventJobStarted   = "job.started"
	EventJobCompleted = "job.completed"
	EventJobFailed    = "job.failed"
	EventJobCancelled = "job.cancelled"
)

// CallbackEvents lists the events that callbacks can ask for.
var CallbackEvents = []string{EventJobStarted, EventJobCompleted, EventJobFailed, EventJobCancelled}

// CallbackEvent is the event that a change of a job is for those outside, "" for none. A job starts when its program
// does, so the preparation before it is none.
func (c StatusChange) CallbackEvent() string {
	switch c.Status {
	case Running:
		if c.Reason == ReasonNone {
			return EventJobStarted
		}
	case Completed:
		return EventJobCompleted
	case Failed:
		return EventJobFailed
	case Cancelled:
		return EventJobCancelled
	}
	return ""
}

// Wants tells whether the callback asks for the event.
func (c Callback) Wants(event string) bool {
	return len(c.Events) == 0 || slices.Contains(c.Events, event)
}

// DeliveryKind says how something is delivered.
type DeliveryKind string

// The kinds.
const (
	DeliveryWebhook DeliveryKind = "webhook"
	DeliveryMail    DeliveryKind = "mail"
)

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// The statuses. A redelivery makes a final one pending again, in a new round.
const (
	DeliveryPending    DeliveryStatus = "pending"    // stored, its workflow is not started
	DeliveryDelivering DeliveryStatus = "delivering" // its workflow tries
	DeliveryDelivered  DeliveryStatus = "delivered"  // taken by the other side
	DeliveryFailed     DeliveryStatus = "failed"     // refused for good, or given up
)

// Final tells whether nothing more is tried in this round.
func (s DeliveryStatus) Final() bool { return s == DeliveryDelivered || s == DeliveryFailed }

// Delivery is one message to somebody outside. It is delivered at least once: its id tells repeats.
type Delivery struct {
	ID        string // 24 hex digits
	AccountID int64
	ConfigID  int64
	JobID     ID // empty: not about a job
	Kind      DeliveryKind
	Event     string
	Target    string // webhook: the URL; mail: the recipients, joined by ", "
	Method    string // webhook
	Headers   string // webhook: sealed JSON object of further headers, see internal/secret; empty: none
	Sealed    string // webhook: the secret that signs; empty: unsigned
	Change    StatusChange
	Body      string // as it is sent; empty: not made yet, the first attempt makes it
	AttachLog bool   // mail
	Door      string // webhook: in whose form it is, see Callback.Door

	Source string // part of the product that asked for it, such as "schedule/12"; empty: a change of the job
	Key    string // tells repeats of the source apart

	Status        DeliveryStatus
	Round         int // from 1; each redelivery is one more
	Attempts      int // over all rounds
	RoundAttempts int
	RoundAt       time.Time // first attempt of the round
	NextAt        time.Time // when the next attempt is due
	Code          int       // last status code of the other side; 0: none
	Error         string    // why the last attempt failed, safe to show; empty: it did not
	CreatedAt     time.Time
	FinishedAt    time.Time // end of the round
}

// DeliveryAttempt is one try of a delivery.
type DeliveryAttempt struct {
	Number   int // from 1, over all rounds
	Round    int
	At       time.Time
	Duration time.Duration
	Code     int    // status code of the other side; 0: none
	Error    string // safe to show; empty: it succeeded
	Reply    string // first KiB of what the other side answered
}

// SubscriptionEvents says for which endings of jobs a subscription sends mail.
type SubscriptionEvents string

// The choices. A job that a user cancelled is neither a success nor a failure.
const (
	OnSuccess SubscriptionEvents = "success"
	OnFailure SubscriptionEvents = "failure"
	OnAlways  SubscriptionEvents = "always"
)

// Subscription asks for mail about the ends of a config's jobs. A config has one at most.
type Subscription struct {
	ConfigID   int64
	AccountID  int64
	Active     bool
	Recipients []string
	Events     SubscriptionEvents
	AttachLog  bool

	CreatedAt  time.Time
	CreatedBy  UserRef
	ModifiedAt time.Time
	ModifiedBy UserRef
}
