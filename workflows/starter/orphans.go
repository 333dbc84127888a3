package starter

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

var _ control.OpenWorkflows = (*Open)(nil)

// OpenClient is what Open needs of Temporal; every client.Client has it.
type OpenClient interface {
	ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	TerminateWorkflow(ctx context.Context, workflowID, runID, reason string, details ...any) error
}

// Open lists workflows of jobs that run, and ends those nobody wants.
type Open struct {
	engine  OpenClient
	timeout time.Duration
}

// NewOpen makes an Open.
func NewOpen(c OpenClient) *Open { return &Open{engine: c, timeout: 10 * time.Second} }

// openPage is how many one call lists: what a server gives at most by default.
const openPage = 1000

// OpenWorkflows is control.OpenWorkflows'.
func (o *Open) OpenWorkflows(ctx context.Context, page []byte) ([]control.OpenWorkflow, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	answer, err := o.engine.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query:    fmt.Sprintf("WorkflowType IN ('%s', '%s') AND ExecutionStatus = 'Running'", contract.JobWorkflow, contract.RetryWorkflow),
		PageSize: openPage, NextPageToken: page,
	})
	if err != nil {
		return nil, nil, translate(ctx, err, "list open workflows")
	}
	var found []control.OpenWorkflow
	for _, w := range answer.GetExecutions() {
		if id, ok := jobOf(w); ok {
			found = append(found, control.OpenWorkflow{
				Job: id, Workflow: w.GetExecution().GetWorkflowId(), Run: w.GetExecution().GetRunId(), Started: w.GetStartTime().AsTime(),
			})
		}
	}
	return found, answer.GetNextPageToken(), nil
}

// TerminateWorkflow is control.OpenWorkflows'.
func (o *Open) TerminateWorkflow(ctx context.Context, w control.OpenWorkflow, why string) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err := translate(ctx, o.engine.TerminateWorkflow(ctx, w.Workflow, w.Run, why), "terminate a workflow")
	if job.CodeOf(err) == job.NotFound {
		return nil
	}
	return err
}
