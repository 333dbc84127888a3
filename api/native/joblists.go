package native

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/job"
)

// jobSpec is what lists of jobs have of their own.
func (c call) jobSpec(also job.Expr) listSpec {
	return listSpec{
		order: job.Sort{Property: "scheduled", Desc: true}, columns: []string{"id", "jobConfig.name", "packageName", "tags"},
		also: also, stats: true, compare: c.compareJobs,
	}
}

// compareJobs reads the values of status as this door shows them.
func (c call) compareJobs(property string, op job.Op, values []string) (job.Expr, error) {
	if property == "status" {
		return compareStatus(c.Time, op, values)
	}
	return compareText(property, op, values)
}

func (d *door) listJobs(ctx context.Context, in *jobsInput) (*jobListReply, error) {
	c := d.call(ctx)
	also, err := d.jobCondition(ctx, c, in)
	if err != nil {
		return nil, err
	}
	return d.jobPage(ctx, c, in.ListParams, also)
}

func (d *door) listConfigJobs(ctx context.Context, in *configJobsInput) (*jobListReply, error) {
	c := d.call(ctx)
	config, err := d.server.Configs.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	window, err := in.condition()
	if err != nil {
		return nil, err
	}
	return d.jobPage(ctx, c, in.ListParams, both(is("jobConfig.id", config.ID), window))
}

func is(property string, value any) job.Expr {
	return job.Compare{Property: property, Op: job.Eq, Values: []any{value}}
}

func (d *door) jobPage(ctx context.Context, c call, p ListParams, also job.Expr) (*jobListReply, error) {
	l, err := d.readList(c.Request, p, c.jobSpec(also))
	if err != nil {
		return nil, err
	}
	list, stats, err := d.server.Jobs.List(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	return &jobListReply{jobPage{Page: envelope(d, c.style, l, list, c.job), Stats: statsShown(stats)}}, nil
}

// jobCondition is what the parameters of GET /jobs and GET /jobstats ask for besides the filter.
func (d *door) jobCondition(ctx context.Context, c call, in *jobsInput) (job.Expr, error) {
	all, err := in.condition()
	if err != nil {
		return nil, err
	}
	if in.State != "" {
		state, err := jobsInState(in.State, c.Time)
		if err != nil {
			return nil, err
		}
		all = both(all, state)
	}
	if in.JobTemplateID != "" || in.IntegID != "" {
		all = both(all, job.Or{}) // jobs have neither yet, so none has this one
	}
	if in.UserID != "" {
		id, err := decimalID("userid", in.UserID)
		if err != nil {
			return nil, err
		}
		all = both(all, is("submittedByUser.id", id))
	}
	if in.JobConfigID == "" {
		return all, nil
	}
	config, err := d.configID(ctx, c, in.JobConfigID)
	return both(all, config), err
}

// configID takes either form of a config's id. The jobs of a deleted config can still be listed by its decimal id.
func (d *door) configID(ctx context.Context, c call, ref string) (job.Expr, error) {
	if !job.ValidID(ref) {
		id, err := decimalID("jobconfigid", ref)
		return is("jobConfig.id", id), err
	}
	switch config, err := d.server.Configs.Get(ctx, c.Actor, ref); job.CodeOf(err) {
	case "":
		return is("jobConfig.id", config.ID), nil
	case job.NotFound, job.Forbidden:
		return job.Or{}, nil
	default:
		return nil, err
	}
}

// condition bounds "scheduled". The store takes a date in whole seconds for all of that second, so the ends are
// included as they were shown.
func (w JobWindow) condition() (job.Expr, error) {
	var all job.Expr
	for _, end := range []struct {
		name, value string
		op          job.Op
	}{{"startdate", w.StartDate, job.Gte}, {"enddate", w.EndDate, job.Lte}} {
		if end.value == "" {
			continue
		}
		if _, _, err := dateParam(end.name, end.value); err != nil {
			return nil, err
		}
		all = both(all, job.Compare{Property: "scheduled", Op: end.op, Values: []any{end.value}})
	}
	return all, nil
}

// jobStatsResponse is the vendor's JobStatsResponse.
type jobStatsResponse struct {
	Queued        int64        `json:"queued"`
	Running       int64        `json:"running"`
	Finished      int64        `json:"finished"`
	Error         int64        `json:"error"`
	Failed        int64        `json:"failed"`
	Cancelled     int64        `json:"cancelled"`
	Timeout       *int64       `json:"timeout,omitempty" doc:"Of those failed: over their time"`
	Stopped       *int64       `json:"stopped,omitempty" doc:"Of those failed: stopped by a user"`
	TotalJobs     int64        `json:"totalJobs"`
	TotalDuration string       `json:"totalDuration"`
	Window        *statsWindow `json:"window,omitempty"`
	Capped        bool         `json:"capped,omitempty" doc:"More jobs match than the 10000 counted here"`
}

// statsWindow is the vendor's StatsWindow.
type statsWindow struct {
	WindowBegins   string `json:"windowBegins,omitempty"`
	WindowEnds     string `json:"windowEnds,omitempty"`
	WindowDuration string `json:"windowDuration,omitempty"`
}

func statsShown(s job.JobStats) jobStatsResponse {
	return jobStatsResponse{
		Queued: s.Queued, Running: s.Running, Finished: s.Finished, Error: s.Error, Failed: s.Failed, Cancelled: s.Cancelled,
		TotalJobs:     s.Queued + s.Running + s.Finished + s.Error + s.Failed + s.Cancelled,
		TotalDuration: isoDuration(s.TotalDuration), Capped: s.Capped,
	}
}

type (
	statsInput struct {
		JobWindow
		JobTemplateID string `query:"jobtemplateid"`
		JobConfigID   string `query:"jobconfigid"`
		IntegID       string `query:"integid"`
		UserID        string `query:"userid"`
		FilterBy      string `query:"filterby"`
		Operators     string `query:"operators"`
		Filter        string `query:"filter"`
	}
	statsReply struct{ Body jobStatsResponse }
)

func (d *door) jobStats(ctx context.Context, in *statsInput) (*statsReply, error) {
	c := d.call(ctx)
	also, err := d.jobCondition(ctx, c, &jobsInput{
		JobWindow: in.JobWindow, JobTemplateID: in.JobTemplateID, JobConfigID: in.JobConfigID, IntegID: in.IntegID, UserID: in.UserID,
	})
	if err != nil {
		return nil, err
	}
	where, _, err := parseFilter(in.FilterBy, in.Operators, in.Filter, c.jobSpec(nil).columns, c.compareJobs)
	if err != nil {
		return nil, err
	}
	where = both(where, also)
	first, stats, err := d.count(ctx, c, where)
	if err != nil {
		return nil, err
	}
	out := statsShown(stats)
	if out.Timeout, err = d.failedFor(ctx, c, where, job.ReasonTimeout); err != nil {
		return nil, err
	}
	if out.Stopped, err = d.failedFor(ctx, c, where, job.ReasonStopped); err != nil {
		return nil, err
	}
	out.Window = c.window(in.JobWindow, first)
	return &statsReply{out}, nil
}

// count counts the jobs that match and gives the time of the first.
func (d *door) count(ctx context.Context, c call, where job.Expr) (time.Time, job.JobStats, error) {
	list, stats, err := d.server.Jobs.List(ctx, c.Actor, job.Query{
		Where: where, Stats: true, Size: 1, Keyset: true, Sort: []job.Sort{{Property: "scheduled"}},
	})
	if err != nil || len(list.Items) == 0 {
		return time.Time{}, stats, err
	}
	return list.Items[0].ScheduledAt, stats, nil
}

// failedFor counts those shown as FAILED for one reason.
func (d *door) failedFor(ctx context.Context, c call, where job.Expr, reason job.Reason) (*int64, error) {
	_, stats, err := d.count(ctx, c, both(where, is("reason", reason)))
	return &stats.Failed, err
}

// window is the time the counts are of: as asked for, else from the first job until now.
func (c call) window(w JobWindow, first time.Time) *statsWindow {
	from, to := first, c.Time
	if at, _, err := parseDate(w.StartDate); err == nil {
		from = at
	}
	if at, _, err := parseDate(w.EndDate); err == nil {
		to = at
	}
	out := &statsWindow{WindowBegins: c.date(from), WindowEnds: c.date(to)}
	if !from.IsZero() && !to.Before(from) {
		out.WindowDuration = isoDuration(to.Sub(from).Truncate(time.Second))
	}
	return out
}

// idPage is how many ids are read at once: the list is complete however long, and never in memory as a whole.
const idPage = 1000

// listIDs answers all jobs in one of the statuses, oldest first.
func (d *door) listIDs(statuses ...job.Status) func(context.Context, *noInput) (*streamReply, error) {
	values := make([]any, len(statuses))
	for i, s := range statuses {
		values[i] = s
	}
	where := job.Compare{Property: "status", Op: job.In, Values: values}
	return func(ctx context.Context, _ *noInput) (*streamReply, error) {
		c := d.call(ctx)
		q := job.Query{Where: where, Size: idPage, Keyset: true, Sort: []job.Sort{{Property: "id"}}}
		list, _, err := d.server.Jobs.List(ctx, c.Actor, q)
		if err != nil {
			return nil, err
		}
		return &streamReply{func(hc huma.Context) {
			w := api.Gin(hc).Writer
			w.Header().Set("Content-Type", "application/json")
			if err := d.writeIDs(ctx, c, w, q, list); err != nil {
				c.Blame(err)
				panic(http.ErrAbortHandler) // part of the list must not look like all of it
			}
		}}, nil
	}
}

func (d *door) writeIDs(ctx context.Context, c call, w http.ResponseWriter, q job.Query, list job.List[job.Job]) error {
	out := bufio.NewWriter(w)
	separator := `["`
	for {
		for _, j := range list.Items {
			_, _ = out.WriteString(separator + string(j.ID)) // a write error comes back from Flush
			separator = `","`
		}
		if !list.More {
			break
		}
		q.After = list.Next
		var err error
		if list, _, err = d.server.Jobs.List(ctx, c.Actor, q); err != nil {
			return err
		}
	}
	end := "\"]\n"
	if separator == `["` {
		end = "[]\n"
	}
	_, _ = out.WriteString(end)
	return out.Flush()
}
