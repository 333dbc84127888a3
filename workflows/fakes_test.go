package workflows

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

const testID job.ID = "69b9209b00000000000000c1"

// testInput is a first run with all of its settings.
func testInput() contract.JobInput {
	return contract.JobInput{
		JobID: testID, AccountID: 7, ConfigID: 44, ConfigName: "orders",
		TaskQueue: "default-test-taskqueue", // the test environment's own
		Timeout:   time.Minute, Grace: 10 * time.Second, HeartbeatTimeout: 15 * time.Second,
	}
}

func retryInput() contract.RetryInput {
	in := testInput()
	in.Parent, in.Root = "69b9209b00000000000000b2", "69b9209b00000000000000a1"
	return contract.RetryInput{Job: in}
}

func resultWith(s job.Status, r job.Reason, code ...int) contract.JobResult {
	result := contract.JobResult{JobID: testID, Status: s, Reason: r}
	if len(code) > 0 {
		result.ReturnCode = &code[0]
	}
	return result
}

// fakeActivities stand in for the activities and note what they were asked. The row is played by settled: what SettleJob
// answers, which by default is what the workflow proposes.
type fakeActivities struct {
	mu       sync.Mutex
	executes []contract.ExecuteInput
	settles  []contract.SettleInput
	rollUps  []contract.RollUpInput
	advances []contract.AdvanceInput
	pokes    []contract.PokeInput
	expires  []contract.ExpireInput
	shown    []string // values of WaybillStatus, in order
	trail    []string // names of the activities, in order

	execute func(ctx context.Context, attempt int) (contract.JobResult, error)
	settle  func(call int, in contract.SettleInput) (contract.JobResult, error)
	rollUp  func(call int) error
	advance func(call int) (contract.LaneStatus, error)
	expire  func(call int, in contract.ExpireInput) (contract.ExpireResult, error)
}

func (f *fakeActivities) AdvanceLane(_ context.Context, in contract.AdvanceInput) (contract.LaneStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advances = append(f.advances, in)
	f.trail = append(f.trail, contract.AdvanceLane)
	return f.advance(len(f.advances))
}

func (f *fakeActivities) PokeLane(_ context.Context, in contract.PokeInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pokes = append(f.pokes, in)
	f.trail = append(f.trail, contract.PokeLane)
	return nil
}

func (f *fakeActivities) ExpireJob(_ context.Context, in contract.ExpireInput) (contract.ExpireResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expires = append(f.expires, in)
	f.trail = append(f.trail, contract.ExpireJob)
	return f.expire(len(f.expires), in)
}

func (f *fakeActivities) ExecutePackage(ctx context.Context, in contract.ExecuteInput) (contract.JobResult, error) {
	f.mu.Lock()
	f.executes = append(f.executes, in)
	f.trail = append(f.trail, contract.ExecutePackage)
	attempt := len(f.executes)
	f.mu.Unlock()
	return f.execute(ctx, attempt)
}

func (f *fakeActivities) SettleJob(_ context.Context, in contract.SettleInput) (contract.JobResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settles = append(f.settles, in)
	f.trail = append(f.trail, contract.SettleJob)
	if f.settle != nil {
		return f.settle(len(f.settles), in)
	}
	return resultWith(in.Status, in.Reason), nil
}

func (f *fakeActivities) RollUpRetry(_ context.Context, in contract.RollUpInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rollUps = append(f.rollUps, in)
	f.trail = append(f.trail, contract.RollUpRetry)
	if f.rollUp != nil {
		return f.rollUp(len(f.rollUps))
	}
	return nil
}

// ends makes ExecutePackage answer r on the first attempt.
func ends(r contract.JobResult) func(context.Context, int) (contract.JobResult, error) {
	return func(context.Context, int) (contract.JobResult, error) { return r, nil }
}

// breaks makes every attempt of ExecutePackage end with err.
func breaks(err error) func(context.Context, int) (contract.JobResult, error) {
	return func(context.Context, int) (contract.JobResult, error) { return contract.JobResult{}, err }
}

// patient lets a busy machine take its time: by default the SDK takes a second without a step for a deadlock, and ends a
// test after three.
func patient(env *testsuite.TestWorkflowEnvironment) {
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.SetTestTimeout(time.Minute)
}

// newEnv is a test environment with the workflows and f's activities, registered the way a worker does it.
func newEnv(t *testing.T, f *fakeActivities) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(attentive{t: t})
	env := suite.NewTestWorkflowEnvironment()
	patient(env)
	Register(env)
	env.RegisterActivityWithOptions(f.ExecutePackage, activity.RegisterOptions{Name: contract.ExecutePackage})
	env.RegisterActivityWithOptions(f.SettleJob, activity.RegisterOptions{Name: contract.SettleJob})
	env.RegisterActivityWithOptions(f.RollUpRetry, activity.RegisterOptions{Name: contract.RollUpRetry})
	env.RegisterActivityWithOptions(f.AdvanceLane, activity.RegisterOptions{Name: contract.AdvanceLane})
	env.RegisterActivityWithOptions(f.PokeLane, activity.RegisterOptions{Name: contract.PokeLane})
	env.RegisterActivityWithOptions(f.ExpireJob, activity.RegisterOptions{Name: contract.ExpireJob})
	env.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(a temporal.SearchAttributes) bool {
		s, _ := a.GetKeyword(attrStatus)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.shown = append(f.shown, s)
		return true
	})).Return(nil)
	return env
}

// quiet keeps the SDK's debug lines out of the tests' output.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// attentive is quiet but about signals that a workflow has not taken: operators would read of each such job.
type attentive struct {
	quiet
	t *testing.T
}

func (a attentive) Warn(msg string, about ...any) {
	if strings.Contains(msg, "unhandled signals") {
		a.t.Errorf("%s %v", msg, about)
	}
}

// asJSON compares payloads that hold pointers.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := asJSON(t, got), asJSON(t, want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// wantResult checks that the workflow completed with want.
func wantResult(t *testing.T, env *testsuite.TestWorkflowEnvironment, want contract.JobResult) {
	t.Helper()
	var got contract.JobResult
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatalf("the workflow failed: %v", err)
	}
	equal(t, "result", got, want)
}

// wantClosedWith checks that the workflow closed with an error that carries want, and returns the error.
func wantClosedWith(t *testing.T, env *testsuite.TestWorkflowEnvironment, want contract.JobResult) error {
	t.Helper()
	if !env.IsWorkflowCompleted() {
		t.Fatal("the workflow has not ended")
	}
	err := env.GetWorkflowError()
	if err == nil {
		t.Fatal("the workflow completed")
	}
	got, ok := resultOf(err)
	if !ok {
		t.Fatalf("no result in %v", err)
	}
	equal(t, "result", got, want)
	return err
}

func wantFailed(t *testing.T, env *testsuite.TestWorkflowEnvironment, want contract.JobResult) {
	t.Helper()
	err := wantClosedWith(t, env, want)
	if temporal.IsCanceledError(err) || !temporal.IsApplicationError(err) {
		t.Errorf("closed with %v, want an application error", err)
	}
}

func wantCancelled(t *testing.T, env *testsuite.TestWorkflowEnvironment, want contract.JobResult) {
	t.Helper()
	if err := wantClosedWith(t, env, want); !temporal.IsCanceledError(err) {
		t.Errorf("closed with %v, want canceled", err)
	}
}
