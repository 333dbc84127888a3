package native

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// auditResponse is an entry of the audit log (native.md, 3).
type auditResponse struct {
	ID           string        `json:"id"`
	Timestamp    string        `json:"timestamp"`
	Actor        string        `json:"actor" doc:"Name of the user; cli: and a name for a command on the server's machine; empty for a sign-in under a name that nobody has"`
	ActorID      string        `json:"actorId,omitempty"`
	Action       string        `json:"action" doc:"Such as jobconfig.update; docs/audit.md lists them"`
	ResourceType string        `json:"resourceType"`
	ResourceID   string        `json:"resourceId"`
	Address      string        `json:"address" doc:"Of the client"`
	Result       string        `json:"result" enum:"ok,denied,failed"`
	Reason       string        `json:"reason,omitempty" doc:"Code of the error, where the result is not ok"`
	RequestID    string        `json:"requestId,omitempty"`
	TraceID      string        `json:"traceId,omitempty"`
	Count        int           `json:"count" doc:"Like acts that the entry stands for"`
	Credential   string        `json:"credential,omitempty" enum:"login,apikey,job,session,basic" doc:"What the call showed"`
	CredentialID string        `json:"credentialId,omitempty" doc:"Id of the login, the API key, the job whose token it was, or the session"`
	Changes      []auditChange `json:"changes,omitempty" doc:"Sensitive fields before and after; of secrets only that they changed"`
}

type auditChange struct {
	Field  string `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

type (
	auditListInput   struct{ ListParams }
	auditListReply   struct{ Body Page[auditResponse] }
	auditExportInput struct {
		ListParams
		Format string `query:"format" doc:"ndjson (if not given) or csv"`
	}
)

// auditSpec is the list of entries: newest first.
var auditSpec = listSpec{order: job.Sort{Property: "timestamp", Desc: true}, columns: []string{"actor", "action", "resourceId", "address"}}

func (d *door) auditRoutes() {
	op := func(path, summary string) huma.Operation {
		return huma.Operation{Method: "GET", Path: path, Summary: summary, Tags: []string{"Audit"}}
	}
	operation(d, bearer, op("/audit", "List the audit log of the account, newest entry first (admins)"), d.listAudit)
	export := op("/audit/export", "Download the audit log of the account, oldest entry first (admins)")
	export.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/x-ndjson": {}, "text/csv": {},
	}}}
	operation(d, bearer, export, d.exportAudit)
}

func (d *door) listAudit(ctx context.Context, in *auditListInput) (*auditListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, auditSpec)
	if err != nil {
		return nil, err
	}
	if in.Offset == "" && !l.keyset { // nothing counts a log that only grows
		l.keyset, l.query.Keyset = true, true
		l.bind(c.Request)
	}
	list, err := d.server.Audit.List(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	return &auditListReply{envelope(d, c.style, l, list, c.audit)}, nil
}

func (s style) audit(e job.AuditEntry) auditResponse {
	shown := auditResponse{
		ID: strconv.FormatInt(e.ID, 10), Timestamp: s.date(e.Time), Actor: e.Actor, Action: e.Action, ResourceType: e.ResourceType,
		ResourceID: e.ResourceID, Address: e.Address, Result: string(e.Result), Reason: string(e.Reason), RequestID: e.Request,
		TraceID: e.Trace, Count: e.Count, Credential: e.Credential.Kind, CredentialID: e.Credential.ID,
	}
	if e.ActorID != 0 {
		shown.ActorID = strconv.FormatInt(e.ActorID, 10)
	}
	for _, c := range e.Changes {
		shown.Changes = append(shown.Changes, auditChange(c))
	}
	return shown
}

func (d *door) exportAudit(ctx context.Context, in *auditExportInput) (*streamReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, auditSpec)
	if err != nil {
		return nil, err
	}
	format, kind := control.AuditNDJSON, "application/x-ndjson"
	switch in.Format {
	case "", string(control.AuditNDJSON):
	case string(control.AuditCSV):
		format, kind = control.AuditCSV, "text/csv; charset=utf-8"
	default:
		return nil, invalid("format is ndjson or csv")
	}
	write, err := d.server.Audit.Export(c.Actor, l.query.Where, format)
	if err != nil {
		return nil, err
	}
	return &streamReply{func(hc huma.Context) {
		g := api.Gin(hc)
		g.Writer.Header().Set("Content-Type", kind)
		g.Writer.Header().Set("Content-Disposition", "attachment; filename=audit."+string(format))
		out := api.NewStream(g.Writer)
		defer out.Done()
		if err := write(ctx, out); err != nil {
			if !g.Writer.Written() {
				d.server.Fail(g, err)
				return
			}
			c.ended(ctx, err)
			panic(http.ErrAbortHandler) // part of the log must not look like all of it
		}
	}}, nil
}
