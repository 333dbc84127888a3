package starter

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"waybill/internal/control"
	"waybill/internal/job"
)

// openEngine plays the two calls of Open.
type openEngine struct {
	*fakeEngine
	terminated []string
	err        error
}

func (e *openEngine) TerminateWorkflow(_ context.Context, id, run, reason string, _ ...any) error {
	e.terminated = append(e.terminated, id+" "+run+" "+reason)
	return e.err
}

func TestOpenWorkflowsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)
	jobRun := listed("Job", "job-69b9209b00000000000000c1")
	jobRun.StartTime, jobRun.Execution.RunId = timestamppb.New(at), "run-1"
	f := &fakeEngine{pages: [][]*workflowpb.WorkflowExecutionInfo{
		{jobRun, listed("Job", "job-of-somebody-else")}, {listed("Retry", "retry-69b9209b00000000000000c2")},
	}}
	o := NewOpen(&openEngine{fakeEngine: f})
	first, next, err := o.OpenWorkflows(t.Context(), nil)
	want := control.OpenWorkflow{Job: "69b9209b00000000000000c1", Workflow: "job-69b9209b00000000000000c1", Run: "run-1", Started: at}
	if err != nil || len(first) != 1 || first[0] != want || len(next) == 0 {
		t.Errorf("first page %+v, next %v, %v", first, next, err)
	}
	second, next, err := o.OpenWorkflows(t.Context(), next)
	if err != nil || len(second) != 1 || second[0].Job != "69b9209b00000000000000c2" || len(next) != 0 {
		t.Errorf("second page %+v, next %v, %v", second, next, err)
	}
	if f.queries[0] != "WorkflowType IN ('Job', 'Retry') AND ExecutionStatus = 'Running'" {
		t.Errorf("query %s", f.queries[0])
	}
	f.err = errors.New("away")
	if _, _, err := o.OpenWorkflows(t.Context(), nil); job.CodeOf(err) != job.Unavailable {
		t.Errorf("error %v, want unavailable", err)
	}
}

func TestAWorkflowIsTerminatedByItsRun(t *testing.T) {
	t.Parallel()
	e := &openEngine{fakeEngine: &fakeEngine{}}
	o := NewOpen(e)
	w := control.OpenWorkflow{Workflow: "job-x", Run: "r"}
	for _, answer := range []error{nil, errAbsent} { // one that has ended is fine
		e.err = answer
		if err := o.TerminateWorkflow(t.Context(), w, "why"); err != nil {
			t.Error(err)
		}
	}
	if fmt.Sprint(e.terminated) != "[job-x r why job-x r why]" {
		t.Errorf("terminated %v", e.terminated)
	}
	e.err = serviceerror.NewUnavailable("away")
	if err := o.TerminateWorkflow(t.Context(), w, "why"); job.CodeOf(err) != job.Unavailable {
		t.Errorf("error %v, want unavailable", err)
	}
}
