package control

import (
	"context"
	"slices"
	"sync"

	"waybill/internal/job"
)

// Trail is the audit entry of an act under way. It travels in the act's context: the first transaction that commits stores it
// with the change (ADR 0015), and whoever began the act ends it, which stores what no transaction has. Methods of a nil Trail do
// nothing: what the system does by itself leaves none.
type Trail struct {
	mu      sync.Mutex
	entry   job.AuditEntry
	ids     []string // of what is acted on
	pending bool
	written bool
}

type trailKey struct{}

// NewTrail begins the trail of an act.
func NewTrail(e job.AuditEntry) *Trail {
	e.Result, e.Count = job.AuditOK, 1
	return &Trail{entry: e, pending: true}
}

// WithTrail puts a trail into a context.
func WithTrail(ctx context.Context, t *Trail) context.Context {
	return context.WithValue(ctx, trailKey{}, t)
}

// TrailOf gives the trail of a context, nil without one.
func TrailOf(ctx context.Context) *Trail {
	t, _ := ctx.Value(trailKey{}).(*Trail)
	return t
}

// aside is for transactions that are not the act itself, such as the count of failed logins: they store no entry.
func aside(ctx context.Context) context.Context {
	if TrailOf(ctx) == nil {
		return ctx
	}
	return WithTrail(ctx, nil)
}

// By says who acts, once it is known.
func (t *Trail) By(account int64, user job.UserRef) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.AccountID, t.entry.ActorID, t.entry.Actor = account, user.ID, user.Name
}

// As is By for somebody who makes a call with credentials, and says with which.
func (t *Trail) As(a job.Actor) {
	if t == nil {
		return
	}
	t.By(a.AccountID, a.User)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.Credential = a.Shown()
}

// Of says to whose account an act belongs that is not one of its users'.
func (t *Trail) Of(account int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.AccountID = account
}

// About says what is acted on; of several things each has an entry of its own. Another thing after a stored entry begins the
// next one.
func (t *Trail) About(kind string, ids ...string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.written && (t.entry.ResourceType != kind || !slices.Equal(t.ids, ids)) {
		t.pending, t.entry.Changes = true, nil
	}
	t.entry.ResourceType, t.ids = kind, ids
}

// Anew begins another entry for what follows, of an act that does one thing after the other.
func (t *Trail) Anew() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.written {
		t.pending, t.entry.Changes = true, nil
	}
}

// Changed replaces what the act changes: a use case that begins anew calls it again.
func (t *Trail) Changed(changes []job.AuditChange) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.Changes = changes
}

// Pending is what no transaction has stored yet.
func (t *Trail) Pending() []job.AuditEntry {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.pending {
		return nil
	}
	return t.entries()
}

func (t *Trail) entries() (list []job.AuditEntry) {
	if len(t.ids) == 0 {
		return []job.AuditEntry{t.entry}
	}
	for _, id := range t.ids {
		e := t.entry
		e.ResourceID = id
		list = append(list, e)
	}
	return list
}

// Written says that what Pending gave is stored.
func (t *Trail) Written() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending, t.written = false, true
}

// end closes the trail with the outcome of the act. It gives what is to be stored yet: of an act that stored nothing, and of one
// that failed after it had stored something.
func (t *Trail) end(err error) []job.AuditEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.pending && err == nil {
		return nil
	}
	t.pending, t.written = false, true
	t.entry.Result, t.entry.Reason = job.AuditResultOf(err)
	return t.entries()
}
