package informatica_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// stepReader notes of how many runs the steps are asked for at once, and fails at a call.
type stepReader struct {
	control.JobReader
	most, calls, failAt int
}

func (r *stepReader) StepsOf(ctx context.Context, account int64, ids []job.ID) (map[job.ID][]job.Step, error) {
	r.most = max(r.most, len(ids))
	if r.calls++; r.calls == r.failAt {
		return nil, job.Errorf(job.Unavailable, job.WordDependencyDown, "The database is not available")
	}
	return r.JobReader.StepsOf(ctx, account, ids)
}

// Each run may have a thousand steps: they are never all in memory, and half of a list never looks like all of it.
func TestListsWithStepsAreSentInPieces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "")
	const runs = 45
	start := func() job.ID {
		r := f.do("POST", s+"/job", `{"taskId":"`+itemsID+`","taskType":"MTT"}`).want(t, 200, "").object(t)
		number, _ := r["runId"].(float64)
		return f.run(c, int64(number)).ID
	}
	for range runs {
		id := start()
		f.Finish(t, 1, id, f.Take(t, 1, id), controltest.Exit(0))
	}
	lists := map[string]int{s + "/activity/activityLog": runs, s + "/activity/activityMonitor?details=true": 1}
	start()
	whole := f.Jobs.Reader
	for path, want := range lists {
		spy := &stepReader{JobReader: whole}
		f.Jobs.Reader = spy
		var rows []map[string]any
		if err := json.Unmarshal([]byte(f.do("GET", path, "").want(t, 200, "").text), &rows); err != nil || len(rows) != want {
			t.Errorf("%s: %d rows, %v, want %d", path, len(rows), err, want)
		}
		if n := strings.Count(f.do("GET", path, "", xmlOut).want(t, 200, "").text, itemsID); n != want {
			t.Errorf("%s as XML: %d rows, want %d", path, n, want)
		}
		if spy.most > 20 || spy.calls == 0 {
			t.Errorf("%s: the steps of %d runs at once", path, spy.most)
		}
		f.Jobs.Reader = &stepReader{JobReader: whole, failAt: 1}
		f.do("GET", path, "").fault(t, 503, "WB_UNAVAILABLE", "")
	}
	for _, change := range []with{func(*http.Request) {}, xmlOut} {
		f.Jobs.Reader = &stepReader{JobReader: whole, failAt: 2}
		if text, broken := f.brokenOff(s+"/activity/activityLog", change); !broken || !strings.Contains(text, c.ObjectID) {
			t.Errorf("broken off: %v\n%s", broken, text)
		}
	}
}

// brokenOff makes a call and tells what came before the reply was broken off, if it was.
func (f *fixture) brokenOff(path string, change with) (text string, broken bool) {
	w := httptest.NewRecorder()
	defer func() { text, broken = w.Body.String(), recover() == http.ErrAbortHandler }() //nolint:errorlint // as net/http wants it
	r := httptest.NewRequestWithContext(f.t.Context(), "GET", path, nil)
	r.Header.Set("icSessionId", f.session)
	change(r)
	f.server.ServeHTTP(w, r)
	return "", false
}

// Whoever shows no session learns nothing, also not whether a query can be read.
func TestTheSessionComesBeforeTheQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/task?type=%zz", "/activity/activityLog?offset=%", "/activity/activityMonitor?taskId=1;2"} {
		f.do("GET", s+path, "", noSession).fault(t, 401, "AUTH_01", "")
		f.do("GET", s+path, "").fault(t, 400, "WB_BAD_FIELD", "")
	}
}

// A database that is away is a 503 of the door's, and nothing is started.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Task_Items", itemsID, "")
	if err := f.Store.(interface{ Close() error }).Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{"POST", s + "/job", `{"taskId":"` + itemsID + `","taskType":"MTT"}`},
		{"POST", s + "/job/stop", `{"taskId":"` + itemsID + `","taskType":"MTT"}`},
		{"POST", "/ma/api/v2/user/login", `{"username":"` + dan + `","password":"` + password + `"}`},
		{"GET", s + "/activity/activityLog", ""}, {"GET", s + "/activity/activityMonitor", ""}, {"GET", s + "/task", ""}, {"GET", s + "/schedule", ""},
	} {
		r := f.do(c[0], c[1], c[2])
		r.fault(t, 503, "WB_UNAVAILABLE", "")
		if r.Header().Get("Retry-After") == "" {
			t.Errorf("%s %s: no Retry-After", c[0], c[1])
		}
	}
	if started := f.Engine.Started(); len(started) > 0 {
		t.Errorf("started: %v", fmt.Sprint(started))
	}
}
