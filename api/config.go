package api

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/control"
)

// Config is what the server is made of. internal/app fills it.
type Config struct {
	Configs  *control.Configs
	Files    *control.Files
	Jobs     *control.Jobs
	Sessions *control.Sessions
	Keys     *control.APIKeys
	Runs     *control.Runs  // for the DIEM door
	Calls    *control.Calls // the same
	Account  *control.AccountSettings
	// DoorSessions are the logins of the Informatica door.
	DoorSessions *control.DoorSessions
	// SharedSchedules are its schedules.
	SharedSchedules *control.SharedSchedules
	People          *control.People
	// SSO signs people in elsewhere; nil: it does not. SealSignOn and OpenSignOn keep what a browser is to remember meanwhile from
	// being read or made by others.
	SSO        *control.SingleSignOn
	SealSignOn func(text string) string
	OpenSignOn func(sealed string) (string, error)

	Destinations  *control.Destinations
	Workers       *control.Workers
	Places        *control.Places
	Feed          *control.Feed
	Schedules     *control.Schedules
	Deliveries    *control.Deliveries
	Subscriptions *control.Subscriptions
	Audit         *control.Audit
	Policies      *control.Policies
	// TrustedProxies are the proxies whose X-Forwarded-For tells the client's address.
	TrustedProxies []netip.Prefix
	// Presigner makes addresses of objects that clients can reach. nil: they can not reach the object store.
	Presigner control.Presigner
	// Mail tells that mail can be sent.
	Mail bool
	// EventsKept is how long events can be resumed from. 0: for ever.
	EventsKept time.Duration

	// BaseURL is the public address, such as "http://localhost:8080"; every href begins with it. It is a function because
	// a server that listens on port 0 knows its address late.
	BaseURL func() string
	Product Product

	// Limits of calls. The zero value has those of the specifications.
	Limits Limits
	// CursorKey signs list cursors; 32 random bytes, the same on every server that shares a database.
	CursorKey []byte
	// RFC3339 makes RFC 3339 the dates of the native door where a request does not choose (setting api.dates).
	RFC3339 bool

	// Ready checks what the server depends on, for /readyz to tell. A result without an error is fine.
	Ready func(ctx context.Context) []CheckResult
	// Metrics takes the server's own metrics and is what /metrics shows. nil: a registry of its own.
	Metrics *prometheus.Registry

	Log *slog.Logger // faults; nil: slog.Default
	// AccessLog gets one line for each request; nil: none.
	AccessLog *slog.Logger
	Now       control.Clock // nil: time.Now
	// Tracer begins a span for each request; nil: none does.
	Tracer trace.Tracer

	// Draining ends when the server is about to stop: /readyz then answers 503. nil: never.
	Draining context.Context
	// Closing ends when calls that are held (?wait=, followed logs, events) must let go, so that the server can stop.
	// nil: never.
	Closing context.Context
}

// Product is what GET /product/info tells.
type Product struct {
	Name, Version, BuildDate, Copyright string

	Role string // of the process that answers: up or api
}

// CheckResult is one dependency as Ready found it.
type CheckResult struct {
	Name string // "database", "objects", "engine"
	Err  error  // nil: it answers
}

func (c *Config) check() error {
	var faults []error
	need := func(ok bool, what string) {
		if !ok {
			faults = append(faults, errors.New("api: Config."+what+" is missing"))
		}
	}
	need(c.Configs != nil, "Configs")
	need(c.Files != nil, "Files")
	need(c.Jobs != nil, "Jobs")
	need(c.Sessions != nil, "Sessions")
	need(c.Keys != nil, "Keys")
	need(c.Account != nil, "Account")
	need(c.People != nil, "People")
	need(c.Destinations != nil, "Destinations")
	need(c.Workers != nil, "Workers")
	need(c.Places != nil, "Places")
	need(c.Feed != nil, "Feed")
	need(c.Schedules != nil, "Schedules")
	need(c.Deliveries != nil, "Deliveries")
	need(c.Subscriptions != nil, "Subscriptions")
	need(c.Audit != nil, "Audit")
	need(c.Policies != nil, "Policies")
	need(c.BaseURL != nil, "BaseURL")
	need(len(c.CursorKey) >= 16, "CursorKey (at least 16 bytes)")
	return errors.Join(faults...)
}
