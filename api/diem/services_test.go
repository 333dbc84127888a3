package diem_test

import (
	"encoding/json"
	"slices"
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

// Who may call a config brings values, not another program: such names stay in the JSON.
func TestParamsThatSteerProgramsAreNoVariables(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.worker()
	f.Calls.Limit = 30 * time.Millisecond
	params := map[string]string{"path": "x", "env": "x", "LDAP": "x", "HOMEPAGE": "x"}
	for _, name := range []string{
		"LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "NODE_OPTIONS", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB", "PYTHONPATH", "PYTHONSTARTUP",
		"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "GIT_SSH_COMMAND", "IFS", "SHELLOPTS", "PS4", "PATH", "HOME", "TMPDIR", "WAYBILL_URL", "PARAMS",
	} {
		params[name] = "x"
	}
	text, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	r := f.call("services", `{"id":"`+random+`","params":`+string(text)+`}`)
	j, err := f.Store.Job(t.Context(), f.account, r.run(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range j.Spec.Macros {
		names = append(names, m.Key)
		if m.Key == "PARAMS" && m.Value != string(text) {
			t.Errorf("PARAMS is %s", m.Value)
		}
	}
	slices.Sort(names)
	if want := []string{"HOMEPAGE", "LDAP", "PARAMS", "env", "path"}; !slices.Equal(names, want) || j.Spec.Arguments[0] != string(text) {
		t.Errorf("macros %v, want %v", names, want)
	}
}

// A document that is not there is named by its id, whatever run is asked for; one that is there by the run.
func TestWhatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const run = "000000000000000000000001"
	for _, action := range []string{"stop", "status"} {
		for _, id := range []string{"000000000000000000000000", foreign} {
			f.call("apijob", `{"id":"`+id+`","jobid":"`+run+`","action":"`+action+`"}`).want(t, 200, `{"error":"document `+id+` could not be found"}`)
		}
		f.call("apijob", `{"id":"`+orders+`","jobid":"`+run+`","action":"`+action+`"}`).want(t, 200, `{"error":"document `+run+` could not be found"}`)
	}
}
