package native_test

import (
	"context"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

func TestTheAccountIsReadByAllAndChangedByAdmins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("GET", "/api/account", nil).want(t, 200, `{"id":"1","name":"default","href":"http://localhost:8080/api/account",
		"customerId":"1","destinationId":"1","allowedUserDomains":[]}`)
	f.do("PATCH", "/api/account", `{"allowedUserDomains":["Example.com"],"maxTimeout":90,"retention":{"maxAgeDays":30}}`).
		want(t, 200, `{"allowedUserDomains":["example.com"],"maxTimeout":90,"retention":{"maxAgeDays":30}}`)
	// PATCH leaves the rest; null clears a member.
	r := f.do("PATCH", "/api/account", `{"retention":{"maxCount":5},"maxTimeout":null}`)
	r.want(t, 200, `{"allowedUserDomains":["example.com"],"retention":{"maxAgeDays":30,"maxCount":5}}`)
	if _, there := r.json["maxTimeout"]; there {
		t.Errorf("maxTimeout is still there: %s", r.text)
	}
	r = f.do("PUT", "/v2/api/account", `{"description":"ours"}`)
	r.want(t, 200, `{"allowedUserDomains":[],"description":"ours"}`)
	if _, there := r.json["retention"]; there {
		t.Errorf("PUT kept retention: %s", r.text)
	}
	for _, bad := range []string{
		`{"maxTimeout":-1}`, `{"maxTimeout":99999999}`, `{"retention":{"maxAgeDays":-1}}`, `{"retention":{"maxCount":-1}}`,
		`{"retention":{"maxCount":1000001}}`, `{"retention":{"maxAgeDays":36601}}`, `{"allowedUserDomains":["a b"]}`,
		`{"allowedUserDomains":[""]}`, `{"allowedUserDomains":["-a.com"]}`,
	} {
		f.do("PATCH", "/api/account", bad).fault(t, 400, "invalid_field", "")
	}
	f.do("GET", "/api/account", nil).want(t, 200, `{"description":"ours","allowedUserDomains":[]}`)
}

func TestAnotherAccountsSettingsAreItsOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Account(t, "other", "eve", "password-of-eve")
	f.do("PATCH", "/api/account", `{"maxTimeout":7}`).want(t, 200, `{"maxTimeout":7}`)
	f.token = f.login("eve", "password-of-eve")
	if r := f.do("GET", "/api/account", nil); r.json["id"] != "2" || r.json["maxTimeout"] != nil {
		t.Errorf("eve's account: %s", r.text)
	}
}

func TestAJobGetsNoMoreTimeThanItsAccountAllows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("PATCH", "/api/account", `{"maxTimeout":10}`).want(t, 200, "")
	for minutes, want := range map[string]string{"0": "10m0s", "5": "5m0s", "60": "10m0s"} {
		id := f.newConfig(`{"name":"t` + minutes + `","timeout":` + minutes + `,"runtimeConfig":{"packageName":"run.sh"}}`)
		f.do("POST", "/api/jobconfigs/"+id+"/files?key=run.sh", "echo", header("Content-Type", "application/octet-stream")).want(t, 201, "")
		r := f.do("POST", "/api/jobconfigs/"+id+"/jobs", nil).want(t, 202, "")
		j := f.stored(r.json["id"].(string))
		if got := j.Spec.Timeout.String(); got != want {
			t.Errorf("timeout of %s minutes became %s, want %s", minutes, got, want)
		}
		// The account's limit counts when a retry is submitted, too.
		fence := f.Take(t, 1, j.ID)
		f.Finish(t, 1, j.ID, fence, controltest.Exit(1))
		f.do("PATCH", "/api/account", `{"maxTimeout":2}`).want(t, 200, "")
		again := f.do("POST", "/api/jobs/"+string(j.ID)+"/retry", nil).want(t, 202, "")
		if got := f.stored(again.json["id"].(string)).Spec.Timeout.String(); got != "2m0s" {
			t.Errorf("the retry has %s", got)
		}
		f.do("PATCH", "/api/account", `{"maxTimeout":10}`).want(t, 200, "")
	}
}

func TestRetentionOfAConfigIsStoredAndGivenBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.newConfig(`{"name":"kept","retention":{"maxAgeDays":3,"maxCount":7}}`)
	f.do("GET", "/api/jobconfigs/"+id, nil).want(t, 200, `{"retention":{"maxAgeDays":3,"maxCount":7}}`)
	f.do("PATCH", "/api/jobconfigs/"+id, `{"retention":{"maxCount":null}}`).want(t, 200, `{"retention":{"maxAgeDays":3}}`)
	f.do("PATCH", "/api/jobconfigs/"+id, `{"retention":{"maxCount":-1}}`).fault(t, 400, "invalid_field", "")
	if r := f.do("PATCH", "/api/jobconfigs/"+id, `{"retention":null}`).want(t, 200, ""); r.json["retention"] != nil {
		t.Errorf("retention is still there: %s", r.text)
	}
}

// newConfig stores a job config as JSON says, and returns its id.
func (f *fixture) newConfig(text string) string {
	f.t.Helper()
	return f.do("POST", "/api/jobconfigs", text).want(f.t, 201, "").json["id"].(string)
}

// stored reads a job's row.
func (f *fixture) stored(id string) job.Job {
	f.t.Helper()
	j, err := f.Store.Job(f.t.Context(), f.account, job.ID(id))
	if err != nil {
		f.t.Fatal(err)
	}
	return j
}

func TestAGeneralUserMayNotChangeTheAccount(t *testing.T) {
	t.Parallel()
	s := control.AccountSettings{Store: openStore(t)}
	general := job.Actor{AccountID: 1, User: job.UserRef{ID: 2, Name: "u"}}
	_, err := s.Change(t.Context(), general, func(job.Account) (control.AccountInput, error) {
		t.Error("the change was asked for")
		return control.AccountInput{}, nil
	})
	if job.CodeOf(err) != job.Forbidden {
		t.Errorf("error = %v, want forbidden", err)
	}
}

// scheduler plays the schedule of the retention.
type scheduler struct {
	runs int
	err  error
}

func (s *scheduler) Ensure(context.Context, time.Duration) error { return nil }

func (s *scheduler) RunNow(context.Context) error {
	s.runs++
	return s.err
}

func TestTheRetentionIsShownAndRunOnRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := &scheduler{}
	f.Own.Schedule, f.Own.Default, f.Own.Every = s, job.Retention{MaxAge: 36 * time.Hour, MaxCount: 9}, 10*time.Minute
	r := f.do("GET", "/api/account/retention", nil)
	r.want(t, 200, `{"retention":{"maxAgeDays":1.5,"maxCount":9},"default":{"maxAgeDays":1.5,"maxCount":9},"interval":"PT10M"}`)
	if r.json["lastRun"] != nil {
		t.Errorf("a run before the first: %s", r.text)
	}
	f.do("PATCH", "/api/account", `{"retention":{"maxAgeDays":3}}`).want(t, 200, "")
	run := job.RetentionRun{Started: f.Now(), Settled: f.Now()}
	if _, _, err := f.Store.ExpireJobs(f.t.Context(), run, job.RetentionMark{}, 10); err != nil {
		t.Fatal(err)
	}
	f.do("GET", "/api/account/retention", nil).want(t, 200, `{"retention":{"maxAgeDays":3,"maxCount":9},
		"lastRun":{"started":"Mar 17, 2026 9:40:58 AM","done":true,"jobs":0,"histories":0,"objects":0,"bytes":0}}`)
	f.do("POST", "/api/account/retention/run", nil).want(t, 202, "")
	s.err = job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	f.do("POST", "/api/account/retention/run", nil).fault(t, 503, "dependency_down", "")
	if s.runs != 2 {
		t.Errorf("%d runs", s.runs)
	}
	err := f.Own.RunRetention(t.Context(), job.Actor{AccountID: 1, User: job.UserRef{ID: 2}})
	if job.CodeOf(err) != job.Forbidden || s.runs != 2 {
		t.Errorf("a general user ran it: %v", err)
	}
}
