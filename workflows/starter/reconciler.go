package starter

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

var _ control.ReconcilerEngine = (*Starter)(nil)

// What the Temporal Web UI shows of the reconciler.
const (
	reconcilerSummary = "keeps the job table and Temporal in step"
	reconcilerDetails = "One of Waybill's processes runs the loop, as the pending activity. It may be terminated: it is started again within seconds."
)

// EnsureReconciler is control.ReconcilerEngine's. The look costs the engine a read; a start that comes second finds the first one.
func (s *Starter) EnsureReconciler(ctx context.Context, alone bool) (control.ReconcilerState, error) {
	answer, err := s.describe(ctx, contract.ReconcilerID)
	if err != nil && job.CodeOf(err) != job.NotFound {
		return control.ReconcilerState{}, err
	}
	state := reconcilerState(answer)
	policy := enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	switch open := err == nil && stateOf(answer.GetWorkflowExecutionInfo().GetStatus()) == control.EngineOpen; {
	case open && alone && state.Worker != "":
		policy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
	case open:
		return state, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err = s.engine.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.ReconcilerID, TaskQueue: s.queue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, WorkflowIDConflictPolicy: policy,
		StaticSummary: reconcilerSummary, StaticDetails: reconcilerDetails,
	}, contract.ReconcilerWorkflow, contract.ReconcilerInput{})
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return control.ReconcilerState{}, nil
	}
	return control.ReconcilerState{Started: err == nil}, translate(ctx, err, "start the reconciler")
}

// reconcilerState reads who has the loop.
func reconcilerState(answer *workflowservice.DescribeWorkflowExecutionResponse) (s control.ReconcilerState) {
	for _, a := range answer.GetPendingActivities() {
		if a.GetActivityType().GetName() != contract.Reconcile {
			continue
		}
		if t := a.GetLastHeartbeatTime(); t != nil {
			s.Beat = t.AsTime()
		}
		if a.GetState() != enumspb.PENDING_ACTIVITY_STATE_SCHEDULED { // started, or asked to cancel
			s.Worker = a.GetLastWorkerIdentity()
		}
	}
	return s
}
