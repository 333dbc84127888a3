package workflows

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// fakeFires stand in for the activities of a fire and note what they were asked.
type fakeFires struct {
	mu    sync.Mutex
	takes []contract.TakeFireInput
	looks int

	fired contract.Fired
	take  func(try int) error
	look  func(n int) (contract.JobResult, error)
}

func (f *fakeFires) TakeFire(_ context.Context, in contract.TakeFireInput) (contract.Fired, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes = append(f.takes, in)
	if f.take != nil {
		if err := f.take(len(f.takes)); err != nil {
			return contract.Fired{}, err
		}
	}
	return f.fired, nil
}

func (f *fakeFires) LookAtJob(_ context.Context, in contract.LookAtJobInput) (contract.JobResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	if in != (contract.LookAtJobInput{AccountID: 7, JobID: testID}) {
		return contract.JobResult{}, temporal.NewNonRetryableApplicationError("another job", "Wrong", nil)
	}
	return f.look(f.looks)
}

var fireAt = time.Date(2026, 3, 17, 9, 45, 0, 0, time.UTC)

func fireEnv(t *testing.T, a *fakeActivities, f *fakeFires) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnv(t, a)
	env.RegisterActivityWithOptions(f.TakeFire, activity.RegisterOptions{Name: contract.TakeFire})
	env.RegisterActivityWithOptions(f.LookAtJob, activity.RegisterOptions{Name: contract.LookAtJob})
	if err := env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(attrScheduled.ValueSet(fireAt))); err != nil {
		t.Fatal(err)
	}
	return env
}

func firedJob() contract.Fired {
	in := testInput()
	return contract.Fired{Outcome: string(job.FireStarted), JobID: testID, At: fireAt, Job: &in}
}

func fire(env *testsuite.TestWorkflowEnvironment) {
	env.ExecuteWorkflow(contract.FireWorkflow, contract.FireInput{AccountID: 7, ConfigID: 44, Paused: true, End: fireAt})
}

// wantFired checks how a Fire closed.
func wantFired(t *testing.T, env *testsuite.TestWorkflowEnvironment, want contract.Fired) {
	t.Helper()
	var got contract.Fired
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatalf("the workflow failed: %v", err)
	}
	equal(t, "result", got, want)
}

func TestFireRunsTheJobAsItsChild(t *testing.T) {
	t.Parallel()
	for _, status := range []contract.JobResult{
		resultWith(job.Completed, "", 0), resultWith(job.Failed, job.ReasonError, 3), resultWith(job.Cancelled, job.ReasonStopped),
	} {
		a, f := &fakeActivities{execute: ends(status)}, &fakeFires{fired: firedJob()}
		env := fireEnv(t, a, f)
		var child *workflow.Info
		env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) { child = info })
		fire(env)
		want := firedJob()
		want.Job, want.Status = nil, status.Status
		wantFired(t, env, want)
		if child == nil || child.WorkflowExecution.ID != contract.JobWorkflowID(testID) || child.WorkflowType.Name != contract.JobWorkflow {
			t.Errorf("child %+v", child)
		}
		if len(f.takes) != 1 || !f.takes[0].At.Equal(fireAt) || f.takes[0].Started.IsZero() || f.takes[0].ConfigID != 44 || !f.takes[0].Paused || !f.takes[0].End.Equal(fireAt) || f.looks != 0 {
			t.Errorf("takes %+v, looks %d", f.takes, f.looks)
		}
	}
}

func TestFireWithoutAJobEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{contract.FireNotDue, string(job.FireRefused), string(job.FireMissed), string(job.FireSkipped), string(job.FireStarted)} {
		a, f := &fakeActivities{}, &fakeFires{fired: contract.Fired{Outcome: outcome, Message: "why", At: fireAt}}
		env := fireEnv(t, a, f)
		fire(env)
		wantFired(t, env, f.fired)
		if len(a.trail) != 0 {
			t.Errorf("%s: did %v", outcome, a.trail)
		}
	}
}

func TestFireWaitsForTheDatabaseAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	a, f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}, &fakeFires{fired: firedJob(), take: func(try int) error {
		if try < 9 {
			return temporal.NewApplicationError("away", string(job.Unavailable))
		}
		return nil
	}}
	env := fireEnv(t, a, f)
	fire(env)
	completed(t, env)
	if len(f.takes) != 9 || f.takes[0] != f.takes[8] {
		t.Errorf("%d takes, the first %+v, the last %+v", len(f.takes), f.takes[0], f.takes[len(f.takes)-1])
	}
}

func TestACancelledFireCancelsItsJob(t *testing.T) {
	t.Parallel()
	a := &fakeActivities{execute: func(ctx context.Context, _ int) (contract.JobResult, error) {
		<-ctx.Done()
		return resultWith(job.Cancelled, job.ReasonStopped), nil
	}}
	f := &fakeFires{fired: firedJob()}
	env := fireEnv(t, a, f)
	env.SetTestTimeout(20 * time.Second)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Second)
	fire(env)
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("closed with %v", err)
	}
}

func TestAFireCancelledBeforeItsJobBeganSettlesIt(t *testing.T) {
	t.Parallel()
	a, f := &fakeActivities{}, &fakeFires{fired: firedJob()}
	env := fireEnv(t, a, f)
	f.take = func(int) error { env.CancelWorkflow(); return nil }
	fire(env)
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("closed with %v", err)
	}
	if len(a.settles) != 1 || a.settles[0].Status != job.Cancelled || len(a.executes) != 0 {
		t.Errorf("settles %+v, executes %d", a.settles, len(a.executes))
	}
}

// elsewhere makes the child be there already.
func elsewhere(env *testsuite.TestWorkflowEnvironment) {
	env.OnWorkflow(contract.JobWorkflow, mock.Anything, mock.Anything).Return(contract.JobResult{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{})
}

func TestAFireWhoseJobRunsElsewhereWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	f := &fakeFires{fired: firedJob(), look: func(n int) (contract.JobResult, error) {
		switch {
		case n == 2:
			return contract.JobResult{}, errors.New("database away")
		case n < 12:
			return resultWith(job.Running, ""), nil
		}
		return resultWith(job.Failed, job.ReasonError, 1), nil
	}}
	env := fireEnv(t, &fakeActivities{}, f)
	elsewhere(env)
	began := env.Now()
	fire(env)
	want := firedJob()
	want.Job, want.Status = nil, job.Failed
	wantFired(t, env, want)
	if waited := env.Now().Sub(began); f.looks != 12 || waited < 4*time.Minute || waited > 6*time.Minute {
		t.Errorf("%d looks in %s", f.looks, waited)
	}
}

func TestACancelReachesAJobThatRunsElsewhere(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := ""
	f := &fakeFires{fired: firedJob(), look: func(int) (contract.JobResult, error) {
		mu.Lock()
		defer mu.Unlock()
		if asked != "" {
			return resultWith(job.Cancelled, job.ReasonStopped), nil
		}
		return resultWith(job.Running, ""), nil
	}}
	env := fireEnv(t, &fakeActivities{}, f)
	elsewhere(env)
	env.OnRequestCancelExternalWorkflow(mock.Anything, contract.JobWorkflowID(testID), "").Return(func(_, id, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		asked = id
		return nil
	}).Once()
	env.RegisterDelayedCallback(env.CancelWorkflow, 3*time.Minute)
	fire(env)
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) || asked == "" {
		t.Errorf("closed with %v, asked %q", err, asked)
	}
}
