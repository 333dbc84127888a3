package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows/contract"
)

// Times of the reconciler.
const (
	// reconcileTurn is how long a run lives. A history has a dozen events whatever happens in it, because attempts that follow
	// one another leave none; a run that lasted for ever would keep to one version of this code.
	reconcileTurn  = 6 * time.Hour
	reconcileSlack = time.Hour
	// reconcileSilence is after which time without a heartbeat the process that has the loop is taken for dead: so long nobody
	// reconciles after a crash. Two loops at once for a moment do no harm.
	reconcileSilence = 5 * time.Second
	reconcilePause   = time.Second
)

// Reconciler keeps the loop of the reconciler running in one process: the activity Reconcile is that loop, and Temporal gives it
// to another process when the one that has it dies, hangs or stops. There is one such workflow in a namespace.
func Reconciler(ctx workflow.Context, in contract.ReconcilerInput) error {
	turn := in.Turn
	if turn <= 0 {
		turn = reconcileTurn
	}
	workflow.SetCurrentDetails(ctx, "The pending activity tells which process has the loop")
	err := workflow.ExecuteActivity(loop(ctx, turn), contract.Reconcile, contract.ReconcileInput{Turn: turn}).Get(ctx, nil)
	if err != nil {
		return err // only a cancel ends it; every process looks whether the workflow is there
	}
	return workflow.NewContinueAsNewError(ctx, contract.ReconcilerWorkflow, in)
}

// loop is Reconcile: repeated for ever, soon, by whichever process is there. A version of Waybill from before it fails it, and
// then the next process has its turn.
func loop(ctx workflow.Context, turn time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          "loop",
		Summary:             "keep job table and Temporal in step",
		TaskQueue:           contract.StatusQueue(workflow.GetInfo(ctx).TaskQueueName),
		StartToCloseTimeout: turn + reconcileSlack,
		HeartbeatTimeout:    reconcileSilence,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: reconcilePause, BackoffCoefficient: 1, MaximumInterval: reconcilePause},
	})
}
