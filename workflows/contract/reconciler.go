package contract

import "time"

// Names of the reconciler.
const (
	ReconcilerWorkflow = "Reconciler"
	Reconcile          = "Reconcile"

	// ReconcilerID is the id of the one workflow of this kind that a namespace has.
	ReconcilerID = "reconciler"
)

// Error types of Reconcile; both are followed by another attempt, here or elsewhere.
const (
	// ErrHandedOver: the process stops, and another one takes the loop at once.
	ErrHandedOver = "HandedOver"
	// ErrInterrupted: the loop could not go on in this process.
	ErrInterrupted = "Interrupted"
)

// ReconcilerInput is the argument of Reconciler.
type ReconcilerInput struct {
	// Turn is how long one run takes before the next one follows; 0: some hours.
	Turn time.Duration `json:"turn,omitempty"`
}

// ReconcileInput is the argument of Reconcile.
type ReconcileInput struct {
	// Turn is after which time the loop ends by itself.
	Turn time.Duration `json:"turn"`
}

// ReconcileResult is the result of Reconcile.
type ReconcileResult struct {
	Passes int64 `json:"passes"` // of the process that had the loop last
}

// ReconcileProgress is the heartbeat of Reconcile.
type ReconcileProgress struct {
	Worker string    `json:"worker"`
	Since  time.Time `json:"since"`
	Passes int64     `json:"passes"`
	Last   time.Time `json:"last,omitzero"` // end of the last pass
	Faults int64     `json:"faults,omitempty"`
}
