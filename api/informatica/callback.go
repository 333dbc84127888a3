package informatica

import (
	"context"
	"encoding/json"

	"waybill/internal/job"
)

// callbackObject is the body of a call about a run that has ended: its log entry, in the words of a start.
type callbackObject struct {
	Type          string `json:"@type"`
	ID            string `json:"id"`
	TaskID        string `json:"taskId,omitempty"`
	TaskName      string `json:"taskName"`
	TaskType      string `json:"taskType"`
	RunID         int64  `json:"runId"`
	AgentID       string `json:"agentId,omitempty"`
	EnvironmentID string `json:"runtimeEnvironmentId,omitempty"`
	StartTime     string `json:"startTime,omitempty"`
	EndTime       string `json:"endTime,omitempty"`
	StartTimeUTC  string `json:"startTimeUtc,omitempty"`
	EndTimeUTC    string `json:"endTimeUtc,omitempty"`
	State         int    `json:"state"`
	Rows
	TotalSuccess   *int64 `json:"totalSuccessRows,omitempty"`
	TotalFailed    *int64 `json:"totalFailedRows,omitempty"`
	ErrorMsg       string `json:"errorMsg,omitempty"`
	StartedBy      string `json:"startedBy,omitempty"`
	RunContextType string `json:"runContextType,omitempty"`
	ScheduleName   string `json:"scheduleName,omitempty"`
	IsStopped      *bool  `json:"isStopped,omitempty"`
}

// Lookup is what the bodies of calls need beside their jobs.
type Lookup interface {
	Account(ctx context.Context, id int64) (job.Account, error)
	Config(ctx context.Context, account, id int64) (job.Config, error)
}

// Caller writes the bodies of calls about runs: outside of any call to the door.
func Caller(look Lookup) func(ctx context.Context, j job.Job) ([]byte, error) {
	return func(ctx context.Context, j job.Job) ([]byte, error) {
		a, err := look.Account(ctx, j.AccountID)
		if err != nil {
			return nil, err
		}
		c, err := look.Config(ctx, j.AccountID, j.ConfigID)
		if err != nil && job.CodeOf(err) != job.NotFound { // deleted since: then it has no id to be told
			return nil, err
		}
		s := surroundings{zone: zoneOf(a), objects: map[int64]string{j.ConfigID: c.ObjectID}}
		e := s.logged(j)
		return json.Marshal(callbackObject{
			Type: "job", ID: e.ID, TaskID: e.ObjectID, TaskName: e.ObjectName, TaskType: e.TaskType, RunID: e.RunID, AgentID: e.AgentID,
			EnvironmentID: e.EnvironmentID, StartTime: e.StartTime, EndTime: e.EndTime, StartTimeUTC: e.StartTimeUTC, EndTimeUTC: e.EndTimeUTC,
			State: e.State, Rows: e.Rows, TotalSuccess: e.TotalSuccess, TotalFailed: e.TotalFailed, ErrorMsg: e.ErrorMsg, StartedBy: e.StartedBy,
			RunContextType: e.RunContextType, ScheduleName: e.ScheduleName, IsStopped: e.IsStopped,
		})
	}
}
