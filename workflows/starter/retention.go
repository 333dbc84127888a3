package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

var (
	_ control.Histories         = (*Retention)(nil)
	_ control.RetentionSchedule = (*Retention)(nil)
)

// Retention deletes histories, and keeps the schedule of the retention.
type Retention struct {
	engine    client.Client
	namespace string
	queue     string
	timeout   time.Duration
}

// NewRetention makes a Retention on a client of the namespace.
func NewRetention(c client.Client, namespace string) *Retention {
	return &Retention{engine: c, namespace: namespace, queue: contract.SystemQueue, timeout: 10 * time.Second}
}

// DeleteHistory deletes all runs of the job's workflows. They are found by the job's search attribute, which lists also runs
// that were reset; of the two workflows every job may have, one that the list does not know yet is deleted by its id. The
// engine takes note of each and deletes it in the background, within half a minute.
func (r *Retention) DeleteHistory(ctx context.Context, id job.ID) (int, error) {
	runs, err := r.runs(ctx, id)
	if err != nil {
		return 0, err
	}
	for _, workflow := range []string{contract.RetryWorkflowID(id), contract.JobWorkflowID(id)} {
		if !slices.ContainsFunc(runs, func(w *commonpb.WorkflowExecution) bool { return w.GetWorkflowId() == workflow }) {
			runs = append(runs, &commonpb.WorkflowExecution{WorkflowId: workflow})
		}
	}
	deleted := 0
	for _, w := range runs {
		ok, err := r.delete(ctx, w)
		if err != nil {
			return deleted, err
		}
		if ok {
			deleted++
		}
	}
	return deleted, nil
}

func (r *Retention) runs(ctx context.Context, id job.ID) ([]*commonpb.WorkflowExecution, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	page, err := r.engine.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("%s = '%s'", contract.AttrJob, id), PageSize: pageSize,
	})
	if err != nil {
		return nil, translate(ctx, err, "list the job's workflows")
	}
	var runs []*commonpb.WorkflowExecution
	for _, w := range page.GetExecutions() {
		runs = append(runs, w.GetExecution())
	}
	return runs, nil
}

func (r *Retention) delete(ctx context.Context, w *commonpb.WorkflowExecution) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	_, err := r.engine.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: r.namespace, WorkflowExecution: w,
	})
	err = translate(ctx, err, "delete a workflow")
	if job.CodeOf(err) == job.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Ensure makes the schedule, or sets its interval. What an operator changed besides, such as a pause, stays.
func (r *Retention) Ensure(ctx context.Context, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	handle := r.engine.ScheduleClient().GetHandle(ctx, contract.RetentionID)
	described, err := handle.Describe(ctx)
	var absent *serviceerror.NotFound
	switch {
	case errors.As(err, &absent):
		return r.create(ctx, every)
	case err != nil:
		return translate(ctx, err, "look the schedule of the retention up")
	case slices.Equal(described.Schedule.Spec.Intervals, intervals(every)):
		return nil
	}
	err = handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := in.Description.Schedule
		s.Spec = &client.ScheduleSpec{Intervals: intervals(every)}
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}})
	return translate(ctx, err, "change the schedule of the retention")
}

func (r *Retention) create(ctx context.Context, every time.Duration) error {
	_, err := r.engine.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:   contract.RetentionID,
		Spec: client.ScheduleSpec{Intervals: intervals(every)},
		Action: &client.ScheduleWorkflowAction{
			ID: contract.RetentionID, Workflow: contract.RetentionWorkflow, Args: []any{contract.RetentionInput{}}, TaskQueue: r.queue,
			StaticSummary: "Deletes jobs that are over their retention",
		},
		Overlap:       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: time.Minute, // the next run does what a missed one would have done
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) { // another process was faster
		return nil
	}
	return translate(ctx, err, "make the schedule of the retention")
}

func intervals(every time.Duration) []client.ScheduleIntervalSpec {
	return []client.ScheduleIntervalSpec{{Every: every}}
}

// RunNow starts a run, unless one is under way.
func (r *Retention) RunNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	err := r.engine.ScheduleClient().GetHandle(ctx, contract.RetentionID).Trigger(ctx, client.ScheduleTriggerOptions{
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	})
	return translate(ctx, err, "run the retention")
}
