package native

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
)

type (
	attemptsReply    struct{ Body attemptsResponse }
	attemptsResponse struct {
		Items []attemptResponse `json:"items"`
	}
	attemptResponse struct {
		Number     int            `json:"number"`
		Started    string         `json:"started,omitempty"`
		Finished   string         `json:"finished,omitempty"`
		Duration   string         `json:"duration,omitempty"`
		ReturnCode string         `json:"returnCode,omitempty"`
		Reason     string         `json:"reason,omitempty" doc:"Why it ended; absent for a success"`
		Message    string         `json:"message,omitempty"`
		Worker     string         `json:"worker,omitempty"`
		Sandbox    string         `json:"sandbox,omitempty" doc:"What held the program back, and the limits in force, in one line for people"`
		Log        attemptLogSize `json:"log"`
	}
	attemptLogSize struct {
		Bytes int64  `json:"bytes"`
		Href  string `json:"href"`
	}
	attemptLogInput struct {
		JobPath
		Number string `path:"number" doc:"From 1"`
		LogQuery
	}
)

func (d *door) attemptRoutes() {
	tags := []string{"Jobs"}
	operation(d, bearer, huma.Operation{
		Method: "GET", Path: "/jobs/{id}/attempts", Summary: "The attempts of a job, first to last", Tags: tags,
	}, d.attempts)
	operation(d, bearer, binary(huma.Operation{
		Method: "GET", Path: "/jobs/{id}/attempts/{number}/log", Summary: "Read what one attempt wrote into the log", Tags: tags,
	}, "application/octet-stream", "text/plain", "application/zip"), d.attemptLog)
}

func (d *door) attempts(ctx context.Context, in *jobInput) (*attemptsReply, error) {
	c := d.call(ctx)
	attempts, err := d.server.Jobs.Attempts(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	out := attemptsResponse{Items: make([]attemptResponse, 0, len(attempts))}
	for _, a := range attempts {
		out.Items = append(out.Items, c.attempt(in.ID, a))
	}
	return &attemptsReply{out}, nil
}

func (s style) attempt(id string, a control.AttemptLog) attemptResponse {
	return attemptResponse{
		Number: a.Number, Started: s.date(a.StartedAt), Finished: s.date(a.FinishedAt), Duration: between(a.StartedAt, a.FinishedAt),
		ReturnCode: returnCode(a.ReturnCode), Reason: string(a.Reason), Message: a.Message, Worker: a.Worker, Sandbox: a.Sandbox,
		Log: attemptLogSize{a.LogBytes, s.href("jobs/" + id + "/attempts/" + strconv.Itoa(a.Number) + "/log")},
	}
}

func (d *door) attemptLog(ctx context.Context, in *attemptLogInput) (*streamReply, error) {
	show, err := in.LogQuery.read(d.call(ctx).Time)
	if err != nil {
		return nil, err
	}
	return d.oneAttempt(ctx, in.ID, in.Number, show)
}
