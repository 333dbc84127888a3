package sqlstore

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/rs/xid"
	"gorm.io/gorm"

	"waybill/internal/job"
)

type deliveryRow struct {
	ID            string  `gorm:"column:id;primaryKey"`
	AccountID     int64   `gorm:"column:account_id"`
	ConfigID      int64   `gorm:"column:config_id"`
	JobID         *string `gorm:"column:job_id"`
	Kind          string  `gorm:"column:kind"`
	Event         string  `gorm:"column:event"`
	Target        string  `gorm:"column:target"`
	Method        string  `gorm:"column:method"`
	Headers       string  `gorm:"column:headers"` // sealed
	Sealed        string  `gorm:"column:sealed"`
	Change        string  `gorm:"column:change"` // JSON of job.StatusChange, or ''
	Body          string  `gorm:"column:body"`
	AttachLog     bool    `gorm:"column:attach_log"`
	Source        string  `gorm:"column:source"`
	Key           string  `gorm:"column:source_key"`
	Status        string  `gorm:"column:status"`
	Round         int     `gorm:"column:round"`
	Attempts      int     `gorm:"column:attempts"`
	RoundAttempts int     `gorm:"column:round_attempts"`
	RoundAt       *int64  `gorm:"column:round_at"`
	NextAt        *int64  `gorm:"column:next_at"`
	Code          int     `gorm:"column:code"`
	Error         string  `gorm:"column:error"`
	CreatedAt     int64   `gorm:"column:created_at;autoCreateTime:false"`
	FinishedAt    *int64  `gorm:"column:finished_at"`
	WrittenAt     int64   `gorm:"column:written_at"`
	Door          string  `gorm:"column:door"`
}

func (deliveryRow) TableName() string { return "deliveries" }

var deliveryColumns = columnsOf[deliveryRow]("")

func toDeliveryRow(d job.Delivery) deliveryRow {
	row := deliveryRow{
		ID: d.ID, AccountID: d.AccountID, ConfigID: d.ConfigID, Kind: string(d.Kind), Event: d.Event, Target: d.Target,
		Method: d.Method, Headers: d.Headers, Sealed: d.Sealed, Body: clean(d.Body), AttachLog: d.AttachLog,
		Source: d.Source, Key: d.Key, Status: string(d.Status), Round: d.Round, Attempts: d.Attempts,
		RoundAttempts: d.RoundAttempts, RoundAt: microsOrNull(d.RoundAt), NextAt: microsOrNull(d.NextAt), Code: d.Code,
		Error: clean(d.Error), CreatedAt: micros(d.CreatedAt), FinishedAt: microsOrNull(d.FinishedAt), WrittenAt: micros(d.CreatedAt), Door: d.Door,
	}
	if d.JobID != "" {
		id := string(d.JobID)
		row.JobID = &id
	}
	if d.Change != (job.StatusChange{}) {
		row.Change = toJSON(d.Change)
	}
	return row
}

func (r deliveryRow) delivery() (job.Delivery, error) {
	d := job.Delivery{
		ID: r.ID, AccountID: r.AccountID, ConfigID: r.ConfigID, Kind: job.DeliveryKind(r.Kind), Event: r.Event, Target: r.Target,
		Method: r.Method, Headers: r.Headers, Sealed: r.Sealed, Body: r.Body, AttachLog: r.AttachLog, Source: r.Source, Key: r.Key,
		Status: job.DeliveryStatus(r.Status), Round: r.Round, Attempts: r.Attempts, RoundAttempts: r.RoundAttempts,
		RoundAt: timeOrZero(r.RoundAt), NextAt: timeOrZero(r.NextAt), Code: r.Code, Error: r.Error,
		CreatedAt: timeOf(r.CreatedAt), FinishedAt: timeOrZero(r.FinishedAt), Door: r.Door,
	}
	if r.JobID != nil {
		d.JobID = job.ID(*r.JobID)
	}
	return d, fromJSON(r.Change, &d.Change)
}

func noDelivery(id string) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Delivery %s not found", clean(id))
}

// newDeliveryID makes an id as the rest of the product does: 24 hex digits, ordered by time.
func newDeliveryID() string {
	id := xid.New()
	return hex.EncodeToString(id[:])
}

// callbacksInSpec is in the JSON of every spec that has callbacks: most have none and need not be read for it.
const callbacksInSpec = `"callbacks":[`

// announce stores what is to be delivered because of a change, in the change's own transaction: nothing is promised
// that did not happen, and nothing that happened is forgotten.
func announce(tx *gorm.DB, row jobRow, change job.StatusChange) error {
	event := change.CallbackEvent()
	if event == "" {
		return nil
	}
	if strings.Contains(row.Spec, callbacksInSpec) {
		var spec job.Spec
		if err := fromJSON(row.Spec, &spec); err != nil {
			return err
		}
		for _, c := range spec.Callbacks {
			if !c.Wants(event) {
				continue
			}
			d := deliveryOf(row, change, event)
			d.Kind, d.Target, d.Method, d.Sealed = job.DeliveryWebhook, c.URL, "POST", c.Sealed
			if c.Door != "" { // told apart from a callback of the config to the same address
				d.Door, d.Source, d.Key = c.Door, "door/"+c.Door, row.ID+"/"+event
			}
			if err := insertDelivery(tx, d); err != nil {
				return err
			}
		}
	}
	if !change.Status.Final() {
		return nil
	}
	return announceByMail(tx, row, change, event)
}

func deliveryOf(row jobRow, change job.StatusChange, event string) job.Delivery {
	return job.Delivery{
		ID: newDeliveryID(), AccountID: row.AccountID, ConfigID: row.ConfigID, JobID: job.ID(row.ID), Event: event, Change: change,
		Status: job.DeliveryPending, Round: 1, CreatedAt: timeOf(row.WrittenAt),
	}
}

// insertDelivery stores a delivery, once: a job that a lost worker had started starts a second time.
func insertDelivery(tx *gorm.DB, d job.Delivery) error {
	return insertOr(tx, toDeliveryRow(d), "ON CONFLICT DO NOTHING")
}

// announceByMail stores the mail that a subscription asks for.
func announceByMail(tx *gorm.DB, row jobRow, change job.StatusChange, event string) error {
	sub, found, err := one[subscriptionRow](tx, "SELECT "+subscriptionColumns+" FROM subscriptions WHERE config_id = ?", row.ConfigID)
	if err != nil || !found || !sub.wants(change.Status) || sub.AccountID != row.AccountID {
		return err
	}
	var recipients []string
	if err := fromJSON(sub.Recipients, &recipients); err != nil {
		return err
	}
	d := deliveryOf(row, change, event)
	d.Kind, d.Target, d.AttachLog = job.DeliveryMail, strings.Join(recipients, ", "), sub.AttachLog
	return insertDelivery(tx, d)
}

// EnqueueDelivery is control.DeliveryStore's.
func (s *Store) EnqueueDelivery(ctx context.Context, d job.Delivery) (stored job.Delivery, err error) {
	if err := checkText("url", d.Target, "event", d.Event, "source", d.Source, "key", d.Key, "method", d.Method); err != nil {
		return d, err
	}
	err = s.transact(ctx, func(tx *gorm.DB) error {
		if err := insertDelivery(tx, d); err != nil {
			return err
		}
		row, _, err := one[deliveryRow](tx, "SELECT "+deliveryColumns+
			" FROM deliveries WHERE account_id = ? AND source = ? AND source_key = ?", d.AccountID, d.Source, d.Key)
		if err != nil {
			return err
		}
		stored, err = row.delivery()
		return err
	})
	return stored, err
}

// LastDelivery is control.DeliveryStore's.
func (s *Store) LastDelivery(ctx context.Context, account int64, source string) (job.Delivery, bool, error) {
	row, found, err := one[deliveryRow](s.read.WithContext(ctx), "SELECT "+deliveryColumns+` FROM deliveries
		WHERE account_id = ? AND source = ? AND source <> '' ORDER BY created_at DESC, id DESC LIMIT 1`, account, source)
	if err != nil || !found {
		return job.Delivery{}, false, s.fault(ctx, err)
	}
	d, err := row.delivery()
	return d, true, s.fault(ctx, err)
}

// maxDeliveries bounds the list of a job's deliveries, which a config's limits keep far below it.
const maxDeliveries = 500

// Deliveries is control.DeliveryStore's.
func (s *Store) Deliveries(ctx context.Context, account int64, id job.ID) ([]job.Delivery, error) {
	rows, err := many[deliveryRow](s.read.WithContext(ctx), "SELECT "+deliveryColumns+` FROM deliveries
		WHERE job_id = ? AND account_id = ? ORDER BY created_at, id LIMIT ?`, string(id), account, maxDeliveries)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list, err := all(rows, deliveryRow.delivery)
	return list, s.fault(ctx, err)
}

// Delivery is control.DeliveryStore's.
func (s *Store) Delivery(ctx context.Context, account int64, id string) (job.Delivery, error) {
	if !job.ValidID(id) {
		return job.Delivery{}, noDelivery(id)
	}
	row, found, err := one[deliveryRow](s.read.WithContext(ctx),
		"SELECT "+deliveryColumns+" FROM deliveries WHERE id = ? AND account_id = ?", id, account)
	if err != nil {
		return job.Delivery{}, s.fault(ctx, err)
	}
	if !found {
		return job.Delivery{}, noDelivery(id)
	}
	d, err := row.delivery()
	return d, s.fault(ctx, err)
}

type deliveryAttemptRow struct {
	Number   int    `gorm:"column:number"`
	Round    int    `gorm:"column:round"`
	At       int64  `gorm:"column:at"`
	Duration int64  `gorm:"column:duration"` // nanoseconds
	Code     int    `gorm:"column:code"`
	Error    string `gorm:"column:error"`
	Reply    string `gorm:"column:reply"`
}

func (r deliveryAttemptRow) attempt() (job.DeliveryAttempt, error) {
	return job.DeliveryAttempt{
		Number: r.Number, Round: r.Round, At: timeOf(r.At), Duration: time.Duration(r.Duration), Code: r.Code, Error: r.Error, Reply: r.Reply,
	}, nil
}

// DeliveryAttempts is control.DeliveryStore's.
func (s *Store) DeliveryAttempts(ctx context.Context, account int64, id string) ([]job.DeliveryAttempt, error) {
	rows, err := many[deliveryAttemptRow](s.read.WithContext(ctx), "SELECT "+columnsOf[deliveryAttemptRow]("a.")+`
		FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id
		WHERE a.delivery_id = ? AND d.account_id = ? ORDER BY a.number DESC LIMIT ?`, id, account, maxDeliveries)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	return all(rows, deliveryAttemptRow.attempt)
}

// Redeliver is control.DeliveryStore's.
func (s *Store) Redeliver(ctx context.Context, account int64, id string, at time.Time) (d job.Delivery, err error) {
	if !job.ValidID(id) {
		return d, noDelivery(id)
	}
	err = s.transact(ctx, func(tx *gorm.DB) error {
		row, found, err := one[deliveryRow](tx, `
			UPDATE deliveries SET status = 'pending', round = round + 1, round_attempts = 0, round_at = NULL, next_at = NULL,
				finished_at = NULL, written_at = ?
			WHERE id = ? AND account_id = ? AND status IN ('delivered', 'failed') RETURNING `+deliveryColumns,
			micros(at), id, account)
		if err != nil {
			return err
		}
		if !found {
			if _, found, err = one[string](tx, "SELECT id FROM deliveries WHERE id = ? AND account_id = ?", id, account); err != nil {
				return err
			}
			if !found {
				return noDelivery(id)
			}
			return job.Errorf(job.Conflict, job.WordDeliveryActive, "Delivery %s is still being tried", id)
		}
		d, err = row.delivery()
		return err
	})
	return d, err
}
