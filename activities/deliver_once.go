package activities

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/mail"
	"waybill/internal/tracing"
	"waybill/internal/webhook"
	"waybill/workflows/contract"
)

// Caller makes calls to addresses that users named (internal/webhook).
type Caller interface {
	Send(ctx context.Context, c webhook.Call) (webhook.Answer, error)
}

// Mailer sends mail (internal/mail).
type Mailer interface {
	Send(ctx context.Context, m mail.Message) error
}

// Jobs reads jobs.
type Jobs interface {
	Job(ctx context.Context, account int64, id job.ID) (job.Job, error)
}

// Logs reads logs.
type Logs interface {
	Size(ctx context.Context, account int64, id job.ID) (int64, error)
	Open(ctx context.Context, account int64, id job.ID, offset, length int64) (io.ReadCloser, error)
}

// DeliverConfig is what deliveries are made with.
type DeliverConfig struct {
	Run     control.DeliveryRun
	Jobs    Jobs
	Logs    Logs
	Secrets Secrets
	Calls   Caller
	Mail    Mailer // nil: mail is not configured
	// Render writes a job as the native door shows it.
	Render func(j job.Job) ([]byte, error)
	// Doors are the forms of calls that clients of other doors expect, by the door's name.
	Doors map[string]DoorCall
	// Link is the address of a job.
	Link func(id job.ID) string
	// Observe counts an attempt: outcome is delivered, retried or failed. May be nil.
	Observe func(kind job.DeliveryKind, outcome string)
	// Tracer makes the spans of attempts; nil: none are made, and the trace of the job is passed on as it is.
	Tracer trace.Tracer
	Now    func() time.Time
	Log    *slog.Logger
}

// Deliveries are the activities that tell those outside.
type Deliveries struct{ cfg DeliverConfig }

// NewDeliveries makes the activities.
func NewDeliveries(c DeliverConfig) *Deliveries {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Observe == nil {
		c.Observe = func(job.DeliveryKind, string) {}
	}
	return &Deliveries{cfg: c}
}

// Register makes the activities known under the names of the contract.
func (d *Deliveries) Register(r Registry) {
	r.RegisterActivityWithOptions(d.DeliverOnce, activity.RegisterOptions{Name: contract.DeliverOnce})
	r.RegisterActivityWithOptions(d.EndDelivery, activity.RegisterOptions{Name: contract.EndDelivery})
}

// Pauses between the attempts of a round, and how long one goes on.
const (
	deliverPause    = time.Second
	deliverMaxPause = 10 * time.Minute
	deliverMaxAsked = time.Hour // more than that is not waited for, whatever the other side asks
	deliverGiveUp   = 24 * time.Hour
)

// DeliverOnce makes one attempt. The idempotency key is the number of the attempt in the row: an attempt whose outcome is
// stored is not stored twice, and one that was made but not stored (the worker died in between) is made again, because
// the other side may not have had it. That is why deliveries carry an id by which repeats are told.
func (d *Deliveries) DeliverOnce(ctx context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	row, err := d.cfg.Run.Delivery(ctx, in.AccountID, in.ID)
	if job.CodeOf(err) == job.NotFound { // deleted with its job
		return contract.DeliverResult{Status: job.DeliveryFailed, Error: "The delivery was deleted"}, nil
	}
	if err != nil {
		return contract.DeliverResult{}, engineError(err)
	}
	if row.Round != in.Round || row.Status.Final() {
		return resultOfDelivery(row), nil
	}
	try := job.DeliveryAttempt{Number: row.Attempts + 1, Round: row.Round, At: d.cfg.Now().UTC().Truncate(time.Microsecond)}
	o := d.attempt(ctx, row, try.Number)
	if ctx.Err() != nil {
		return contract.DeliverResult{}, interrupted("The worker stopped while it delivered")
	}
	if o.ours != nil { // nothing was sent
		return contract.DeliverResult{}, engineError(o.ours)
	}
	try.Duration = d.cfg.Now().Sub(try.At).Truncate(time.Microsecond)
	try.Code, try.Error, try.Reply = o.code, o.fault, o.reply
	status, pause := d.verdict(row, try, o)
	var next time.Time
	if status == job.DeliveryDelivering {
		next = try.At.Add(try.Duration + pause)
	}
	err = d.cfg.Run.RecordAttempt(ctx, row.AccountID, row.ID, try, status, next)
	if err != nil && !isStale(err) {
		return contract.DeliverResult{}, engineError(err)
	}
	row.Status, row.Code, row.Error, row.Attempts = status, try.Code, try.Error, try.Number
	if status == job.DeliveryDelivering {
		d.cfg.Observe(row.Kind, "retried")
		return contract.DeliverResult{}, notDelivered(try.Error, pause)
	}
	d.cfg.Observe(row.Kind, string(status))
	return resultOfDelivery(row), nil
}

// EndDelivery fails a delivery whose workflow ends without an outcome. The idempotency key is the row: a final one, or one
// in another round, stays as it is.
func (d *Deliveries) EndDelivery(ctx context.Context, in contract.EndDeliveryInput) error {
	return engineError(d.cfg.Run.EndDelivery(ctx, in.ID, in.Round, in.Error, d.cfg.Now().UTC()))
}

func resultOfDelivery(row job.Delivery) contract.DeliverResult {
	r := contract.DeliverResult{Status: row.Status, Code: row.Code, Attempts: row.Attempts, Error: row.Error}
	if !row.Status.Final() { // another round took it over
		r.Status, r.Error = job.DeliveryFailed, "A redelivery took its place"
	}
	return r
}

// notDelivered makes Temporal try again after the pause.
func notDelivered(fault string, pause time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(fault, contract.ErrNotDelivered, temporal.ApplicationErrorOptions{
		NextRetryDelay: pause, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// outcome is what came of an attempt.
type outcome struct {
	code  int
	reply string
	fault string        // safe to show; empty: it was taken
	final bool          // another attempt can not help
	asked time.Duration // how long the other side asks to be left alone
	ours  error         // a fault of ours, before anything was sent
}

// verdict says what becomes of the delivery, and how long to pause when another attempt is due.
func (d *Deliveries) verdict(row job.Delivery, try job.DeliveryAttempt, o outcome) (job.DeliveryStatus, time.Duration) {
	switch {
	case o.fault == "":
		return job.DeliveryDelivered, 0
	case o.final:
		return job.DeliveryFailed, 0
	}
	began := row.RoundAt
	if began.IsZero() {
		began = try.At
	}
	pause := max(pauseAfter(row.RoundAttempts+1), min(o.asked, deliverMaxAsked))
	if row.Door != "" {
		pause = doorPause(row.RoundAttempts + 1)
	}
	if try.At.Add(pause).Sub(began) > deliverGiveUp {
		return job.DeliveryFailed, 0
	}
	return job.DeliveryDelivering, pause
}

// pauseAfter is the pause after the nth failure of a round.
func pauseAfter(n int) time.Duration {
	if n > 10 {
		return deliverMaxPause
	}
	return min(deliverPause<<(n-1), deliverMaxPause)
}

func (d *Deliveries) attempt(ctx context.Context, row job.Delivery, number int) (o outcome) {
	var j job.Job
	if row.JobID != "" {
		found, err := d.cfg.Jobs.Job(ctx, row.AccountID, row.JobID)
		if err != nil {
			return outcome{ours: err}
		}
		j = row.Change.Onto(found)
		if row.Change == (job.StatusChange{}) {
			j = found
		}
	}
	ctx, end := d.trace(ctx, row, j, number)
	defer func() { end(o) }()
	if row.Kind == job.DeliveryMail {
		return d.send(ctx, row, j)
	}
	return d.call(ctx, row, j, number)
}

// envelope is the body of a call.
type envelope struct {
	Event      string          `json:"event"`
	DeliveryID string          `json:"deliveryId"`
	Timestamp  string          `json:"timestamp"`
	Job        json.RawMessage `json:"job,omitempty"`
}

// body makes what is sent, once: every attempt sends the same bytes.
func (d *Deliveries) body(ctx context.Context, row job.Delivery, j job.Job) (string, error) {
	if row.Body != "" || row.Method == "GET" {
		return row.Body, nil
	}
	if row.Door != "" {
		text, err := d.doorBody(ctx, row, j)
		if err != nil {
			return "", err
		}
		return d.cfg.Run.KeepBody(ctx, row.AccountID, row.ID, text)
	}
	e := envelope{Event: row.Event, DeliveryID: row.ID, Timestamp: row.CreatedAt.UTC().Format("2006-01-02T15:04:05.000000Z")}
	if row.JobID != "" {
		var err error
		if e.Job, err = d.cfg.Render(j); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	return d.cfg.Run.KeepBody(ctx, row.AccountID, row.ID, string(text))
}

func (d *Deliveries) call(ctx context.Context, row job.Delivery, j job.Job, number int) outcome {
	body, err := d.body(ctx, row, j)
	if err != nil {
		return outcome{ours: err}
	}
	header := map[string]string{}
	if kind := contentType(body); kind != "" {
		header["Content-Type"] = kind
	}
	if at := tracing.Of(ctx); at.Parent != "" {
		header["Traceparent"] = at.Parent
		if at.State != "" {
			header["Tracestate"] = at.State
		}
	}
	if err := d.ownHeaders(row, header); err != nil {
		return outcome{ours: err}
	}
	header["X-Waybill-Delivery"], header["X-Waybill-Event"] = row.ID, row.Event
	header["X-Waybill-Attempt"] = strconv.Itoa(number)
	if row.Sealed != "" {
		secret, err := d.cfg.Secrets.Open(row.Sealed)
		if err != nil {
			return outcome{fault: "The secret was sealed with another master key", final: true}
		}
		header["X-Waybill-Signature"] = Sign(secret, body)
	}
	call := webhook.Call{URL: row.Target, Method: row.Method, Header: header, Body: body}
	if row.Door != "" {
		call.Timeout = doorPatience
	}
	answer, err := d.cfg.Calls.Send(ctx, call)
	if err != nil {
		o := outcome{fault: "The call failed"}
		var fault *webhook.Fault
		if errors.As(err, &fault) {
			o.fault, o.final = fault.Text, fault.Final
		}
		return o
	}
	if row.Door != "" {
		return doorOutcome(answer)
	}
	return outcomeOf(answer)
}

// contentType is what a body is sent as unless its own headers tell; a user's payload need not be JSON.
func contentType(body string) string {
	switch {
	case body == "":
		return ""
	case json.Valid([]byte(body)):
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// Sign is the value of the header X-Waybill-Signature: the HMAC of the body, byte for byte, under the secret.
func Sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func (d *Deliveries) ownHeaders(row job.Delivery, header map[string]string) error {
	if row.Headers == "" {
		return nil
	}
	text, err := d.cfg.Secrets.Open(row.Headers)
	if err != nil {
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The headers were sealed with another master key")
	}
	var own map[string]string
	if err := json.Unmarshal([]byte(text), &own); err != nil {
		return err
	}
	for name, value := range own {
		header[http.CanonicalHeaderKey(name)] = value // in place of ours, however it is written
	}
	return nil
}

// outcomeOf judges a status code. What may pass is tried again; what the other side refuses for good is not.
func outcomeOf(a webhook.Answer) outcome {
	o := outcome{code: a.Code, reply: a.Reply, asked: a.RetryAfter}
	switch {
	case a.Code >= 200 && a.Code < 300:
		return o
	case a.Code >= 300 && a.Code < 400:
		o.fault, o.final = fmt.Sprintf("HTTP %d: redirects are not followed", a.Code), true
	case a.Code == 408, a.Code == 425, a.Code == 429, a.Code >= 500:
		o.fault = fmt.Sprintf("HTTP %d", a.Code)
	default:
		o.fault, o.final = fmt.Sprintf("HTTP %d", a.Code), true
	}
	return o
}
