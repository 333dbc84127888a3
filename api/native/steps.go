package native

import (
	"context"
	"time"

	"waybill/internal/job"
)

type (
	stepsResponse struct {
		Items []stepResponse `json:"items"`
	}
	stepResponse struct {
		Index          int    `json:"index"`
		Name           string `json:"name"`
		Status         string `json:"status"`
		Attempt        int    `json:"attempt"`
		Started        string `json:"started,omitempty"`
		Finished       string `json:"finished,omitempty"`
		Duration       string `json:"duration,omitempty"`
		ReturnCode     string `json:"returnCode,omitempty"`
		RecordsRead    int64  `json:"recordsRead"`
		RecordsWritten int64  `json:"recordsWritten"`
		RecordsFailed  int64  `json:"recordsFailed"`
		RecordsIgnored int64  `json:"recordsIgnored"`
		ErrorsOpen     int64  `json:"errorsOpen"`
		ErrorsResolved int64  `json:"errorsResolved"`
		Message        string `json:"message,omitempty"`
	}
)

func (d *door) steps(ctx context.Context, in *jobInput) (*stepsReply, error) {
	c := d.call(ctx)
	steps, err := d.server.Jobs.Steps(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	out := stepsResponse{Items: make([]stepResponse, 0, len(steps))}
	for _, s := range steps {
		out.Items = append(out.Items, stepResponse{
			Index: s.Index, Name: s.Name, Status: stepWord(s.Status), Attempt: s.Attempt, Started: c.date(s.StartedAt),
			Finished: c.date(s.FinishedAt), Duration: between(s.StartedAt, s.FinishedAt), ReturnCode: returnCode(s.ReturnCode),
			RecordsRead: s.RecordsRead, RecordsWritten: s.RecordsWritten, RecordsFailed: s.RecordsFailed,
			RecordsIgnored: s.RecordsIgnored, ErrorsOpen: s.ErrorsOpen, ErrorsResolved: s.ErrorsResolved, Message: s.Message,
		})
	}
	return &stepsReply{out}, nil
}

// stepWord shows a step by the words of jobs: one that failed did so by itself, one that was cancelled had begun.
func stepWord(s job.Status) string {
	as := job.Job{Status: s, Taken: true}
	if s == job.Failed {
		as.Reason = job.ReasonError
	}
	return statusWord(as, time.Time{})
}
