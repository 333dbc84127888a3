package workflows

import (
	"context"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

func dataOf(p *commonpb.Payloads, into any) error {
	return converter.GetDefaultDataConverter().FromPayloads(p, into)
}

var overTime = resultWith(job.Failed, job.ReasonTimeout)

// endsIt answers an ExpireJob that found the job without a worker; keepsIt one that found it with one.
func endsIt(int, contract.ExpireInput) (contract.ExpireResult, error) {
	return contract.ExpireResult{Ended: true, Job: overTime}, nil
}

func keepsIt(int, contract.ExpireInput) (contract.ExpireResult, error) {
	return contract.ExpireResult{Job: resultWith(job.Running, "")}, nil
}

// pausing makes the first attempt fail, with another one due in the pause.
func pausing(pause time.Duration) func() error {
	return func() error {
		return temporal.NewApplicationErrorWithOptions("x", contract.ErrAttemptFailed, temporal.ApplicationErrorOptions{NextRetryDelay: pause})
	}
}

func limited(queue, total time.Duration) contract.JobInput {
	in := testInput()
	if queue > 0 {
		in.QueueUntil = start.Add(queue)
	}
	if total > 0 {
		in.Deadline = start.Add(total)
	}
	return in
}

func TestJobThatWaitsBeyondItsLimitInTheLaneFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   contract.JobInput
		want contract.Limit
	}{
		"queue": {limited(time.Minute, time.Hour), contract.LimitQueue},
		"total": {limited(0, time.Hour), contract.LimitTotal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeActivities{expire: endsIt}
			env := newEnv(t, f)
			env.SetStartTime(start)
			c.in.Lane, c.in.Waiting = "config:44", true
			env.ExecuteWorkflow(contract.JobWorkflow, c.in)
			wantFailed(t, env, overTime)
			equal(t, "activities", f.trail, []string{contract.ExpireJob, contract.PokeLane})
			equal(t, "expired by", f.expires[0], contract.ExpireInput{JobID: testID, AccountID: 7, RunStarted: start, Limit: c.want})
		})
	}
}

func TestJobThatIsToldOfItsPlaceWhileItsTimeRunsOutFails(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{}
	env := newEnv(t, f)
	env.SetStartTime(start)
	f.expire = func(n int, in contract.ExpireInput) (contract.ExpireResult, error) {
		env.SignalWorkflow(contract.SignalAdmitted, nil)
		return endsIt(n, in)
	}
	in := limited(time.Minute, 0)
	in.Lane, in.Waiting = "config:44", true
	env.ExecuteWorkflow(contract.JobWorkflow, in)
	wantFailed(t, env, overTime)
	equal(t, "activities", f.trail, []string{contract.ExpireJob, contract.PokeLane})
}

func TestJobInAPauseFailsAtItsDeadline(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: breaks(pausing(24 * time.Hour)()), expire: endsIt}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(0, time.Hour))
	wantFailed(t, env, overTime)
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.ExpireJob})
	if took := env.Now().Sub(start).Round(time.Minute); took != time.Hour {
		t.Errorf("it ended after %s", took)
	}
	equal(t, "deadline told to the worker", f.executes[0].Deadline, start.Add(time.Hour))
}

func TestQueueTimeoutOfAJobThatAWorkerHadIsOfNoConsequence(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{expire: keepsIt}
	f.execute = failsOnce(time.Hour)
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(time.Minute, 0))
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.ExpireJob, contract.ExecutePackage})
}

func TestLimitsThatAreNotReachedCostNothingButTheirTimers(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0)), expire: endsIt}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(time.Minute, time.Hour))
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage})
}

func TestLimitThatIsOverAtTheStartEndsTheJobAtOnce(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{expire: endsIt, execute: breaks(pausing(24 * time.Hour)())}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(-time.Minute, time.Nanosecond))
	wantFailed(t, env, overTime)
	if took := env.Now().Sub(start); took > time.Minute {
		t.Errorf("it ended after %s", took)
	}
}

func TestJobWhoseWorkerWasLostBeyondTheDeadlineIsSettled(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: breaks(pausing(1000 * time.Hour)()), expire: keepsIt}
	env := newEnv(t, f)
	env.SetStartTime(start)
	in := limited(0, time.Hour)
	env.ExecuteWorkflow(contract.JobWorkflow, in)
	wantFailed(t, env, overTime)
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.ExpireJob, contract.ExpireJob, contract.SettleJob})
	equal(t, "settled as", f.settles[0].Reason, job.ReasonTimeout)
	want := time.Hour + in.Grace + in.HeartbeatTimeout + overtime
	if took := env.Now().Sub(start).Round(time.Second); took != want {
		t.Errorf("it ended after %s, want %s", took, want)
	}
}

func TestWorkerThatEndsTheJobInItsOvertimeHasTheLastWord(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{expire: keepsIt}
	f.execute = failsOnce(time.Hour + 10*time.Second)
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(0, time.Hour))
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.ExpireJob, contract.ExecutePackage})
}

func TestCancelBeforeALimitStaysACancel(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: breaks(pausing(24 * time.Hour)()), expire: endsIt}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(time.Hour, 2*time.Hour))
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.SettleJob})
}

func TestJobThatIsGoneWhenItsTimeIsOverIsSettled(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{
		execute: breaks(pausing(24 * time.Hour)()),
		expire: func(int, contract.ExpireInput) (contract.ExpireResult, error) {
			return contract.ExpireResult{}, temporal.NewNonRetryableApplicationError("no such job", string(job.NotFound), nil)
		},
	}
	env := newEnv(t, f)
	env.SetStartTime(start)
	env.ExecuteWorkflow(contract.JobWorkflow, limited(0, time.Hour))
	wantFailed(t, env, overTime)
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.ExpireJob, contract.SettleJob})
}

// failsOnce lets the first attempt fail and the next one, after the pause, succeed.
func failsOnce(pause time.Duration) func(context.Context, int) (contract.JobResult, error) {
	return func(_ context.Context, attempt int) (contract.JobResult, error) {
		if attempt > 1 {
			return resultWith(job.Completed, "", 0), nil
		}
		return contract.JobResult{}, pausing(pause)()
	}
}
