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

var _ control.LaneEngine = (*Starter)(nil)

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
