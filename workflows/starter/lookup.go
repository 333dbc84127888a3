package starter

import (
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

var _ control.Starter = (*Starter)(nil)

// pageSize is how many closed workflows one call lists.
const pageSize = 500

// JobState looks the job's workflow up. For a retry that is the Job child or, before it started, the Retry around it.
func (s *Starter) JobState(ctx context.Context, id job.ID, retry bool) (control.EngineState, error) {
	state, err := s.state(ctx, contract.JobWorkflowID(id))
	if err == nil && state == control.EngineAbsent && retry {
		return s.state(ctx, contract.RetryWorkflowID(id))
	}
	return state, err
}

// state looks the newest run of a workflow up: a run that was reset is terminated, but the one that replaced it counts.
func (s *Starter) state(ctx context.Context, workflowID string) (control.EngineState, error) {
	answer, err := s.describe(ctx, workflowID)
	if job.CodeOf(err) == job.NotFound {
		return control.EngineAbsent, nil
	}
	if err != nil {
		return "", err
	}
	return stateOf(answer.GetWorkflowExecutionInfo().GetStatus()), nil
}

func (s *Starter) describe(ctx context.Context, workflowID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answer, err := s.engine.DescribeWorkflowExecution(ctx, workflowID, "")
	return answer, translate(ctx, err, "look the job up")
}

func stateOf(s enumspb.WorkflowExecutionStatus) control.EngineState {
	switch s {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
		enumspb.WORKFLOW_EXECUTION_STATUS_FAILED,
		enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return control.EngineClosed
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED,
		enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return control.EngineTerminated
	}
	return control.EngineOpen // running, paused, or continued as new, which has an open successor
}

// Terminated lists the ids of jobs whose Job, or the Retry around it, was terminated or timed out after since, each
// once. The list comes from Temporal's visibility store, which may lag a second behind, so callers ask with an
// overlap. A run that an operator reset is terminated, too, while the job lives on in a newer run: callers look each job
// up with JobState before they believe it dead.
func (s *Starter) Terminated(ctx context.Context, since time.Time) ([]job.ID, error) {
	query := fmt.Sprintf("WorkflowType IN ('%s', '%s') AND ExecutionStatus IN ('Terminated', 'TimedOut') AND CloseTime > '%s'",
		contract.JobWorkflow, contract.RetryWorkflow, since.UTC().Format(time.RFC3339Nano))
	var found []job.ID
	seen := map[job.ID]bool{}
	for token := []byte(nil); ; {
		page, err := s.list(ctx, query, token)
		if err != nil {
			return nil, err
		}
		for _, w := range page.GetExecutions() {
			if id, ok := jobOf(w); ok && !seen[id] {
				seen[id] = true
				found = append(found, id)
			}
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return found, nil
		}
	}
}

func (s *Starter) list(ctx context.Context, query string, token []byte) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	page, err := s.engine.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: query, PageSize: pageSize, NextPageToken: token,
	})
	return page, translate(ctx, err, "list terminated jobs")
}

// jobOf tells which job a workflow belongs to, by its id: that one can not be changed, a search attribute can.
func jobOf(w *workflowpb.WorkflowExecutionInfo) (job.ID, bool) {
	prefix := contract.JobWorkflowID("")
	if w.GetType().GetName() == contract.RetryWorkflow {
		prefix = contract.RetryWorkflowID("")
	}
	id, ok := strings.CutPrefix(w.GetExecution().GetWorkflowId(), prefix)
	return job.ID(id), ok && job.ValidID(id)
}
