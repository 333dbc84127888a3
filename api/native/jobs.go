package native

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

type (
	jobInput        struct{ JobPath }
	jobPackageInput struct {
		JobPath
		RedirectParam
	}
	JobPath struct {
		ID string `path:"id" doc:"24 hex digits"`
	}
	jobWaitInput struct {
		JobPath
		Wait string `query:"wait" doc:"How long to hold the reply until the job is final: 30s, PT30S or 30; 5 minutes at most"`
	}
	jobsInput struct {
		ListParams
		JobWindow
		JobTemplateID string `query:"jobtemplateid"`
		JobConfigID   string `query:"jobconfigid"`
		IntegID       string `query:"integid"`
		UserID        string `query:"userid"`
		State         string `query:"state" doc:"Comma list of waiting, queued, initializing, running, finished_all, finished_ok, finished_error, cancelled, aborted, unknown"`
	}
	configJobsInput struct {
		ConfigPath
		ListParams
		JobWindow
	}
	// JobWindow bounds when a job was scheduled, ends included.
	JobWindow struct {
		StartDate string `query:"startdate"`
		EndDate   string `query:"enddate"`
	}

	jobReply     struct{ Body jobResponse }
	jobListReply struct{ Body jobPage }
	familyReply  struct{ Body familyResponse }
	stepsReply   struct{ Body stepsResponse }
)

func (d *door) jobRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Jobs"}}
	}
	accepted := func(o huma.Operation) huma.Operation {
		o.DefaultStatus = http.StatusAccepted
		return o
	}
	started := func(o huma.Operation) huma.Operation {
		schema := d.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[jobResponse](), true, "")
		o.Responses = jsonResponse("The job ended while the call waited", schema)
		return accepted(o)
	}
	ids := func(path, summary string) huma.Operation {
		o := op("GET", path, summary)
		o.Responses = jsonResponse("OK", &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}})
		return o
	}
	operation(d, bearerOrBasic, started(op("POST", "/jobconfigs/{id}/jobs", "Run a job config")), d.startJob)
	operation(d, bearer, op("GET", "/jobconfigs/{id}/jobs", "List the jobs of a job config"), d.listConfigJobs)
	operation(d, bearer, op("GET", "/jobs", "List jobs"), d.listJobs)
	operation(d, bearer, ids("/jobs/pending", "Ids of the jobs that wait"), d.listIDs(job.Queued))
	operation(d, bearer, ids("/jobs/running", "Ids of the jobs that run"), d.listIDs(job.Running, job.Cancelling))
	operation(
		d,
		bearer,
		ids("/jobs/unfinished", "Ids of the jobs that wait or run"),
		d.listIDs(job.Queued, job.Running, job.Cancelling),
	)
	operation(d, bearer, accepted(op("DELETE", "/jobs/stop", "Stop those of the jobs that are queued, or all of them")), d.stopJobs)
	operation(d, bearer, op("GET", "/jobs/{id}", "Get a job"), d.getJob)
	operation(d, bearer, accepted(op("DELETE", "/jobs/{id}", "Stop a job")), d.stopJob)
	operation(d, bearerOrBasic, started(op("POST", "/jobs/{id}/retry", "Make a new job from a finished one")), d.retryJob)
	operation(d, bearerOrBasic, accepted(op("POST", "/jobs/retry", "Make new jobs from many finished ones")), d.retryJobs)
	operation(d, bearer, op("GET", "/jobs/{id}/family", "The chain of retries a job belongs to, oldest first"), d.family)
	operation(d, bearer, op("GET", "/jobs/{id}/steps", "The steps of a job"), d.steps)
	d.attemptRoutes()
	d.recordRoutes()
	operation(
		d,
		bearer,
		redirectable(binary(op("GET", "/jobs/{id}/package", "Download the package the job was accepted with"), "application/octet-stream")),
		d.jobPackage,
	)
	operation(d, bearer, op("GET", "/jobstats", "Count jobs by status"), d.jobStats)
	d.outputRoutes()
	d.messageRoutes()
}

// jsonResponse documents a reply with status 200.
func jsonResponse(description string, schema *huma.Schema) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}}
}

func (d *door) getJob(ctx context.Context, in *jobWaitInput) (*jobReply, error) {
	c := d.call(ctx)
	wait, err := waitParam(in.Wait)
	if err != nil {
		return nil, err
	}
	j, err := d.held(ctx, c.Actor, in.ID, wait)
	return &jobReply{c.job(j)}, err
}

// waitParam reads ?wait=; 0 for none.
func waitParam(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	wait, err := parseDuration(s)
	if err != nil {
		return 0, invalid("wait is a duration such as 30s, PT30S or 30 (seconds)")
	}
	return min(wait, control.MaxWait), nil
}

// held gives a job once it is final or the wait is over. A server that stops lets go at once.
func (d *door) held(ctx context.Context, a job.Actor, id string, wait time.Duration) (job.Job, error) {
	if wait <= 0 {
		return d.server.Jobs.Get(ctx, a, id)
	}
	waiting, cancel := d.untilClosing(ctx)
	defer cancel()
	j, err := d.server.Jobs.Wait(waiting, a, id, wait)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return d.server.Jobs.Get(ctx, a, id)
	}
	return j, err
}

// untilClosing is a context that also ends when the server stops.
func (d *door) untilClosing(ctx context.Context) (context.Context, func()) {
	both, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(d.server.Closing, cancel)
	return both, func() {
		stop()
		cancel()
	}
}

func (d *door) stopJob(ctx context.Context, in *jobInput) (*jobReply, error) {
	c := d.call(ctx)
	j, err := d.server.Jobs.Cancel(ctx, c.Actor, in.ID)
	return &jobReply{c.job(j)}, err
}

type (
	stopInput   struct{ JSON body[stopRequest] }
	stopRequest struct {
		RecordIDs      []string `json:"recordIds"`
		IncludeRunning bool     `json:"includeRunning" doc:"Also those that run; without it they are skipped"`
	}
	stopReply    struct{ Body stopResponse }
	stopResponse struct {
		Accepted []string          `json:"accepted"`
		Skipped  []skippedResponse `json:"skipped"`
	}
	skippedResponse struct {
		ID   string `json:"id"`
		Code string `json:"code" doc:"job_finished, job_running, not_found, access_denied"`
	}
)

func (d *door) stopJobs(ctx context.Context, in *stopInput) (*stopReply, error) {
	accepted, skipped, err := d.server.Jobs.CancelMany(ctx, d.call(ctx).Actor, in.JSON.Value.RecordIDs, in.JSON.Value.IncludeRunning)
	if err != nil {
		return nil, err
	}
	out := stopResponse{Accepted: append([]string{}, accepted...), Skipped: []skippedResponse{}}
	for _, s := range skipped {
		out.Skipped = append(out.Skipped, skippedResponse{ID: s.ID, Code: string(s.Word)})
	}
	return &stopReply{out}, nil
}

type familyResponse struct {
	RootJob string        `json:"rootJob"`
	Outcome string        `json:"outcome" doc:"The status that stands for the whole chain"`
	Totals  familyTotals  `json:"totals"`
	Items   []jobResponse `json:"items"`
}

type familyTotals struct {
	RecordsRead    int64 `json:"recordsRead"`
	RecordsWritten int64 `json:"recordsWritten"`
	RecordsFailed  int64 `json:"recordsFailed"`
	RecordsIgnored int64 `json:"recordsIgnored"`
	ErrorsOpen     int64 `json:"errorsOpen"`
	ErrorsResolved int64 `json:"errorsResolved"`
}

func (d *door) family(ctx context.Context, in *jobInput) (*familyReply, error) {
	c := d.call(ctx)
	f, err := d.server.Jobs.Family(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	out := familyResponse{RootJob: string(f.Root), Outcome: statusWord(f.Outcome, c.Time), Totals: familyTotals{
		RecordsRead: f.Totals.Records.Read, RecordsWritten: f.Totals.Records.Written, RecordsFailed: f.Totals.Records.Failed,
		RecordsIgnored: f.Totals.Records.Ignored, ErrorsOpen: f.Totals.ErrorsOpen, ErrorsResolved: f.Totals.ErrorsResolved,
	}}
	for _, j := range f.Jobs {
		out.Items = append(out.Items, c.job(j))
	}
	return &familyReply{out}, nil
}

func (d *door) jobPackage(ctx context.Context, in *jobPackageInput) (*streamReply, error) {
	f, err := d.server.Jobs.Package(ctx, d.call(ctx).Actor, in.ID)
	if err != nil {
		return nil, err
	}
	return d.download(ctx, in.RedirectParam, f)
}

// presentKey is the Idempotency-Key of a call; one that is there must not be empty.
func presentKey(r *api.Request) (string, error) {
	values, sent := r.HTTP.Header["Idempotency-Key"]
	if sent && values[0] == "" {
		return "", invalid("Idempotency-Key has 1 to 255 printable ASCII characters")
	}
	if !sent {
		return "", nil
	}
	return values[0], nil
}
