package native

import (
	"slices"
	"testing"
	"time"

	"waybill/internal/job"
)

var statusNow = time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)

var allReasons = []job.Reason{
	job.ReasonNone, job.ReasonSequenced, job.ReasonInitializing, job.ReasonError, job.ReasonTimeout, job.ReasonStopped,
	job.ReasonWorkerLost, job.ReasonTerminated, job.ReasonInvalidPackage,
}

// everyJob is one job of each kind the table tells apart.
func everyJob() []job.Job {
	var all []job.Job
	for _, status := range job.Statuses {
		for _, reason := range allReasons {
			for _, taken := range []bool{false, true} {
				for _, after := range []time.Time{{}, statusNow.Add(-time.Second), statusNow, statusNow.Add(time.Second)} {
					all = append(all, job.Job{Status: status, Reason: reason, Taken: taken, StartAfter: after})
				}
			}
		}
	}
	return all
}

// specifiedWord is the map of native.md, 6.1, written out once more as its text has it.
func specifiedWord(j job.Job) string {
	switch j.Status {
	case job.Queued:
		switch {
		case j.Reason == job.ReasonSequenced:
			return "SEQUENCED"
		case j.StartAfter.After(statusNow):
			return "WAITING"
		}
		return "QUEUED"
	case job.Running:
		if j.Reason == job.ReasonInitializing {
			return "INITIALIZING"
		}
		return "RUNNING"
	case job.Cancelling:
		return "RUNNING"
	case job.Completed:
		return "FINISHED"
	case job.Failed:
		if j.Reason == job.ReasonError {
			return "ERROR"
		}
		return "FAILED"
	case job.Cancelled:
		if j.Taken {
			return "FAILED"
		}
		return "CANCELLED"
	}
	return ""
}

func jobProperty(j job.Job) func(string) (any, error) {
	return func(name string) (any, error) {
		switch name {
		case "status":
			return string(j.Status), nil
		case "reason":
			if j.Reason == "" {
				return nil, nil
			}
			return string(j.Reason), nil
		case "taken":
			return j.Taken, nil
		case "startAfter":
			if j.StartAfter.IsZero() {
				return nil, nil
			}
			return j.StartAfter, nil
		}
		return nil, job.Errorf(job.Invalid, job.WordUnknownProperty, "%s", name)
	}
}

func matches(t *testing.T, e job.Expr, j job.Job) bool {
	t.Helper()
	ok, err := job.Match(e, jobProperty(j))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestStatusTableReadsBothWays(t *testing.T) {
	t.Parallel()
	for _, j := range everyJob() {
		word := statusWord(j, statusNow)
		if word != specifiedWord(j) {
			t.Errorf("%s %s taken=%v after=%v is %s, want %s", j.Status, j.Reason, j.Taken, j.StartAfter, word, specifiedWord(j))
		}
		rows := 0
		for _, v := range vendorStatuses {
			if matches(t, v.means(statusNow), j) {
				rows++
				if v.word != word {
					t.Errorf("%+v: shown as %s, found as %s", j, word, v.word)
				}
			}
		}
		if rows != 1 {
			t.Errorf("%+v is in %d rows", j, rows)
		}
	}
}

// The second table of native.md, 6.1: which ?state= words match which status.
var stateWords = map[string][]string{
	"waiting": {"WAITING"}, "queued": {"SEQUENCED", "QUEUED"}, "initializing": {"INITIALIZING"}, "running": {"RUNNING"},
	"finished_ok": {"FINISHED"}, "finished_error": {"ERROR"}, "aborted": {"FAILED"}, "cancelled": {"CANCELLED"},
	"finished_all": {"FINISHED", "ERROR", "FAILED"}, "unknown": {}, "waiting,cancelled": {"WAITING", "CANCELLED"},
	"unknown, running": {"RUNNING"},
}

func TestStateWords(t *testing.T) {
	t.Parallel()
	for states, words := range stateWords {
		e, err := jobsInState(states, statusNow)
		if err != nil {
			t.Fatal(states, err)
		}
		for _, j := range everyJob() {
			if want := slices.Contains(words, specifiedWord(j)); matches(t, e, j) != want {
				t.Errorf("state=%s matches %+v: %v", states, j, !want)
			}
		}
	}
	for _, bad := range []string{"FINISHED", "finished", "", "queued,,running"} {
		if _, err := jobsInState(bad, statusNow); job.WordOf(err) != job.WordInvalidField {
			t.Errorf("state=%q: %v", bad, err)
		}
	}
}

func TestStatusInFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op     job.Op
		values []string
		want   []string
	}{
		{job.Eq, []string{"finished"}, []string{"FINISHED"}},
		{job.Ne, []string{"FINISHED"}, []string{"WAITING", "SEQUENCED", "QUEUED", "INITIALIZING", "RUNNING", "ERROR", "FAILED", "CANCELLED"}},
		{job.In, []string{"ERROR", "FAILED"}, []string{"ERROR", "FAILED"}},
		{job.NotIn, []string{"ERROR", "FAILED", "FINISHED", "CANCELLED"}, []string{"WAITING", "SEQUENCED", "QUEUED", "INITIALIZING", "RUNNING"}},
		{job.Like, []string{"ing"}, []string{"WAITING", "INITIALIZING", "RUNNING"}},
		{job.NotLike, []string{"e"}, []string{"WAITING", "INITIALIZING", "RUNNING"}},
		{job.Null, nil, nil},
		{job.NotNull, nil, []string{"WAITING", "SEQUENCED", "QUEUED", "INITIALIZING", "RUNNING", "FINISHED", "ERROR", "FAILED", "CANCELLED"}},
	} {
		e, err := compareStatus(statusNow, c.op, c.values)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range everyJob() {
			if want := slices.Contains(c.want, specifiedWord(j)); matches(t, e, j) != want {
				t.Errorf("%s %v matches %s: %v", c.op, c.values, specifiedWord(j), !want)
			}
		}
	}
	if _, err := compareStatus(statusNow, job.Lt, []string{"X"}); job.WordOf(err) != job.WordInvalidField {
		t.Error("status has no order:", err)
	}
}
