package control

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"time"

	"waybill/internal/job"
)

// AuditStore keeps the audit log. There is no way to change an entry.
type AuditStore interface {
	AddAudit(ctx context.Context, entries []job.AuditEntry) error
	// Audit lists entries of the account of q.Scope; with everybody set, of all and of none.
	Audit(ctx context.Context, q job.Query, everybody bool) (job.List[job.AuditEntry], error)
	// PurgeAudit deletes entries from before the time.
	PurgeAudit(ctx context.Context, before time.Time) (int64, error)
}

// Audit is the audit log: who did what, from where, and how it ended.
type Audit struct {
	Store AuditStore
	Log   *slog.Logger
	Now   Clock

	gate auditGate
}

// auditWithin is how long a call may wait for an entry that no transaction of its own has stored.
const auditWithin = 3 * time.Second

// End closes an act's trail and stores what is not stored. An entry that can not be stored is logged instead: the act is over,
// and that the database is away must not hold the answer up.
func (a *Audit) End(ctx context.Context, t *Trail, err error) {
	if t == nil {
		return
	}
	entries := t.end(err)
	if len(entries) == 0 {
		return
	}
	for i := range entries {
		entries[i].Time = a.Now().UTC().Truncate(time.Microsecond)
	}
	if e := entries[0]; cheap(e) && !a.gate.pass(e) {
		return
	}
	if job.CodeOf(err) == job.Unavailable {
		for _, e := range entries {
			a.tell(ctx, e, err)
		}
		return
	}
	a.write(context.WithoutCancel(ctx), entries)
}

// cheap tells whether an act costs whoever tries it nothing, so that it may come in any number.
func cheap(e job.AuditEntry) bool {
	switch e.Reason {
	case job.WordLockedOut, job.WordRateLimited, job.WordBadCredentials, job.WordUserInactive:
		return true
	}
	return e.Result != job.AuditOK && e.ActorID == 0
}

func (a *Audit) write(ctx context.Context, entries []job.AuditEntry) {
	ctx, done := context.WithTimeout(WithTrail(ctx, nil), auditWithin)
	defer done()
	if err := a.Store.AddAudit(ctx, entries); err != nil {
		for _, e := range entries {
			a.tell(ctx, e, err)
		}
	}
}

// tell logs an entry that is not in the audit log.
func (a *Audit) tell(ctx context.Context, e job.AuditEntry, err error) {
	a.Log.ErrorContext(ctx, "an entry of the audit log could not be stored", "error", err, "action", e.Action, "actor", e.Actor, "account", e.AccountID,
		"resource", e.ResourceType, "resource_id", e.ResourceID, "address", e.Address, "request", e.Request, "result", string(e.Result), "reason", string(e.Reason), "count", e.Count)
}

// Run stores the counts of acts that were too many to be stored one by one, once a minute, until ctx ends.
func (a *Audit) Run(ctx context.Context) {
	ticker := time.NewTicker(gateWindow)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			a.Flush(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
			a.Flush(ctx)
		}
	}
}

// Flush stores the counts now.
func (a *Audit) Flush(ctx context.Context) {
	now := a.Now().UTC().Truncate(time.Microsecond)
	entries := a.gate.take()
	for i := range entries {
		entries[i].Time = now
	}
	if len(entries) > 0 {
		a.write(ctx, entries)
	}
}

// List gives a page of the account's log, to its admins.
func (a *Audit) List(ctx context.Context, by job.Actor, q job.Query) (job.List[job.AuditEntry], error) {
	if err := a.may(by); err != nil {
		return job.List[job.AuditEntry]{}, err
	}
	q.Scope = job.Scope{AccountID: by.AccountID}
	return a.Store.Audit(ctx, q, false)
}

func (a *Audit) may(by job.Actor) error {
	if by.Administers(job.View) {
		return nil
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "The audit log can be read by an admin only")
}

// AuditFormat is how an export is written.
type AuditFormat string

// The formats.
const (
	AuditNDJSON AuditFormat = "ndjson"
	AuditCSV    AuditFormat = "csv"
)

// Export checks that the actor may have the account's log, and gives what writes it, oldest entry first.
func (a *Audit) Export(by job.Actor, where job.Expr, f AuditFormat) (func(ctx context.Context, to io.Writer) error, error) {
	if err := a.may(by); err != nil {
		return nil, err
	}
	q := job.Query{Scope: job.Scope{AccountID: by.AccountID}, Where: where, Sort: []job.Sort{{Property: "timestamp"}}}
	return func(ctx context.Context, to io.Writer) error { return a.export(ctx, q, false, f, to) }, nil
}

// ExportAll writes the log of all accounts, and what belongs to none: for the operator only.
func (a *Audit) ExportAll(ctx context.Context, where job.Expr, f AuditFormat, to io.Writer) error {
	return a.export(ctx, job.Query{Where: where, Sort: []job.Sort{{Property: "id"}}}, true, f, to)
}

// exportPage is how many entries are in memory at once.
const exportPage = 1000

func (a *Audit) export(ctx context.Context, q job.Query, everybody bool, f AuditFormat, to io.Writer) error {
	w := newAuditWriter(f, to)
	q.Keyset, q.Size = true, exportPage
	for {
		page, err := a.Store.Audit(ctx, q, everybody)
		if err != nil {
			return err
		}
		for _, e := range page.Items {
			if err := w.write(e); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil || !page.More {
			return err
		}
		q.After = page.Next
	}
}

// AuditLine is an entry as an export shows it.
type AuditLine struct {
	ID           string            `json:"id"`
	Timestamp    string            `json:"timestamp"`
	Account      string            `json:"account"`
	Actor        string            `json:"actor"`
	ActorID      string            `json:"actorId,omitempty"`
	Action       string            `json:"action"`
	ResourceType string            `json:"resourceType"`
	ResourceID   string            `json:"resourceId"`
	Address      string            `json:"address"`
	Result       string            `json:"result"`
	Reason       string            `json:"reason,omitempty"`
	RequestID    string            `json:"requestId,omitempty"`
	TraceID      string            `json:"traceId,omitempty"`
	Count        int               `json:"count"`
	Changes      []job.AuditChange `json:"changes,omitempty"`
	Credential   string            `json:"credential,omitempty"`
	CredentialID string            `json:"credentialId,omitempty"`
}

func lineOf(e job.AuditEntry) AuditLine {
	l := AuditLine{
		ID: strconv.FormatInt(e.ID, 10), Timestamp: e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), Account: strconv.FormatInt(e.AccountID, 10),
		Actor: e.Actor, Action: e.Action, ResourceType: e.ResourceType, ResourceID: e.ResourceID, Address: e.Address, Result: string(e.Result),
		Reason: string(e.Reason), RequestID: e.Request, TraceID: e.Trace, Count: e.Count, Changes: e.Changes,
		Credential: e.Credential.Kind, CredentialID: e.Credential.ID,
	}
	if e.ActorID != 0 {
		l.ActorID = strconv.FormatInt(e.ActorID, 10)
	}
	return l
}

// auditWriter writes entries in one of the formats.
type auditWriter struct {
	json *json.Encoder
	csv  *csv.Writer
	head bool
}

func newAuditWriter(f AuditFormat, to io.Writer) *auditWriter {
	if f == AuditCSV {
		return &auditWriter{csv: csv.NewWriter(to)}
	}
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	return &auditWriter{json: e}
}

func (w *auditWriter) write(e job.AuditEntry) error {
	l := lineOf(e)
	if w.csv == nil {
		return w.json.Encode(l)
	}
	if err := w.heading(); err != nil {
		return err
	}
	changes := ""
	if len(l.Changes) > 0 {
		text, err := json.Marshal(l.Changes)
		if err != nil {
			return err
		}
		changes = string(text)
	}
	record := []string{
		l.ID, l.Timestamp, l.Account, l.Actor, l.ActorID, l.Action, l.ResourceType, l.ResourceID, l.Address, l.Result, l.Reason,
		l.RequestID, l.TraceID, strconv.Itoa(l.Count), changes, l.Credential, l.CredentialID,
	}
	for i, s := range record {
		record[i] = PlainCell(s)
	}
	return w.csv.Write(record)
}

// PlainCell keeps a spreadsheet from taking what a stranger wrote for a formula (OWASP, CSV injection). A number stays one.
func PlainCell(s string) string {
	if s == "" {
		return s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	switch s[0] {
	case '=', '+', '-', '@', '\t', '\r':
		return "'" + s
	}
	return s
}

func (w *auditWriter) heading() error {
	if w.head {
		return nil
	}
	w.head = true
	return w.csv.Write([]string{
		"id", "timestamp", "account", "actor", "actorId", "action", "resourceType", "resourceId", "address", "result", "reason",
		"requestId", "traceId", "count", "changes", "credential", "credentialId",
	})
}

func (w *auditWriter) flush() error {
	if w.csv == nil {
		return nil
	}
	if err := w.heading(); err != nil { // also over nothing
		return err
	}
	w.csv.Flush()
	return w.csv.Error()
}

// PurgeAudit is the duty that keeps the log as long as asked for.
func PurgeAudit(s AuditStore, keep time.Duration, now Clock) Duty {
	return Duty{Name: "old entries of the audit log", Every: everyPurge, Do: func(ctx context.Context, _ bool) error {
		_, err := s.PurgeAudit(ctx, now().Add(-keep))
		return err
	}}
}
