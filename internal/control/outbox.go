package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Outbox is what the duty that starts deliveries looks after: it spans accounts.
type Outbox interface {
	// PendingDeliveries lists those whose workflow is not started, oldest id first.
	PendingDeliveries(ctx context.Context, limit int) ([]job.Delivery, error)
	// UnderwayDeliveries lists those that are being tried and were last written before the time, by id, behind one.
	UnderwayDeliveries(ctx context.Context, before time.Time, after string, limit int) ([]job.Delivery, error)
	// MarkDelivering notes that the workflow of the round is started.
	MarkDelivering(ctx context.Context, id string, round int, at time.Time) error
	// EndDelivery fails a delivery that is not final, if it is still in the round.
	EndDelivery(ctx context.Context, id string, round int, why string, at time.Time) error
	// PurgeDeliveries deletes those that are not about a job and ended before the time. The others go with their job.
	PurgeDeliveries(ctx context.Context, before time.Time) error
}

// DeliveryRun is how the activity that delivers writes to a delivery.
type DeliveryRun interface {
	Delivery(ctx context.Context, account int64, id string) (job.Delivery, error)
	// KeepBody stores the body unless there is one, and returns the stored one: every attempt sends the same.
	KeepBody(ctx context.Context, account int64, id, body string) (string, error)
	// RecordAttempt notes an attempt and what became of the delivery. Conflict, WordStale, when the delivery is final, in
	// another round, or has an attempt of that number.
	RecordAttempt(ctx context.Context, account int64, id string, a job.DeliveryAttempt, status job.DeliveryStatus, next time.Time) error
	// EndDelivery is Outbox's.
	EndDelivery(ctx context.Context, id string, round int, why string, at time.Time) error
}

// DeliveryEngine starts the workflows that deliver; workflows/starter is the real one.
type DeliveryEngine interface {
	// StartDelivery starts the workflow of a round. Already started is no error.
	StartDelivery(ctx context.Context, in contract.DeliverInput) error
	// DeliveryState looks the workflow of a round up.
	DeliveryState(ctx context.Context, id string, round int) (EngineState, error)
}

// Deliverer starts a workflow for each delivery that waits, and mends what the engine lost.
type Deliverer struct {
	Outbox Outbox
	Engine DeliveryEngine
	Keep   time.Duration // how long finished deliveries that are not about a job are kept
	Now    Clock
	Log    *slog.Logger

	nextLook time.Time // at those underway
}

// Pace of the deliverer. A delivery underway is written at least every ten minutes, the longest pause between attempts,
// unless the other side asked for more time.
const (
	deliveryBatch = 200
	deliveryQuiet = 15 * time.Minute
	deliveryLook  = 5 * time.Minute
)

// Duties are the deliverer's parts of the reconciler's loop.
func (d *Deliverer) Duties() []Duty {
	return []Duty{
		{Name: "deliveries", Engine: true, Do: d.deliver},
		{Name: "old deliveries", Every: everyPurge, Do: func(ctx context.Context, _ bool) error {
			return d.Outbox.PurgeDeliveries(ctx, d.Now().Add(-d.Keep))
		}},
	}
}

func (d *Deliverer) deliver(ctx context.Context, back bool) error {
	now := d.Now()
	if back || now.After(d.nextLook) {
		before := now.Add(-deliveryQuiet)
		if back { // the engine's files may have been lost
			before = now.Add(time.Hour)
		}
		if err := d.mend(ctx, before); err != nil {
			return err
		}
		d.nextLook = now.Add(deliveryLook)
	}
	for {
		pending, err := d.Outbox.PendingDeliveries(ctx, deliveryBatch)
		if err != nil {
			return err
		}
		for _, one := range pending {
			if err := d.start(ctx, one); err != nil {
				return err
			}
		}
		if len(pending) < deliveryBatch {
			return nil
		}
	}
}

// start starts first and marks afterwards: a crash in between starts again, which changes nothing.
func (d *Deliverer) start(ctx context.Context, one job.Delivery) error {
	in := contract.DeliverInput{ID: one.ID, AccountID: one.AccountID, JobID: one.JobID, Round: one.Round, Mail: one.Kind == job.DeliveryMail, Slow: one.Door != ""}
	if err := d.Engine.StartDelivery(ctx, in); err != nil {
		return err
	}
	return d.Outbox.MarkDelivering(ctx, one.ID, one.Round, d.Now().UTC())
}

// mend looks at every delivery underway that was last written before the time: one whose workflow is gone is started
// again, one whose workflow ended without a word has failed.
func (d *Deliverer) mend(ctx context.Context, before time.Time) error {
	after := ""
	for {
		list, err := d.Outbox.UnderwayDeliveries(ctx, before, after, deliveryBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, one := range list {
			after = one.ID
			state, err := d.Engine.DeliveryState(ctx, one.ID, one.Round)
			switch {
			case err != nil:
				return err
			case state == EngineAbsent:
				d.Log.InfoContext(ctx, "started a delivery whose workflow is gone", "delivery", one.ID)
				err = d.start(ctx, one)
			case state != EngineOpen:
				err = d.Outbox.EndDelivery(ctx, one.ID, one.Round, "The workflow was ended from outside", d.Now().UTC())
			}
			if err != nil {
				return err
			}
		}
	}
}
