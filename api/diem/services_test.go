package diem_test

import (
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// limit gives a config a concurrency.
func (f *fixture) limit(id string, c job.Concurrency) {
	f.t.Helper()
	if _, err := f.Configs.Change(f.t.Context(), f.dan, id, func(c0 job.Config) (control.ConfigInput, error) {
		return control.ConfigInput{Name: c0.Name, ObjectID: c0.ObjectID, Runtime: c0.Runtime, Rules: job.Rules{Concurrency: c}}, nil
	}); err != nil {
		f.t.Fatal(err)
	}
}

// A call that the config's concurrency skips must not be answered with what another run gave.
func TestAServicesCallThatIsSkippedIsRefused(t *testing.T) {
	t.Parallel()
	for _, onLimit := range []job.OnLimit{job.OnLimitSkip, job.OnLimitFail} {
		f := newFixture(t)
		f.worker()
		f.limit(random, job.Concurrency{Limit: 1, OnLimit: onLimit})
		f.call("apijob", `{"id":"`+random+`"}`).want(t, 200, `{"message":"job started"}`)
		f.Calls.Limit = 30 * time.Millisecond
		r := f.call("services", `{"id":"`+random+`"}`)
		if r.Code != 409 || r.Header().Get("X-Waybill-Job-Id") != "" {
			t.Errorf("%s: %d %v %s", onLimit, r.Code, r.Header(), r.text)
		}
		if n := f.jobs(); n != 1 {
			t.Errorf("%s: %d jobs", onLimit, n)
		}
	}
}
