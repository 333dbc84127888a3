package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"waybill/workflows/contract"
)

// reconcile plays the activity; it notes the turns it was given.
func reconcile(t *testing.T, play func(ctx context.Context, attempt int32) error) (*testsuite.TestWorkflowEnvironment, *[]time.Duration) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	patient(env)
	Register(env)
	var turns []time.Duration
	env.RegisterActivityWithOptions(func(ctx context.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
		turns = append(turns, in.Turn)
		info := activity.GetInfo(ctx)
		if info.HeartbeatTimeout != reconcileSilence || info.TaskQueue != "default-test-taskqueue-status" {
			t.Errorf("the loop is run with %+v", info)
		}
		return contract.ReconcileResult{}, play(ctx, info.Attempt)
	}, activity.RegisterOptions{Name: contract.Reconcile})
	return env, &turns
}

func TestReconcilerBeginsAnewAfterEachTurn(t *testing.T) {
	t.Parallel()
	env, turns := reconcile(t, func(context.Context, int32) error { return nil })
	env.ExecuteWorkflow(contract.ReconcilerWorkflow, contract.ReconcilerInput{})
	var next *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &next) {
		t.Errorf("closed with %v", err)
	}
	equal(t, "turns", len(*turns), 1)
	equal(t, "turn", (*turns)[0], reconcileTurn)
}

func TestReconcilerGoesOnWhateverTheProcessesDo(t *testing.T) {
	t.Parallel()
	env, turns := reconcile(t, func(_ context.Context, attempt int32) error {
		switch attempt {
		case 1:
			return temporal.NewApplicationError("the process stops", contract.ErrHandedOver)
		case 2:
			return temporal.NewApplicationError("unable to find activityType=Reconcile", "ActivityNotRegisteredError") // of an older version
		case 3:
			panic("a defect")
		case 9:
			return nil
		}
		return errors.New("no luck")
	})
	env.ExecuteWorkflow(contract.ReconcilerWorkflow, contract.ReconcilerInput{Turn: time.Minute})
	if err := env.GetWorkflowError(); !workflow.IsContinueAsNewError(err) {
		t.Errorf("closed with %v", err)
	}
	equal(t, "attempts", len(*turns), 9)
}

// The test environment answers a cancel of an activity at once; one that a process carries out is in the recorded histories.
func TestACancelledReconcilerEnds(t *testing.T) {
	t.Parallel()
	env, _ := reconcile(t, func(ctx context.Context, _ int32) error {
		<-ctx.Done()
		return temporal.NewCanceledError()
	})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Second)
	env.ExecuteWorkflow(contract.ReconcilerWorkflow, contract.ReconcilerInput{})
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("closed with %v", err)
	}
}
