package informatica

import (
	"context"
	"strconv"

	"waybill/internal/control"
	"waybill/internal/job"
)

type monitorQuery struct {
	Details string `query:"details" doc:"true: with the steps of each run"`
	TaskID  string `query:"taskId"`
	RunID   string `query:"runId"`
}

type logQuery struct {
	TaskID   string `query:"taskId"`
	RunID    string `query:"runId" doc:"Needs taskId"`
	Offset   string `query:"offset" doc:"Rows to skip"`
	RowLimit string `query:"rowLimit" doc:"Rows to give: 200 if not given, 1000 at most"`
}

type entryPath struct {
	ID string `path:"id" doc:"The run: 24 hex digits"`
}

type sessionLogQuery struct {
	ID     string `path:"id"`
	ItemID string `query:"itemId" doc:"A step's number: what was logged while it went on"`
}

func (d *door) activityRoutes() {
	const tag = "Activity"
	get := func(path, summary string) use {
		return use{method: "GET", path: taskBase + path, summary: summary, tag: tag}
	}
	monitor := get("/activity/activityMonitor", "List the runs that have not ended, newest first")
	monitor.entries = monitorEntry{}
	operation(d, monitor, d.monitor)
	log := get("/activity/activityLog", "List the runs that have ended, last ended first")
	log.entries = logEntry{}
	operation(d, log, d.log)
	operation(d, get("/activity/activityLog/{id}", "Get a run that has ended"), d.logged)
	text := get("/activity/activityLog/{id}/sessionLog", "Read the log of a run")
	text.plain = "text/plain"
	operation(d, text, d.sessionLog)
	csv := get("/activity/errorLog/{id}", "List the records that failed")
	csv.plain = "text/csv"
	operation(d, csv, d.errorLog)
}

// number reads a whole number of a query; absent gives none.
func number(name, text string, least int64) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least {
		return 0, badField("%s must be a whole number, %d or more", name, least)
	}
	return n, nil
}

// known finds the config of a taskId in a query; found is false for one that there is not.
func (c *call) known(ctx context.Context, id string) (config int64, found bool, err error) {
	if id == "" {
		return 0, true, nil
	}
	return c.door.server.Configs.Known(ctx, c.Actor, id)
}

// activePage is how many runs are read at once: the list of all that are active is sent as it is read.
const activePage = 500

func (d *door) monitor(ctx context.Context, c *call, in *monitorQuery, _ *none) (streamed, error) {
	details := false
	if in.Details != "" {
		var err error
		if details, err = strconv.ParseBool(in.Details); err != nil {
			return nil, badField("details must be true or false")
		}
	}
	run, err := number("runId", in.RunID, 1)
	if err != nil {
		return nil, err
	}
	config, found, err := c.known(ctx, in.TaskID)
	if err != nil {
		return nil, err
	}
	where := job.And{control.Unfinished}
	if config != 0 {
		where = append(where, job.Compare{Property: "jobConfig.id", Op: job.Eq, Values: []any{config}})
	}
	if run != 0 {
		where = append(where, job.Compare{Property: "runNumber", Op: job.Eq, Values: []any{run}})
	}
	q := job.Query{Where: where, Size: activePage, Keyset: true, Sort: []job.Sort{{Property: "scheduled", Desc: true}}}
	var list job.List[job.Job]
	if found {
		if list, _, err = d.server.Jobs.List(ctx, c.Actor, q); err != nil {
			return nil, err
		}
	}
	next := func() ([]job.Job, error) {
		if !list.More {
			return nil, nil
		}
		q.After = list.Next
		var err error
		list, _, err = d.server.Jobs.List(ctx, c.Actor, q)
		return list.Items, err
	}
	return c.stream(ctx, list.Items, next, details, func(s surroundings, j job.Job) any { return s.monitored(j) })
}

// Limits of a page of the log.
const (
	usualRows = 200
	mostRows  = 1000
)

func (d *door) log(ctx context.Context, c *call, in *logQuery, _ *none) (streamed, error) {
	if in.RunID != "" && in.TaskID == "" {
		return nil, badField("runId needs taskId")
	}
	run, err := number("runId", in.RunID, 1)
	if err != nil {
		return nil, err
	}
	offset, err := number("offset", in.Offset, 0)
	if err != nil || offset > 1<<31 {
		return nil, badField("offset must be a whole number, 0 or more")
	}
	limit, err := number("rowLimit", in.RowLimit, 0)
	switch {
	case err != nil:
		return nil, err
	case in.RowLimit == "":
		limit = usualRows
	case limit == 0 || limit > mostRows:
		limit = mostRows
	}
	config, found, err := c.known(ctx, in.TaskID)
	if err != nil {
		return nil, err
	}
	var jobs []job.Job
	if found {
		if jobs, err = d.server.Jobs.Ended(ctx, c.Actor, config, run, int(offset), int(limit)); err != nil {
			return nil, err
		}
	}
	none := func() ([]job.Job, error) { return nil, nil }
	return c.stream(ctx, jobs, none, true, func(s surroundings, j job.Job) any { return s.logged(j) })
}

// ended finds a run that has ended.
func (c *call) ended(ctx context.Context, id string) (job.Job, error) {
	none := job.Errorf(job.NotFound, job.WordNotFound, "Log entry %s not found", cut(id))
	j, err := c.door.server.Jobs.Get(ctx, c.Actor, id)
	switch {
	case job.CodeOf(err) == job.NotFound:
		return j, none
	case err != nil:
		return j, err
	case !j.Status.Final():
		return j, none
	}
	return j, nil
}

func (d *door) logged(ctx context.Context, c *call, in *entryPath, _ *none) (*logEntry, error) {
	j, err := c.ended(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s, err := c.around(ctx, []job.Job{j}, true)
	e := s.logged(j)
	return &e, err
}
