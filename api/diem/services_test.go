package diem_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
	"waybill/internal/macro"
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

// Whatever an object holds, the program gets it; what can not be a variable of its own is in the JSON only.
func TestParamsThatCanBeNoVariables(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.worker()
	f.Calls.Limit = 30 * time.Millisecond
	if _, err := f.Configs.Change(t.Context(), f.dan, random, func(c job.Config) (control.ConfigInput, error) {
		c.Runtime.Macros = []job.Macro{{Key: "PASS", Value: "s3cret", Secure: true}, {Key: "LEVEL", Value: "1"}}
		return control.ConfigInput{Name: c.Name, ObjectID: c.ObjectID, Runtime: c.Runtime}, nil
	}); err != nil {
		t.Fatal(err)
	}
	many := map[string]int{}
	for i := range 3000 {
		many[fmt.Sprint("m", i)] = i
	}
	much, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for params, want := range map[string]string{
		`{"PASS":"theirs","LEVEL":"2","nul":"a\u0000b","ok":1}`: "LEVEL PARAMS PASS ok",
		string(much): "LEVEL PARAMS PASS",
	} {
		j, err := f.Store.Job(t.Context(), f.account, f.call("services", `{"id":"`+strings.ToUpper(random)+`","params":`+params+`}`).run(t))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range j.Spec.Macros {
			names = append(names, m.Key)
			if m.Secure != (m.Key == "PASS") || m.Secure && m.Value != "" {
				t.Errorf("%s is %+v", m.Key, m)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want || j.Spec.Arguments[0] != params {
			t.Errorf("macros %s, want %s; the argument has %d bytes of %d", got, want, len(j.Spec.Arguments[0]), len(params))
		}
	}
}

// Who may start a config without seeing it follows the runs of their own, and no others.
func TestStatusOfOnesOwnRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	uma, err := (&control.UserAdmin{Store: f.Store, Users: f.Store, Hasher: controltest.Passwords{}, Now: f.Now}).Create(t.Context(), "acme", "uma", "tulips-of-uma", false)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Policies.Create(t.Context(), f.dan, control.PolicyInput{Name: "starters", Permissions: []control.PermissionInput{
		{Type: "jobconfigs", Allowed: []string{"execute"}, IDs: []string{orders}},
	}})
	if err == nil {
		_, err = f.Policies.Give(t.Context(), f.dan, fmt.Sprint(uma.ID), []string{fmt.Sprint(p.ID)}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	key := header("x-api-key", f.newKey(job.Actor{AccountID: uma.AccountID, User: uma.Ref()}, control.APIKeyInput{Name: "k"}))
	ask := func(action, run string) reply {
		return f.call("apijob", `{"id":"`+strings.ToUpper(orders)+`","action":"`+action+`","jobid":"`+strings.ToUpper(run)+`"}`, key)
	}
	theirs := string(f.call("apijob", byID).run(t))
	ask("status", "").want(t, 200, `{"message":"Pending"}`)
	ask("status", theirs).want(t, 200, `{"error":"document `+strings.ToUpper(theirs)+` could not be found"}`)
	f.call("apijob", `{"id":"`+orders+`","action":"status","jobid":"a\u0000b"}`, key).want(t, 200, `{"error":"document a\u0000b could not be found"}`)
	f.call("apijob", asked("stop")).want(t, 200, `{"message":"job stopped"}`)
	own := ask("start", "").want(t, 200, `{"message":"job started"}`).run(t)
	if r := ask("status", "").want(t, 200, `{"message":"Submitted"}`); r.run(t) != own {
		t.Errorf("it tells of %s", r.run(t))
	}
	ask("status", string(own)).want(t, 200, `{"message":"Submitted"}`)
	ask("status", theirs).want(t, 200, `{"error":"document `+strings.ToUpper(theirs)+` could not be found"}`)
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

// What a caller sends is data: nothing in it is taken for a reference, least of all to a secret of the config.
func TestParamsAreNotExpanded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.worker()
	f.Calls.Limit = 30 * time.Millisecond
	if _, err := f.Configs.Change(t.Context(), f.dan, random, func(c job.Config) (control.ConfigInput, error) {
		c.Runtime.Macros = []job.Macro{{Key: "DB_PASSWORD", Value: "s3cret", Secure: true}, {Key: "LINE", Value: "it $(text)"}}
		return control.ConfigInput{Name: c.Name, ObjectID: c.ObjectID, Runtime: c.Runtime}, nil
	}); err != nil {
		t.Fatal(err)
	}
	const params = `{"text":"costs $(text) $(DB_PASSWORD) $(PARAMS)"}`
	j, err := f.Store.Job(t.Context(), f.account, f.call("services", `{"id":"`+random+`","params":`+params+`}`).run(t))
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := macro.Resolve(j.Spec.Macros, nil, func(string) (string, error) { return "s3cret", nil })
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]macro.Resolved{}
	for _, m := range resolved {
		got[m.Key] = m
	}
	const text = "costs $(text) $(DB_PASSWORD) $(PARAMS)"
	for key, want := range map[string]string{"PARAMS": params, "text": text, "LINE": "it " + text} {
		if m := got[key]; m.Value != want || m.Secret {
			t.Errorf("%s is %+v, want %s", key, m, want)
		}
	}
	if j.Spec.Arguments[0] != params {
		t.Errorf("the first argument is %s", j.Spec.Arguments[0])
	}
}

// Two configs may share a place. The run that has it is shown to those who ask for its own config only.
func TestAStartIsNotAnsweredWithAnotherConfigsRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shared := job.Concurrency{Limit: 1, Key: "shared", OnLimit: job.OnLimitSkip}
	f.limit(random, shared)
	f.limit(orders, shared)
	first := f.call("apijob", asked("start")).want(t, 200, `{"message":"job started"}`).run(t)
	for _, call := range []string{"apijob", "jobactions"} {
		want := `{"message":"job already running"}`
		if call == "jobactions" {
			want = "true"
		}
		f.call(call, `{"id":"`+random+`"}`).want(t, 200, want).about(t, "")
		f.call(call, asked("start")).want(t, 200, want).about(t, first)
	}
	if n := f.jobs(); n != 1 {
		t.Errorf("%d jobs", n)
	}
}
