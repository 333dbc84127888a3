package informatica_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

func TestBadBodiesAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Task_Items", itemsID, "")
	f.task("Task_Other", "", "")
	f.task("1", "", "")
	deep := strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)
	for name, c := range map[string]struct {
		kind, body string
		status     int
		code       string
	}{
		"no JSON":                    {"application/json", `{"taskId":`, 400, "WB_BAD_BODY"},
		"a member twice":             {"application/json", `{"taskId":"1","taskId":"2","taskType":"MTT"}`, 400, "WB_BAD_BODY"},
		"a number for text":          {"application/json", `{"taskId":1,"taskType":"MTT"}`, 400, "WB_BAD_FIELD"},
		"nothing":                    {"application/json", "", 400, "WB_BAD_BODY"},
		"another type":               {"text/plain", `{"taskId":"1","taskType":"MTT"}`, 415, "WB_MEDIA_TYPE"},
		"no type":                    {"", `{"taskId":"1","taskType":"MTT"}`, 415, "WB_MEDIA_TYPE"},
		"another charset":            {"application/xml; charset=utf-16", `<job/>`, 415, "WB_MEDIA_TYPE"},
		"too much":                   {"application/json", `{"taskName":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "WB_TOO_LARGE"},
		"no XML":                     {"application/xml", `<job><taskId>1</job>`, 400, "WB_BAD_BODY"},
		"a DOCTYPE":                  {"text/xml", `<!DOCTYPE job [<!ENTITY x "1">]><job><taskId>&x;</taskId><taskType>MTT</taskType></job>`, 400, "WB_BAD_BODY"},
		"a DOCTYPE from elsewhere":   {"text/xml", `<!DOCTYPE job SYSTEM "file:///etc/passwd"><job/>`, 400, "WB_BAD_BODY"},
		"an entity nobody declared":  {"text/xml", `<job><taskId>&lol;</taskId></job>`, 400, "WB_BAD_BODY"},
		"too deep":                   {"text/xml", deep, 400, "WB_BAD_BODY"},
		"too many":                   {"text/xml", "<job>" + strings.Repeat("<a/>", 20_000) + "</job>", 400, "WB_BAD_BODY"},
		"two roots":                  {"text/xml", `<job/><job/>`, 400, "WB_BAD_BODY"},
		"text behind the root":       {"text/xml", `<job/>x`, 400, "WB_BAD_BODY"},
		"another encoding":           {"text/xml", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><job/>", 400, "WB_BAD_BODY"},
		"bytes that are not UTF-8":   {"text/xml", "<job><taskName>\xff</taskName></job>", 400, "WB_BAD_BODY"},
		"an element twice":           {"text/xml", `<job><taskId>1</taskId><taskId>1</taskId><taskType>MTT</taskType></job>`, 400, "WB_BAD_BODY"},
		"an object for text":         {"text/xml", `<job><taskId><x/></taskId><taskType>MTT</taskType></job>`, 400, "WB_BAD_FIELD"},
		"names are case-sensitive":   {"text/xml", `<job><TASKID>1</TASKID><taskType>MTT</taskType></job>`, 400, "WB_BAD_FIELD"},
		"a name that no task has":    {"application/json", `{"taskId":"1","taskName":"Task_Flow","taskType":"MTT"}`, 404, "WB_NOT_FOUND"},
		"names of two tasks":         {"application/json", `{"taskId":"1","taskName":"Task_Other","taskType":"MTT"}`, 400, "WB_BAD_FIELD"},
		"a name that is an id":       {"application/json", `{"taskId":"1","taskName":"1","taskType":"MTT"}`, 400, "WB_BAD_FIELD"},
		"an id as a name":            {"application/json", `{"taskName":"2","taskType":"MTT"}`, 404, "WB_NOT_FOUND"},
		"an id that is far too long": {"application/json", `{"taskId":"` + strings.Repeat("1", 300) + `","taskType":"MTT"}`, 400, "WB_BAD_FIELD"},
	} {
		r := f.do("POST", s+"/job", c.body, header("Content-Type", c.kind))
		if r.Code != c.status || r.object(t)["code"] != c.code {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
	}
	f.do("GET", s+"/activity/activityMonitor", "").want(t, 200, `[]`)
	// Unknown members and attributes are ignored, and so is a wrong "@type".
	f.do("POST", s+"/job", `<?xml version="1.0"?><!-- c --><other x="1"><taskId a="2">1</taskId><taskType>mtt</taskType><more><x/></more></other>`, xmlIn).want(t, 200, "")
	if f.log.String() != "" {
		t.Errorf("the server logged %s", f.log)
	}
}

func TestRoutesAndMethodsThatThereAreNot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/saas/api/v2/nothing", "/saas", "/ma/api/v2/user", "/saas/public/core/v3/nothing/x"} {
		r := f.do("GET", path, "")
		if r.Code != 404 || !strings.Contains(r.text, "WB_NOT_FOUND") {
			t.Errorf("%s: %d %s", path, r.Code, r.text)
		}
	}
	f.do("GET", "/saas/api/v2/nothing", "", xmlOut).fault(t, 404, "WB_NOT_FOUND", "")
	f.do("PUT", s+"/job", `{}`).fault(t, 405, "WB_METHOD", "")
	r := f.do("GET", "/saas/public/core/v3/nothing", "", xmlOut)
	if !strings.HasPrefix(r.text, `{"error":{"code":"WB_NOT_FOUND"`) {
		t.Errorf("v3 is JSON only: %s", r.text)
	}
}

func TestV3Login(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	login := "/saas/public/core/v3/login"
	r := f.do("POST", login, `{"username":"dan@example.com","password":"example-password"}`, noSession).want(t, 200, `{
		"products":[{"name":"Waybill","baseApiUrl":"http://localhost:8080/saas"}],
		"userInfo":{"sessionId":"?","id":"2","name":"dan@example.com","parentOrgId":"","orgId":"1","orgName":"default","groups":{},"status":"Active"}}`)
	user, _ := r.object(t)["userInfo"].(map[string]any)
	id, _ := user["sessionId"].(string)
	f.do("GET", s+"/activity/activityMonitor", "", noSession, header("INFA-SESSION-ID", id)).want(t, 200, `[]`)
	f.do("POST", login, `{"username":"dan@example.com","password":"wrong"}`, noSession).want(t, 401,
		`{"error":{"code":"IDS_085","message":"User name or password is not valid.","requestId":"?","details":null}}`)
	f.do("POST", login, `{"@type":"login","username":"dan@example.com","password":"example-password"}`, noSession).want(t, 400,
		`{"error":{"code":"WB_BAD_FIELD","message":"?","requestId":"?","details":null}}`)
	r = f.do("POST", login, `<login/>`, noSession, xmlIn).want(t, 415, `{"error":{"code":"WB_MEDIA_TYPE","message":"?","requestId":"?","details":null}}`)
	if !strings.Contains(r.text, `"The body must be application/json in UTF-8"`) {
		t.Errorf("v3 told of XML: %s", r.text)
	}
}

func TestWhatASessionIsToldOfItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ask := func(user, token string) reply {
		return f.do("POST", s+"/user/validSessionId", `{"@type":"validateToken","userName":"`+user+`","icToken":"`+token+`"}`, noSession)
	}
	f.Pass(30 * time.Second)
	ask(dan, f.session).want(t, 200, `{"@type":"validatedToken","isValidToken":true,"timeUntilExpire":29}`)
	for user, token := range map[string]string{"admin": f.session, dan: "made-up"} {
		ask(user, token).want(t, 200, `{"@type":"validatedToken","isValidToken":false,"timeUntilExpire":0}`)
	}
	f.do("POST", "/ma/api/v2/user/logoutall", `{"username":"dan@example.com","password":"example-password"}`, noSession).want(t, 200, "")
	ask(dan, f.session).want(t, 200, `{"@type":"validatedToken","isValidToken":false,"timeUntilExpire":0}`)
}

func TestConcurrencyOfTheConfigGoesFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct {
		name string
		on   job.OnLimit
	}{{"Queues", job.OnLimitQueue}, {"Skips", job.OnLimitSkip}, {"Fails", job.OnLimitFail}} {
		f.task(c.name, "", "", func(in *control.ConfigInput) { in.Rules.Concurrency = job.Concurrency{Limit: 1, OnLimit: c.on} })
		body := `{"taskName":"` + c.name + `","taskType":"PCS"}`
		f.do("POST", s+"/job", body).want(t, 200, "")
		r := f.do("POST", s+"/job", body)
		switch c.on {
		case job.OnLimitQueue:
			r.want(t, 200, `{"@type":"job","taskId":"?","taskName":"Queues","taskType":"PCS","runId":2}`)
		case job.OnLimitSkip:
			r.want(t, 200, `{"@type":"job","taskId":"?","taskName":"Skips","taskType":"PCS","runId":1}`)
		default:
			r.fault(t, 403, "WB_ALREADY_RUNNING", "Task Fails is already running")
		}
	}
}

func TestTasksThatCanNotStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Sleeps", "", "", func(in *control.ConfigInput) { in.Inactive = true })
	f.task("Empty", "", "", func(in *control.ConfigInput) { in.Runtime = job.RuntimeConfig{} })
	f.do("POST", s+"/job", `{"taskName":"Sleeps","taskType":"MTT"}`).fault(t, 403, "WB_INACTIVE", "Task Sleeps is not active")
	f.do("POST", s+"/job", `{"taskName":"Empty","taskType":"MTT"}`).fault(t, 403, "WB_NO_PACKAGE", "")
	f.do("GET", s+"/activity/activityMonitor", "").want(t, 200, `[]`)
	r := f.do("GET", s+"/task?type=MTT", "")
	if strings.Count(r.text, `"@type":"task"`) != 2 {
		t.Errorf("tasks: %s", r.text)
	}
	f.do("GET", s+"/task?type=DSS", "").want(t, 200, `[]`)
	f.do("GET", s+"/task?type=XYZ", "").fault(t, 400, "WB_TASK_TYPE", "")
}

func TestARepeatOfAStartIsTheSameRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Task_Items", itemsID, "")
	body, key := `{"taskId":"1","taskType":"MTT"}`, header("Idempotency-Key", "once")
	f.do("POST", s+"/job", body, key).want(t, 200, "")
	r := f.do("POST", s+"/job", body, key).want(t, 200, `{"@type":"job","taskId":"`+itemsID+`","taskName":"Task_Items","taskType":"MTT","runId":1}`)
	if r.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("headers %v", r.Header())
	}
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"DSS"}`, key).fault(t, 400, "WB_BAD_FIELD", "Idempotency-Key was used with a different request")
}

func TestParameterFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "")
	f.file(c, "params/run.param", "\ufeff[Global]\r\n# comment\r\n$$TARGET=/data/out\r\nNAME = a=b \r\n\r\n$$TARGET=/data/last\r\n")
	f.file(c, "bad.param", "TARGET\n")
	f.file(c, "key.param", "A=1\n$(A)=2\n")
	f.file(c, "long.param", "A="+strings.Repeat("x", 256<<10+1)+"\n")
	var many, again strings.Builder
	for i := range 80_000 { // minutes, where every line is compared with those above it
		fmt.Fprintf(&many, "A%d=\n", i)
	}
	for range 100_000 {
		again.WriteString("A=1\n")
	}
	f.file(c, "many.param", many.String()[:512<<10])
	f.file(c, "again.param", again.String())
	start := func(runtime string) job.Job {
		t.Helper()
		r := f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT","runtime":{`+runtime+`}}`).want(t, 200, "").object(t)
		number, _ := r["runId"].(float64)
		id := f.run(c, int64(number)).ID
		j, err := f.Store.Job(t.Context(), 1, id)
		if err != nil {
			t.Fatal(err)
		}
		f.Finish(t, 1, id, f.Take(t, 1, id), controltest.Exit(0))
		return j
	}
	j := start(`"parameterFileName":"run.param","parameterFileDir":"/params"`)
	macros := fmt.Sprint(j.Spec.Macros)
	for _, want := range []job.Macro{{Key: "TARGET", Value: "/data/last"}, {Key: "NAME", Value: " a=b "}} {
		if !slices.ContainsFunc(j.Spec.Macros, func(m job.Macro) bool { return m.Key == want.Key && m.Value == want.Value }) {
			t.Errorf("%+v is not among %s", want, macros)
		}
	}
	if j.Spec.Fault != "" {
		t.Errorf("fault %q", j.Spec.Fault)
	}
	for runtime, want := range map[string]string{
		`"parameterFileName":"none.param"`:                             "Parameter file 'none.param' not found",
		`"parameterFileName":"../x","parameterFileDir":"/etc"`:         "Parameter file 'etc/../x' not found",
		`"parameterFileName":"bad.param"`:                              "Parameter file 'bad.param', line 1: not NAME=value",
		`"parameterFileName":"key.param"`:                              "Parameter file 'key.param', line 2: macros: a key has at most 255 bytes, no control characters and none of = $ ( )",
		`"parameterFileName":"long.param"`:                             "Parameter file 'long.param', line 1: macros: the value of 'A' is over 262144 bytes",
		`"parameterFileName":"many.param"`:                             "Parameter file 'many.param' has more than 1000 values",
		`"parameterFileName":"again.param"`:                            "",
		`"parameterFileName":"/params/run.param"`:                      "",
		`"parameterFileDir":"/params"`:                                 "",
		`"parameterFileName":"run.param","parameterFileDir":"params/"`: "",
	} {
		if j := start(runtime); j.Spec.Fault != want {
			t.Errorf("%s: %q, want %q", runtime, j.Spec.Fault, want)
		}
	}
}

func TestEveryRouteThatChangesSomethingIsAudited(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Task_Items", itemsID, "")
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	list := f.do("GET", "/openapi/informatica.json", "")
	if list.Code != 200 {
		t.Fatalf("the document: %d %.200s", list.Code, list.text)
	}
	if err := json.Unmarshal([]byte(list.text), &document); err != nil {
		t.Fatal(err)
	}
	count := func() int64 {
		entries, err := f.Store.Audit(t.Context(), job.Query{Scope: job.Scope{AccountID: 1}, Size: 1000}, true)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, e := range entries.Items {
			n += int64(e.Count)
		}
		return n
	}
	walked := 0
	for path, methods := range document.Paths {
		for method := range methods {
			method = strings.ToUpper(method)
			if !api.Changes(method) || strings.HasSuffix(path, "/user/validSessionId") || strings.HasSuffix(path, "/logout") {
				continue
			}
			before := count()
			f.do(method, strings.NewReplacer("{id}", "1", "{name}", "x").Replace(path), `{"username":"admin","password":"wrong","taskId":"9","taskType":"MTT"}`)
			f.World.Audit.Flush(t.Context())
			if count() == before {
				t.Errorf("%s %s leaves no entry", method, path)
			}
			walked++
		}
	}
	if walked < 9 {
		t.Errorf("only %d routes were walked", walked)
	}
}

// A call that can not be read leaves an entry, too, which tells the session.
func TestMalformedCallsLeaveAnEntry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, c := range []struct{ path, body, action string }{
		{"/saas/api/v2/job", `{"taskId":`, "job.start"}, {"/saas/api/v2/schedule", "\xff\xfe", "sharedschedule.create"}, {"/saas/api/v2/job/stop?a=%zz", `{}`, "job.stop"},
	} {
		id := fmt.Sprint("malformed-", i)
		r := f.do("POST", c.path, c.body, header("X-Request-Id", id))
		entries, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{id}}}, true)
		if err != nil || r.Code < 400 || len(entries.Items) != 1 {
			t.Errorf("%s (%d): %d entries, %v", c.path, r.Code, len(entries.Items), err)
			continue
		}
		e := entries.Items[0]
		if e.Action != c.action || e.Result != job.AuditFailed || e.Actor != "dan@example.com" || e.Credential.Kind != job.CredentialSession || len(e.Credential.ID) != 16 {
			t.Errorf("%s: %+v", c.path, e)
		}
	}
}

// Of two sessions none can be believed: what stands between the client and us may look at another one.
func TestSeveralSessionsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const list = "/saas/api/v2/activity/activityMonitor"
	other := f.login("admin")
	same := func(r *http.Request) { r.Header.Set("INFA-SESSION-ID", r.Header.Get("icSessionId")) }
	if r := f.do("GET", list, "", same); r.Code != 200 {
		t.Errorf("the same in both: %d %s", r.Code, r.text)
	}
	for name, change := range map[string]with{
		"another in each":   func(r *http.Request) { r.Header.Set("INFA-SESSION-ID", other) },
		"two in one":        func(r *http.Request) { r.Header.Add("icSessionId", other) },
		"two in the second": func(r *http.Request) { same(r); r.Header.Add("INFA-SESSION-ID", other) },
	} {
		if r := f.do("GET", list, "", change); r.Code != 401 {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
	}
}

// entryIDs are the runs in a list.
func entryIDs(t *testing.T, r reply) map[string]bool {
	t.Helper()
	var entries []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(r.text), &entries); err != nil || r.Code != http.StatusOK {
		t.Errorf("%d %s", r.Code, r.text)
	}
	ids := map[string]bool{}
	for _, e := range entries {
		ids[e.ID] = true
	}
	return ids
}

// TestARunIsAlwaysInExactlyOneList polls both lists, each on another server, while runs begin and end. Who asks the monitor first and the
// log second finds every run; who asks the log first never finds one of them in the monitor afterwards.
func TestARunIsAlwaysInExactlyOneList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f.newServer(f.World)
	c := f.task("Busy", "", "", func(in *control.ConfigInput) { in.Rules.Concurrency = job.Concurrency{Limit: 1000} })
	const runs = 60
	var (
		mu      sync.Mutex
		known   = map[string]bool{} // whose start has been answered
		working sync.WaitGroup
		ended   = make(chan struct{})
	)
	for range 3 {
		working.Go(func() {
			for range runs / 3 {
				r := f.do("POST", s+"/job", `{"taskName":"Busy","taskType":"MTT"}`)
				if r.Code != 200 {
					t.Errorf("start: %s", r.text)
					return
				}
				number, _ := r.object(t)["runId"].(float64)
				id := f.run(c, int64(number)).ID
				mu.Lock()
				known[string(id)] = true
				mu.Unlock()
				f.Finish(t, 1, id, f.Take(t, 1, id), controltest.Exit(int(number)%2))
			}
		})
	}
	go func() { working.Wait(); close(ended) }()
	looks := 0
	for last := false; !last; looks++ {
		select {
		case <-ended:
			last = true // once more, when all have ended
		default:
		}
		mu.Lock()
		var all []string
		for id := range known {
			all = append(all, id)
		}
		mu.Unlock()
		active := entryIDs(t, f.do("GET", s+"/activity/activityMonitor", ""))
		logged := entryIDs(t, f.on(other, "GET", s+"/activity/activityLog?rowLimit=1000", ""))
		for _, id := range all {
			if !active[id] && !logged[id] {
				t.Fatalf("run %s is in neither list", id)
			}
		}
		for id := range entryIDs(t, f.on(other, "GET", s+"/activity/activityMonitor", "")) {
			if logged[id] {
				t.Fatalf("run %s is in the monitor after it was in the log", id)
			}
		}
		if last && (len(all) != runs || len(logged) != runs || len(active) != 0) {
			t.Errorf("%d runs, %d in the log, %d active", len(all), len(logged), len(active))
		}
	}
	t.Logf("%d looks at %d runs", looks, runs)
}

func TestPagesOfTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "")
	var ids []string
	for n := range 5 {
		f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
		f.Pass(time.Second)
		f.play(c, int64(n+1))
		ids = append([]string{string(f.run(c, int64(n+1)).ID)}, ids...)
	}
	log := s + "/activity/activityLog"
	for query, want := range map[string][]string{
		"": ids, "?rowLimit=2": ids[:2], "?offset=3": ids[3:], "?offset=1&rowLimit=2": ids[1:3], "?rowLimit=0": ids, "?rowLimit=5000": ids,
		"?taskId=1&runId=2": ids[3:4], "?taskId=unknown": nil, "?taskId=1&runId=9": nil,
	} {
		got := entryIDs(t, f.do("GET", log+query, ""))
		if len(got) != len(want) || slices.ContainsFunc(want, func(id string) bool { return !got[id] }) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"?runId=1", "?offset=-1", "?rowLimit=-1", "?rowLimit=x", "?taskId=1&runId=0"} {
		f.do("GET", log+query, "").fault(t, 400, "WB_BAD_FIELD", "")
	}
}

func TestLogsOfARun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.task("Task_Items", itemsID, "")
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
	id := f.run(c, 1).ID
	fence := f.Take(t, 1, id)
	at := func(seconds int) string {
		return f.Now().Add(time.Duration(seconds) * time.Second).Format("2006-01-02T15:04:05.000Z ")
	}
	f.Logs.Append(id, at(-1)+"before\n"+at(0)+"first\nwithout a stamp\n"+at(5)+"last\n"+at(6)+"behind\n")
	err := f.Store.Report(t.Context(), 1, id, fence, job.Report{At: f.Now(), Errors: []job.RecordError{
		{RecordID: "r1", Step: "main", Code: "42", Message: `=cmd|"x"`, OccurredAt: f.Now(), Attempt: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Pass(5 * time.Second)
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	entry := s + "/activity/activityLog/" + string(id)
	r := f.do("GET", entry+"/sessionLog?itemId=1", "")
	if r.Code != 200 || !strings.Contains(r.text, "first\nwithout a stamp\n") || !strings.Contains(r.text, "last") || strings.Contains(r.text, "before") || strings.Contains(r.text, "behind") {
		t.Errorf("a step's part: %d %s", r.Code, r.text)
	}
	f.do("GET", entry+"/sessionLog?itemId=2", "").fault(t, 404, "WB_NOT_FOUND", "")
	f.do("GET", entry+"/sessionLog?itemId=x", "").fault(t, 400, "WB_BAD_FIELD", "")
	r = f.do("GET", s+"/activity/errorLog/"+string(id), "")
	if r.Code != 200 || r.text != "recordId,step,code,message\nr1,main,42,\"'=cmd|\"\"x\"\"\"\n" || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("error log: %d %q", r.Code, r.text)
	}
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
	f.do("POST", s+"/job/stop", `{"taskId":"1","taskType":"MTT","runId":9}`).fault(t, 403, "WB_NOT_RUNNING", "")
	f.do("POST", s+"/job/stop", `{"taskId":"1","taskType":"MTT","runId":2}`).want(t, 200, "")
	f.do("GET", s+"/activity/activityLog/"+string(f.run(c, 2).ID)+"/sessionLog", "").fault(t, 404, "WB_NOT_FOUND", "")
}

// What nobody is known by is counted before its body is read.
func TestOpenRoutesCountBeforeTheyReadTheBody(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/ma/api/v2/user/login", "/ma/api/v2/user/logoutall", "/saas/public/core/v3/login"} {
		address := func(r *http.Request) { r.RemoteAddr = "198.51.100." + strconv.Itoa(len(path)) + ":1" }
		for range api.DefaultLogins {
			if r := f.do("POST", path, "<", noSession, address); r.Code != 400 {
				t.Fatalf("%s: %d %s", path, r.Code, r.text)
			}
		}
		if r := f.do("POST", path, "<", noSession, address); r.Code != 429 || r.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, want 429", path, r.Code, r.text)
		}
	}
	address := func(r *http.Request) { r.RemoteAddr = "198.51.100.200:1" }
	for range 600 {
		f.do("POST", "/saas/api/v2/user/validSessionId", "<", noSession, address)
	}
	if r := f.do("POST", "/saas/api/v2/user/validSessionId", "<", noSession, address); r.Code != 429 {
		t.Errorf("validSessionId: %d %s, want 429", r.Code, r.text)
	}
}

// Calls that show no good session are counted by their address; good sessions from there are not kept out.
func TestCallsWithoutAGoodSessionAreCounted(t *testing.T) {
	f := newFixture(t)
	for range 600 {
		if r := f.do("GET", "/saas/api/v2/schedule", "", header("icSessionId", "wrong")); r.Code != 401 {
			t.Fatalf("%d %s", r.Code, r.text)
		}
	}
	if r := f.do("GET", "/saas/api/v2/schedule", "", header("icSessionId", "wrong")); r.Code != 429 || r.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s, want 429", r.Code, r.text)
	}
	if r := f.do("GET", "/saas/api/v2/schedule", ""); r.Code != 200 {
		t.Errorf("a good session: %d %s", r.Code, r.text)
	}
}

// A start that is skipped for the sake of another task must not be answered with that task's run.
func TestASkippedStartDoesNotTellAnotherTasksRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shared := func(in *control.ConfigInput) {
		in.Rules.Concurrency = job.Concurrency{Limit: 1, Key: "k", OnLimit: job.OnLimitSkip}
	}
	f.task("First", itemsID, "", shared)
	f.task("Second", "0123456789abcdef01234567", "", shared)
	if r := f.do("POST", "/saas/api/v2/job", `{"@type":"job","taskName":"First","taskType":"MTT"}`); r.Code != 200 {
		t.Fatalf("%d %s", r.Code, r.text)
	}
	if r := f.do("POST", "/saas/api/v2/job", `{"@type":"job","taskName":"Second","taskType":"MTT"}`); r.Code != 403 || !strings.Contains(r.text, "WB_ALREADY_RUNNING") {
		t.Errorf("%d %s", r.Code, r.text)
	}
	if r := f.do("POST", "/saas/api/v2/job", `{"@type":"job","taskName":"First","taskType":"MTT"}`); r.Code != 200 {
		t.Errorf("its own: %d %s", r.Code, r.text)
	}
}
