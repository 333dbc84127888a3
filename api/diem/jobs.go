package diem

import (
	"context"

	"waybill/internal/job"
)

// documentRow is a row of jobs (diem.md, 4.3).
type documentRow struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Type        string  `json:"type"`
	Href        string  `json:"href"`
	JobID       string  `json:"jobid"`
	Status      string  `json:"status"`
	Executor    string  `json:"executor"`
	Count       int64   `json:"count"`
	Email       string  `json:"email"`
	Error       string  `json:"error,omitempty"`
	Start       *string `json:"jobstart"`
	End         *string `json:"jobend"`
	RunBy       string  `json:"runby"`
	Runtime     *string `json:"runtime"`
	TransID     string  `json:"transid"`
	Jobs        bool    `json:"jobs,omitempty"`
	Source      string  `json:"source"`
	Target      string  `json:"target"`
	Schedule    string  `json:"schedule"`
	Total       *int    `json:"nbr,omitempty"`
}

// jobs lists configs with their newest runs.
func (d *door) jobs(ctx context.Context, c *call) (answer, error) {
	in, err := c.args.query()
	if err != nil {
		return answer{}, err
	}
	q, none, err := c.listQuery(in, inDocuments)
	if err != nil || none {
		return answer{json: []documentRow{}}, err
	}
	list, err := d.server.Runs.List(ctx, c.Actor, q)
	if err != nil {
		return answer{}, err
	}
	var ids []int64
	var users []job.UserRef
	for _, one := range list.Items {
		ids, users = append(ids, one.Config.ID), append(users, one.Run.SubmittedBy)
	}
	schedules, err := d.server.Schedules.NextOf(ctx, c.Actor.AccountID, ids)
	if err != nil {
		return answer{}, err
	}
	emails, err := d.server.Runs.Emails(ctx, c.Actor.AccountID, users...)
	if err != nil {
		return answer{}, err
	}
	rows := make([]documentRow, 0, len(list.Items))
	for _, one := range list.Items {
		row := c.document(one, emails)
		if s, scheduled := schedules[one.Config.ID]; scheduled {
			row.Schedule = s.Rule.Cron
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		total := totalOf(list)
		rows[0].Total = &total
	}
	return answer{json: rows}, nil
}

// totalOf is how many a list has in all, as far as is counted; behind that there are as many at least.
func totalOf[T any](list job.List[T]) int {
	if list.NotCounted {
		return job.CountLimit
	}
	return list.Total
}

func (c *call) document(one job.Document, emails map[int64]string) documentRow {
	j, id := one.Run, one.Config.ObjectID
	kind, executor := kindOf(one.Steps)
	row := documentRow{
		ID: id, Name: one.Config.Name, Description: one.Config.Description, Type: kind, Href: "/jobdetail/" + id, JobID: id, Status: byStatus[j.Status],
		Executor: executor, Count: j.Records.Written, Email: emails[j.SubmittedBy.ID], Error: j.Message, Start: date(j.StartedAt), End: date(j.FinishedAt),
		TransID: transid(j), Jobs: one.Steps > 1,
	}
	if j.ID != "" {
		row.RunBy, row.Runtime = runby(j.Trigger), clock(length(j, c.Time))
	}
	return row
}

// project is where a run belongs.
type project struct {
	Org      string `json:"org"`
	OrgScope string `json:"orgscope"`
}

// runRow is a row of joblog (diem.md, 4.6).
type runRow struct {
	LogID    string  `json:"logid"`
	JobID    string  `json:"jobid"`
	RunID    string  `json:"runid"`
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Executor string  `json:"executor"`
	RunBy    string  `json:"runby"`
	Status   string  `json:"status"`
	Start    *string `json:"jobstart"`
	End      *string `json:"jobend"`
	Runtime  int64   `json:"runtime"`
	Count    int64   `json:"count"`
	Error    string  `json:"error,omitempty"`
	Params   any     `json:"params,omitempty"`
	Project  project `json:"project"`
	TransID  string  `json:"transid"`
	Email    string  `json:"email"`
	Out      string  `json:"out,omitempty"`
	Total    int     `json:"nbr"`
}

// joblog lists finished runs.
func (d *door) joblog(ctx context.Context, c *call) (answer, error) {
	in, err := c.args.query()
	if err != nil {
		return answer{}, err
	}
	q, none, err := c.listQuery(in, inRuns)
	if err != nil || none {
		return answer{json: []runRow{}}, err
	}
	list, err := d.server.Runs.Finished(ctx, c.Actor, q)
	if err != nil {
		return answer{}, err
	}
	rows, err := d.runs(ctx, c, list.Items)
	for i := range rows {
		rows[i].Total = totalOf(list)
	}
	return answer{json: rows}, err
}

// How many runs of a list are shown with what must be read one by one, and how much of it.
const (
	runsRead = 100
	outShown = 4000 // characters
)

func (d *door) runs(ctx context.Context, c *call, jobs []job.Job) ([]runRow, error) {
	behind, err := d.server.Runs.Behind(ctx, c.Actor, jobs)
	if err != nil {
		return nil, err
	}
	var users []job.UserRef
	for _, j := range jobs {
		users = append(users, j.SubmittedBy)
	}
	emails, err := d.server.Runs.Emails(ctx, c.Actor.AccountID, users...)
	if err != nil {
		return nil, err
	}
	rows := make([]runRow, 0, len(jobs))
	for i, j := range jobs {
		kind, executor := kindOf(behind.Steps[j.ID])
		took, _ := length(j, c.Time)
		id := behind.ObjectIDs[j.ConfigID]
		row := runRow{
			LogID: id, JobID: id, RunID: string(j.ID), Name: j.ConfigName, Type: kind, Executor: executor, RunBy: runby(j.Trigger),
			Status: byStatus[j.Status], Start: date(j.StartedAt), End: date(j.FinishedAt), Runtime: max(1, int64(took.Seconds()+0.5)),
			Count: j.Records.Written, Error: j.Message, Project: project{c.key.Org, "default"}, TransID: transid(j), Email: emails[j.SubmittedBy.ID],
		}
		if i < runsRead {
			if row.Out, row.Params, err = d.told(ctx, j); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
