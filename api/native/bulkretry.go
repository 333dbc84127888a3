package native

import (
	"context"

	"waybill/internal/control"
	"waybill/internal/job"
)

type (
	bulkRetryInput struct {
		IdempotencyKey string `header:"Idempotency-Key" doc:"A repeat with the same key finds the retries that the first call made"`
		JSON           body[bulkRetryRequest]
	}
	// bulkRetryRequest is the body of POST /jobs/retry (native.md, 7): recordIds, or the parameters of GET /jobs.
	bulkRetryRequest struct {
		RecordIDs   member[[]string]          `json:"recordIds" doc:"Jobs to retry, 1000 at most"`
		State       member[string]            `json:"state" doc:"As in GET /jobs"`
		JobConfigID member[string]            `json:"jobconfigid" doc:"As in GET /jobs"`
		UserID      member[string]            `json:"userid" doc:"As in GET /jobs"`
		StartDate   member[string]            `json:"startdate" doc:"As in GET /jobs"`
		EndDate     member[string]            `json:"enddate" doc:"As in GET /jobs"`
		FilterBy    member[string]            `json:"filterby" doc:"As in GET /jobs"`
		Operators   member[string]            `json:"operators" doc:"As in GET /jobs"`
		Filter      member[string]            `json:"filter" doc:"As in GET /jobs"`
		After       member[string]            `json:"after" doc:"With a filter: go on behind this job, the last of the call before"`
		Scope       member[string]            `json:"scope" doc:"all, failed_step or failed_records; all if not given"`
		Package     member[string]            `json:"package" doc:"original, if not given, or latest"`
		Runtime     member[jobRuntimeRequest] `json:"runtimeConfig" doc:"Laid over each job's"`
		Force       member[bool]              `json:"force" doc:"Also jobs that are resolved or have a retry"`
	}
	bulkRetryReply    struct{ Body bulkRetryResponse }
	bulkRetryResponse struct {
		Accepted []string          `json:"accepted" doc:"The jobs that are retried"`
		Retries  []retriedResponse `json:"retries" doc:"Their new jobs"`
		Skipped  []skippedResponse `json:"skipped"`
		More     bool              `json:"more" doc:"The filter finds further jobs: repeat with after"`
		Last     string            `json:"last,omitempty" doc:"The last job a filter looked at"`
	}
	retriedResponse struct {
		ID      string `json:"id"`
		RetryOf string `json:"retryOf"`
		Href    string `json:"href"`
	}
)

func (d *door) retryJobs(ctx context.Context, in *bulkRetryInput) (*bulkRetryReply, error) {
	c := d.call(ctx)
	r, err := d.bulkRetry(ctx, c, in.JSON.Value)
	if err != nil {
		return nil, err
	}
	if r.IdempotencyKey, err = presentKey(c.Request); err != nil {
		return nil, err
	}
	done, err := d.server.Jobs.RetryMany(ctx, c.Actor, r)
	if err != nil {
		return nil, err
	}
	out := bulkRetryResponse{Accepted: []string{}, Retries: []retriedResponse{}, Skipped: []skippedResponse{}, More: done.More, Last: done.Last}
	for _, made := range done.Accepted {
		id := string(made.Job.ID)
		out.Accepted = append(out.Accepted, string(made.Job.RetryOf))
		out.Retries = append(out.Retries, retriedResponse{ID: id, RetryOf: string(made.Job.RetryOf), Href: c.href("jobs/" + id)})
	}
	for _, s := range done.Skipped {
		out.Skipped = append(out.Skipped, skippedResponse{ID: s.ID, Code: string(s.Word)})
	}
	return &bulkRetryReply{out}, nil
}

// bulkRetry reads the request. Its filter is that of GET /jobs.
func (d *door) bulkRetry(ctx context.Context, c call, b bulkRetryRequest) (control.BulkRetryRequest, error) {
	r := control.BulkRetryRequest{
		IDs: b.RecordIDs.Value, After: b.After.Value, Scope: job.RetryScope(b.Scope.Value),
		Package: control.PackageChoice(b.Package.Value), Force: b.Force.Value, Caller: job.Caller{Request: c.Brought()},
	}
	var err error
	if r.Overrides, err = b.Runtime.Value.overrides(); err != nil {
		return r, err
	}
	for _, m := range []member[string]{b.State, b.JobConfigID, b.UserID, b.StartDate, b.EndDate, b.FilterBy, b.Operators, b.Filter} {
		r.Filter = r.Filter || m.Value != ""
	}
	if !r.Filter {
		return r, nil
	}
	if r.Where, _, err = parseFilter(b.FilterBy.Value, b.Operators.Value, b.Filter.Value, c.jobSpec(nil).columns, c.compareJobs); err != nil {
		return r, err
	}
	also, err := d.jobCondition(ctx, c, &jobsInput{
		JobWindow:   JobWindow{StartDate: b.StartDate.Value, EndDate: b.EndDate.Value},
		JobConfigID: b.JobConfigID.Value, UserID: b.UserID.Value, State: b.State.Value,
	})
	r.Where = both(r.Where, also)
	return r, err
}
