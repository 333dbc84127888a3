package informatica_test

import (
	"slices"
	"testing"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// A run whose parameter file was missing is accepted whatever its concurrency key is made of, and a retry looks for the file again.
func TestARetryLooksForTheParameterFileAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "", func(in *control.ConfigInput) {
		in.Rules.Concurrency = job.Concurrency{Limit: 1, Key: "$(TARGET)", OnLimit: job.OnLimitQueue}
	})
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT","runtime":{"parameterFileName":"late.param"}}`).want(t, 200, "")
	first := f.run(c, 1)
	if first.Spec.Fault != "Parameter file 'late.param' not found" || first.Lane != "" || first.Status != job.Queued {
		t.Fatalf("fault %q, lane %q, %s", first.Spec.Fault, first.Lane, first.Status)
	}
	retry := func(parent job.Job) job.Job {
		t.Helper()
		f.Finish(t, 1, parent.ID, f.Take(t, 1, parent.ID), job.Outcome{Status: job.Failed, Reason: job.ReasonError, At: f.Now()})
		made, err := f.Jobs.Retry(t.Context(), f.actor(), control.RetryRequest{Job: string(parent.ID)})
		if err != nil {
			t.Fatal(err)
		}
		return made.Job
	}
	second := retry(first)
	if second.Spec.Fault != first.Spec.Fault || second.Lane != "" {
		t.Errorf("without the file: fault %q, lane %q", second.Spec.Fault, second.Lane)
	}
	f.file(c, "late.param", "TARGET=/data\n")
	third := retry(second)
	has := slices.ContainsFunc(third.Spec.Macros, func(m job.Macro) bool { return m.Key == "TARGET" && m.Value == "/data" })
	if third.Spec.Fault != "" || third.Spec.ParameterFile != "" || !has || third.Lane != job.LaneOf(c.ID, "/data") {
		t.Errorf("with the file: fault %q, lane %q, macros %v", third.Spec.Fault, third.Lane, third.Spec.Macros)
	}
	f.Finish(t, 1, third.ID, f.Take(t, 1, third.ID), controltest.Exit(0))
}

// Once a run is stored it is accepted, and started when the engine is back; what can not even be stored is refused (docs/informatica.md).
func TestStartsWhileADependencyIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "")
	f.file(c, "run.param", "A=1\n")
	f.Engine.SetDown(true)
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
	if j := f.run(c, 1); j.Status != job.Queued || !j.Unreachable {
		t.Errorf("the run is %s, unreachable %v", j.Status, j.Unreachable)
	}
	f.Engine.SetDown(false)
	f.do("POST", s+"/job/stop", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
	f.Objects.SetFail(job.Errorf(job.Unavailable, job.WordDependencyDown, "The object store is down"))
	r := f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT","runtime":{"parameterFileName":"run.param"}}`)
	r.fault(t, 503, "WB_UNAVAILABLE", "")
	if r.Header().Get("Retry-After") == "" {
		t.Errorf("headers %v", r.Header())
	}
	f.do("GET", s+"/activity/activityMonitor", "").want(t, 200, `[]`)
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
}
