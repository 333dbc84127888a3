package starter

import (
	"context"
	"errors"
	"strconv"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/control"
	"waybill/workflows/contract"
)

var _ control.DeliveryEngine = (*Starter)(nil)

// StartDelivery starts the workflow of a delivery's round. A round is started once, ever, so the call may be repeated
// after any doubt.
func (s *Starter) StartDelivery(ctx context.Context, in contract.DeliverInput) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	attributes := []temporal.SearchAttributeUpdate{
		temporal.NewSearchAttributeKeyKeyword(contract.AttrAccount).ValueSet(strconv.FormatInt(in.AccountID, 10)),
	}
	if in.JobID != "" {
		attributes = append(attributes, temporal.NewSearchAttributeKeyKeyword(contract.AttrJob).ValueSet(string(in.JobID)))
	}
	_, err := s.engine.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       contract.DeliverWorkflowID(in.ID, in.Round),
		TaskQueue:                contract.SystemQueue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		TypedSearchAttributes:    temporal.NewSearchAttributes(attributes...),
	}, contract.DeliverWorkflow, in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return nil
	}
	return translate(ctx, err, "start the delivery")
}

// DeliveryState looks the workflow of a delivery's round up.
func (s *Starter) DeliveryState(ctx context.Context, id string, round int) (control.EngineState, error) {
	return s.state(ctx, contract.DeliverWorkflowID(id, round))
}
