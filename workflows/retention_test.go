package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// fakePurges plays the activities of the retention: jobs is how many batches there are.
type fakePurges struct {
	batches  int
	calls    []contract.PurgeInput
	packages int
	fail     func(call int) error
}

func (f *fakePurges) purgeJobs(_ context.Context, in contract.PurgeInput) (contract.PurgeResult, error) {
	f.calls = append(f.calls, in)
	if f.fail != nil {
		if err := f.fail(len(f.calls)); err != nil {
			return contract.PurgeResult{}, err
		}
	}
	next := in.Mark
	next.Account++
	next.Done = int(next.Account) >= f.batches
	return contract.PurgeResult{Mark: next, Deleted: job.Purged{Jobs: 2, Bytes: 10}}, nil
}

func (f *fakePurges) purgePackages(_ context.Context, in contract.PurgeInput) (contract.PurgeResult, error) {
	f.packages++
	return contract.PurgeResult{Mark: in.Mark, Deleted: job.Purged{Versions: 1}}, nil
}

func retentionEnv(f *fakePurges) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	patient(env)
	Register(env)
	env.RegisterActivityWithOptions(f.purgeJobs, activity.RegisterOptions{Name: contract.PurgeJobs})
	env.RegisterActivityWithOptions(f.purgePackages, activity.RegisterOptions{Name: contract.PurgePackages})
	env.SetStartTime(time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC))
	return env
}

func TestRetentionGoesOnUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	f := &fakePurges{batches: 3}
	env := retentionEnv(f)
	env.ExecuteWorkflow(contract.RetentionWorkflow, contract.RetentionInput{})
	var got contract.RetentionResult
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", got.Deleted, job.Purged{Jobs: 6, Bytes: 30, Versions: 1})
	if len(f.calls) != 3 || f.packages != 1 {
		t.Fatalf("%d batches and %d calls for packages, want 3 and 1", len(f.calls), f.packages)
	}
	for i, in := range f.calls {
		if in.Mark.Account != int64(i) || !in.Started.Equal(f.calls[0].Started) || in.Started.IsZero() {
			t.Errorf("batch %d got %+v: each goes on from the one before, in the same run", i, in)
		}
	}
}

func TestALongRetentionContinuesAsNewWhereItWas(t *testing.T) {
	t.Parallel()
	f := &fakePurges{batches: 1000}
	env := retentionEnv(f)
	env.ExecuteWorkflow(contract.RetentionWorkflow, contract.RetentionInput{})
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("closed with %v, want continue-as-new", err)
	}
	var in contract.RetentionInput
	if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &in); err != nil {
		t.Fatal(err)
	}
	if in.Mark.Account != batchesPerRun || in.Deleted.Jobs != 2*batchesPerRun || !in.Started.Equal(f.calls[0].Started) {
		t.Errorf("the next run begins with %+v", in)
	}
	if f.packages != 0 {
		t.Error("packages before the jobs are done: some are still needed")
	}
	// The next run ends it.
	f.batches, f.calls = batchesPerRun+1, nil
	env = retentionEnv(f)
	env.ExecuteWorkflow(contract.RetentionWorkflow, in)
	var got contract.RetentionResult
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	equal(t, "jobs deleted", got.Deleted.Jobs, 2*batchesPerRun+2)
}

func TestABatchThatFailsIsRepeatedAFewTimes(t *testing.T) {
	t.Parallel()
	away := temporal.NewApplicationError("away", string(job.Unavailable))
	f := &fakePurges{batches: 1, fail: func(call int) error {
		if call < 4 {
			return away
		}
		return nil
	}}
	env := retentionEnv(f)
	env.ExecuteWorkflow(contract.RetentionWorkflow, contract.RetentionInput{})
	if err := env.GetWorkflowError(); err != nil || len(f.calls) != 4 {
		t.Errorf("%v after %d calls, want success with the fourth", err, len(f.calls))
	}
}

func TestAnOutageEndsTheRunAndLeavesTheRestToTheNext(t *testing.T) {
	t.Parallel()
	f := &fakePurges{batches: 1, fail: func(int) error { return temporal.NewApplicationError("away", string(job.Unavailable)) }}
	env := retentionEnv(f)
	env.ExecuteWorkflow(contract.RetentionWorkflow, contract.RetentionInput{})
	if !env.IsWorkflowCompleted() || env.GetWorkflowError() == nil || len(f.calls) != 4 || f.packages != 0 {
		t.Errorf("error %v after %d calls, %d for packages; want a failure after 4", env.GetWorkflowError(), len(f.calls), f.packages)
	}
}
