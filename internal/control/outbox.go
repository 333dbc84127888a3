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
	// PendingDeliveries lists those whose workflow is not started, by id, behind one.
	PendingDeliveries(ctx context.Context, after string, limit int) ([]job.Delivery, error)
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

	after string // the pending one that was started last; "" where the next run begins with the first

	// A look at those underway: of which moment, and behind which it goes on. None is under way while the moment is zero.
	looking    time.Time
	lookedAt   string
	beginsNext time.Time
}

// Pace of the deliverer: in each run it starts a batch and looks at a batch, for the other duties wait. A callback to a receiver that
// is dead is tried for a day, so there may be hundreds of thousands underway. A delivery underway is written at least every ten
// minutes, the longest pause between attempts, unless the other side asked for more time.
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

// deliver starts what waits before it looks at what is underway, which is no more than a precaution.
func (d *Deliverer) deliver(ctx context.Context, back bool) error {
	now := d.Now()
	switch {
	case back: // the engine's files may have been lost, so all that is underway is looked at
		d.after, d.looking, d.lookedAt = "", now.Add(time.Hour), ""
	case d.looking.IsZero() && now.After(d.beginsNext):
		d.looking, d.lookedAt = now.Add(-deliveryQuiet), ""
	}
	if err := d.startSome(ctx); err != nil || d.looking.IsZero() {
		return err
	}
	return d.lookAtSome(ctx)
}

func (d *Deliverer) startSome(ctx context.Context) error {
	pending, err := d.Outbox.PendingDeliveries(ctx, d.after, deliveryBatch)
	if err != nil {
		return err
	}
	for _, one := range pending {
		if err := d.alone(ctx, one, d.start(ctx, one)); err != nil {
			return err
		}
		d.after = one.ID
	}
	if len(pending) < deliveryBatch {
		d.after = ""
	}
	return nil
}

// start starts first and marks afterwards: a crash in between starts again, which changes nothing.
func (d *Deliverer) start(ctx context.Context, one job.Delivery) error {
	in := contract.DeliverInput{ID: one.ID, AccountID: one.AccountID, JobID: one.JobID, Round: one.Round, Mail: one.Kind == job.DeliveryMail, Slow: one.Door != ""}
	if err := d.Engine.StartDelivery(ctx, in); err != nil {
		return err
	}
	return d.Outbox.MarkDelivering(ctx, one.ID, one.Round, d.Now().UTC())
}

// lookAtSome goes on with the look at the deliveries underway that were last written before its moment.
func (d *Deliverer) lookAtSome(ctx context.Context) error {
	list, err := d.Outbox.UnderwayDeliveries(ctx, d.looking, d.lookedAt, deliveryBatch)
	if err != nil {
		return err
	}
	for _, one := range list {
		if err := d.alone(ctx, one, d.mend(ctx, one)); err != nil {
			return err
		}
		d.lookedAt = one.ID
	}
	if len(list) < deliveryBatch {
		d.looking, d.lookedAt, d.beginsNext = time.Time{}, "", d.Now().Add(deliveryLook)
	}
	return nil
}

// mend starts a delivery again whose workflow is gone, and fails one whose workflow ended without a word.
func (d *Deliverer) mend(ctx context.Context, one job.Delivery) error {
	state, err := d.Engine.DeliveryState(ctx, one.ID, one.Round)
	switch {
	case err != nil:
		return err
	case state == EngineAbsent:
		d.Log.InfoContext(ctx, "started a delivery whose workflow is gone", "delivery", one.ID)
		return d.start(ctx, one)
	case state != EngineOpen:
		return d.Outbox.EndDelivery(ctx, one.ID, one.Round, "The workflow was ended from outside", d.Now().UTC())
	}
	return nil
}

// alone tells in the log of what is wrong with one delivery only: those behind it must not wait for it. Its error is an outage.
func (d *Deliverer) alone(ctx context.Context, one job.Delivery, err error) error {
	if err != nil && outage(err) == nil {
		d.Log.WarnContext(ctx, "delivery not started or looked at", "delivery", one.ID, "error", err)
	}
	return outage(err)
}
