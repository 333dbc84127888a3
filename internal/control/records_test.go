package control_test

import (
	"fmt"
	"slices"
	"testing"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// raise runs a job that raises errors of the records, up to the outcome.
func (w *world) raise(j job.Job, o job.Outcome, steps []job.Step, records ...string) {
	w.t.Helper()
	fence := w.Take(w.t, j.AccountID, j.ID)
	r := job.Report{Steps: steps, At: w.Now()}
	for _, id := range records {
		r.Errors = append(r.Errors, job.RecordError{RecordID: id, Step: steps[len(steps)-1].Name, OccurredAt: w.Now(), Data: []byte(`{}`)})
	}
	if err := w.store.Report(w.t.Context(), j.AccountID, j.ID, fence, r); err != nil {
		w.t.Fatal(err)
	}
	w.Finish(w.t, j.AccountID, j.ID, fence, o)
}

var twoSteps = []job.Step{{Name: "extract", Status: job.Completed, FinishedAt: controltest.Start}, {Index: 1, Name: "load", Status: job.Running}}

func TestRetryOfTheFailedStepNamesIt(t *testing.T) {
	w := newWorld(t)
	first := w.submit(w.runnable(w.admin, "orders"))
	w.raise(first, failed(), twoSteps)
	s, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID), Scope: job.RetryFailedStep})
	if err != nil || s.Job.Spec.RetryStep != "load" || s.Job.RetryScope != job.RetryFailedStep {
		t.Fatalf("%+v, %v", s.Job, err)
	}
	w.finish(s.Job, failed())
	s, err = w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(s.Job.ID)})
	if err != nil || s.Job.Spec.RetryStep != "" {
		t.Errorf("a retry of all begins with %q, %v", s.Job.Spec.RetryStep, err)
	}
}

func TestRetryOfRecords(t *testing.T) {
	w := newWorld(t)
	first := w.submit(w.runnable(w.admin, "orders"))
	w.raise(first, failed(), twoSteps, "a", "b", "c")
	retry := func(records ...string) (control.Submitted, error) {
		return w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID), Scope: job.RetryFailedRecords, RecordIDs: records})
	}
	_, err := retry("a", "x")
	want(t, err, job.Invalid, job.WordUnknownRecord)
	_, err = retry("")
	want(t, err, job.Invalid, job.WordUnknownRecord)
	_, err = retry(make([]string, job.MaxRetryChoice+1)...)
	want(t, err, job.Invalid, job.WordInvalidField)
	s, err := retry("b", "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	given, err := w.store.RetryRecords(t.Context(), first.AccountID, s.Job.ID, "", 10)
	if err != nil || len(given) != 2 || given[0].RecordID != "a" {
		t.Errorf("%+v, %v", given, err)
	}
}

func TestRetryChoosesThePackage(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	first := w.submit(c)
	w.finish(first, failed())
	w.upload(c, 99)
	one := 1
	for name, x := range map[string]struct {
		req     control.RetryRequest
		version int
	}{
		"the original":             {control.RetryRequest{}, 1},
		"the original by name":     {control.RetryRequest{Package: control.PackageOriginal}, 1},
		"the latest":               {control.RetryRequest{Package: control.PackageLatest}, 2},
		"a version goes before it": {control.RetryRequest{Package: control.PackageLatest, Overrides: control.Overrides{PackageVersion: &one}}, 1},
	} {
		x.req.Job, x.req.Force = string(first.ID), true
		s, err := w.jobs.Retry(t.Context(), w.admin, x.req)
		if err != nil || s.Job.Spec.PackageVersion != x.version {
			t.Errorf("%s: version %d, %v", name, s.Job.Spec.PackageVersion, err)
		}
	}
	_, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID), Package: "oldest"})
	want(t, err, job.Invalid, job.WordInvalidField)
}

func TestRetryOutlivesItsConfig(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	first := w.submit(c)
	w.finish(first, failed())
	if err := w.configs.Delete(t.Context(), w.admin, []string{c.ObjectID}); err != nil {
		t.Fatal(err)
	}
	_, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID), Package: control.PackageLatest})
	want(t, err, job.Invalid, job.WordPackageMissing)
	s, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID)})
	if err != nil || s.Job.RunNumber != 2 {
		t.Fatalf("%+v, %v", s.Job, err)
	}
	w.finish(s.Job, failed())
	if err := w.Objects.Delete(t.Context(), job.BlobKey(first.AccountID, first.Spec.PackageSHA256)); err != nil {
		t.Fatal(err)
	}
	_, err = w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID)})
	want(t, err, job.Invalid, job.WordPackageMissing)
}

// shown puts a bulk retry's result into words: accepted jobs, then skipped ones with why.
func shown(r control.BulkRetried) (accepted []job.ID, skipped map[string]job.Word) {
	skipped = map[string]job.Word{}
	for _, s := range r.Accepted {
		accepted = append(accepted, s.Job.RetryOf)
	}
	for _, s := range r.Skipped {
		skipped[s.ID] = s.Word
	}
	return accepted, skipped
}

func TestBulkRetrySkipsWhatNeedsNone(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	plain, active, resolved, retried, running := w.submit(c), w.submit(c), w.submit(c), w.submit(c), w.submit(c)
	for _, j := range []job.Job{plain, active, resolved, retried} {
		w.finish(j, failed())
	}
	again := func(j job.Job) job.Job {
		s, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(j.ID)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Job
	}
	again(active)
	done := again(resolved)
	w.finish(done, job.Outcome{Status: job.Completed})
	if err := w.store.RollUp(t.Context(), done.AccountID, done.ID, w.Now()); err != nil {
		t.Fatal(err)
	}
	child := again(retried)
	w.finish(child, failed())
	other := w.another("stranger")

	r, err := w.jobs.RetryMany(t.Context(), w.admin, control.BulkRetryRequest{
		Filter: true, Where: job.Compare{Property: "status", Op: job.In, Values: []any{job.Failed, job.Running, job.Queued}},
	})
	if err != nil {
		t.Fatal(err)
	}
	accepted, skipped := shown(r)
	if !slices.Equal(accepted, []job.ID{plain.ID, child.ID}) || r.More || r.Last == "" {
		t.Errorf("accepted %v, more %v, last %s", accepted, r.More, r.Last)
	}
	for id, word := range map[job.ID]job.Word{
		active.ID: job.WordRetryActive, resolved.ID: job.WordJobResolved, retried.ID: job.WordJobRetried, running.ID: job.WordJobNotFinished,
	} {
		if skipped[string(id)] != word {
			t.Errorf("skipped %v, want %s: %s", skipped, id, word)
		}
	}
	// By name a job that was retried is meant; what is resolved or has an active retry is still not.
	r, err = w.jobs.RetryMany(t.Context(), w.admin, control.BulkRetryRequest{
		IDs: []string{string(retried.ID), string(retried.ID), string(resolved.ID), "nonsense", string(plain.ID)},
	})
	accepted, skipped = shown(r)
	if err != nil || !slices.Equal(accepted, []job.ID{retried.ID}) || skipped[string(resolved.ID)] != job.WordJobResolved ||
		skipped["nonsense"] != job.WordNotFound || skipped[string(plain.ID)] != job.WordRetryActive {
		t.Errorf("accepted %v, skipped %v, %v", accepted, skipped, err)
	}
	r, err = w.jobs.RetryMany(t.Context(), w.admin, control.BulkRetryRequest{IDs: []string{string(resolved.ID)}, Force: true})
	if accepted, _ = shown(r); err != nil || len(accepted) != 1 {
		t.Errorf("forced: %+v, %v", r, err)
	}
	r, err = w.jobs.RetryMany(t.Context(), other, control.BulkRetryRequest{IDs: []string{string(plain.ID)}})
	if _, skipped = shown(r); err != nil || skipped[string(plain.ID)] != job.WordNotFound {
		t.Errorf("another account: %+v, %v", r, err)
	}
}

func TestBulkRetryIsFoundAgainByItsKey(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	var ids []string
	for range 3 {
		j := w.submit(c)
		w.finish(j, failed())
		ids = append(ids, string(j.ID))
	}
	req := control.BulkRetryRequest{IDs: ids, IdempotencyKey: "k"}
	first, err := w.jobs.RetryMany(t.Context(), w.admin, req)
	if err != nil || len(first.Accepted) != 3 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.finish(first.Accepted[0].Job, job.Outcome{Status: job.Completed})
	if err := w.store.RollUp(t.Context(), w.admin.AccountID, first.Accepted[0].Job.ID, w.Now()); err != nil {
		t.Fatal(err)
	}
	second, err := w.jobs.RetryMany(t.Context(), w.admin, req)
	if err != nil || len(second.Accepted) != 3 {
		t.Fatalf("%+v, %v", second, err)
	}
	for i, s := range second.Accepted {
		if !s.Replayed || s.Job.ID != first.Accepted[i].Job.ID {
			t.Errorf("retry %d is %s, want %s", i, s.Job.ID, first.Accepted[i].Job.ID)
		}
	}
	req.Scope = job.RetryFailedStep
	r, err := w.jobs.RetryMany(t.Context(), w.admin, req)
	if _, skipped := shown(r); err != nil || skipped[ids[0]] != job.WordIdempotency {
		t.Errorf("another request with the key: %+v, %v", r, err)
	}
}

func TestBulkRetryGoesOnWhereItEnded(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	for range 1003 {
		w.finish(w.submit(c), failed())
	}
	w.engine.down, w.engine.asked = true, 0 // the first start tells so; the others are left to the reconciler
	req := control.BulkRetryRequest{Filter: true, Where: job.Compare{Property: "trigger", Op: job.Eq, Values: []any{"api"}}}
	r, err := w.jobs.RetryMany(t.Context(), w.admin, req)
	if err != nil || len(r.Accepted) != 1000 || !r.More {
		t.Fatalf("%d accepted, more %v, %v", len(r.Accepted), r.More, err)
	}
	for _, s := range r.Accepted {
		if !s.Job.Unreachable {
			t.Fatalf("%+v is not left to the reconciler", s.Job)
		}
	}
	if w.engine.asked != 1 {
		t.Errorf("an engine that is down was asked %d times", w.engine.asked)
	}
	req.After = r.Last
	r, err = w.jobs.RetryMany(t.Context(), w.admin, req)
	if err != nil || len(r.Accepted) != 3 || r.More {
		t.Errorf("%d accepted, more %v, %v", len(r.Accepted), r.More, err)
	}
}

func TestBulkRetryRefusesWhatIsWrongForAll(t *testing.T) {
	w := newWorld(t)
	version := 0
	for name, x := range map[string]struct {
		req  control.BulkRetryRequest
		word job.Word
	}{
		"nothing":            {control.BulkRetryRequest{}, job.WordMissingField},
		"both":               {control.BulkRetryRequest{IDs: []string{"a"}, Filter: true}, job.WordInvalidField},
		"too many":           {control.BulkRetryRequest{IDs: make([]string, 1001)}, job.WordInvalidField},
		"scope":              {control.BulkRetryRequest{IDs: []string{"a"}, Scope: "x"}, job.WordInvalidField},
		"package":            {control.BulkRetryRequest{IDs: []string{"a"}, Package: "x"}, job.WordInvalidField},
		"override":           {control.BulkRetryRequest{IDs: []string{"a"}, Overrides: control.Overrides{PackageVersion: &version}}, job.WordInvalidField},
		"after alone":        {control.BulkRetryRequest{IDs: []string{"a"}, After: newID()}, job.WordInvalidField},
		"after what is none": {control.BulkRetryRequest{Filter: true, After: "x"}, job.WordInvalidField},
	} {
		_, err := w.jobs.RetryMany(t.Context(), w.admin, x.req)
		if job.WordOf(err) != x.word {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecordErrorsBelongToTheirOwner(t *testing.T) {
	w := newWorld(t)
	first := w.submit(w.runnable(w.admin, "orders"))
	w.raise(first, failed(), twoSteps, "a")
	ref := string(first.ID)
	stranger := job.Actor{AccountID: w.admin.AccountID, User: job.UserRef{ID: 4711, Name: "other"}}
	for i, call := range []func(job.Actor) error{
		func(a job.Actor) error { _, err := w.jobs.Errors(t.Context(), a, ref, job.Query{Size: 5}); return err },
		func(a job.Actor) error { _, err := w.jobs.ErrorData(t.Context(), a, ref, "a"); return err },
		func(a job.Actor) error {
			_, err := w.jobs.SetErrorData(t.Context(), a, ref, "a", []byte("1"))
			return err
		},
		func(a job.Actor) error { _, err := w.jobs.Attempts(t.Context(), a, ref); return err },
		func(a job.Actor) error { _, _, err := w.jobs.Attempt(t.Context(), a, ref, 1); return err },
		func(a job.Actor) error {
			_, err := w.jobs.ResolveErrors(t.Context(), a, ref, []string{"a"}, false)
			return err
		},
	} {
		want(t, call(stranger), job.Forbidden, job.WordAccessDenied)
		if err := call(w.admin); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	_, err := w.jobs.SetErrorData(t.Context(), w.admin, ref, "a", []byte(`{`))
	want(t, err, job.Invalid, job.WordInvalidField)
	_, err = w.jobs.SetErrorData(t.Context(), w.admin, ref, "a", fmt.Appendf(nil, `"%0*d"`, job.MaxRecordData, 0))
	want(t, err, job.TooLarge, job.WordTooLarge)
	_, _, err = w.jobs.Attempt(t.Context(), w.admin, ref, 2)
	want(t, err, job.NotFound, job.WordNotFound)
}
