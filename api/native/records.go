package native

import (
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"waybill/internal/job"
)

type (
	errorsInput struct {
		JobPath
		ListParams
		Resolved flag `query:"resolved" doc:"true: resolved errors only; false: open ones only"`
	}
	errorsReply   struct{ Body Page[errorResponse] }
	errorResponse struct {
		RecordID       string     `json:"recordId"`
		Step           string     `json:"step,omitempty"`
		Attempt        int        `json:"attempt"`
		Code           string     `json:"code,omitempty"`
		Message        string     `json:"message,omitempty"`
		TraceKey       string     `json:"traceKey,omitempty"`
		Occurred       string     `json:"occurred,omitempty"`
		Retriable      bool       `json:"retriable" doc:"A retry of scope failed_records would take it: it is open"`
		Resolved       bool       `json:"resolved"`
		ResolvedHow    string     `json:"resolvedHow,omitempty" doc:"user; retry: one brought it through; superseded: a retry raised it again, and it is open there"`
		ResolvedByUser *reference `json:"resolvedByUser,omitempty"`
		ResolvedAt     string     `json:"resolvedAt,omitempty"`
		RetryJob       string     `json:"retryJob,omitempty" doc:"The newest retry that was given the record or raised it again"`
		HasData        bool       `json:"hasData" doc:"The record itself is kept"`
	}
	resolveInput struct {
		JobPath
		JSON body[resolveRequest]
	}
	resolveRequest struct {
		RecordIDs member[[]string] `json:"recordIds"`
		All       member[bool]     `json:"all" doc:"In place of recordIds: every open error of the job"`
	}
	resolveReply struct {
		Body struct {
			Resolved int64 `json:"resolved" doc:"How many were open"`
		}
	}
	RecordPath struct {
		JobPath
		RecordID string `path:"recordId"`
	}
	dataInput    struct{ RecordPath }
	setDataInput struct {
		RecordPath
		JSON body[dataRequest]
	}
	dataRequest struct {
		Data member[jsonValue] `json:"data" doc:"Any JSON: the record the next retry sends"`
	}
	dataReply    struct{ Body dataResponse }
	dataResponse struct {
		RecordID string          `json:"recordId"`
		Data     json.RawMessage `json:"data"`
		Rev      int             `json:"rev" doc:"Counts the versions of the record, from 1"`
	}
)

// jsonValue is any JSON, kept as it was sent.
type jsonValue []byte

// UnmarshalJSONFrom takes the value as it is.
func (v *jsonValue) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	*v = jsonValue(raw.Clone())
	return err
}

// Schema documents the value as anything.
func (jsonValue) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

func (d *door) recordRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Records"}}
	}
	operation(d, bearer, op("GET", "/jobs/{id}/errors", "List the records a job could not bring through"), d.listErrors)
	operation(d, bearer, op("POST", "/jobs/{id}/errors/resolve", "Say of record errors that they are dealt with"), d.resolveErrors)
	operation(d, bearer, op("GET", "/jobs/{id}/errors/{recordId}/data", "Get a record as the next retry would send it"), d.errorData)
	operation(d, bearer, op("PUT", "/jobs/{id}/errors/{recordId}/data", "Replace the record the next retry sends"), d.setErrorData)
}

func (d *door) listErrors(ctx context.Context, in *errorsInput) (*errorsReply, error) {
	c := d.call(ctx)
	spec := listSpec{
		order: job.Sort{Property: "occurred"}, columns: []string{"recordId", "code", "message", "traceKey"},
	}
	if in.Resolved != "" {
		resolved, err := boolParam("resolved", in.Resolved)
		if err != nil {
			return nil, err
		}
		spec.also = is("resolved", resolved)
	}
	l, err := d.readList(c.Request, in.ListParams, spec)
	if err != nil {
		return nil, err
	}
	list, err := d.server.Jobs.Errors(ctx, c.Actor, in.ID, l.query)
	if err != nil {
		return nil, err
	}
	return &errorsReply{envelope(d, c.style, l, list, c.recordError)}, nil
}

func (s style) recordError(e job.RecordError) errorResponse {
	open := e.Resolved == job.ErrorOpen
	return errorResponse{
		RecordID: e.RecordID, Step: e.Step, Attempt: e.Attempt, Code: e.Code, Message: e.Message, TraceKey: e.TraceKey,
		Occurred: s.date(e.OccurredAt), Retriable: open, Resolved: !open, ResolvedHow: string(e.Resolved),
		ResolvedByUser: s.user(e.ResolvedBy), ResolvedAt: s.date(e.ResolvedAt), RetryJob: string(e.RetryJob), HasData: e.HasData,
	}
}

func (d *door) resolveErrors(ctx context.Context, in *resolveInput) (*resolveReply, error) {
	body := in.JSON.Value
	n, err := d.server.Jobs.ResolveErrors(ctx, d.call(ctx).Actor, in.ID, body.RecordIDs.Value, body.All.Value)
	if err != nil {
		return nil, err
	}
	reply := &resolveReply{}
	reply.Body.Resolved = n
	return reply, nil
}

func (d *door) errorData(ctx context.Context, in *dataInput) (*dataReply, error) {
	data, err := d.server.Jobs.ErrorData(ctx, d.call(ctx).Actor, in.ID, in.RecordID)
	if err != nil {
		return nil, err
	}
	return &dataReply{dataResponse{in.RecordID, data.Data, data.Rev}}, nil
}

func (d *door) setErrorData(ctx context.Context, in *setDataInput) (*dataReply, error) {
	sent := in.JSON.Value.Data
	if !sent.Set {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "data is required")
	}
	value := []byte(sent.Value)
	if sent.Null {
		value = []byte("null")
	}
	data, err := d.server.Jobs.SetErrorData(ctx, d.call(ctx).Actor, in.ID, in.RecordID, value)
	if err != nil {
		return nil, err
	}
	return &dataReply{dataResponse{in.RecordID, data.Data, data.Rev}}, nil
}
