package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows/contract"
)

// Register makes the workflows known to a worker, a replayer or a test environment under the names of the contract, so
// that renaming a Go function breaks no history.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(Job, workflow.RegisterOptions{Name: contract.JobWorkflow})
	r.RegisterWorkflowWithOptions(Lane, workflow.RegisterOptions{Name: contract.LaneWorkflow})
	r.RegisterWorkflowWithOptions(Fire, workflow.RegisterOptions{Name: contract.FireWorkflow})
	r.RegisterWorkflowWithOptions(Retry, workflow.RegisterOptions{Name: contract.RetryWorkflow})
	r.RegisterWorkflowWithOptions(Retention, workflow.RegisterOptions{Name: contract.RetentionWorkflow})
	r.RegisterWorkflowWithOptions(Deliver, workflow.RegisterOptions{Name: contract.DeliverWorkflow})
	r.RegisterWorkflowWithOptions(Reconciler, workflow.RegisterOptions{Name: contract.ReconcilerWorkflow})
}
