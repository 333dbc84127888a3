package control_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// declare uploads a version of the config's package that says this about macros.
func (w *world) declare(c job.Config, rules ...job.MacroRule) {
	w.t.Helper()
	_, err := w.store.AddFile(w.t.Context(), job.File{
		AccountID: c.AccountID, EntityType: job.EntityJobConfig, EntityID: c.ID, Key: "p.sh", Size: 64, SHA256: hex.EncodeToString(make([]byte, 32)),
		CreatedAt: w.Now(), CreatedBy: c.Owner, Archive: &job.Archive{EntryPoints: []string{"p.sh"}, Manifest: &job.Manifest{Macros: rules}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func text(s string) *string { return &s }

func TestAPackagesMacrosAreTheLowestLayer(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	w.declare(c, job.MacroRule{Name: "DAY", Default: text("monday")}, job.MacroRule{Name: "TARGET", Default: text("a"), Required: true})
	start := func(macros ...job.Macro) map[string]string {
		s, err := w.jobs.Submit(t.Context(), w.admin, control.SubmitRequest{Config: c.ObjectID, Overrides: control.Overrides{Macros: macros}})
		if err != nil {
			t.Fatal(err)
		}
		return values(w.job(s.Job.ID))
	}
	if got := start(); got["DAY"] != "monday" || got["TARGET"] != "a" {
		t.Errorf("got %v", got)
	}
	if got := start(job.Macro{Key: "DAY", Value: "friday"}); got["DAY"] != "friday" || got["TARGET"] != "a" {
		t.Errorf("what is given comes before the default: %v", got)
	}
}

func values(j job.Job) map[string]string {
	out := map[string]string{}
	for _, m := range j.Spec.Macros {
		out[m.Key] = m.Value
	}
	return out
}

func TestARequiredMacroNobodyGivesRefusesTheStart(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	first := w.submit(c)
	w.finish(first, failed())
	w.declare(c, job.MacroRule{Name: "KEY", Required: true}, job.MacroRule{Name: "ALSO", Required: true})
	given := func(key, value string) control.Overrides {
		return control.Overrides{Macros: []job.Macro{{Key: key, Value: value}, {Key: "ALSO", Value: "x"}}}
	}
	for _, o := range []control.Overrides{{}, given("OTHER", "x"), given("KEY", "")} {
		_, err := w.jobs.Submit(t.Context(), w.admin, control.SubmitRequest{Config: c.ObjectID, Overrides: o})
		want(t, err, job.Invalid, job.WordMissingField)
		if err != nil && !strings.Contains(err.Error(), "'KEY'") {
			t.Errorf("it does not name the macro: %v", err)
		}
	}
	_, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID), Package: control.PackageLatest})
	want(t, err, job.Invalid, job.WordMissingField)
	if list, _, err := w.jobs.List(t.Context(), w.admin, job.Query{Size: 10}); err != nil || len(list.Items) != 1 {
		t.Errorf("%d jobs, %v", len(list.Items), err)
	}
	if _, err := w.jobs.Submit(t.Context(), w.admin, control.SubmitRequest{Config: c.ObjectID, Overrides: given("KEY", "k")}); err != nil {
		t.Error(err)
	}
	// The version of the parent asks for nothing.
	if _, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID)}); err != nil {
		t.Error(err)
	}
}

func TestASecureMacroOfAPackageIsSealedWhoeverGivesIt(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	w.declare(c, job.MacroRule{Name: "KEY", Secure: true})
	s, err := w.jobs.Submit(t.Context(), w.admin, control.SubmitRequest{
		Config: c.ObjectID, Overrides: control.Overrides{Macros: []job.Macro{{Key: "KEY", Value: "hidden-value"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := w.job(s.Job.ID).Spec.Macros[0]
	if !m.Secure || m.Value != "" || m.Sealed == "" || strings.Contains(m.Sealed, "hidden-value") {
		t.Errorf("got %+v", m)
	}
}

func TestARetryOfAnotherVersionTakesItsDefaults(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	w.declare(c, job.MacroRule{Name: "DAY", Default: text("monday")}, job.MacroRule{Name: "OLD", Default: text("1")})
	first := w.submit(c)
	w.finish(first, failed())
	w.declare(c, job.MacroRule{Name: "DAY", Default: text("friday")})
	retry := func(r control.RetryRequest) map[string]string {
		r.Job, r.Force = string(first.ID), true
		s, err := w.jobs.Retry(t.Context(), w.admin, r)
		if err != nil {
			t.Fatal(err)
		}
		return values(w.job(s.Job.ID))
	}
	if got := retry(control.RetryRequest{}); got["DAY"] != "monday" || got["OLD"] != "1" {
		t.Errorf("the same version: %v", got)
	}
	if got := retry(control.RetryRequest{Package: control.PackageLatest}); got["DAY"] != "friday" || len(got) != 1 {
		t.Errorf("the newest: %v", got)
	}
	given := control.Overrides{Macros: []job.Macro{{Key: "DAY", Value: "sunday"}}}
	if got := retry(control.RetryRequest{Package: control.PackageLatest, Overrides: given}); got["DAY"] != "sunday" {
		t.Errorf("the newest, with a value given: %v", got)
	}
}
