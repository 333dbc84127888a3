package contract

import (
	"strconv"

	"waybill/internal/job"
)

// Registered names of deliveries.
const (
	DeliverWorkflow = "Deliver"

	DeliverOnce = "DeliverOnce"
	EndDelivery = "EndDelivery"
)

// Error types of deliveries.
const (
	// ErrNotDelivered: the other side did not take it and another attempt is due; retryable, with the pause in
	// NextRetryDelay.
	ErrNotDelivered = "NotDelivered"
	// ErrDeliveryFailed is how Deliver closes when the delivery failed, with the DeliverResult as its details.
	ErrDeliveryFailed = "DeliveryFailed"
)

// DeliverWorkflowID is the workflow id of a round of a delivery.
func DeliverWorkflowID(id string, round int) string {
	return "deliver-" + id + "-" + strconv.Itoa(round)
}

// DeliverInput is the argument of Deliver and of its activities.
type DeliverInput struct {
	ID        string `json:"id"`
	AccountID int64  `json:"accountId"`
	JobID     job.ID `json:"jobId,omitempty"`
	Round     int    `json:"round"`
	Mail      bool   `json:"mail,omitempty"` // mail may take longer than a call
	Slow      bool   `json:"slow,omitempty"` // a call whose answer is waited for longer than usual
}

// DeliverResult is the result of Deliver: how the round ended.
type DeliverResult struct {
	Status   job.DeliveryStatus `json:"status"`
	Code     int                `json:"code,omitempty"`
	Attempts int                `json:"attempts,omitempty"`
	Error    string             `json:"error,omitempty"`
}

// EndDeliveryInput is the argument of EndDelivery.
type EndDeliveryInput struct {
	ID    string `json:"id"`
	Round int    `json:"round"`
	Error string `json:"error"`
}
