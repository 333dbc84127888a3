package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Deliver tries one round of a delivery until it is taken, refused for good, or given up. The attempts are those of one
// activity, which knows how long to pause and when to give up, so that the history stays small however often it tries.
// It closes as Completed when it was delivered, and Failed with the DeliverResult in the details when it was not. A
// cancel ends the round as failed.
func Deliver(ctx workflow.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	var result contract.DeliverResult
	err := workflow.ExecuteActivity(delivering(ctx, in), contract.DeliverOnce, in).Get(ctx, &result)
	if err != nil {
		result = contract.DeliverResult{Status: job.DeliveryFailed, Error: whyNotDelivered(err)}
		if err := endDelivery(ctx, in, result.Error); err != nil {
			return result, err
		}
		if temporal.IsCanceledError(err) {
			return result, temporal.NewCanceledError(result)
		}
	}
	if result.Status != job.DeliveryDelivered {
		return result, temporal.NewNonRetryableApplicationError(result.Error, contract.ErrDeliveryFailed, nil, result)
	}
	return result, nil
}

// whyNotDelivered is for a delivery that its activity did not end itself. The text is shown to users.
func whyNotDelivered(err error) string {
	if temporal.IsCanceledError(err) {
		return "Cancelled by an operator"
	}
	var defect *temporal.PanicError
	if errors.As(err, &defect) {
		return "The worker failed while it delivered; its own log says why"
	}
	return "The delivery can not be tried"
}

// endDelivery fails the row, whatever was cancelled.
func endDelivery(ctx workflow.Context, in contract.DeliverInput, why string) error {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	return workflow.ExecuteActivity(statusWrite(ctx, "end", "write down that it was not delivered"), contract.EndDelivery, contract.EndDeliveryInput{
		ID: in.ID, Round: in.Round, Error: why,
	}).Get(ctx, nil)
}

const (
	callTime = 30 * time.Second // a call has 10 seconds of its own, and its outcome is stored
	slowTime = time.Minute      // likewise, with 30 seconds
	mailTime = 3 * time.Minute  // a log goes with it
)

// delivering is DeliverOnce: repeated for as long as it asks for it. It brings its own pauses; those of the policy are
// for a worker or a database that is away.
func delivering(ctx workflow.Context, in contract.DeliverInput) workflow.Context {
	o := workflow.ActivityOptions{
		ActivityID:          "deliver",
		Summary:             "tell those outside",
		TaskQueue:           contract.StatusQueue(workflow.GetInfo(ctx).TaskQueueName),
		StartToCloseTimeout: callTime,
		RetryPolicy:         again(typePanic),
	}
	if in.Slow {
		o.StartToCloseTimeout = slowTime
	}
	if in.Mail {
		o.StartToCloseTimeout = mailTime
	}
	return workflow.WithActivityOptions(ctx, o)
}
