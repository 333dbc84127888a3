package workflows

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

const otherID job.ID = "69b9209b00000000000000d1"

func laneInput() contract.LaneInput { return contract.LaneInput{AccountID: 7, Lane: "config:44"} }

// laneOf is a lane with n places in which the jobs wait.
func laneWith(places, active int, head ...job.ID) contract.LaneStatus {
	return contract.LaneStatus{Lane: "config:44", Places: places, Active: active, Waiting: len(head), Head: head}
}

// plays makes AdvanceLane answer one status after the other, the last for ever.
func plays(states ...contract.LaneStatus) func(int) (contract.LaneStatus, error) {
	return func(call int) (contract.LaneStatus, error) { return states[min(call, len(states))-1], nil }
}

func completed(t *testing.T, env *testsuite.TestWorkflowEnvironment) {
	t.Helper()
	if !env.IsWorkflowCompleted() {
		t.Fatal("the workflow has not ended")
	}
	if err := env.GetWorkflowError(); err != nil {
		t.Fatalf("the workflow failed: %v", err)
	}
}

func TestLaneEndsWhenNobodyWaits(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{advance: plays(laneWith(1, 1))}
	env := newEnv(t, f)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
	equal(t, "looks", f.advances, []contract.AdvanceInput{{AccountID: 7, Lane: "config:44"}})
}

func TestPokeMakesALaneLookAtOnceAndManyPokesOnlyOnce(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{advance: plays(laneWith(1, 1, testID, otherID), laneWith(1, 1, otherID), laneWith(1, 1))}
	env := newEnv(t, f)
	began := env.Now()
	env.RegisterDelayedCallback(func() {
		for range 50 {
			env.SignalWorkflow(contract.SignalPoke, nil)
		}
	}, time.Second)
	env.RegisterDelayedCallback(func() {
		equal(t, "looks after fifty pokes", len(f.advances), 2)
		env.SignalWorkflow(contract.SignalPoke, nil)
	}, 2*time.Second)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
	equal(t, "looks", len(f.advances), 3)
	if took := env.Now().Sub(began); took >= idleFirst {
		t.Errorf("it waited %s for its own time", took)
	}
}

func TestLaneThatNobodyPokesLooksByItselfEverMoreSeldom(t *testing.T) {
	t.Parallel()
	var at []time.Duration
	f := &fakeActivities{}
	env := newEnv(t, f)
	began := env.Now()
	f.advance = func(call int) (contract.LaneStatus, error) {
		at = append(at, env.Now().Sub(began).Round(time.Second))
		if call == 7 {
			return laneWith(1, 0), nil
		}
		return laneWith(1, 1, testID), nil
	}
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
	want := []time.Duration{0, 30, 90, 210, 450, 750, 1050}
	for i := range want {
		want[i] *= time.Second
	}
	equal(t, "looks", at, want)
}

func TestLaneNudgesForAJobWhoseWorkflowHasNotStarted(t *testing.T) {
	t.Parallel()
	untold, told := laneWith(1, 1), laneWith(1, 1)
	untold.Untold, told.Told = 1, []job.ID{testID}
	f := &fakeActivities{advance: plays(untold, untold, untold, told)}
	env := newEnv(t, f)
	began := env.Now()
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
	equal(t, "looks", len(f.advances), 4)
	equal(t, "took", env.Now().Sub(began).Round(time.Second), 7*time.Second) // 1 + 2 + 4
}

func TestLaneRemembersWhomItTold(t *testing.T) {
	t.Parallel()
	first := laneWith(1, 1, otherID)
	first.Told = []job.ID{testID}
	f := &fakeActivities{advance: plays(first, laneWith(1, 1))}
	env := newEnv(t, f)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
	equal(t, "told before the second look", f.advances[1].Told, []job.ID{testID})
}

func TestLaneContinuesAsNewWithWhomItTold(t *testing.T) {
	t.Parallel()
	state := laneWith(2, 2, otherID)
	state.Told = []job.ID{testID}
	f := &fakeActivities{advance: plays(state)}
	env := newEnv(t, f)
	env.SetContinueAsNewSuggested(true)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("closed with %v", err)
	}
	var in contract.LaneInput
	if err := dataOf(again.Input, &in); err != nil {
		t.Fatal(err)
	}
	equal(t, "input of the next run", in, contract.LaneInput{AccountID: 7, Lane: "config:44", Told: []job.ID{testID}})
}

func TestLaneThatIsPokedWithoutAPauseContinuesAsNewAllTheSame(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{}
	env := newEnv(t, f)
	f.advance = func(call int) (contract.LaneStatus, error) {
		env.SignalWorkflow(contract.SignalPoke, nil) // before the answer is there
		if call > 20 {
			return laneWith(1, 0), nil
		}
		env.SetContinueAsNewSuggested(call >= 3)
		return laneWith(1, 1, testID), nil
	}
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("closed with %v after %d looks", err, len(f.advances))
	}
	equal(t, "looks", len(f.advances), 3)
}

func TestLaneOutlastsAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{advance: func(call int) (contract.LaneStatus, error) {
		if call < 8 {
			return contract.LaneStatus{}, errors.New("database is away")
		}
		return laneWith(1, 0), nil
	}}
	env := newEnv(t, f)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
	equal(t, "looks", len(f.advances), 8)
}

func TestCancelOfALaneEndsItsWorkflow(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{advance: plays(laneWith(1, 1, testID))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Second)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("closed with %v", err)
	}
}

func TestLaneAnswersQueries(t *testing.T) {
	t.Parallel()
	state := laneWith(1, 1, testID, otherID)
	f := &fakeActivities{advance: plays(state, laneWith(1, 1))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(func() {
		equal(t, "status", ask[contract.LaneStatus](t, env, contract.QueryStatus), state)
		equal(t, "position", ask[contract.Place](t, env, contract.QueryPosition, otherID), contract.Place{Lane: "config:44", Waiting: true, Position: 2})
		equal(t, "position of a stranger", ask[contract.Place](t, env, contract.QueryPosition, job.ID("x")), contract.Place{Lane: "config:44"})
	}, time.Second)
	env.ExecuteWorkflow(contract.LaneWorkflow, laneInput())
	completed(t, env)
}

func ask[T any](t *testing.T, env *testsuite.TestWorkflowEnvironment, query string, args ...any) T {
	t.Helper()
	var got T
	answer, err := env.QueryWorkflow(query, args...)
	if err == nil {
		err = answer.Get(&got)
	}
	if err != nil {
		t.Errorf("query %s: %v", query, err)
	}
	return got
}

// laneJob is a job that waits in a lane.
func laneJob() contract.JobInput {
	in := testInput()
	in.Lane, in.LaneSeq, in.Waiting = "config:44", 12, true
	return in
}

var leftLane = []contract.PokeInput{{AccountID: 7, Lane: "config:44"}}

func TestJobWaitsForItsPlaceAndLeavesItsLane(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(func() {
		equal(t, "activities while it waits", len(f.trail), 0)
		equal(t, "status", ask[contract.JobStatus](t, env, contract.QueryStatus),
			contract.JobStatus{JobID: testID, Status: job.Queued, Reason: job.ReasonSequenced})
		equal(t, "position", ask[contract.Place](t, env, contract.QueryPosition),
			contract.Place{Lane: "config:44", LaneWorkflow: "lane-7-config:44", Waiting: true, Seq: 12})
		equal(t, "phase", ask[contract.JobProgress](t, env, contract.QueryProgress).Phase, phaseLane)
		env.SignalWorkflow(contract.SignalAdmitted, nil)
	}, 100*time.Hour)
	env.ExecuteWorkflow(contract.JobWorkflow, laneJob())
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "activities", f.trail, []string{contract.ExecutePackage, contract.PokeLane})
	equal(t, "pokes", f.pokes, leftLane)
	equal(t, "position", ask[contract.Place](t, env, contract.QueryPosition).Waiting, false)
	equal(t, "phase", ask[contract.JobProgress](t, env, contract.QueryProgress).Phase, phaseEnded)
}

func TestJobWithAPlaceRunsAtOnceAndLeavesItsLaneHoweverItEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f     *fakeActivities
		trail []string
	}{
		"failed":  {&fakeActivities{execute: ends(resultWith(job.Failed, job.ReasonError, 3))}, []string{contract.ExecutePackage, contract.PokeLane}},
		"settled": {&fakeActivities{execute: breaks(temporal.NewNonRetryableApplicationError("x", contract.ErrFenced, nil))}, []string{contract.ExecutePackage, contract.SettleJob, contract.PokeLane}},
		"gone": {&fakeActivities{
			execute: breaks(temporal.NewNonRetryableApplicationError("x", contract.ErrFenced, nil)),
			settle: func(int, contract.SettleInput) (contract.JobResult, error) {
				return contract.JobResult{}, temporal.NewNonRetryableApplicationError("no such job", string(job.NotFound), nil)
			},
		}, []string{contract.ExecutePackage, contract.SettleJob, contract.PokeLane}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, c.f)
			in := laneJob()
			in.Waiting = false
			env.ExecuteWorkflow(contract.JobWorkflow, in)
			equal(t, "activities", c.f.trail, c.trail)
			equal(t, "pokes", c.f.pokes, leftLane)
		})
	}
}

func TestJobCancelledInItsLaneIsSettledAndLeaves(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(contract.JobWorkflow, laneJob())
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.SettleJob, contract.PokeLane})
}

func TestPlaceThatComesWithACancelIsGivenUp(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(contract.SignalAdmitted, nil)
		env.CancelWorkflow()
	}, time.Hour)
	env.ExecuteWorkflow(contract.JobWorkflow, laneJob())
	if !slices.Contains(f.trail, contract.PokeLane) || f.trail[len(f.trail)-1] != contract.PokeLane {
		t.Errorf("activities: %v, want the poke last", f.trail)
	}
	if !env.IsWorkflowCompleted() {
		t.Error("the workflow has not ended")
	}
}

func TestRetryThatSettlesAJobOfALaneLeavesIt(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(env.CancelWorkflow, 0) // before the child is there
	in := retryInput()
	in.Job.Lane, in.Job.Waiting = "config:44", true
	env.ExecuteWorkflow(contract.RetryWorkflow, in)
	wantCancelled(t, env, resultWith(job.Cancelled, job.ReasonStopped))
	equal(t, "activities", f.trail, []string{contract.SettleJob, contract.PokeLane, contract.RollUpRetry})
}

func TestSecondAdmissionIsOfNoConsequence(t *testing.T) {
	t.Parallel()
	f := &fakeActivities{execute: ends(resultWith(job.Completed, "", 0))}
	env := newEnv(t, f)
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(contract.SignalAdmitted, nil)
		env.SignalWorkflow(contract.SignalAdmitted, nil)
	}, time.Second)
	env.ExecuteWorkflow(contract.JobWorkflow, laneJob())
	wantResult(t, env, resultWith(job.Completed, "", 0))
	equal(t, "runs", len(f.executes), 1)
}
