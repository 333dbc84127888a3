package native_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// entries reads the audit log of the account with a query, newest first.
func (f *fixture) entries(query string) []map[string]any {
	f.t.Helper()
	r := f.do("GET", "/api/audit?"+query, nil).want(f.t, 200, "")
	var list []map[string]any
	for _, item := range r.json["items"].([]any) {
		list = append(list, item.(map[string]any))
	}
	return list
}

// mutating lists the operations of the document that change something, as "METHOD /path".
func (f *fixture) mutating(t *testing.T) (list []string) {
	for _, route := range f.routes(t) {
		if !strings.HasPrefix(route, "GET ") {
			list = append(list, route)
		}
	}
	return list
}

// Every route of the document that changes something leaves an entry, with who, from where, and the call's own id: when it is
// refused for want of a token, when it is refused to this user, and when it goes wrong.
func TestEveryWriteLeavesAnEntry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	routes := f.mutating(t)
	if len(routes) < 40 {
		t.Fatalf("only %d routes: %v", len(routes), routes)
	}
	actions := map[string]bool{}
	for i, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{id}", "987654", "{key}", "a.sh", "{linkid}", "4711", "{recordId}", "r1", "{delivery}", "d1", "{policy}", "7").Replace(path)
		if strings.Contains(path, "{") {
			t.Fatalf("%s: what is its parameter?", route)
		}
		id := fmt.Sprintf("call-%d", i)
		r := f.do(method, "/api"+path, "{}", header("X-Request-Id", id), header("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
		all, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{id}}}, true)
		if err != nil || len(all.Items) != 1 {
			t.Errorf("%s (%d): %d entries, %v", route, r.Code, len(all.Items), err)
			continue
		}
		e := all.Items[0]
		open := strings.HasPrefix(path, "/login")
		if !open && (e.Actor != "admin" || e.AccountID != f.account) || e.Address != "192.0.2.1" || e.Trace != "4bf92f3577b34da6a3ce929d0e0e4736" || e.Count != 1 {
			t.Errorf("%s: %+v", route, e)
		}
		if (r.Code < 300) != (e.Result == job.AuditOK) || (e.Result == job.AuditOK) != (e.Reason == "") {
			t.Errorf("%s: %d is %s %s", route, r.Code, e.Result, e.Reason)
		}
		if strings.ToLower(e.Action) != e.Action || strings.HasPrefix(e.Action, strings.ToLower(method)+"-") || e.ResourceType == "" {
			t.Errorf("%s has no name of its own: %+v", route, e)
		}
		actions[e.Action] = true
		if method == "POST" && path == "/logout" { // it has ended the token
			f.token = f.login("admin", "example-password")
		}
	}
	if len(actions) < 25 {
		t.Errorf("only %d actions: %v", len(actions), actions)
	}
}

// A call that can not even be read has its entry too: what it would have been, and by whom.
func TestMalformedCallsLeaveAnEntry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, c := range []struct{ method, path, body, action, kind string }{
		{"POST", "/api/jobconfigs", `{"name":`, "jobconfig.create", "jobconfig"},
		{"POST", "/api/jobconfigs", "\xff\xfe", "jobconfig.create", "jobconfig"},
		{"PUT", "/api/account", `[1`, "account.update", "account"},
		{"POST", "/api/jobconfigs?dates=%zz", `{"name":"x"}`, "jobconfig.create", "jobconfig"},
		{"DELETE", "/api/jobs/stop?filter=%", "", "job.stop", "job"},
		{"POST", "/api/login?a=%zz", `{"username":"admin","password":"example-password"}`, "login", "session"},
	} {
		id := fmt.Sprintf("malformed-%d", i)
		f.do(c.method, c.path, c.body, header("X-Request-Id", id)).want(t, 400, "")
		all, err := f.Store.Audit(t.Context(), job.Query{Where: job.Compare{Property: "requestId", Op: job.Eq, Values: []any{id}}}, true)
		if err != nil || len(all.Items) != 1 {
			t.Errorf("%s %s: %d entries, %v", c.method, c.path, len(all.Items), err)
			continue
		}
		e := all.Items[0]
		if e.Action != c.action || e.ResourceType != c.kind || e.Result != job.AuditFailed || e.Reason == "" {
			t.Errorf("%s %s: %+v", c.method, c.path, e)
		}
		if (e.Actor == "admin") != (c.action != "login") {
			t.Errorf("%s %s is of %q", c.method, c.path, e.Actor)
		}
	}
	f.do("GET", "/api/jobs?filter=%zz", nil).want(t, 400, "")
	if got := f.do("GET", "/api/jobconfigs", nil).want(t, 200, "").json["items"].([]any); len(got) != 0 {
		t.Errorf("a refused call has made %v", got)
	}
}

// Of destinations and subscriptions an entry shows what was there before.
func TestEntriesShowWhatWasBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("one", "one.sh")
	place := f.do("POST", "/api/destinations", `{"name":"east","description":"old"}`).want(t, 201, "").json["id"].(string)
	f.do("PUT", "/api/destinations/"+place, `{"name":"west","description":"new"}`).want(t, 200, "")
	sub := "/api/jobconfigs/" + config + "/subscription"
	f.do("POST", sub, `{"recipients":["a@example.com"]}`)
	f.do("POST", sub, `{"recipients":["a@example.com","b@example.com"],"events":"always"}`)
	f.do("DELETE", sub, nil)
	for action, want := range map[string][]string{
		"destination.update":  {"[map[after:west before:east field:name] map[after:new before:old field:description]]"},
		"subscription.delete": {"before:a@example.com, b@example.com field:recipients", "before:always field:events"},
		"subscription.set":    {"[map[after:a@example.com, b@example.com before:a@example.com field:recipients] map[after:always before:failure field:events]]"},
	} {
		list := f.entries("filterby=action&operators=eq&filter=" + action)
		if len(list) == 0 {
			t.Errorf("%s: no entry", action)
			continue
		}
		for _, part := range want {
			if got := fmt.Sprint(list[0]["changes"]); !strings.Contains(got, part) {
				t.Errorf("%s is %s, wants %s", action, got, part)
			}
		}
	}
}

// What anybody can have refused in any number is counted, not stored call by call; how many addresses there are makes no
// difference.
func TestRefusedCallsAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.auditCount()
	const calls = 500
	for i := range calls {
		f.do("POST", "/api/jobconfigs", "{}", noToken, func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1", i/200, i%200) }).want(t, 401, "")
	}
	for range calls {
		f.do("POST", "/api/jobconfigs", "{}", noToken, func(r *http.Request) { r.RemoteAddr = "[2001:db8::7]:1" }).want(t, 401, "")
	}
	f.Audit.Flush(t.Context())
	all, err := f.Store.Audit(t.Context(), job.Query{Size: 1000, Where: job.Compare{Property: "result", Op: job.Eq, Values: []any{"denied"}}}, true)
	if err != nil {
		t.Fatal(err)
	}
	acts := 0
	for _, e := range all.Items {
		acts += e.Count
		if e.Actor != "" || e.AccountID != 0 {
			t.Errorf("an entry of somebody's: %+v", e)
		}
	}
	if rows := f.auditCount() - before; rows > 120 || acts != 2*calls {
		t.Errorf("%d calls are %d rows and count as %d", 2*calls, rows, acts)
	}
}

// TestFewAddressesDoNotHideOthers: who knocks at very many doors is counted alone, and what another one does then has an entry of
// its own.
func TestFewAddressesDoNotHideOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	loud := func(n int) with {
		return func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("198.51.100.%d:1", n) }
	}
	routes := f.mutating(t)
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		for _, signed := range []with{noToken, header("Authorization", "Bearer a.b.c")} {
			for n := range 3 {
				f.do(method, "/api"+strings.NewReplacer("{", "", "}", "").Replace(path), "{}", signed, loud(n))
			}
		}
	}
	f.do("POST", "/api/login", `{"username":"nobody","password":"wrong-password"}`, noToken, func(r *http.Request) { r.RemoteAddr = "203.0.113.9:1" })
	f.Audit.Flush(t.Context())
	all, err := f.Store.Audit(t.Context(), job.Query{Size: 1000}, true)
	if err != nil {
		t.Fatal(err)
	}
	seen, noise := false, 0
	for _, e := range all.Items {
		seen = seen || e.Address == "203.0.113.9" && e.Action == "login"
		if strings.HasPrefix(e.Address, "198.51.100.") {
			noise += e.Count
		}
	}
	if !seen || noise != 3*2*len(routes) {
		t.Errorf("the quiet one is seen: %t; of the loud ones %d calls of %d", seen, noise, 3*2*len(routes))
	}
}

func (f *fixture) auditCount() int {
	f.t.Helper()
	all, err := f.Store.Audit(f.t.Context(), job.Query{}, true)
	if err != nil {
		f.t.Fatal(err)
	}
	return all.Total
}

// Sign-ins are in the log, good and bad, with refreshes, the reuse of a refresh token, the lock and the sign-out.
func TestSignInsAreInTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("POST", "/api/login", `{"username":"Admin","password":"example-password"}`, noToken).want(t, 200, "")
	refresh := r.json["refresh_token"].(string)
	renew := func(code int) {
		f.do("POST", "/api/login/refresh", map[string]string{"refresh_token": refresh}, noToken).want(t, code, "")
	}
	renew(200)
	renew(401)
	f.do("POST", "/api/logout", nil).want(t, 204, "")
	elsewhere := func(r *http.Request) { r.RemoteAddr = "203.0.113.5:9" }
	for range 12 {
		f.do("POST", "/api/login", `{"username":"admin","password":"wrong-password"}`, noToken, elsewhere).want(t, 401, "")
	}
	f.do("POST", "/api/login", `{"username":"my-secret-password","password":"x"}`, noToken).want(t, 401, "")
	f.Audit.Flush(t.Context())
	f.token = f.login("admin", "example-password")
	counts := map[string]float64{}
	for _, e := range f.entries("size=100") {
		if e["actor"] != "admin" || e["resourceType"] != "session" {
			t.Errorf("%v", e)
		}
		reason, _ := e["reason"].(string)
		counts[fmt.Sprint(e["action"], " ", e["result"], " ", reason)] += e["count"].(float64)
	}
	want := map[string]float64{
		"login ok ": 3, "login.refresh ok ": 1, "login.refresh denied refresh_reused": 1, "logout ok ": 1,
		"login denied bad_credentials": 9, "login denied locked_out": 3,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", counts, want)
	}
	all, err := f.Store.Audit(t.Context(), job.Query{Size: 100}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all.Items {
		if strings.Contains(fmt.Sprint(e), "secret-password") {
			t.Errorf("a word that is no user's name is kept: %+v", e)
		}
	}
}

// An entry says what it was before and after, and of secrets only that they changed.
func TestEntriesShowWhatChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.do("POST", "/api/jobconfigs", `{"name":"nightly","runtimeConfig":{"macros":[{"key":"TOKEN","value":"s3cr3t-one","secure":true},{"key":"PLAIN","value":"plain-one"}]},
		"callbacks":[{"url":"https://hooks.example.com/x?key=s3cr3t-url","secret":"s3cr3t-hook-secret"}]}`).want(t, 201, "")
	id := made.json["id"].(string)
	f.do("PATCH", "/api/jobconfigs/"+id, `{"active":false,"runtimeConfig":{"macros":[{"key":"TOKEN","value":"s3cr3t-two","secure":true}]}}`).want(t, 200, "")
	f.do("PATCH", "/api/jobconfigs/activate", map[string]any{"recordIds": []string{id}}).want(t, 200, "")
	f.do("PUT", "/api/account", `{"maxTimeout":30}`).want(t, 200, "")
	f.do("DELETE", "/api/jobconfigs/"+id, nil).want(t, 204, "")
	list := f.entries("filterby=resourceType,resourceId&operators=eq,eq&filter=jobconfig," + id)
	var got []string
	for _, e := range list {
		got = append(got, fmt.Sprint(e["action"], e["changes"]))
		if e["actorId"] == nil || e["result"] != "ok" || e["requestId"] == "" {
			t.Errorf("%v", e)
		}
	}
	if len(list) != 4 {
		t.Fatalf("%d entries: %v", len(list), got)
	}
	for i, want := range []string{
		"jobconfig.delete", "[map[after:true before:false field:active]]",
		"map[after:false before:true field:active] map[before:(set) field:macros.PLAIN] map[after:(changed) before:(set) field:macros.TOKEN]",
		"map[after:https://hooks.example.com/x field:callbacks] map[after:(set) field:callbacks.secret]",
	} {
		if !strings.Contains(got[i], want) {
			t.Errorf("entry %d is %s, wants %s", i, got[i], want)
		}
	}
	if text := fmt.Sprint(got); strings.Contains(text, "s3cr3t") || strings.Contains(text, "plain-one") {
		t.Errorf("a value is shown: %s", text)
	}
	if e := f.entries("filterby=action&operators=eq&filter=account.update"); len(e) != 1 || !strings.Contains(fmt.Sprint(e[0]["changes"]), "maxTimeout") {
		t.Errorf("the account's: %v", e)
	}
}

// A started job has its entry in the transaction that accepts it: there is none without the other.
func TestAJobAndItsEntryAreOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("one", "one.sh")
	r := f.do("POST", "/api/jobconfigs/"+config+"/jobs", `{}`).want(t, 202, "")
	id := r.json["id"].(string)
	list := f.entries("filterby=action&operators=eq&filter=job.start")
	if len(list) != 1 || list[0]["resourceType"] != "job" || list[0]["resourceId"] != id || !strings.Contains(fmt.Sprint(list[0]["changes"]), "after:"+config+" field:jobConfig") {
		t.Fatalf("%v", list)
	}
	f.Audit.Store = brokenAudit{f.Store} // what the edge would store is lost: the entry below is the transaction's
	r = f.do("POST", "/api/jobconfigs/"+config+"/jobs", `{}`).want(t, 202, "")
	f.Audit.Store = f.Store
	if list = f.entries("filterby=resourceId&operators=eq&filter=" + r.json["id"].(string)); len(list) != 1 {
		t.Fatalf("%v", list)
	}
}

type brokenAudit struct{ control.AuditStore }

func (brokenAudit) AddAudit(context.Context, []job.AuditEntry) error { return errors.New("broken") }

// General users may not read the log, one account does not see another's, and pages and time limits are those of other lists.
func TestWhoReadsTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Account(t, "other", "boss", "example-password")
	f.User(t, "general", "example-password")
	for range 30 {
		f.do("PUT", "/api/account", `{"description":"x"}`).want(t, 200, "")
		f.Pass(time.Second)
	}
	general := header("Authorization", "Bearer "+f.login("general", "example-password"))
	f.do("GET", "/api/audit", nil, general).fault(t, 403, "access_denied", "")
	f.do("GET", "/api/audit/export", nil, general).fault(t, 403, "access_denied", "")
	f.do("GET", "/api/audit", nil, noToken).fault(t, 401, "token_missing", "")
	boss := header("Authorization", "Bearer "+f.login("boss", "example-password"))
	if items := f.do("GET", "/api/audit", nil, boss).want(t, 200, "").json["items"].([]any); len(items) != 1 {
		t.Errorf("the other account sees %d entries", len(items))
	}
	f.do("GET", "/api/audit?filterby=nothing&operators=eq&filter=1", nil).fault(t, 400, "unknown_property", "")
	f.do("GET", "/api/audit/export?filterby=nothing&operators=eq&filter=1", nil).fault(t, 400, "unknown_property", "")
	f.do("GET", "/api/audit/export?format=xml", nil).fault(t, 400, "invalid_field", "")
	first := f.do("GET", "/api/audit?size=20&filterby=action&operators=eq&filter=account.update", nil).want(t, 200, "")
	next, _ := first.json["links"].(map[string]any)["next"].(string)
	_, query, _ := strings.Cut(next, "?")
	second := f.do("GET", "/api/audit?"+query, nil).want(t, 200, "")
	a, b := first.json["items"].([]any), second.json["items"].([]any)
	if len(a) != 20 || len(b) != 10 || a[0].(map[string]any)["id"] == b[0].(map[string]any)["id"] {
		t.Errorf("pages of %d and %d", len(a), len(b))
	}
	lines := strings.Split(strings.TrimSpace(f.do("GET", "/api/audit/export?filterby=action&operators=eq&filter=account.update", nil).want(t, 200, "").text), "\n")
	var line control.AuditLine
	if err := json.Unmarshal([]byte(lines[0]), &line); len(lines) != 30 || err != nil || line.Action != "account.update" || line.ID != b[9].(map[string]any)["id"] {
		t.Errorf("%d lines, the first is %+v %v", len(lines), line, err)
	}
	table, err := csv.NewReader(strings.NewReader(f.do("GET", "/api/audit/export?format=csv", nil).want(t, 200, "").text)).ReadAll()
	if err != nil || table[0][0] != "id" || len(table) < 33 {
		t.Errorf("%d rows, %v", len(table), err)
	}
}

// An export breaks off where the log can not be read further: half of it must not look like all of it.
func TestABrokenExportIsNotWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Audit.Store = &failingAudit{AuditStore: f.Store}
	write, err := f.Audit.Export(job.Actor{AccountID: 1, Admin: true}, nil, control.AuditCSV)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), io.Discard); job.CodeOf(err) != job.Unavailable {
		t.Errorf("%v", err)
	}
}

type failingAudit struct {
	control.AuditStore
	calls int
}

// Audit gives a page that says there is more, and then no more.
func (a *failingAudit) Audit(context.Context, job.Query, bool) (job.List[job.AuditEntry], error) {
	if a.calls++; a.calls > 1 {
		return job.List[job.AuditEntry]{}, job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	}
	return job.List[job.AuditEntry]{Items: []job.AuditEntry{{ID: 1}}, More: true, Next: []string{"1", "1"}}, nil
}

// The log tells what a call showed: by whom a thing was done says little when programs act for people.
func TestTheLogTellsWhatACallShowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, shown := f.apiKey(t, `{"name":"k"}`)
	config := f.config("one", "run.sh")
	own := f.start(config)
	fence := f.Take(t, f.account, own)
	j, err := f.Store.Job(t.Context(), f.account, own)
	if err != nil {
		t.Fatal(err)
	}
	token, err := control.JobTokens{Signer: f.Sessions.Signer, Now: f.Now}.Issue(j, fence)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, id string
		change   with
	}{
		"a login": {"login", "", func(*http.Request) {}}, "an API key": {"apikey", key, withKey(shown)}, "a job": {"job", string(own), header("Authorization", "Bearer "+token)}, "Basic": {"basic", "", basic},
	} {
		id := "shown-" + c.kind
		f.do("POST", "/api/jobconfigs/"+config+"/jobs", "{}", header("X-Request-Id", id), c.change).want(t, 202, "")
		list := f.entries("filterby=credential,requestId&operators=eq,eq&filter=" + c.kind + "," + id)
		if len(list) != 1 || list[0]["credential"] != c.kind || c.id != "" && list[0]["credentialId"] != c.id || (list[0]["credentialId"] == nil) != (c.kind == "basic") {
			t.Errorf("%s: %v", name, list)
		}
	}
	f.do("POST", "/api/jobconfigs/987654/jobs", "{}", header("X-Request-Id", "refused"), withKey(shown)).want(t, 404, "")
	if list := f.entries("filterby=credentialId,requestId&operators=eq,eq&filter=" + key + ",refused"); len(list) != 1 {
		t.Errorf("a call that failed: %v", list)
	}
	lines := f.do("GET", "/api/audit/export", nil).want(t, 200, "").text
	if !strings.Contains(lines, `"credential":"apikey","credentialId":"`+key+`"`) || strings.Contains(lines, shown) {
		t.Errorf("exported: %s", lines)
	}
	table, err := csv.NewReader(strings.NewReader(f.do("GET", "/api/audit/export?format=csv", nil).want(t, 200, "").text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, row := range table {
		told = told || row[len(row)-2] == "job" && row[len(row)-1] == string(own)
	}
	if head := table[0]; !told || head[len(head)-2] != "credential" || head[len(head)-1] != "credentialId" {
		t.Errorf("the table: %v", table)
	}
}
