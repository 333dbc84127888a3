package informatica_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"waybill/api/informatica"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// The exchanges of the specification of this door, section 7. They are held in JSON and, where the replies are objects, in XML.

const (
	itemsID = "69b9207100000000000000a4"
	flowID  = "69b9207100000000000000a7"
	s       = "/saas/api/v2"
)

// inBoth runs a check for replies in JSON and in XML.
func inBoth(t *testing.T, check func(t *testing.T, f *fixture, as with)) {
	t.Helper()
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		check(t, newFixture(t), func(*http.Request) {})
	})
	t.Run("XML", func(t *testing.T) {
		t.Parallel()
		check(t, newFixture(t), xmlOut)
	})
}

const danObject = `{"@type":"user","id":"2","orgId":"1","orgUuid":"?","name":"dan@example.com","createTime":"2026-03-17T09:40:58.000Z",
	"updateTime":"?","timezone":"America/New_York","serverUrl":"http://localhost:8080/saas","icSessionId":"?",
	"roles":[{"name":"Service Consumer"}],"forceChangePassword":false}`

func TestLoginExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// I-1
	login := "/ma/api/v2/user/login"
	r := f.do("POST", login, `{"@type":"login","username":"dan@example.com","password":"example-password"}`, noSession)
	r.want(t, 200, danObject)
	// I-2
	r = f.do("POST", login, `<login><username>dan@example.com</username><password>example-password</password></login>`, noSession, xmlIn, xmlOut)
	if r.Header().Get("Content-Type") != "application/xml" || !strings.HasPrefix(r.text, `<?xml version="1.0" encoding="UTF-8"?><user><id>2</id><orgId>1</orgId>`) ||
		!strings.HasSuffix(r.text, `</icSessionId><roles><name>Service Consumer</name></roles><forceChangePassword>false</forceChangePassword></user>`) {
		t.Errorf("%s %s", r.Header().Get("Content-Type"), r.text)
	}
	r = f.do("POST", login, `<x><username>dan@example.com</username><password>example-password</password></x>`, noSession, xmlIn, header("Accept", ""))
	if r.Header().Get("Content-Type") != "application/xml" {
		t.Errorf("without Accept the reply has the body's form, not %s", r.Header().Get("Content-Type"))
	}
	// I-3
	for _, as := range []with{func(*http.Request) {}, xmlOut} {
		r := f.do("POST", login, `{"@type":"login","username":"dan@example.com","password":"wrong"}`, noSession, as)
		r.fault(t, 401, "UI_10000", "User name or password is not valid.")
		f.do("POST", login, `{"username":"dan@example.com"}`, noSession, as).fault(t, 400, "WB_BAD_FIELD", "password is required")
		f.do("POST", login, `{"username":"nobody","password":"x"}`, noSession, as).fault(t, 401, "UI_10000", "User name or password is not valid.")
	}
	// I-14
	f.do("POST", s+"/user/logout", "").want(t, 200, `{"@type":"success","statusCode":200,"description":"Logged out"}`)
	f.do("GET", s+"/activity/activityMonitor", "").fault(t, 401, "AUTH_01", "The session is missing or has expired")
}

func TestStartExchanges(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, f *fixture, as with) {
		items := f.task("Task_Items", itemsID, "")
		f.task("Task_Flow", flowID, "WORKFLOW")
		// I-4
		f.do("POST", s+"/job", `{"taskId":"`+itemsID+`","taskType":"MTT"}`, as).
			want(t, 200, `{"@type":"job","taskId":"`+itemsID+`","taskName":"Task_Items","taskType":"MTT","runId":1}`)
		// I-5
		f.do("POST", s+"/job", `{"@type":"job","taskId":"1","taskType":"MTT"}`, as).
			fault(t, 403, "WB_ALREADY_RUNNING", "Task Task_Items is already running (runId 1)")
		// I-6
		f.play(items, 1)
		f.do("POST", s+"/job", `<job><taskId>1</taskId><taskType>DSS</taskType></job>`, as, xmlIn).
			want(t, 200, `{"@type":"job","taskId":"`+itemsID+`","taskName":"Task_Items","taskType":"DSS","runId":2}`)
		f.do("POST", s+"/job", `{"@type":"job","taskName":"task_flow","taskType":"Workflow"}`, as).
			want(t, 200, `{"@type":"job","taskId":"`+flowID+`","taskName":"Task_Flow","taskType":"WORKFLOW","runId":1}`)
		// I-7
		dead := "The session is missing or has expired"
		start := `{"@type":"job","taskId":"1","taskType":"MTT"}`
		f.do("POST", s+"/job", start, as, noSession).fault(t, 401, "AUTH_01", dead)
		f.do("POST", s+"/job", start, as, header("icSessionId", "fakeSessionIdDead")).fault(t, 401, "AUTH_01", dead)
		f.do("POST", s+"/job", `{"@type":"job","taskId":"000000000000000000000000","taskType":"MTT"}`, as).
			fault(t, 404, "WB_NOT_FOUND", "Task 000000000000000000000000 not found")
		f.do("POST", s+"/job", `{"@type":"job","taskId":"1","taskType":"XYZ"}`, as).fault(t, 400, "WB_TASK_TYPE", "taskType XYZ is not known")
		f.do("POST", s+"/job", `{"@type":"job","taskType":"MTT"}`, as).
			fault(t, 400, "WB_BAD_FIELD", "taskId, taskFederatedId or taskName is required")
		f.do("POST", s+"/job", `{"@type":"job","taskId":"2","taskType":"MTT"}`, as).fault(t, 400, "WB_TASK_TYPE", "Task Task_Flow is of type WORKFLOW")
	})
}

// play takes a run to its end.
func (f *fixture) play(c job.Config, number int64) {
	f.t.Helper()
	j := f.run(c, number)
	f.Finish(f.t, 1, j.ID, f.Take(f.t, 1, j.ID), controltest.Exit(0))
}

func TestActivityExchanges(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, f *fixture, as with) {
		items := f.task("Task_Items", itemsID, "")
		monitor, log := s+"/activity/activityMonitor", s+"/activity/activityLog"
		f.do("GET", monitor, "", as).want(t, 200, `[]`)
		f.do("GET", log, "", as).want(t, 200, `[]`)
		f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
		id := string(f.run(items, 1).ID)
		run := func(state, rest, children string) string {
			return `[{"@type":"activityMonitoryEntry","id":"` + id + `","type":"MTT","taskId":"` + itemsID + `","taskName":"Task_Items","objectName":"","runId":1,
				"startTime":"2026-03-17T05:40:58.000Z","startTimeUtc":"2026-03-17T09:40:58.000Z","executionState":"` + state + `",` + rest + `
				"runtimeEnvironmentId":"1","startedBy":"dan@example.com","runContextType":"REST_API","entries":[` + children + `]}]`
		}
		rows := func(read, written, failed string) string {
			return `"failedSourceRows":0,"successSourceRows":` + read + `,"failedTargetRows":` + failed + `,"successTargetRows":` + written + `,`
		}
		f.do("GET", monitor, "", as).want(t, 200, run("QUEUED", rows("0", "0", "0"), ""))
		// I-8
		fence := f.Take(t, 1, job.ID(id))
		f.count(job.ID(id), fence, 40, 38, 0)
		child := `{"@type":"activityMonitoryEntry","id":"` + id + `-1","type":"MTT","objectName":"main","runId":1,"startTime":"2026-03-17T05:40:58.000Z",
			"startTimeUtc":"2026-03-17T09:40:58.000Z","executionState":"RUNNING",` + rows("40", "38", "0") + `"entries":[]}`
		running := rows("40", "38", "0") + `"agentId":"worker-1",`
		f.do("GET", monitor+"?details=true", "", as).want(t, 200, run("RUNNING", running, child))
		f.do("GET", monitor, "", as).want(t, 200, run("RUNNING", running, ""))
		f.do("GET", log+"/"+id, "", as).fault(t, 404, "WB_NOT_FOUND", "Log entry "+id+" not found")
		// I-9
		f.count(job.ID(id), fence, 120, 120, 0)
		f.Pass(30 * time.Second)
		f.Logs.Append(job.ID(id), "read 120 rows, wrote 120 rows\n")
		f.Finish(t, 1, job.ID(id), fence, controltest.Exit(0))
		f.do("GET", monitor, "", as).want(t, 200, `[]`)
		times := `"startTime":"2026-03-17T05:40:58.000Z","endTime":"2026-03-17T05:41:28.000Z","startTimeUtc":"2026-03-17T09:40:58.000Z","endTimeUtc":"2026-03-17T09:41:28.000Z",`
		entry := `{"@type":"activityLogEntry","id":"` + id + `","type":"MTT","objectId":"` + itemsID + `","objectName":"Task_Items","runId":1,"agentId":"worker-1",
			"runtimeEnvironmentId":"1",` + times + `"state":1,` + rows("120", "120", "0") + `"totalSuccessRows":120,"totalFailedRows":0,"startedBy":"dan@example.com",
			"runContextType":"REST_API","isStopped":false,"entries":[{"@type":"activityLogEntry","id":"` + id + `-1","type":"MTT","objectName":"main","runId":1,` +
			times + `"state":1,` + rows("120", "120", "0") + `"entries":[]}]}`
		f.do("GET", log+"?taskId="+itemsID+"&runId=1", "", as).want(t, 200, "["+entry+"]")
		f.do("GET", log+"/"+id, "", as).want(t, 200, entry)
		r := f.do("GET", log+"/"+id+"/sessionLog", "", as)
		if r.Code != 200 || r.text != "read 120 rows, wrote 120 rows\n" || r.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("session log: %d %s %s", r.Code, r.Header(), r.text)
		}
		f.do("GET", log+"/000000000000000000000000", "", as).fault(t, 404, "WB_NOT_FOUND", "Log entry 000000000000000000000000 not found")
	})
}

func TestStopExchanges(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, f *fixture, as with) {
		items := f.task("Task_Items", itemsID, "")
		f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
		j := f.run(items, 1)
		fence := f.Take(t, 1, j.ID)
		f.count(j.ID, fence, 14, 14, 0)
		// I-10
		f.do("POST", s+"/job/stop?cleanStop=true", `{"@type":"job","taskName":"Task_Items","taskType":"MTT"}`, as).
			want(t, 200, `{"@type":"success","statusCode":200,"description":"Stop requested for task Task_Items, runId 1"}`)
		if j := f.run(items, 1); j.StopGrace != 5*time.Minute {
			t.Errorf("a clean stop leaves %s", j.StopGrace)
		}
		r := f.do("GET", s+"/activity/activityMonitor", "", as)
		if !strings.Contains(r.text, "STOPPING") {
			t.Errorf("while it is stopped: %s", r.text)
		}
		f.Pass(7 * time.Second)
		f.Finish(t, 1, j.ID, fence, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped})
		r = f.do("GET", s+"/activity/activityLog?taskId=1&runId=1", "")
		for _, part := range []string{`"state":3,`, `"errorMsg":"Stopped by dan@example.com",`, `"isStopped":true,`, `"totalSuccessRows":14,`} {
			if !strings.Contains(r.text, part) {
				t.Errorf("%s is missing in %s", part, r.text)
			}
		}
		f.do("POST", s+"/job/stop", `{"@type":"job","taskId":"1","taskType":"MTT"}`, as).fault(t, 403, "WB_NOT_RUNNING", "Task Task_Items is not running")
	})
}

// I-11, as far as it is this door's: the address is kept, and the call has the body of the log entry. How often it is made is told by
// the tests of the deliveries.
func TestCallbackExchange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	items := f.task("Task_Items", itemsID, "")
	f.do("POST", s+"/job", `{"@type":"job","taskId":"1","taskType":"MTT","callbackURL":"https://hooks.example.com/iics"}`).
		want(t, 200, `{"@type":"job","taskId":"`+itemsID+`","taskName":"Task_Items","taskType":"MTT","runId":1,"callbackURL":"https://hooks.example.com/iics"}`)
	j := f.run(items, 1)
	fence := f.Take(t, 1, j.ID)
	f.count(j.ID, fence, 120, 117, 3)
	f.Pass(30 * time.Second)
	f.Finish(t, 1, j.ID, fence, controltest.Exit(0))
	list, err := f.Deliveries.List(t.Context(), f.actor(), string(j.ID))
	if err != nil || len(list) != 1 || list[0].Door != "informatica" || list[0].Target != "https://hooks.example.com/iics" || list[0].Sealed != "" {
		t.Fatalf("deliveries: %+v, %v", list, err)
	}
	text, err := informatica.Caller(f.Store)(t.Context(), f.run(items, 1))
	if err != nil {
		t.Fatal(err)
	}
	answered(string(text)).want(t, 200, `{"@type":"job","id":"`+string(j.ID)+`","taskId":"`+itemsID+`","taskName":"Task_Items","taskType":"MTT","runId":1,"agentId":"worker-1",
		"runtimeEnvironmentId":"1","startTime":"2026-03-17T05:40:58.000Z","endTime":"2026-03-17T05:41:28.000Z","startTimeUtc":"2026-03-17T09:40:58.000Z",
		"endTimeUtc":"2026-03-17T09:41:28.000Z","state":2,"failedSourceRows":0,"successSourceRows":120,"failedTargetRows":3,"successTargetRows":117,
		"totalSuccessRows":117,"totalFailedRows":3,"errorMsg":"3 records failed","startedBy":"dan@example.com","runContextType":"REST_API","isStopped":false}`)
	for _, bad := range []string{"http://127.0.0.1/x", "http://10.0.0.1", "ftp://example.com", "not a url"} {
		r := f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT","callbackURL":"`+bad+`"}`)
		r.fault(t, 400, "WB_BAD_FIELD", "")
		if !strings.Contains(r.text, `"description":"callbackURL `) {
			t.Errorf("%s: %s", bad, r.text)
		}
	}
}

// answered is a text as if it were a reply.
func answered(text string) reply {
	r := httptest.NewRecorder()
	r.Code = 200
	return reply{r, text}
}
