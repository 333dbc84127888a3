package sqlstore

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

type auditRow struct {
	ID           int64   `gorm:"column:id"`
	AccountID    int64   `gorm:"column:account_id"`
	At           int64   `gorm:"column:at"`
	ActorID      int64   `gorm:"column:actor_id"`
	Actor        string  `gorm:"column:actor"`
	Action       string  `gorm:"column:action"`
	ResourceType string  `gorm:"column:resource_type"`
	ResourceID   string  `gorm:"column:resource_id"`
	Address      string  `gorm:"column:address"`
	Request      string  `gorm:"column:request"`
	Trace        string  `gorm:"column:trace"`
	Result       string  `gorm:"column:result"`
	Reason       string  `gorm:"column:reason"`
	Changes      string  `gorm:"column:changes"`
	Count        int     `gorm:"column:acts"`
	Credential   *string `gorm:"column:credential"`
	CredentialID *string `gorm:"column:credential_id"`
}

var auditListing = listing{
	from: "audit_log", columns: columnsOf[auditRow](""), id: "id", idKind: kindID,
	order: []job.Sort{{Property: "timestamp", Desc: true}},
	props: map[string]property{
		"id":           {kind: kindID, column: "id"},
		"timestamp":    {kind: kindTime, column: "at"},
		"actor":        {kind: kindText, column: "actor", folded: "lower(actor)"},
		"actorId":      {kind: kindID, column: "actor_id"},
		"action":       {kind: kindText, column: "action"},
		"resourceType": {kind: kindText, column: "resource_type"},
		"resourceId":   {kind: kindText, column: "resource_id", folded: "lower(resource_id)"},
		"address":      {kind: kindText, column: "address"},
		"result":       {kind: kindText, column: "result"},
		"reason":       {kind: kindText, column: "reason"},
		"requestId":    {kind: kindText, column: "request", folded: "lower(request)"},
		"traceId":      {kind: kindText, column: "trace"},
		"credential":   {kind: kindText, column: "credential", null: true},
		"credentialId": {kind: kindText, column: "credential_id", null: true},
	},
}

// maxAuditText bounds what of a call's own words is kept, in bytes: anybody may send any.
const maxAuditText = 512

func auditText(s string) string {
	s = clean(s)
	if len(s) <= maxAuditText {
		return s
	}
	s = s[:maxAuditText]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// insertAudit stores an entry. The database numbers it. An act without a credential names none of the columns of migration 26: tables
// that have been taken back before it keep the entry of that, too.
func insertAudit(tx *gorm.DB, e job.AuditEntry) error {
	changes := ""
	if len(e.Changes) > 0 {
		changes = clean(toJSON(e.Changes))
	}
	columns, marks := "", ""
	values := []any{
		e.AccountID, micros(e.Time), e.ActorID, auditText(e.Actor), e.Action, e.ResourceType, auditText(e.ResourceID), auditText(e.Address),
		auditText(e.Request), auditText(e.Trace), string(e.Result), string(e.Reason), changes, max(e.Count, 1),
	}
	if e.Credential.Kind != "" || e.Credential.ID != "" {
		columns, marks = ", credential, credential_id", ", ?, ?"
		values = append(values, textOrNull(e.Credential.Kind), textOrNull(auditText(e.Credential.ID)))
	}
	_, err := run(tx, `INSERT INTO audit_log (account_id, at, actor_id, actor, action, resource_type, resource_id, address, request, trace, result, reason, changes, acts`+columns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?`+marks+`)`, values...)
	return err
}

// audited makes a transaction store the entry of the act it is part of, if there is one that is not stored yet.
func (s *Store) audited(ctx context.Context, fn func(tx *gorm.DB) error) (with func(tx *gorm.DB) error, done func()) {
	trail := control.TrailOf(ctx)
	if trail == nil {
		return fn, func() {}
	}
	stored := false
	with = func(tx *gorm.DB) error {
		stored = false
		if err := fn(tx); err != nil {
			return err
		}
		for _, e := range trail.Pending() {
			e.Time = s.now()
			if err := insertAudit(tx, e); err != nil {
				return err
			}
			stored = true
		}
		return nil
	}
	return with, func() {
		if stored {
			trail.Written()
		}
	}
}

// AddAudit is control.AuditStore's.
func (s *Store) AddAudit(ctx context.Context, entries []job.AuditEntry) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		for _, e := range entries {
			if err := insertAudit(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Audit is control.AuditStore's.
func (s *Store) Audit(ctx context.Context, q job.Query, everybody bool) (job.List[job.AuditEntry], error) {
	scope := scoped(job.Scope{AccountID: q.Scope.AccountID})
	if everybody {
		scope = always
	}
	return list(ctx, s, auditListing, q, scope, auditRow.entry)
}

func (r auditRow) entry() (job.AuditEntry, error) {
	e := job.AuditEntry{
		ID: r.ID, AccountID: r.AccountID, Time: timeOf(r.At), ActorID: r.ActorID, Actor: r.Actor, Action: r.Action,
		ResourceType: r.ResourceType, ResourceID: r.ResourceID, Address: r.Address, Request: r.Request, Trace: r.Trace,
		Result: job.AuditResult(r.Result), Reason: job.Word(r.Reason), Count: r.Count,
		Credential: job.Credential{Kind: textOrEmpty(r.Credential), ID: textOrEmpty(r.CredentialID)},
	}
	if r.Changes == "" {
		return e, nil
	}
	return e, json.Unmarshal([]byte(r.Changes), &e.Changes)
}

// PurgeAudit is control.AuditStore's. It goes by the index of each account's times: entries are numbered about in the order of their times
// only, and those of a clock that was once far ahead must not stand before all that came after.
func (s *Store) PurgeAudit(ctx context.Context, before time.Time) (total int64, err error) {
	accounts, err := many[int64](s.background.read.WithContext(ctx), `WITH RECURSIVE a (id) AS (
			SELECT min(account_id) FROM audit_log
			UNION ALL SELECT (SELECT min(account_id) FROM audit_log WHERE account_id > a.id) FROM a WHERE a.id IS NOT NULL)
		SELECT id FROM a WHERE id IS NOT NULL`)
	if err != nil {
		return 0, s.fault(ctx, err)
	}
	for _, account := range accounts {
		for gone := int64(purgeBatch); gone == purgeBatch; total += gone {
			err := s.transactLater(ctx, func(tx *gorm.DB) (err error) {
				gone, err = run(tx, "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE account_id = ? AND at < ? ORDER BY at, id LIMIT ?)",
					account, micros(before), purgeBatch)
				return err
			})
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// auditSubmit says which job a start came to: a new one, that of an earlier call, or one that was there already.
func auditSubmit(ctx context.Context, sub control.Submission, stored job.Job) {
	trail := control.TrailOf(ctx)
	if trail == nil {
		return
	}
	trail.About("job", string(stored.ID))
	changes := []job.AuditChange{{Field: "jobConfig", After: strconv.FormatInt(stored.ConfigID, 10)}}
	if sub.Job.RetryOf != "" {
		changes = append(changes, job.AuditChange{Field: "retryOf", After: string(sub.Job.RetryOf)})
	}
	if stored.ID != sub.Job.ID {
		changes = append(changes, job.AuditChange{Field: "made", After: "no: it was there"})
	}
	trail.Changed(changes)
}

// auditMade says what an act has made, once the database has numbered it.
func auditMade(ctx context.Context, kind string, id int64) {
	control.TrailOf(ctx).About(kind, strconv.FormatInt(id, 10))
}

// auditRevoked names a key that was revoked, and those that were made with it and ended with it.
func auditRevoked(ctx context.Context, ids, names []string) {
	trail := control.TrailOf(ctx)
	trail.About("apikey", ids...)
	field := "name"
	if len(names) > 1 {
		field = "names"
	}
	text := []rune(strings.Join(names, ", "))
	if len(text) > maxAuditText {
		text = append(text[:maxAuditText], []rune("...")...)
	}
	trail.Changed([]job.AuditChange{{Field: field, Before: string(text)}})
}
