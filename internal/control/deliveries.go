package control

import (
	"context"
	"strings"
	"time"
	"unicode"

	"waybill/internal/job"
)

// DeliveryStore keeps what is told to those outside. Deliveries about jobs are made by the store itself, in the
// transactions that change the jobs.
type DeliveryStore interface {
	// EnqueueDelivery stores d as pending, unless its source has one with its key; it returns what is stored.
	EnqueueDelivery(ctx context.Context, d job.Delivery) (job.Delivery, error)
	// LastDelivery is the newest of a source.
	LastDelivery(ctx context.Context, account int64, source string) (d job.Delivery, found bool, err error)
	// Deliveries lists those about a job, oldest first.
	Deliveries(ctx context.Context, account int64, id job.ID) ([]job.Delivery, error)
	Delivery(ctx context.Context, account int64, id string) (job.Delivery, error)
	// DeliveryAttempts lists the attempts, newest first.
	DeliveryAttempts(ctx context.Context, account int64, id string) ([]job.DeliveryAttempt, error)
	// Redeliver makes a final delivery pending again, in a new round; another is Conflict, WordDeliveryActive.
	Redeliver(ctx context.Context, account int64, id string, at time.Time) (job.Delivery, error)
}

// Webhooks is how other parts of the product call an address that a user named. *Deliveries has it.
type Webhooks interface {
	// CheckURL refuses an address that can not or must not be called: Invalid.
	CheckURL(url string) error
	// EnqueueWebhook stores a call, which is then made at least once. It may be repeated: a source has one call for a key. What a user
	// chose of it was checked when it was stored (CheckURL, CheckWebhook); what must not be called any more fails as a delivery, where
	// it is seen.
	EnqueueWebhook(ctx context.Context, w Webhook) (job.Delivery, error)
	// LastWebhook is the newest call of a source: its Status, Code and Error tell how it went.
	LastWebhook(ctx context.Context, account int64, source string) (d job.Delivery, found bool, err error)
}

// Webhook is a call to an address that a user named.
type Webhook struct {
	Account int64
	Config  int64
	Job     job.ID // may be empty
	Source  string // who asks, such as "schedule/12"
	Key     string // tells the calls of a source apart, and repeats of one call
	Event   string // as in the header X-Waybill-Event
	URL     string
	Method  string // empty: POST
	Headers string // beside ours: a sealed JSON object, for they often hold credentials; empty: none
	Sealed  string // sealed secret that signs the call; empty: unsigned
	Body    string // as it is sent; empty: {event, deliveryId, timestamp, job}, or nothing with GET
}

// Targets judges addresses (internal/webhook/guard).
type Targets interface {
	CheckURL(url string) error
}

// Deliveries is what can be done with what is told to those outside.
type Deliveries struct {
	Store   DeliveryStore
	Jobs    *Jobs
	Targets Targets
	Now     Clock
	NewID   func() string // 24 hex digits
}

// CheckURL is Webhooks's.
func (s *Deliveries) CheckURL(url string) error { return s.Targets.CheckURL(url) }

// Limits of a call that a user describes.
const (
	maxWebhookHeaders = 20
	maxWebhookHeader  = 4 << 10  // bytes of a value
	maxWebhookBody    = 64 << 10 // bytes
)

// EnqueueWebhook is Webhooks's.
func (s *Deliveries) EnqueueWebhook(ctx context.Context, w Webhook) (job.Delivery, error) {
	if w.Method == "" {
		w.Method = "POST"
	}
	if w.Source == "" || w.Key == "" {
		return job.Delivery{}, job.Errorf(job.Internal, job.WordInternal, "A webhook needs a source and a key")
	}
	d := job.Delivery{
		ID: s.NewID(), AccountID: w.Account, ConfigID: w.Config, JobID: w.Job, Kind: job.DeliveryWebhook, Event: w.Event, Target: w.URL,
		Method: w.Method, Headers: w.Headers, Sealed: w.Sealed, Body: w.Body, Source: w.Source, Key: w.Key,
		Status: job.DeliveryPending, Round: 1, CreatedAt: s.Now().UTC().Truncate(time.Microsecond),
	}
	return s.Store.EnqueueDelivery(ctx, d)
}

// LastWebhook is Webhooks's.
func (s *Deliveries) LastWebhook(ctx context.Context, account int64, source string) (job.Delivery, bool, error) {
	return s.Store.LastDelivery(ctx, account, source)
}

// CheckWebhook checks what of a call a user may choose beside its address.
func CheckWebhook(method string, headers map[string]string, body string) error {
	switch method {
	case "", "POST", "PUT", "PATCH", "GET", "DELETE":
	default:
		return invalidField("method is POST, PUT, PATCH, GET or DELETE")
	}
	if len(headers) > maxWebhookHeaders {
		return invalidField("headers has more than %d entries", maxWebhookHeaders)
	}
	for name, value := range headers {
		if !headerName(name) || len(name) > maxLabel {
			return invalidField("headers: '%s' is not the name of a header", short(name))
		}
		if reserved(name) {
			return invalidField("headers: %s is set by Waybill", short(name))
		}
		if len(value) > maxWebhookHeader || strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII || r < ' ' || r == 0x7f }) {
			return invalidField("headers: the value of %s has at most %d printable ASCII characters", short(name), maxWebhookHeader)
		}
	}
	if len(body) > maxWebhookBody || strings.ContainsRune(body, 0) {
		return invalidField("payload has at most %d bytes and no NUL", maxWebhookBody)
	}
	return nil
}

// headerName tells whether s can be the name of a header (RFC 9110, 5.6.2).
func headerName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// reserved lists the headers that carry the call itself.
func reserved(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "proxy-authorization", "proxy-connection":
		return true
	}
	return strings.HasPrefix(name, "x-waybill-")
}

// List lists what was told of a job, oldest first.
func (s *Deliveries) List(ctx context.Context, a job.Actor, jobRef string) ([]job.Delivery, error) {
	j, err := s.Jobs.Get(ctx, a, jobRef)
	if err != nil {
		return nil, err
	}
	return s.Store.Deliveries(ctx, a.AccountID, j.ID)
}

// Get finds a delivery of a job.
func (s *Deliveries) Get(ctx context.Context, a job.Actor, jobRef, id string) (job.Delivery, error) {
	return s.find(ctx, a, jobRef, id, job.View)
}

func (s *Deliveries) find(ctx context.Context, a job.Actor, jobRef, id string, v job.Verb) (job.Delivery, error) {
	j, err := s.Jobs.For(ctx, a, jobRef, v)
	if err != nil {
		return job.Delivery{}, err
	}
	d, err := s.Store.Delivery(ctx, a.AccountID, id)
	if err == nil && d.JobID != j.ID {
		err = job.Errorf(job.NotFound, job.WordNotFound, "Job %s has no delivery %s", j.ID, short(id))
	}
	return d, err
}

// Attempts lists the attempts of a delivery that Get found, newest first.
func (s *Deliveries) Attempts(ctx context.Context, d job.Delivery) ([]job.DeliveryAttempt, error) {
	return s.Store.DeliveryAttempts(ctx, d.AccountID, d.ID)
}

// Redeliver tries a delivery that has ended once more from the beginning, whatever came of it before.
func (s *Deliveries) Redeliver(ctx context.Context, a job.Actor, jobRef, id string) (job.Delivery, error) {
	d, err := s.find(ctx, a, jobRef, id, job.Execute)
	if err != nil {
		return job.Delivery{}, err
	}
	return s.Store.Redeliver(ctx, a.AccountID, d.ID, s.Now().UTC().Truncate(time.Microsecond))
}
