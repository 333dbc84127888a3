package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

const testID job.ID = "69b9209b00000000000000c1"

var errAbsent = serviceerror.NewNotFound("workflow not found")

// fakeEngine plays Temporal: states are the newest runs by workflow id, pages what the visibility store lists.
type fakeEngine struct {
	states map[string]enumspb.WorkflowExecutionStatus
	atWork int  // pending activities of every workflow
	unread bool // every workflow has a task it has not taken
	pages  [][]*workflowpb.WorkflowExecutionInfo
	err    error // answered by every call
	hang   bool  // every call waits for the end of its context

	options   client.StartWorkflowOptions
	started   []string // workflow type and argument
	signalled []string
	cancelled []string
	queries   []string
}

func (f *fakeEngine) answer(ctx context.Context) error {
	if f.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.err
}

func (f *fakeEngine) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, w any, args ...any) (client.WorkflowRun, error) {
	f.options = o
	f.started = append(f.started, fmt.Sprintf("%v %T", w, args[0]))
	return nil, f.answer(ctx)
}

func (f *fakeEngine) SignalWithStartWorkflow(
	ctx context.Context, id, signal string, _ any, o client.StartWorkflowOptions, w any, args ...any,
) (client.WorkflowRun, error) {
	f.options = o
	f.started = append(f.started, fmt.Sprintf("%s: %s, %v %T", id, signal, w, args[0]))
	return nil, f.answer(ctx)
}

func (f *fakeEngine) SignalWorkflow(ctx context.Context, id, _, signal string, _ any) error {
	f.signalled = append(f.signalled, id+": "+signal)
	if err := f.answer(ctx); err != nil {
		return err
	}
	if f.states[id] != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return errAbsent
	}
	return nil
}

func (f *fakeEngine) CancelWorkflow(ctx context.Context, id, _ string) error {
	f.cancelled = append(f.cancelled, id)
	if err := f.answer(ctx); err != nil {
		return err
	}
	if f.states[id] != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return errAbsent
	}
	return nil
}

func (f *fakeEngine) DescribeWorkflowExecution(ctx context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := f.answer(ctx); err != nil {
		return nil, err
	}
	status, ok := f.states[id]
	if !ok {
		return nil, errAbsent
	}
	answer := &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status},
		PendingActivities:     make([]*workflowpb.PendingActivityInfo, f.atWork),
	}
	if f.unread {
		answer.PendingWorkflowTask = &workflowpb.PendingWorkflowTaskInfo{}
	}
	return answer, nil
}

func (f *fakeEngine) ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.queries = append(f.queries, r.GetQuery())
	if err := f.answer(ctx); err != nil {
		return nil, err
	}
	page := len(f.queries) - 1
	if page == 0 != (len(r.GetNextPageToken()) == 0) {
		return nil, errors.New("wrong page token")
	}
	answer := &workflowservice.ListWorkflowExecutionsResponse{Executions: f.pages[page]}
	if page+1 < len(f.pages) {
		answer.NextPageToken = []byte{1}
	}
	return answer, nil
}

func (f *fakeEngine) CheckHealth(ctx context.Context, _ *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return nil, f.answer(ctx)
}

func listed(kind, id string) *workflowpb.WorkflowExecutionInfo {
	return &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id}, Type: &commonpb.WorkflowType{Name: kind},
	}
}

func input() contract.JobInput {
	return contract.JobInput{JobID: testID, AccountID: 7, ConfigID: 44, ConfigName: "orders", TaskQueue: "acme"}
}

func TestStartJobStartsAJobOnce(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{}
	if err := New(f, Config{}).StartJob(t.Context(), input()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.started); got != "[Job contract.JobInput]" {
		t.Errorf("started %s", got)
	}
	o := f.options
	if o.ID != "job-"+string(testID) || o.TaskQueue != contract.SystemQueue || !o.EnableEagerStart ||
		o.WorkflowIDReusePolicy != enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE ||
		o.WorkflowIDConflictPolicy != enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL {
		t.Errorf("options %+v", o)
	}
	if o.WorkflowExecutionTimeout != 0 || o.WorkflowRunTimeout != 0 {
		t.Error("a workflow with a time limit would be ended without its settle step")
	}
	status, _ := o.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(contract.AttrStatus))
	if o.TypedSearchAttributes.Size() != 5 || status != "queued" || o.Memo[contract.MemoJobConfig] != "orders" {
		t.Errorf("search attributes %+v, memo %v", o.TypedSearchAttributes, o.Memo)
	}
}

func TestStartJobPutsARetryAroundARetriedJob(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{}
	in := input()
	in.Parent, in.Root = "69b9209b00000000000000b2", "69b9209b00000000000000a1"
	if err := New(f, Config{}).StartJob(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.started); got != "[Retry contract.RetryInput]" {
		t.Errorf("started %s", got)
	}
	if f.options.ID != "retry-"+string(testID) || f.options.TypedSearchAttributes.Size() != 6 {
		t.Errorf("options %+v", f.options)
	}
}

func TestStartJobTakesAlreadyStartedForSuccess(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{err: serviceerror.NewWorkflowExecutionAlreadyStarted("already", "r", "run")}
	if err := New(f, Config{}).StartJob(t.Context(), input()); err != nil {
		t.Error(err)
	}
}

func TestCancelJobFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	const jobID, retryID = "job-" + string(testID), "retry-" + string(testID)
	const running, completed = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	for name, c := range map[string]struct {
		states map[string]enumspb.WorkflowExecutionStatus
		want   string
	}{
		"job":                    {map[string]enumspb.WorkflowExecutionStatus{jobID: running}, jobID},
		"job of a retry":         {map[string]enumspb.WorkflowExecutionStatus{jobID: running, retryID: running}, jobID},
		"retry without its job":  {map[string]enumspb.WorkflowExecutionStatus{retryID: running}, jobID + " " + retryID},
		"neither":                {nil, jobID + " " + retryID},
		"ended job, ended retry": {map[string]enumspb.WorkflowExecutionStatus{jobID: completed, retryID: completed}, jobID + " " + retryID},
	} {
		f := &fakeEngine{states: c.states}
		if err := New(f, Config{}).CancelJob(t.Context(), testID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(f.cancelled, " "); got != c.want {
			t.Errorf("%s: cancelled %s, want %s", name, got, c.want)
		}
	}
	f := &fakeEngine{err: &serviceerror.CancellationAlreadyRequested{}}
	if err := New(f, Config{}).CancelJob(t.Context(), testID); err != nil || len(f.cancelled) != 1 {
		t.Errorf("a second cancel: %v, calls %v", err, f.cancelled)
	}
}

func TestJobStateOfEveryStatus(t *testing.T) {
	t.Parallel()
	want := map[enumspb.WorkflowExecutionStatus]control.EngineState{
		enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:          control.EngineOpen,
		enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:           control.EngineOpen,
		enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: control.EngineOpen,
		enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:        control.EngineClosed,
		enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:           control.EngineClosed,
		enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:         control.EngineClosed,
		enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:       control.EngineTerminated,
		enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:        control.EngineTerminated,
	}
	for number, name := range enumspb.WorkflowExecutionStatus_name {
		status := enumspb.WorkflowExecutionStatus(number)
		if status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
			continue
		}
		f := &fakeEngine{states: map[string]enumspb.WorkflowExecutionStatus{"job-" + string(testID): status}}
		got, err := New(f, Config{}).JobState(t.Context(), testID, false)
		if err != nil || got != want[status] {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want[status])
		}
	}
}

func TestJobStateOfARetryFallsBackToTheWorkflowAround(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{states: map[string]enumspb.WorkflowExecutionStatus{
		"retry-" + string(testID): enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED,
	}}
	s := New(f, Config{})
	if got, err := s.JobState(t.Context(), testID, true); err != nil || got != control.EngineTerminated {
		t.Errorf("retry: %s, %v", got, err)
	}
	if got, err := s.JobState(t.Context(), testID, false); err != nil || got != control.EngineAbsent {
		t.Errorf("first run: %s, %v", got, err)
	}
	if got, err := s.JobState(t.Context(), "69b9209b00000000000000ff", true); err != nil || got != control.EngineAbsent {
		t.Errorf("neither: %s, %v", got, err)
	}
}

func TestTerminatedListsEveryJobOnceOverAllPages(t *testing.T) {
	t.Parallel()
	const a, b, c, d = "69b9209b00000000000000a1", "69b9209b00000000000000b2", "69b9209b00000000000000c3", "69b9209b00000000000000d4"
	f := &fakeEngine{
		pages: [][]*workflowpb.WorkflowExecutionInfo{
			{listed("Job", "job-"+a), listed("Job", "job-"+b), listed("Job", "somebody-elses"), listed("Job", "job-nonsense")},
			{listed("Retry", "retry-"+a), listed("Retry", "retry-"+c), listed("Job", "job-"+b)},
			{listed("Job", "job-"+d)},
		},
	}
	since := time.Date(2026, 3, 17, 10, 41, 47, 0, time.FixedZone("CET", 3600))
	got, err := New(f, Config{}).Terminated(t.Context(), since)
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]job.ID{a, b, c, d}) {
		t.Errorf("got %v, %v", got, err)
	}
	want := "WorkflowType IN ('Job', 'Retry') AND ExecutionStatus IN ('Terminated', 'TimedOut') AND CloseTime > '2026-03-17T09:41:47Z'"
	for _, q := range f.queries {
		if q != want {
			t.Errorf("query %s", q)
		}
	}
	if len(f.queries) != 3 {
		t.Errorf("%d pages read", len(f.queries))
	}
}

func TestErrorsOfTheEngineBecomeOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want job.Code
	}{
		"no connection":     {serviceerror.NewUnavailable("connection refused"), job.Unavailable},
		"wrapped":           {fmt.Errorf("failed reaching server: %w", serviceerror.NewUnavailable("x")), job.Unavailable},
		"deadline":          {serviceerror.NewDeadlineExceeded("x"), job.Unavailable},
		"overload":          {serviceerror.NewResourceExhausted(enumspb.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED, "x"), job.Unavailable},
		"no namespace yet":  {serviceerror.NewNamespaceNotFound("waybill"), job.Unavailable},
		"fault of theirs":   {serviceerror.NewInternal("x"), job.Unavailable},
		"health is bad":     {errors.New("health check returned unhealthy status"), job.Unavailable},
		"unknown attribute": {serviceerror.NewInvalidArgument("x"), job.Internal},
		"too old a server":  {serviceerror.NewUnimplemented("x"), job.Internal},
	} {
		s := New(&fakeEngine{err: c.err}, Config{})
		_, stateErr := s.JobState(t.Context(), testID, true)
		_, listErr := s.Terminated(t.Context(), time.Time{})
		for call, err := range map[string]error{
			"StartJob": s.StartJob(t.Context(), input()), "CancelJob": s.CancelJob(t.Context(), testID),
			"JobState": stateErr, "Terminated": listErr, "Ping": s.Ping(t.Context()),
		} {
			if job.CodeOf(err) != c.want {
				t.Errorf("%s: %s answers %v (%s), want %s", name, call, err, job.CodeOf(err), c.want)
			}
			if !errors.Is(err, c.err) {
				t.Errorf("%s: %s lost the cause", name, call)
			}
		}
	}
}

func TestEngineThatDoesNotAnswerIsUnavailableSoon(t *testing.T) {
	t.Parallel()
	s := New(&fakeEngine{hang: true}, Config{Timeout: time.Millisecond})
	if err := s.StartJob(t.Context(), input()); job.CodeOf(err) != job.Unavailable {
		t.Errorf("StartJob: %v", err)
	}
	if err := s.Ping(t.Context()); job.CodeOf(err) != job.Unavailable {
		t.Errorf("Ping: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.StartJob(gone, input()); job.CodeOf(err) != job.Canceled {
		t.Errorf("a caller who gave up: %v", err)
	}
	if err := New(&fakeEngine{}, Config{}).Ping(t.Context()); err != nil {
		t.Errorf("an engine that answers: %v", err)
	}
}

var lane = job.LaneRef{AccountID: 7, Lane: "config:44"}

func TestLaneIsStartedOnceAtATimeAndPoked(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{}
	s := New(f, Config{})
	if err := s.EnsureLane(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
	if o := f.options; o.ID != "lane-7-config:44" || o.TaskQueue != contract.SystemQueue || o.EnableEagerStart ||
		o.WorkflowIDReusePolicy != enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE ||
		o.WorkflowIDConflictPolicy != enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING || o.StaticSummary != "lane config:44" {
		t.Errorf("options %+v", o)
	}
	name, _ := f.options.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(contract.AttrLane))
	if name != "config:44" {
		t.Errorf("%s = %q", contract.AttrLane, name)
	}
	if err := s.PokeLane(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.started); got != "[Lane contract.LaneInput lane-7-config:44: poke, Lane contract.LaneInput]" {
		t.Errorf("calls %s", got)
	}
	f.err = serviceerror.NewUnavailable("down")
	for name, err := range map[string]error{
		"ensure": s.EnsureLane(t.Context(), lane), "poke": s.PokeLane(t.Context(), lane), "admit": s.Admit(t.Context(), testID),
	} {
		if job.CodeOf(err) != job.Unavailable {
			t.Errorf("%s with the engine down: %v", name, err)
		}
	}
	f.err = serviceerror.NewWorkflowExecutionAlreadyStarted("x", "", "")
	if err := s.EnsureLane(t.Context(), lane); err != nil {
		t.Errorf("a lane that runs: %v", err)
	}
}

func TestAdmitTellsAJobThatHasStarted(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{states: map[string]enumspb.WorkflowExecutionStatus{}}
	s := New(f, Config{})
	if err := s.Admit(t.Context(), testID); job.CodeOf(err) != job.NotFound {
		t.Errorf("before its start: %v", err)
	}
	f.states["job-"+string(testID)] = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	if err := s.Admit(t.Context(), testID); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(f.signalled[1:]); got != "[job-"+string(testID)+": admitted]" {
		t.Errorf("signalled %s", got)
	}
}

func TestOnlyAJobThatWaitsIsReminded(t *testing.T) {
	t.Parallel()
	const running, completed = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	of := func(s enumspb.WorkflowExecutionStatus) map[string]enumspb.WorkflowExecutionStatus {
		return map[string]enumspb.WorkflowExecutionStatus{"job-" + string(testID): s}
	}
	for name, c := range map[string]struct {
		engine *fakeEngine
		told   bool
	}{
		"waits":                    {&fakeEngine{states: of(running)}, true},
		"is at work":               {&fakeEngine{states: of(running), atWork: 1}, false},
		"was told, and is slow":    {&fakeEngine{states: of(running), unread: true}, false},
		"is over":                  {&fakeEngine{states: of(completed)}, false},
		"has not been started yet": {&fakeEngine{}, false},
	} {
		told, err := New(c.engine, Config{}).Remind(t.Context(), testID)
		if err != nil || told != c.told || told != (len(c.engine.signalled) == 1) {
			t.Errorf("%s: told %v, %v; signals %v", name, told, err, c.engine.signalled)
		}
	}
	if _, err := New(&fakeEngine{err: serviceerror.NewUnavailable("away")}, Config{}).Remind(t.Context(), testID); job.CodeOf(err) != job.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestJobIsStartedWithWhatPeopleLookFor(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{}
	in := input()
	in.RunNumber, in.Lane, in.Destination, in.Trigger, in.Tags = 12, "key:a*b", 3, job.TriggerRetry, []string{"nightly", strings.Repeat("x", 1600)}
	in.Parent, in.Root, in.RetryNumber = "69b9209b00000000000000b2", "69b9209b00000000000000a1", 2
	if err := New(f, Config{}).StartJob(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := f.options.StaticSummary; got != "orders #12, retry of 69b9209b00000000000000b2" {
		t.Errorf("summary %q", got)
	}
	if got := f.options.StaticDetails; got != "- retry 2 of the job 69b9209b00000000000000a1\n- lane key:a'b" {
		t.Errorf("details %q", got)
	}
	a := f.options.TypedSearchAttributes
	for name, want := range map[string]string{contract.AttrLane: "key:a*b", contract.AttrDestination: "3", contract.AttrTrigger: "retry"} {
		if got, _ := a.GetKeyword(temporal.NewSearchAttributeKeyKeyword(name)); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if tags, _ := a.GetKeywordList(temporal.NewSearchAttributeKeyKeywordList(contract.AttrTags)); len(tags) != 1 || tags[0] != "nightly" {
		t.Errorf("tags %v", tags)
	}
}
