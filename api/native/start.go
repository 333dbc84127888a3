package native

import (
	"context"
	"net/http"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// jobRequest is the vendor's JobRequest.
type jobRequest struct {
	Runtime   member[jobRuntimeRequest] `json:"runtimeConfig" doc:"Laid over the config's for this job; macros by key"`
	JobFiles  member[map[string]string] `json:"jobFiles" doc:"Name and text of files laid into LOCAL_JOB_SPEC_DIR"`
	Tags      member[[]string]          `json:"tags"`
	Macrosets member[[]string]          `json:"macrosets" doc:"Not supported yet"`
}

// jobRuntimeRequest is the part of runtimeConfig that a start or a retry may set for its one job.
type jobRuntimeRequest struct {
	PackageName     member[string]           `json:"packageName"`
	PackageVersion  member[int64]            `json:"packageVersion"`
	EntryPoint      member[string]           `json:"entryPoint"`
	LogLevel        member[string]           `json:"logLevel"`
	Macros          member[[]macroRequest]   `json:"macros"`
	InMessages      member[[]messageRequest] `json:"inMessages" doc:"In place of the config's"`
	OutMessageNames member[[]string]         `json:"outMessageNames" doc:"In place of the config's"`

	Resources member[resourcesRequest] `json:"resources" doc:"Laid over the config's member by member"`
}

// retryRequest is the body of POST /jobs/{id}/retry (native.md, 7).
type retryRequest struct {
	Scope     member[string]            `json:"scope" doc:"all, failed_step or failed_records; all if not given"`
	RecordIDs member[[]string]          `json:"recordIds"`
	Runtime   member[jobRuntimeRequest] `json:"runtimeConfig"`
	Package   member[string]            `json:"package" doc:"original: the version the job ran, if not given; latest: the newest. runtimeConfig.packageVersion goes before it"`
	Force     member[bool]              `json:"force" doc:"Also while another retry of the job is not final"`
}

type (
	StartParams struct {
		IdempotencyKey string `header:"Idempotency-Key" doc:"The same key within 24 hours gives the same job"`
		Wait           string `query:"wait" doc:"How long to hold the reply until the job is final: 30s, PT30S or 30; 5 minutes at most"`
	}
	startInput struct {
		ConfigPath
		StartParams
		Ordered flag `query:"ordered" doc:"true: this job waits for the jobs that are in the lane of its config"`
		JSON    optionalBody[jobRequest]
	}
	retryInput struct {
		JobPath
		StartParams
		JSON optionalBody[retryRequest]
	}
	startReply struct {
		Status   int
		Location string `header:"Location"`
		Replayed string `header:"Idempotency-Replayed"`
		Skipped  string `header:"X-Waybill-Skipped" doc:"true: no job was made, because the config's concurrency says skip; this one is there already"`
		Body     jobResponse
	}
)

func (d *door) startJob(ctx context.Context, in *startInput) (*startReply, error) {
	c := d.call(ctx)
	request, wait, err := in.submit(c)
	if err != nil {
		return nil, err
	}
	made, err := d.server.Jobs.Submit(ctx, c.Actor, request)
	if err != nil {
		return nil, err
	}
	return d.started(ctx, c, made, wait)
}

func (in *startInput) submit(c call) (control.SubmitRequest, time.Duration, error) {
	r := control.SubmitRequest{
		Config: in.ID, Files: in.JSON.Value.JobFiles.Value, Tags: in.JSON.Value.Tags.Value, Caller: job.Caller{Request: c.Brought()},
	}
	wait, err := waitParam(in.Wait)
	if err != nil {
		return r, 0, err
	}
	if r.Ordered, err = boolParam("ordered", in.Ordered); err != nil {
		return r, 0, err
	}
	if len(in.JSON.Value.Macrosets.Value) > 0 {
		return r, 0, notYet("macrosets")
	}
	if r.IdempotencyKey, err = presentKey(c.Request); err != nil {
		return r, 0, err
	}
	r.Overrides, err = in.JSON.Value.Runtime.Value.overrides()
	return r, wait, err
}

// overrides turns the members that were sent into overrides; null is as if a member was not sent, since a job can not
// have less than its config.
func (r jobRuntimeRequest) overrides() (control.Overrides, error) {
	var o control.Overrides
	o.PackageName, o.EntryPoint, o.LogLevel = sent(r.PackageName), sent(r.EntryPoint), sent(r.LogLevel)
	if v := sent(r.PackageVersion); v != nil {
		version, err := wholeNumber("runtimeConfig.packageVersion", *v)
		if err != nil {
			return o, err
		}
		o.PackageVersion = &version
	}
	o.Macros = macrosOf(r.Macros.Value)
	if in := sent(r.InMessages); in != nil {
		messages := messagesOf(*in)
		o.InMessages = &messages
	}
	o.OutMessageNames = sent(r.OutMessageNames)
	return o, r.Resources.Value.lay(r.Resources, &o.Resources)
}

func sent[T any](m member[T]) *T {
	if !m.Set || m.Null {
		return nil
	}
	return &m.Value
}

// started answers an accepted job: 202, or 200 when the caller waited and saw its end.
func (d *door) started(ctx context.Context, c call, made control.Submitted, wait time.Duration) (*startReply, error) {
	reply := &startReply{Status: http.StatusAccepted}
	j := made.Job
	if made.Skipped {
		reply.Status, reply.Skipped = http.StatusOK, "true"
	}
	if wait > 0 && !j.Status.Final() {
		now, err := d.held(ctx, c.Actor, string(j.ID), wait)
		switch {
		case err == nil:
			j = now
		case ctx.Err() != nil:
			return nil, err
		default:
			// The job is accepted whatever became of the waiting; the caller must learn its id.
			c.Blame(err)
		}
	}
	if wait > 0 && j.Status.Final() {
		reply.Status = http.StatusOK
	}
	if made.Replayed {
		reply.Replayed = "true"
	}
	reply.Body = c.job(j)
	reply.Location = reply.Body.Href
	return reply, nil
}

func (d *door) retryJob(ctx context.Context, in *retryInput) (*startReply, error) {
	c := d.call(ctx)
	wait, err := waitParam(in.Wait)
	if err != nil {
		return nil, err
	}
	body := in.JSON.Value
	r := control.RetryRequest{
		Job: in.ID, Scope: job.RetryScope(body.Scope.Value), RecordIDs: body.RecordIDs.Value, Force: body.Force.Value,
		Package: control.PackageChoice(body.Package.Value), Caller: job.Caller{Request: c.Brought()},
	}
	if r.IdempotencyKey, err = presentKey(c.Request); err != nil {
		return nil, err
	}
	if r.Overrides, err = body.Runtime.Value.overrides(); err != nil {
		return nil, err
	}
	made, err := d.server.Jobs.Retry(ctx, c.Actor, r)
	if err != nil {
		return nil, err
	}
	return d.started(ctx, c, made, wait)
}
