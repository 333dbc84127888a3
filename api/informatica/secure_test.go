package informatica_test

import (
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// A secure macro can not be made plain (native API specification, section 4), whoever gives its value: a value out of a parameter file is
// sealed in the job, at the start as well as in a retry that finds the file later.
func TestAParameterFileKeepsASecureMacroSecure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "", func(in *control.ConfigInput) {
		in.Runtime.Macros = []job.Macro{{Key: "PASS", Value: "of-the-config", Secure: true}, {Key: "OPEN", Value: "x"}}
	})
	macros := func(id job.ID) map[string]job.Macro {
		t.Helper()
		j, err := f.Store.Job(t.Context(), 1, id)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]job.Macro{}
		for _, m := range j.Spec.Macros {
			got[m.Key] = m
		}
		return got
	}
	check := func(what string, id job.ID) {
		t.Helper()
		got := macros(id)
		if p := got["PASS"]; !p.Secure || p.Value != "" || p.Sealed == "" {
			t.Errorf("%s: PASS is %+v", what, p)
		} else if value, err := f.Jobs.Sealer.(interface{ Open(string) (string, error) }).Open(p.Sealed); err != nil || value != "filesecret77" {
			t.Errorf("%s: PASS holds %q, %v", what, value, err)
		}
		if o := got["OPEN"]; o.Secure || o.Value != "y" {
			t.Errorf("%s: OPEN is %+v", what, o)
		}
	}
	body := `{"taskId":"1","taskType":"MTT","runtime":{"parameterFileName":"run.param"}}`
	f.do("POST", s+"/job", body).want(t, 200, "")
	first := f.run(c, 1)
	f.Finish(t, 1, first.ID, f.Take(t, 1, first.ID), job.Outcome{Status: job.Failed, Reason: job.ReasonError, At: f.Now()})
	f.file(c, "run.param", "$$PASS=filesecret77\nOPEN=y\n")
	made, err := f.Jobs.Retry(t.Context(), f.actor(), control.RetryRequest{Job: string(first.ID)})
	if err != nil {
		t.Fatal(err)
	}
	check("a retry that finds the file", made.Job.ID)
	f.Finish(t, 1, made.Job.ID, f.Take(t, 1, made.Job.ID), controltest.Exit(0))
	f.do("POST", s+"/job", body).want(t, 200, "")
	check("a start", f.run(c, 3).ID)
	if strings.Contains(f.log.String(), "filesecret77") {
		t.Errorf("the value is in the log")
	}
}
