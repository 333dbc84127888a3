package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// start is the clock of the test environment at the start.
var start = time.Date(2026, 3, 17, 9, 41, 47, 0, time.UTC)

func TestJobClosesAsTheProgramEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result contract.JobResult
		closes string
	}{
		"completed": {resultWith(job.Completed, "", 0), "completed"},
		"failed":    {resultWith(job.Failed, job.ReasonError, 3), "failed"},
		"timeout":   {resultWith(job.Failed, job.ReasonTimeout), "failed"},
		"cancelled": {resultWith(job.Cancelled, job.ReasonStopped), "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeActivities{execute: ends(c.result)}
			env := newEnv(t, f)
			env.SetStartTime(start)
			env.ExecuteWorkflow(contract.JobWorkflow, testInput())
			switch c.closes {
			case "completed":
				wantResult(t, env, c.result)
			case "failed":
				wantFailed(t, env, c.result)
			case "cancelled":
				wantCancelled(t, env, c.result)
			}
			equal(t, "activities", f.trail, []string{contract.ExecutePackage})
			equal(t, "statuses shown", f.shown, []job.Status{c.result.Status})
			equal(t, "input of ExecutePackage", f.executes, []contract.ExecuteInput{{
				JobID: testID, AccountID: 7, RunStarted: start, RunID: "default-test-run-id", Timeout: time.Minute, Grace: 10 * time.Second,
			}})
		})
	}
}

func TestFailedJobSaysWhyInOneLine(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]contract.JobResult{
		"job failed: the program exited with code 3": resultWith(job.Failed, job.ReasonError, 3),
		"job failed":                             resultWith(job.Failed, job.ReasonError),
		"job failed: over its time":              resultWith(job.Failed, job.ReasonTimeout, 143),
		"job failed: its worker was lost":        resultWith(job.Failed, job.ReasonWorkerLost),
		"job failed: terminated":                 resultWith(job.Failed, job.ReasonTerminated),
		"job failed: the package can not be run": resultWith(job.Failed, job.ReasonInvalidPackage),
	} {
		f := &fakeActivities{execute: ends(r)}
		env := newEnv(t, f)
		env.ExecuteWorkflow(contract.JobWorkflow, testInput())
		var app *temporal.ApplicationError
		if !errors.As(env.GetWorkflowError(), &app) {
			t.Fatalf("%s: closed with %v", want, env.GetWorkflowError())
		}
		if app.Message() != want || app.Type() != contract.ErrJobFailed || !app.NonRetryable() {
			t.Errorf("got %q of type %s, non-retryable %v; want %q", app.Message(), app.Type(), app.NonRetryable(), want)
		}
	}
}

func TestFailedAttemptIsFollowedByAnotherAfterItsPause(t *testing.T) {
	t.Parallel()
	pause := 37 * time.Second
	f := &fakeActivities{execute: func(_ context.Context, attempt int) (contract.JobResult, error) {
		if attempt < 3 {
			return contract.JobResult{}, temporal.NewApplicationErrorWithOptions("exit code 1", contract.ErrAttemptFailed,
				temporal.ApplicationErrorOptions{NextRetryDelay: pause})
		}
		return resultWith(job.Completed, "", 0), nil
	}}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "attempts", len(f.executes), 3)
	equal(t, "settles", len(f.settles), 0)
	if took := env.Now().Sub(start); took < 2*pause || took > 3*pause {
		t.Errorf("took %v of workflow time, want two pauses of %v", took, pause)
	}
}

func TestLostWorkerIsFollowedByAnotherAttempt(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: func(_ context.Context, attempt int) (contract.JobResult, error) {
		if attempt == 1 {
			return contract.JobResult{}, temporal.NewHeartbeatTimeoutError()
		}
		return resultWith(job.Completed, "", 0), nil
	}}
	env := newEnv(t, f)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.ExecutePackage})
}

func TestJobWithoutOutcomeIsSettled(t *testing.T) {
	t.Parallel()
	endless := testInput()
	endless.Timeout = 0
	overTime := temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	for name, c := range map[string]struct {
		in    contract.JobInput
		gives error
		want  verdict
	}{
		"fenced":                              {testInput(), temporal.NewNonRetryableApplicationError("x", contract.ErrFenced, nil), wasTakenOver},
		"fenced, marked retryable by mistake": {testInput(), temporal.NewApplicationError("x", contract.ErrFenced), wasTakenOver},
		"worker hangs beyond the timeout":     {testInput(), overTime, wasOverTime},
		"no timeout, but a limit":             {endless, overTime, wasForgotten},
		"lost for good":                       {testInput(), temporal.NewHeartbeatTimeoutError(), wasLost},
		"invalid":                             {testInput(), temporal.NewNonRetryableApplicationError("x", "invalid", nil), wasUnfit},
		"blob is gone":                        {testInput(), temporal.NewNonRetryableApplicationError("x", "not_found", nil), wasUnfit},
		"other error":                         {testInput(), temporal.NewNonRetryableApplicationError("x", "odd", nil), wasDefect},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeActivities{execute: breaks(c.gives)}
			env := newEnv(t, f)
			env.SetStartTime(start)
			env.ExecuteWorkflow(contract.JobWorkflow, c.in)
			wantFailed(t, env, resultWith(c.want.status, c.want.reason))
			equal(t, "settled with", f.settles, []contract.SettleInput{{
				JobID: testID, AccountID: 7, RunStarted: start,
				Status: c.want.status, Reason: c.want.reason, Message: c.want.message,
			}})
			equal(t, "statuses shown", f.shown, []job.Status{job.Failed})
			// The test environment repeats every timeout, ten times at most; that Temporal stops at one attempt over its
			// time is in the recorded histories.
			if !temporal.IsTimeoutError(c.gives) {
				equal(t, "attempts", len(f.executes), 1)
			}
		})
	}
}

func TestDefectOfTheActivityIsSettled(t *testing.T) {
	t.Parallel()
	for name, execute := range map[string]func(context.Context, int) (contract.JobResult, error){
		"panic":             func(context.Context, int) (contract.JobResult, error) { panic("x") },
		"unfinished result": ends(resultWith(job.Running, "")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeActivities{execute: execute}
			env := newEnv(t, f)
			env.ExecuteWorkflow(contract.JobWorkflow, testInput())
			wantFailed(t, env, resultWith(job.Failed, job.ReasonWorkerLost))
			equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.SettleJob})
			equal(t, "message", f.settles[0].Message, wasDefect.message)
		})
	}
}

func TestTheRowHasTheLastWord(t *testing.T) {
	t.Parallel()
	stored := resultWith(job.Completed, "", 0)
	f := &fakeActivities{
		execute: breaks(temporal.NewNonRetryableApplicationError("stale", contract.ErrFenced, nil)),
		settle:  func(int, contract.SettleInput) (contract.JobResult, error) { return stored, nil },
	}
	env := newEnv(t, f)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantResult(t, env, stored)
	equal(t, "statuses shown", f.shown, []job.Status{job.Completed})
}

func TestCancelBeforeAWorkerTookItIsSettled(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, 0) // before the first workflow task
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.SettleJob})
	equal(t, "statuses shown", f.shown, []job.Status{job.Cancelled})
}

// The test environment answers a cancel of an activity at once, as Temporal does between two attempts; a cancel that a
// worker carries out is in the recorded histories.
func TestCancelDuringThePauseIsSettled(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: breaks(temporal.NewApplicationErrorWithOptions("x", contract.ErrAttemptFailed,
		temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour}))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.SettleJob})
}

func TestCancelThatComesTooLateChangesNothing(t *testing.T) {
	t.Parallel()
	stored := resultWith(job.Completed, "", 0)
	f := &fakeActivities{
		execute: breaks(temporal.NewApplicationErrorWithOptions("x", contract.ErrAttemptFailed,
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour})),
		settle: func(int, contract.SettleInput) (contract.JobResult, error) { return stored, nil },
	}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantResult(t, env, stored)
}

func TestSettleOutlastsAnOutageAndASecondCancel(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{
		execute: breaks(temporal.NewNonRetryableApplicationError("x", contract.ErrFenced, nil)),
		settle: func(call int, in contract.SettleInput) (contract.JobResult, error) {
			if call < 8 {
				return contract.JobResult{}, errors.New("database is away")
			}
			return resultWith(in.Status, in.Reason), nil
		},
	}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.RegisterDelayedCallback(env.CancelWorkflow, 5*time.Second)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	wantFailed(t, env, resultWith(job.Failed, job.ReasonWorkerLost))
	equal(t, "calls of settle", len(f.settles), 8)
	if took := env.Now().Sub(start); took > 8*time.Minute {
		t.Errorf("took %v of workflow time: the pauses must not grow beyond a minute", took)
	}
}

func TestSettleOfAJobThatIsGoneFailsTheWorkflow(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{
		execute: breaks(temporal.NewNonRetryableApplicationError("x", contract.ErrFenced, nil)),
		settle: func(int, contract.SettleInput) (contract.JobResult, error) {
			return contract.JobResult{}, temporal.NewNonRetryableApplicationError("no such job", "not_found", nil)
		},
	}
	env := newEnv(t, f)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())
	if !env.IsWorkflowCompleted() || env.GetWorkflowError() == nil {
		t.Fatal("the workflow must fail")
	}
	if r, ok := resultOf(env.GetWorkflowError()); ok {
		t.Errorf("a result out of nothing: %+v", r)
	}
	equal(t, "statuses shown", len(f.shown), 0)
}

func TestSignalStartedShowsTheJobRunning(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: breaks(nil)}
	// Two attempts with a long pause between them give the test points in workflow time to look from.
	f.execute = func(_ context.Context, attempt int) (contract.JobResult, error) {
		if attempt == 1 {
			return contract.JobResult{}, temporal.NewApplicationErrorWithOptions("x", contract.ErrAttemptFailed,
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour})
		}
		return resultWith(job.Failed, job.ReasonError, 3), nil
	}
	env := newEnv(t, f)
	ask := func() (s contract.JobStatus) {
		answer, err := env.QueryWorkflow(contract.QueryStatus)
		if err == nil {
			err = answer.Get(&s)
		}
		if err != nil {
			t.Error(err)
		}
		return s
	}
	var before, during, later contract.JobStatus
	env.RegisterDelayedCallback(func() { before = ask() }, time.Second)
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(contract.SignalStarted, contract.Started{Worker: "w1", Attempt: 1})
	}, 2*time.Second)
	env.RegisterDelayedCallback(func() { during = ask() }, 3*time.Second)
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(contract.SignalStarted, contract.Started{Worker: "w2", Attempt: 2})
	}, 4*time.Second)
	env.RegisterDelayedCallback(func() { later = ask() }, 5*time.Second)
	env.ExecuteWorkflow(contract.JobWorkflow, testInput())

	code := 3
	equal(t, "before", before, contract.JobStatus{JobID: testID, Status: job.Queued})
	equal(t, "during", during, contract.JobStatus{JobID: testID, Status: job.Running, Worker: "w1", Attempt: 1})
	equal(t, "later", later, contract.JobStatus{JobID: testID, Status: job.Running, Worker: "w2", Attempt: 2})
	equal(t, "after", ask(), contract.JobStatus{
		JobID: testID, Status: job.Failed, Reason: job.ReasonError, Worker: "w2", Attempt: 2, ExitCode: &code,
	})
	equal(t, "statuses shown", f.shown, []job.Status{job.Running, job.Failed})
}

func TestExecutePackageIsCalledWithTheJobsTimes(t *testing.T) {
	t.Parallel()
	endless := testInput()
	endless.Timeout = 0
	for name, c := range map[string]struct {
		in   contract.JobInput
		want time.Duration
	}{
		"with a timeout":    {testInput(), time.Minute + 10*time.Second + slack},
		"without a timeout": {endless, maxRun},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var info activity.Info
			f := &fakeActivities{execute: func(ctx context.Context, _ int) (contract.JobResult, error) {
				info = activity.GetInfo(ctx)
				return resultWith(job.Completed, "", 0), nil
			}}
			env := newEnv(t, f)
			env.ExecuteWorkflow(contract.JobWorkflow, c.in)
			wantResult(t, env, resultWith(job.Completed, "", 0))
			equal(t, "StartToCloseTimeout", info.StartToCloseTimeout, c.want)
			if info.ScheduleToCloseTimeout < 5*365*24*time.Hour { // unlimited, as the test environment puts it
				t.Errorf("ScheduleToCloseTimeout %v: attempts must not be limited together", info.ScheduleToCloseTimeout)
			}
			equal(t, "HeartbeatTimeout", info.HeartbeatTimeout, 15*time.Second)
			equal(t, "activity id", info.ActivityID, "execute")
		})
	}
}

func TestExecutePackageRunsOnTheDestinationsQueue(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	env.SetActivityTaskQueue("mainframe", f.ExecutePackage)
	in := testInput()
	in.TaskQueue = "mainframe"
	env.ExecuteWorkflow(contract.JobWorkflow, in)
	wantResult(t, env, resultWith(job.Completed, "", 0))
}
