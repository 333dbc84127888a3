package diem

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"waybill/internal/control"
	"waybill/internal/job"
)

// serviceReply is what a program gave (diem.md, 4.2).
type serviceReply struct {
	Out     any    `json:"out"`
	ID      string `json:"id"`
	JobID   string `json:"jobid"`
	TransID string `json:"transid"`
	Email   string `json:"email"`
	Name    string `json:"name"`
}

// serviceFailure is the reply of a program that failed.
type serviceFailure struct {
	ID        string  `json:"id"`
	Org       string  `json:"org"`
	ServiceID string  `json:"serviceid"`
	Email     string  `json:"email"`
	Error     string  `json:"error"`
	Out       message `json:"out"`
}

// services runs a config and waits for its answer.
func (d *door) services(ctx context.Context, c *call) (answer, error) {
	id := c.args.id("id")
	if !job.ValidID(id) {
		return answer{status: http.StatusNotAcceptable, text: "Invalid id: " + id, cause: job.Errorf(job.Invalid, job.WordInvalidField, "Invalid id")}, nil
	}
	request := control.CallRequest{Config: id, Door: job.TriggerDIEM, Caller: job.Caller{Request: c.ID}}
	if c.args.has("params") {
		request.Params = c.args["params"]
	}
	called, err := d.server.Calls.Call(ctx, c.Actor, request)
	switch {
	case job.CodeOf(err) == job.NotFound || job.CodeOf(err) == job.Forbidden:
		return answer{status: http.StatusNotFound, json: told{"doc " + c.args.text("id") + " not found", http.StatusNotFound}, cause: err}, nil
	case job.WordOf(err) == control.WordNoWorker:
		return answer{
			status: http.StatusServiceUnavailable, json: told{"No Executor is available to handle your request", http.StatusServiceUnavailable},
			cause: job.Errorf(job.Conflict, control.WordNoWorker, "No worker is there"), // nothing is away that the audit log needs
		}, nil
	case err != nil:
		if a, so := c.nothingToRun(err); so {
			return a, nil
		}
		return answer{}, err
	}
	return c.called(id, called), nil
}

func (c *call) called(id string, r control.Called) answer {
	switch {
	case r.Late:
		return answer{
			status: http.StatusGatewayTimeout, json: told{"Timeout handling your request", http.StatusGatewayTimeout}, run: r.Job.ID,
		}
	case r.Job.Status != job.Completed:
		return answer{run: r.Job.ID, json: serviceFailure{
			ID: id, Org: c.key.Org, ServiceID: id, Email: c.key.Email, Error: r.LogTail, Out: message{"An error happened and data cannot be produced"},
		}}
	case !r.Told:
		return answer{run: r.Job.ID, json: message{"no data"}}
	}
	return answer{run: r.Job.ID, json: serviceReply{
		Out: outOf(r.Answer), ID: id, JobID: id, TransID: c.ID, Email: c.key.Email, Name: r.Config.Name,
	}}
}

// outOf is an answer as JSON where it is JSON, else as text.
func outOf(text string) any {
	trimmed := strings.TrimSpace(text)
	if !json.Valid([]byte(trimmed)) {
		return text
	}
	return json.RawMessage(trimmed)
}
