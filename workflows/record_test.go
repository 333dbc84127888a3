//go:build record

package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/engine"
	"waybill/internal/job"
	"waybill/workflows"
	"waybill/workflows/contract"
	"waybill/workflows/starter"
)

// recordFolder is where in testdata histories go.
var recordFolder = "histories"

// TestRecord plays every take against the Temporal server at WAYBILL_RECORD_ADDRESS and writes the histories that
// replay_test.go replays. testdata/histories/README.md says when and how to run it. WAYBILL_RECORD_ONLY limits it to one
// take.
func TestRecord(t *testing.T) {
	address := os.Getenv("WAYBILL_RECORD_ADDRESS")
	if address == "" {
		t.Fatal("WAYBILL_RECORD_ADDRESS must name a Temporal server with Waybill's search attributes")
	}
	o := client.Options{
		HostPort: address, Identity: "recorder",
		Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	}
	if os.Getenv("WAYBILL_RECORD_SEALED") != "" {
		recordFolder = "sealed"
		o.DataConverter, o.FailureConverter = engine.Converters(workflows.SealedCodec(t))
	}
	c, err := client.Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, k := range append(takes(), laneTakes()...) {
		if only := os.Getenv("WAYBILL_RECORD_ONLY"); only != "" && only != k.name {
			continue
		}
		t.Run(k.name, func(t *testing.T) { newStage(t, c, i, k).play() })
	}
}

// take is one recording: a job, how its program behaves, and what people do to it meanwhile.
type take struct {
	name  string
	retry bool
	// late: people act before the worker is there.
	late    bool
	adjust  func(in *contract.JobInput)
	execute func(ctx context.Context, s *stage) (contract.JobResult, error)
	settle  func(in contract.SettleInput) (contract.JobResult, error)
	people  func(s *stage)
	// lane is a Lane instead of a job; advance and expire play the table for it, and for the limits of jobs.
	lane    bool
	advance func(call int) contract.LaneStatus
	expire  func(s *stage, call int) contract.ExpireResult
	// instead, when set, is registered in the place of Job.
	instead func(workflow.Context, contract.JobInput) (contract.JobResult, error)
}

// stage is a take being played.
type stage struct {
	*testing.T
	take
	ctx     context.Context
	c       client.Client
	starter *starter.Starter
	in      contract.JobInput
	taken   chan int32    // attempts that began
	looks   chan int      // calls of AdvanceLane that ended
	calls   atomic.Int32  // of AdvanceLane or ExpireJob
	over    chan struct{} // the take is over, workers that hang may go
	// executed is what the present attempt was called with; only one runs at a time in a take that reads it.
	executed contract.ExecuteInput
}

func newStage(t *testing.T, c client.Client, number int, k take) *stage {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	in := contract.JobInput{
		// Unique per recording, as a server remembers the ids of the last one.
		JobID:     job.ID(fmt.Sprintf("%08x%014x%02x", time.Now().Unix(), 0, number)),
		AccountID: 7, ConfigID: 44, ConfigName: "orders", TaskQueue: "record-" + k.name,
		Timeout: time.Minute, Grace: 10 * time.Second, HeartbeatTimeout: 15 * time.Second,
	}
	if k.retry {
		in.Parent, in.Root = "69b9209b00000000000000b2", "69b9209b00000000000000a1"
	}
	if k.adjust != nil {
		k.adjust(&in)
	}
	return &stage{
		T: t, take: k, ctx: ctx, c: c, starter: starter.New(c, starter.Config{Queue: in.TaskQueue, Timeout: 10 * time.Second}), in: in,
		taken: make(chan int32, 10), looks: make(chan int, 1000), over: make(chan struct{}),
	}
}

func (s *stage) play() {
	w := worker.New(s.c, s.in.TaskQueue, worker.Options{
		Identity: "recorder", DisableRegistrationAliasing: true,
		MaxHeartbeatThrottleInterval: 100 * time.Millisecond, // a cancel reaches an activity with its next heartbeat
	})
	s.register(w)
	status := worker.New(s.c, contract.StatusQueue(s.in.TaskQueue), worker.Options{Identity: "recorder", DisableWorkflowWorker: true})
	s.registerActivities(status)
	if s.late {
		s.start()
		s.people(s)
	}
	if err := w.Start(); err != nil {
		s.Fatal(err)
	}
	defer w.Stop()
	if err := status.Start(); err != nil {
		s.Fatal(err)
	}
	defer status.Stop()
	defer close(s.over)
	if !s.late {
		s.start()
		if s.people != nil {
			s.people(s)
		}
	}
	if s.lane {
		s.save(s.name, contract.LaneWorkflowID(s.in.AccountID, s.in.Lane))
		return
	}
	if s.retry {
		s.save(s.name, contract.RetryWorkflowID(s.in.JobID))
		if !s.late { // a late one never starts its job
			s.save(s.name+"_job", contract.JobWorkflowID(s.in.JobID))
		}
		return
	}
	s.save(s.name, contract.JobWorkflowID(s.in.JobID))
}

func (s *stage) register(w worker.Worker) {
	if s.instead != nil {
		w.RegisterWorkflowWithOptions(s.instead, workflow.RegisterOptions{Name: contract.JobWorkflow})
	} else {
		workflows.Register(w)
	}
	s.registerActivities(w)
}

func (s *stage) registerActivities(w worker.Worker) {
	w.RegisterActivityWithOptions(func(ctx context.Context, in contract.ExecuteInput) (contract.JobResult, error) {
		s.executed = in
		s.taken <- activity.GetInfo(ctx).Attempt
		return s.execute(ctx, s)
	}, activity.RegisterOptions{Name: contract.ExecutePackage})
	w.RegisterActivityWithOptions(func(_ context.Context, in contract.SettleInput) (contract.JobResult, error) {
		if s.settle != nil {
			return s.settle(in)
		}
		return contract.JobResult{JobID: in.JobID, Status: in.Status, Reason: in.Reason}, nil
	}, activity.RegisterOptions{Name: contract.SettleJob})
	s.registerLane(w)
	w.RegisterActivityWithOptions(func(context.Context, contract.RollUpInput) error { return nil },
		activity.RegisterOptions{Name: contract.RollUpRetry})
}

func (s *stage) start() {
	if s.lane {
		if err := s.starter.EnsureLane(s.ctx, s.ref()); err != nil {
			s.Fatal(err)
		}
		return
	}
	if err := s.starter.StartJob(s.ctx, s.in); err != nil {
		s.Fatal(err)
	}
}

// save waits for the end of the workflow and writes its history.
func (s *stage) save(name, workflowID string) { s.saveRun(name, workflowID, "") }

func (s *stage) saveRun(name, workflowID, runID string) {
	events := s.c.GetWorkflowHistory(s.ctx, workflowID, runID, true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var history historypb.History
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			s.Fatal(err)
		}
		if q := e.GetWorkflowTaskScheduledEventAttributes().GetTaskQueue(); q.GetKind() == enumspb.TASK_QUEUE_KIND_STICKY {
			q.Name = "recorder" // it names the machine
		}
		history.Events = append(history.Events, e)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&history)
	if err != nil {
		s.Fatal(err)
	}
	path := filepath.Join("testdata", recordFolder, name+".json")
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		s.Fatal(err)
	}
	s.Logf("%s: %d events", path, len(history.Events))
}

// begun waits until attempt n has begun.
func (s *stage) begun(n int32) {
	for {
		select {
		case got := <-s.taken:
			if got == n {
				return
			}
		case <-s.ctx.Done():
			s.Fatalf("attempt %d has not begun", n)
		}
	}
}

// pausing waits until the attempt failed and the next one is due later.
func (s *stage) pausing() {
	for s.ctx.Err() == nil {
		d, err := s.c.DescribeWorkflowExecution(s.ctx, contract.JobWorkflowID(s.in.JobID), "")
		if err != nil {
			s.Fatal(err)
		}
		for _, a := range d.GetPendingActivities() {
			if a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && a.GetAttempt() > 1 {
				return
			}
		}
	}
	s.Fatal("no attempt is due")
}

func (s *stage) result(status job.Status, reason job.Reason, code ...int) contract.JobResult {
	r := contract.JobResult{JobID: s.in.JobID, Status: status, Reason: reason}
	if len(code) > 0 {
		r.ReturnCode = &code[0]
	}
	return r
}

// reset lets the job end, and begins it again from its first workflow task.
func (s *stage) reset() {
	id := contract.JobWorkflowID(s.in.JobID)
	run := s.c.GetWorkflow(s.ctx, id, "")
	if err := run.Get(s.ctx, nil); err != nil {
		s.Fatal(err)
	}
	_, err := s.c.ResetWorkflowExecution(s.ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:                 "default",
		WorkflowExecution:         &commonpb.WorkflowExecution{WorkflowId: id, RunId: run.GetRunID()},
		Reason:                    "recorded",
		RequestId:                 "reset-" + id,
		WorkflowTaskFinishEventId: 4, // started, task scheduled, task started, task completed
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) cancel() {
	if err := s.starter.CancelJob(s.ctx, s.in.JobID); err != nil {
		s.Fatal(err)
	}
}

// How programs behave.

func succeeds(_ context.Context, s *stage) (contract.JobResult, error) {
	return s.result(job.Completed, "", 0), nil
}

func fails(_ context.Context, s *stage) (contract.JobResult, error) {
	return s.result(job.Failed, job.ReasonError, 3), nil
}

// failsFirst lets the first attempt fail and the second succeed after the pause.
func failsFirst(pause time.Duration) func(context.Context, *stage) (contract.JobResult, error) {
	return func(ctx context.Context, s *stage) (contract.JobResult, error) {
		if activity.GetInfo(ctx).Attempt > 1 {
			return s.result(job.Completed, "", 0), nil
		}
		return contract.JobResult{}, temporal.NewApplicationErrorWithOptions("the program exited with code 1",
			contract.ErrAttemptFailed, temporal.ApplicationErrorOptions{NextRetryDelay: pause})
	}
}

// runsUntilCancelled gives signs of life until it is cancelled, and then reports that as the outcome.
func runsUntilCancelled(ctx context.Context, s *stage) (contract.JobResult, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.result(job.Cancelled, job.ReasonStopped), nil
		case <-s.over:
			return contract.JobResult{}, fmt.Errorf("the take is over")
		case <-tick.C:
			activity.RecordHeartbeat(ctx, contract.Progress{Fence: 1})
		}
	}
}

// hangs gives no sign of life and never ends; a second attempt succeeds.
func hangs(ctx context.Context, s *stage) (contract.JobResult, error) {
	if activity.GetInfo(ctx).Attempt > 1 {
		return s.result(job.Completed, "", 0), nil
	}
	<-s.over
	return contract.JobResult{}, fmt.Errorf("the take is over")
}

// succeedsOnce plays the row: a run that begins again with a fence that is not larger is a mistake of the workflow; with
// a larger one it finds the job final.
func succeedsOnce() func(context.Context, *stage) (contract.JobResult, error) {
	var first time.Time
	return func(ctx context.Context, s *stage) (contract.JobResult, error) {
		if first.IsZero() {
			first = s.executed.RunStarted
			return succeeds(ctx, s)
		}
		if !s.executed.RunStarted.After(first) {
			s.Errorf("the run after the reset began %v, the one before it %v", s.executed.RunStarted, first)
		}
		return fenced(ctx, s)
	}
}

func fenced(context.Context, *stage) (contract.JobResult, error) {
	return contract.JobResult{}, temporal.NewNonRetryableApplicationError("another attempt owns the job", contract.ErrFenced, nil)
}

// otherShape is a Job that calls an activity Waybill's Job does not: what an incompatible change looks like to the
// histories from before it.
func otherShape(ctx workflow.Context, in contract.JobInput) (contract.JobResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var r contract.JobResult
	err := workflow.ExecuteActivity(ctx, contract.SettleJob, contract.SettleInput{
		JobID: in.JobID, AccountID: in.AccountID, Status: job.Completed,
	}).Get(ctx, &r)
	return r, err
}

func takes() []take {
	return []take{
		{name: "success", execute: succeeds},
		{name: "failure", execute: fails},
		{name: "attempt", execute: failsFirst(time.Second)},
		{name: "worker_lost", execute: hangs, adjust: func(in *contract.JobInput) { in.HeartbeatTimeout = time.Second }},
		{name: "started_signal", execute: runsUntilSignalled, people: func(s *stage) {
			s.begun(1)
			err := s.c.SignalWorkflow(s.ctx, contract.JobWorkflowID(s.in.JobID), "", contract.SignalStarted,
				contract.Started{Worker: "recorder", Attempt: 1})
			if err != nil {
				s.Fatal(err)
			}
		}},
		{name: "cancel", execute: runsUntilCancelled, people: func(s *stage) { s.begun(1); s.cancel() }},
		{name: "cancel_unstarted", late: true, execute: succeeds, people: (*stage).cancel},
		{name: "cancel_pause", execute: failsFirst(time.Hour), people: func(s *stage) { s.pausing(); s.cancel() }},
		// Nobody waits an hour for a recording: a negative grace takes the slack back, and leaves a second.
		{name: "timeout", execute: hangs, adjust: func(in *contract.JobInput) {
			in.Timeout, in.Grace, in.HeartbeatTimeout = time.Second, -time.Hour, time.Minute
		}},
		{name: "fenced", execute: fenced},
		{name: "fenced_but_completed", execute: fenced, settle: func(in contract.SettleInput) (contract.JobResult, error) {
			return contract.JobResult{JobID: in.JobID, Status: job.Completed}, nil
		}},
		{name: "retry_success", retry: true, execute: succeeds},
		{name: "retry_failure", retry: true, execute: fails},
		{name: "retry_cancel", retry: true, execute: runsUntilCancelled, people: func(s *stage) {
			s.begun(1)
			if err := s.c.CancelWorkflow(s.ctx, contract.RetryWorkflowID(s.in.JobID), ""); err != nil {
				s.Fatal(err)
			}
		}},
		{name: "retry_cancel_by_job", retry: true, execute: runsUntilCancelled, people: func(s *stage) { s.begun(1); s.cancel() }},
		{name: "retry_cancel_unstarted", retry: true, late: true, execute: succeeds, people: (*stage).cancel},
		{name: "retry_terminated", retry: true, execute: runsUntilCancelled, people: func(s *stage) {
			s.begun(1)
			err := s.c.TerminateWorkflow(s.ctx, contract.JobWorkflowID(s.in.JobID), "", "recorded")
			if err != nil {
				s.Fatal(err)
			}
		}},
		{name: "retry_terminated_above", retry: true, execute: runsUntilCancelled, people: func(s *stage) {
			s.begun(1)
			err := s.c.TerminateWorkflow(s.ctx, contract.RetryWorkflowID(s.in.JobID), "", "recorded")
			if err != nil {
				s.Fatal(err)
			}
		}},
		{name: "reset", execute: succeedsOnce(), settle: func(in contract.SettleInput) (contract.JobResult, error) {
			return contract.JobResult{JobID: in.JobID, Status: job.Completed}, nil
		}, people: (*stage).reset},
		{name: "must_fail_other_activity", instead: otherShape},
	}
}

// runsUntilSignalled ends well once the workflow shows the job running.
func runsUntilSignalled(ctx context.Context, s *stage) (contract.JobResult, error) {
	for ctx.Err() == nil {
		activity.RecordHeartbeat(ctx, contract.Progress{Fence: 1})
		answer, err := s.c.QueryWorkflow(ctx, contract.JobWorkflowID(s.in.JobID), "", contract.QueryStatus)
		if err != nil {
			return contract.JobResult{}, err
		}
		var status contract.JobStatus
		if err := answer.Get(&status); err != nil {
			return contract.JobResult{}, err
		}
		if status.Status == job.Running {
			return s.result(job.Completed, "", 0), nil
		}
	}
	return contract.JobResult{}, ctx.Err()
}
