package diem

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"go.yaml.in/yaml/v3"

	"waybill/internal/control"
	"waybill/internal/job"
)

// detail is a config with all that is known of it (diem.md, 4.4).
type detail struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Description   string   `json:"description"`
	About         string   `json:"about"`
	Type          string   `json:"type"`
	Tags          []string `json:"tags"`
	Org           string   `json:"org"`
	OrgScope      string   `json:"orgscope"`
	CreatedEmail  string   `json:"createdbyemail"`
	CreatedName   string   `json:"createdbyname"`
	Created       *string  `json:"createddate"`
	ModifiedEmail string   `json:"modifiedbyemail"`
	ModifiedName  string   `json:"modifiedbyname"`
	Modified      *string  `json:"modifieddate"`
	TransID       string   `json:"transid"`
	Status        string   `json:"status"`
	Executor      string   `json:"executor"`
	Count         int64    `json:"count"`
	Email         string   `json:"email"`
	Error         string   `json:"error"`
	JobID         string   `json:"jobid"`
	Start         *string  `json:"jobstart"`
	End           *string  `json:"jobend"`
	RunBy         string   `json:"runby"`
	Runtime       *string  `json:"runtime"`

	CronTime          string  `json:"schedule__cronTime"`
	CronEnabled       bool    `json:"schedule__enabled"`
	NextExecution     *int64  `json:"schedule__nextExecution"`
	NextExecutionTime *string `json:"schedule__nextExecutionTime"`

	MailEnabled    bool     `json:"mail__enabled"`
	MailDelivery   string   `json:"mail__delivery"`
	MailRecipients []string `json:"mail__recipients"`

	Params  string    `json:"job__params"`
	Package string    `json:"package"`
	Log     []runRow  `json:"log"`
	Out     []outLine `json:"out"`
	Jobs    []stepRow `json:"jobs"`
}

type outLine struct {
	Out string `json:"out"`
}

// stepRow is a row of pipelinejobs (diem.md, 4.8).
type stepRow struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Status   string   `json:"status"`
	Start    *string  `json:"jobstart"`
	End      *string  `json:"jobend"`
	Runtime  *string  `json:"runtime"`
	JobID    string   `json:"jobid"`
	From     []string `json:"from"`
	Required string   `json:"required"`
}

// runsShown is how many runs jobdetail tells of.
const runsShown = 10

func (d *door) jobdetail(ctx context.Context, c *call) (answer, error) {
	id := c.args.id("id")
	if !job.ValidID(id) {
		return answer{status: http.StatusNotFound, json: message{"No or incorrect Document ID Provided"}}, nil
	}
	config, last, err := d.server.Runs.Last(ctx, c.Actor, id, job.View, runsShown)
	switch job.CodeOf(err) {
	case job.NotFound, job.Forbidden:
		return absent(c.args.text("id")), nil
	}
	if err != nil {
		return answer{}, err
	}
	shown, err := d.detail(ctx, c, config, last)
	return answer{json: shown}, err
}

func (d *door) detail(ctx context.Context, c *call, config job.Config, last []job.Job) (detail, error) {
	var j job.Job
	var steps []job.Step
	var err error
	if len(last) > 0 {
		j = last[0]
		if steps, err = d.server.Runs.Steps(ctx, j); err != nil {
			return detail{}, err
		}
	}
	emails, err := d.server.Runs.Emails(ctx, c.Actor.AccountID, j.SubmittedBy, config.CreatedBy, config.ModifiedBy)
	if err != nil {
		return detail{}, err
	}
	row := c.document(job.Document{Config: config, Run: j, Steps: len(steps)}, emails)
	shown := detail{
		ID: row.ID, Name: row.Name, Description: row.Description, Type: row.Type, Tags: append([]string{}, config.Tags...), Org: c.key.Org,
		OrgScope: "default", CreatedEmail: emails[config.CreatedBy.ID], CreatedName: config.CreatedBy.Name, Created: date(config.CreatedAt),
		ModifiedEmail: emails[config.ModifiedBy.ID], ModifiedName: config.ModifiedBy.Name, Modified: date(config.ModifiedAt), TransID: row.TransID,
		Status: row.Status, Executor: row.Executor, Count: row.Count, Email: row.Email, Error: row.Error, JobID: row.JobID, Start: row.Start, End: row.End,
		RunBy: row.RunBy, Runtime: row.Runtime, Package: config.Runtime.PackageName, MailRecipients: []string{}, Out: []outLine{},
	}
	if shown.Params, err = paramsText(config.Runtime.Macros); err != nil {
		return detail{}, err
	}
	if err := d.plans(ctx, c, config, &shown); err != nil {
		return detail{}, err
	}
	if shown.Log, err = d.runs(ctx, c, last); err != nil {
		return detail{}, err
	}
	for i := range shown.Log {
		shown.Log[i].Total = len(shown.Log)
	}
	if len(shown.Log) > 0 {
		for line := range bytes.Lines([]byte(shown.Log[0].Out)) {
			shown.Out = append(shown.Out, outLine{string(bytes.TrimRight(line, "\n"))})
		}
	}
	shown.Jobs = c.steps(config.ObjectID, steps)
	return shown, nil
}

// plans fills in the schedule and who gets mail.
func (d *door) plans(ctx context.Context, c *call, config job.Config, shown *detail) error {
	ref := strconv.FormatInt(config.ID, 10)
	s, err := d.server.Schedules.Get(ctx, c.Actor, ref)
	if err != nil && job.CodeOf(err) != job.NotFound {
		return err
	}
	if err == nil {
		shown.CronTime, shown.CronEnabled = s.Rule.Cron, !s.Paused
		if !s.Next.IsZero() {
			ms := s.Next.UnixMilli()
			shown.NextExecution, shown.NextExecutionTime = &ms, date(s.Next)
		}
	}
	mail, _, err := d.server.Subscriptions.Get(ctx, c.Actor, ref)
	if err != nil && job.CodeOf(err) != job.NotFound {
		return err
	}
	if err == nil {
		shown.MailEnabled, shown.MailDelivery, shown.MailRecipients = mail.Active, string(mail.Events), append([]string{}, mail.Recipients...)
	}
	return nil
}

// paramsText writes macros as YAML; a secure one has no value.
func paramsText(macros []job.Macro) (string, error) {
	if len(macros) == 0 {
		return "", nil
	}
	node := yaml.Node{Kind: yaml.MappingNode}
	for _, m := range macros {
		value := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: m.Value}
		if m.Secure {
			value = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: m.Key}, &value)
	}
	text, err := yaml.Marshal(&node)
	return string(text), err
}

// told is what a run said: the end of its log, and what it was called with.
func (d *door) told(ctx context.Context, j job.Job) (out string, params any, err error) {
	if out, err = d.server.Jobs.LogTail(ctx, j, outShown); err != nil || !j.Spec.Answer {
		return out, nil, err
	}
	text, err := d.server.Runs.Params(ctx, j, control.ParamsMacro)
	if err != nil || !json.Valid([]byte(text)) {
		return out, nil, err
	}
	return out, json.RawMessage(text), nil
}

// pipelinejobs lists the steps of a config's newest run.
func (d *door) pipelinejobs(ctx context.Context, c *call) (answer, error) {
	in, err := c.args.query()
	if err != nil {
		return answer{}, err
	}
	id := in.id("id")
	if !job.ValidID(id) {
		return absent(in.text("id")), nil
	}
	_, last, err := d.server.Runs.Last(ctx, c.Actor, id, job.View, 1)
	switch job.CodeOf(err) {
	case job.NotFound, job.Forbidden:
		return absent(in.text("id")), nil
	}
	if err != nil || len(last) == 0 {
		return answer{json: []stepRow{}}, err
	}
	steps, err := d.server.Runs.Steps(ctx, last[0])
	return answer{json: c.steps(id, steps), run: last[0].ID}, err
}

func (c *call) steps(id string, steps []job.Step) []stepRow {
	rows := make([]stepRow, 0, len(steps))
	for _, s := range steps {
		took, ok := length(job.Job{StartedAt: s.StartedAt, FinishedAt: s.FinishedAt, Status: s.Status}, c.Time)
		rows = append(rows, stepRow{
			ID: id + "-" + strconv.Itoa(s.Index), Name: s.Name, Status: stepStatus(s.Status), Start: date(s.StartedAt), End: date(s.FinishedAt),
			Runtime: clock(took, ok), JobID: id, From: []string{}, Required: "all",
		})
	}
	return rows
}
