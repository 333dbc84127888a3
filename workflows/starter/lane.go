package starter

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows"
	"waybill/workflows/contract"
)

var (
	_ control.LaneEngine  = (*Starter)(nil)
	_ control.UsherEngine = (*Starter)(nil)
)

// EnsureLane starts the lane's workflow unless it runs. One that runs is left alone and pays no event for the call.
func (s *Starter) EnsureLane(ctx context.Context, l job.LaneRef) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	o, in := s.lane(l)
	_, err := s.engine.ExecuteWorkflow(ctx, o, contract.LaneWorkflow, in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return nil
	}
	return translate(ctx, err, "start the lane")
}

// PokeLane makes the lane's workflow look at once, and starts it if it does not run.
func (s *Starter) PokeLane(ctx context.Context, l job.LaneRef) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	o, in := s.lane(l)
	_, err := s.engine.SignalWithStartWorkflow(ctx, o.ID, contract.SignalPoke, nil, o, contract.LaneWorkflow, in)
	return translate(ctx, err, "poke the lane")
}

// Admit tells the job's workflow that it holds a place. NotFound: it has not started yet, or is over.
func (s *Starter) Admit(ctx context.Context, id job.ID) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.engine.SignalWorkflow(ctx, contract.JobWorkflowID(id), "", contract.SignalAdmitted, nil)
	return translate(ctx, err, "admit the job")
}

// Remind is control.UsherEngine's. A Job that waits in its lane is the only one with nothing under way: no activity, and no
// word that it has not heard yet.
func (s *Starter) Remind(ctx context.Context, id job.ID) (bool, error) {
	answer, err := s.describe(ctx, contract.JobWorkflowID(id))
	switch {
	case job.CodeOf(err) == job.NotFound: // the reconciler starts it, with its place
		return false, nil
	case err != nil:
		return false, err
	case stateOf(answer.GetWorkflowExecutionInfo().GetStatus()) != control.EngineOpen,
		len(answer.GetPendingActivities()) > 0, answer.GetPendingWorkflowTask() != nil:
		return false, nil
	}
	err = s.Admit(ctx, id)
	if job.CodeOf(err) == job.NotFound {
		return false, nil
	}
	return err == nil, err
}

// lane is how a lane's workflow is started: one at a time, and again whenever it has ended, however it did.
func (s *Starter) lane(l job.LaneRef) (client.StartWorkflowOptions, contract.LaneInput) {
	in := contract.LaneInput{AccountID: l.AccountID, Lane: l.Lane}
	return client.StartWorkflowOptions{
		ID:                       contract.LaneWorkflowID(l.AccountID, l.Lane),
		TaskQueue:                s.queue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    workflows.LaneAttributes(in),
		StaticSummary:            workflows.LaneSummary(in),
	}, in
}
