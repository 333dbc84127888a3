package workflows

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// The ways a workflow can close.
const (
	closedCompleted  = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
	closedFailed     = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED
	closedCanceled   = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED
	closedTerminated = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
	closedContinued  = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
)

// recordings say what every recorded history is a recording of, so that a take that went wrong is not kept unnoticed.
var recordings = map[string]struct {
	closed     enumspb.EventType
	activities string // scheduled, in order
	shown      string // values of WaybillStatus, in order
}{
	"fire":                 {closedCompleted, "TakeFire", ""},
	"fire_cancelled":       {closedCanceled, "TakeFire", ""},
	"fire_job_elsewhere":   {closedCompleted, "TakeFire LookAtJob LookAtJob LookAtJob", ""},
	"fire_refused":         {closedCompleted, "TakeFire", ""},
	"success":              {closedCompleted, "ExecutePackage", "completed"},
	"deliver":              {closedCompleted, "DeliverOnce", ""},
	"deliver_mail":         {closedCompleted, "DeliverOnce", ""},
	"deliver_refused":      {closedFailed, "DeliverOnce", ""},
	"deliver_impossible":   {closedFailed, "DeliverOnce EndDelivery", ""},
	"deliver_cancelled":    {closedCanceled, "DeliverOnce EndDelivery", ""},
	"failure":              {closedFailed, "ExecutePackage", "failed"},
	"attempt":              {closedCompleted, "ExecutePackage", "completed"},
	"worker_lost":          {closedCompleted, "ExecutePackage", "completed"},
	"started_signal":       {closedCompleted, "ExecutePackage", "running completed"},
	"cancel":               {closedCanceled, "ExecutePackage", "cancelled"},
	"cancel_unstarted":     {closedCanceled, "ExecutePackage SettleJob", "cancelled"},
	"cancel_pause":         {closedCanceled, "ExecutePackage SettleJob", "cancelled"},
	"timeout":              {closedFailed, "ExecutePackage SettleJob", "failed"},
	"fenced":               {closedFailed, "ExecutePackage SettleJob", "failed"},
	"fenced_but_completed": {closedCompleted, "ExecutePackage SettleJob", "completed"},
	"reset":                {closedCompleted, "ExecutePackage SettleJob", "completed"},

	"retry_success":              {closedCompleted, "RollUpRetry", "completed"},
	"retry_success_job":          {closedCompleted, "ExecutePackage", "completed"},
	"retry_failure":              {closedFailed, "RollUpRetry", "failed"},
	"retry_failure_job":          {closedFailed, "ExecutePackage", "failed"},
	"retry_cancel":               {closedCanceled, "RollUpRetry", "cancelled"},
	"retry_cancel_job":           {closedCanceled, "ExecutePackage", "cancelled"},
	"retry_cancel_by_job":        {closedCanceled, "RollUpRetry", "cancelled"},
	"retry_cancel_by_job_job":    {closedCanceled, "ExecutePackage", "cancelled"},
	"retry_cancel_unstarted":     {closedCanceled, "SettleJob RollUpRetry", "cancelled"},
	"retry_terminated":           {closedFailed, "SettleJob RollUpRetry", "failed"},
	"retry_terminated_job":       {closedTerminated, "ExecutePackage", ""},
	"retry_terminated_above":     {closedTerminated, "", ""},
	"retry_terminated_above_job": {closedTerminated, "ExecutePackage", ""},

	"lane_job":                    {closedCompleted, "ExecutePackage PokeLane", "completed"},
	"lane_job_placed":             {closedCompleted, "ExecutePackage PokeLane", "completed"},
	"lane_job_cancelled":          {closedCanceled, "SettleJob PokeLane", "cancelled"},
	"lane_job_told_and_cancelled": {closedCanceled, "SettleJob PokeLane", "cancelled"},
	"lane_job_queue_timeout":      {closedFailed, "ExpireJob PokeLane", "failed"},
	"lane_job_retry":              {closedCompleted, "RollUpRetry", "completed"},
	"lane_job_retry_job":          {closedCompleted, "ExecutePackage PokeLane", "completed"},
	"limits_kept":                 {closedCompleted, "ExecutePackage", "completed"},
	"queue_timeout_taken":         {closedCompleted, "ExecutePackage ExpireJob", "completed"},
	"deadline":                    {closedFailed, "ExecutePackage ExpireJob", "failed"},
	"deadline_worker_lost":        {closedFailed, "ExecutePackage ExpireJob ExpireJob SettleJob", "failed"},
	"lane":                        {closedCompleted, looks(3), ""},
	"lane_nudge":                  {closedCompleted, looks(3), ""},
	"lane_pokes":                  {closedCompleted, looks(5), ""},
	"lane_cancelled":              {closedCanceled, "AdvanceLane", ""},
	"lane_continued_first":        {closedContinued, looks(14), ""},
	"lane_continued":              {closedCompleted, looks(10), ""},

	"reconciler":                {closedContinued, "Reconcile", ""},
	"reconciler_cancelled":      {closedCanceled, "Reconcile", ""},
	"retention":                 {closedCompleted, "PurgeJobs PurgeJobs PurgeJobs PurgePackages", ""},
	"retention_outage":          {closedFailed, "PurgeJobs PurgeJobs", ""},
	"retention_continued_first": {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW, strings.TrimSpace(strings.Repeat("PurgeJobs ", 17)), ""},
	"retention_continued":       {closedCompleted, strings.Repeat("PurgeJobs ", 40-2*17) + "PurgePackages", ""},

	"must_fail_other_activity": {closedCompleted, "SettleJob", ""},
}

// looks is so many calls of AdvanceLane.
func looks(n int) string { return strings.TrimSpace(strings.Repeat(contract.AdvanceLane+" ", n)) }

func histories(t *testing.T) map[string]*historypb.History {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "histories", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]*historypb.History{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := client.HistoryFromJSON(bytes.NewReader(text), client.HistoryJSONOptions{})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		read[strings.TrimSuffix(filepath.Base(path), ".json")] = h
	}
	return read
}

func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	for name, h := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			Register(replayer)
			err := replayer.ReplayWorkflowHistory(quiet{}, h)
			switch {
			case !strings.HasPrefix(name, "must_fail_"):
				if err != nil {
					t.Errorf("the workflow no longer does what it did: %v", err)
				}
			case err == nil:
				t.Error("an incompatible history replays: the replay tests would notice nothing")
			case !strings.Contains(err.Error(), "TMPRL1100"):
				t.Errorf("failed, but not for nondeterminism: %v", err)
			}
		})
	}
}

func TestRecordedHistoriesAreWhatTheyAreNamed(t *testing.T) {
	t.Parallel()
	read := histories(t)
	for name := range read {
		if _, ok := recordings[name]; !ok {
			t.Errorf("%s.json is not in the table of recordings", name)
		}
	}
	for name, want := range recordings {
		h := read[name]
		if h == nil {
			t.Errorf("%s.json is missing", name)
			continue
		}
		var activities, shown []string
		for _, e := range h.Events {
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				activities = append(activities, a.GetActivityType().GetName())
			}
			if a := e.GetUpsertWorkflowSearchAttributesEventAttributes(); a != nil {
				var s string
				status := a.GetSearchAttributes().GetIndexedFields()[contract.AttrStatus]
				if err := converter.GetDefaultDataConverter().FromPayload(status, &s); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				shown = append(shown, s)
			}
		}
		if got := h.Events[len(h.Events)-1].GetEventType(); got != want.closed {
			t.Errorf("%s closed with %v, want %v", name, got, want.closed)
		}
		if got := strings.Join(activities, " "); got != want.activities {
			t.Errorf("%s called %s, want %s", name, got, want.activities)
		}
		if got := strings.Join(shown, " "); got != want.shown {
			t.Errorf("%s showed %s, want %s", name, got, want.shown)
		}
	}
}

// A successful job is one activity in two workflow tasks, the first of them eager: the least Temporal can do. One event
// comes on top, the final WaybillStatus, in the task that closes the workflow.
func TestSuccessfulJobCostsTwelveEvents(t *testing.T) {
	t.Parallel()
	h := histories(t)["success"]
	if len(h.GetEvents()) != 12 {
		t.Errorf("%d events, want 12", len(h.GetEvents()))
	}
	if !h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetEagerExecutionAccepted() {
		t.Error("the workflow was not started eagerly")
	}
}

// The job of a retry shows the same things as the job of a first run, though a workflow starts it and not the client.
func TestJobOfARetryHasTheMemoAndAttributesOfItsRetry(t *testing.T) {
	t.Parallel()
	read := histories(t)
	outer := read["retry_success"].GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	inner := read["retry_success_job"].GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	equal(t, "memo", inner.GetMemo(), outer.GetMemo())
	equal(t, "search attributes", inner.GetSearchAttributes(), outer.GetSearchAttributes())
	if got := len(inner.GetSearchAttributes().GetIndexedFields()); got != 6 { // as many as there were when it was recorded
		t.Errorf("%d search attributes, want 6", got)
	}
	first := SearchAttributes(contract.JobInput{JobID: "69b9209b00000000000000c1"})
	root, _ := first.GetKeyword(attrRootJob)
	_, hasParent := first.GetKeyword(attrParentJob)
	if status, _ := first.GetKeyword(attrStatus); root != "69b9209b00000000000000c1" || hasParent || status != string(job.Queued) {
		t.Errorf("a first run is its own root and has no parent: root %q, parent %v, status %q", root, hasParent, status)
	}
}
