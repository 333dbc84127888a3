package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// batchesPerRun is after how many batches Retention continues as new, so that no history grows long.
const batchesPerRun = 100

// Times of one batch.
const (
	purgeTime    = 30 * time.Minute
	purgeSilence = time.Minute
	purgePause   = 5 * time.Second
)

// Retention deletes jobs that are over their retention, batch by batch, and then packages nobody needs. The schedule
// "retention" starts it. It fails when a batch does, for long enough that an outage is the likely reason: the next run, soon,
// finds what is left.
func Retention(ctx workflow.Context, in contract.RetentionInput) (contract.RetentionResult, error) {
	if in.Started.IsZero() {
		in.Started = workflow.Now(ctx).UTC()
	}
	for batch := 1; !in.Mark.Done; batch++ {
		if batch > batchesPerRun || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return contract.RetentionResult{}, workflow.NewContinueAsNewError(ctx, contract.RetentionWorkflow, in)
		}
		if err := purge(ctx, contract.PurgeJobs, &in); err != nil {
			return contract.RetentionResult{}, err
		}
	}
	if err := purge(ctx, contract.PurgePackages, &in); err != nil {
		return contract.RetentionResult{}, err
	}
	return contract.RetentionResult{Deleted: in.Deleted}, nil
}

func purge(ctx workflow.Context, activity string, in *contract.RetentionInput) error {
	var result contract.PurgeResult
	err := workflow.ExecuteActivity(purgeBatch(ctx), activity, contract.PurgeInput{Started: in.Started, Mark: in.Mark}).Get(ctx, &result)
	if err != nil {
		return err
	}
	in.Mark, in.Deleted = result.Mark, in.Deleted.Plus(result.Deleted)
	workflow.SetCurrentDetails(ctx, details(in.Deleted))
	return nil
}

// purgeBatch is a batch of deleting. It may be repeated, but not for ever: the schedule comes again.
func purgeBatch(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           contract.StatusQueue(workflow.GetInfo(ctx).TaskQueueName),
		StartToCloseTimeout: purgeTime,
		HeartbeatTimeout:    purgeSilence,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: purgePause, BackoffCoefficient: 2, MaximumAttempts: 4, NonRetryableErrorTypes: []string{typePanic},
		},
	})
}

// details is what the Temporal UI shows of a run.
func details(p job.Purged) string {
	return fmt.Sprintf("Deleted %d jobs, %d workflow histories, %d objects of %d bytes, %d file versions", p.Jobs, p.Histories, p.Objects, p.Bytes, p.Versions)
}
