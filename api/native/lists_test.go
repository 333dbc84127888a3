package native_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

func names(r reply) []string {
	var out []string
	items, _ := r.json["items"].([]any)
	for _, item := range items {
		name, _ := item.(map[string]any)["name"].(string)
		out = append(out, name)
	}
	return out
}

func TestConfigLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, name := range []string{"alpha", "Beta", "gamma", "delta, x|y"} {
		body := map[string]any{"name": name, "description": fmt.Sprint("number ", i), "active": i != 2, "timeout": i * 10}
		if i < 2 {
			body["tags"] = []string{"even", name}
		}
		f.do("POST", "/api/jobconfigs", body).want(t, 201, "")
	}
	list := "/api/jobconfigs?"
	for query, want := range map[string]string{
		"":                                       "alpha,Beta,delta, x|y,gamma",
		"direction=desc":                         "gamma,delta, x|y,Beta,alpha",
		"sortby=timeout&direction=desc":          "delta, x|y,gamma,Beta,alpha",
		"sortby=active,name&direction=asc,desc":  "gamma,delta, x|y,Beta,alpha",
		"active=true":                            "alpha,Beta,delta, x|y",
		"active=false":                           "gamma",
		"onlyfavs=true":                          "",
		"onlyfavs=false&filter=BETA":             "Beta",
		"filter=even":                            "alpha,Beta",
		"filterby=name&operators=like&filter=et": "Beta",
		`filterby=name&operators=eq&filter=delta\, x|y`:                  "delta, x|y",
		`filterby=name&operators=in&filter=alpha|delta\, x\|y`:           "alpha,delta, x|y",
		"filterby=name,name&operators=eq|eq&filter=alpha,gamma":          "alpha,gamma",
		"filterby=timeout,active&operators=gte,eq&filter=20,true":        "delta, x|y",
		"filterby=tags&operators=null&filter=":                           "delta, x|y,gamma",
		"filterby=created&operators=eq&filter=1773740458":                "alpha,Beta,delta, x|y,gamma",
		"filterby=created&operators=eq&filter=Mar 17\\, 2026 9:40:58 AM": "alpha,Beta,delta, x|y,gamma",
		"filterby=created&operators=gt&filter=2026-03-17T09:40:58Z":      "",
		"filterby=createdByUser.name&operators=eq&filter=admin":          "alpha,Beta,delta, x|y,gamma",
		"size=2&offset=1": "delta, x|y,gamma",
		"size=2&offset=2": "",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		r := f.do("GET", list+values.Encode(), nil)
		if got := strings.Join(names(r), ","); r.Code != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", query, r.Code, got, want)
		}
	}
	f.do("GET", list+"permissions=true&filter=alpha", nil).want(t, 200, `{"items":[{"permissions":["view","edit","delete","execute"]}]}`)
	f.do("GET", list+"size=3000&filterby=name&operators=like&filter=a", nil).
		want(t, 200, `{"size":1000,"warnings":["size_clamped"],"filter":{"and":true,"or":false,"filters":[{"fieldName":"name","operator":"contains","value":"a"}]},
			"filterRequest":{"and":true}}`)
	f.do("GET", list+"size=99999999999999999999", nil).want(t, 200, `{"size":1000}`)
	r := f.do("GET", list+"size=2", nil).want(t, 200, `{"totalRecords":4,"totalPages":2,"pageNumber":0,"links":{"next":"http://localhost:8080/api/jobconfigs?offset=1&size=2"}}`)
	next := strings.TrimPrefix(r.json["links"].(map[string]any)["next"].(string), "http://localhost:8080")
	f.do("GET", next, nil).want(t, 200, `{"pageNumber":1,"links":{"prev":"http://localhost:8080/api/jobconfigs?offset=0&size=2"},"items":[{"name":"delta, x|y"},{"name":"gamma"}]}`)
	f.do("GET", "/v2/api/jobconfigs?size=2", nil).want(t, 200, `{"links":{"next":"http://localhost:8080/api/jobconfigs?offset=1&size=2"}}`)
	f.do("GET", "/api/jobconfigs/dropdown?filter=alpha", nil).
		want(t, 200, `{"type":"jobconfigs","filter":"alpha","totalRecords":1,"items":[{"id":"1","name":"alpha","href":"http://localhost:8080/api/jobconfigs/1"}]}`)
	for query, code := range map[string]string{
		"size=0": "invalid_field", "size=-1": "invalid_field", "size=x": "invalid_field", "size=-99999999999999999999": "invalid_field",
		"offset=-1": "invalid_field", "offset=x": "invalid_field", "offset=99999999999999": "invalid_field",
		"direction=up": "invalid_field", "sortby=name&direction=asc,asc": "invalid_field", "sortby=name,&direction=asc,": "invalid_field",
		"direction=asc,asc": "invalid_field", "sortby=colour": "unknown_property",
		"filterby=colour&operators=eq&filter=x":          "unknown_property",
		"filterby=name&operators=is&filter=x":            "invalid_field",
		"filterby=created&operators=gt&filter=yesterday": "invalid_field",
		"active=maybe": "invalid_field", "onlyfavs=1": "invalid_field", "permissions=x": "invalid_field",
		"cursor=&offset=0": "invalid_field", "cursor=x": "invalid_cursor",
	} {
		f.do("GET", list+query, nil).fault(t, 400, code, "")
	}
}

func TestCursorsGoThroughAList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	var want []string
	for range 7 {
		want = append(want, string(f.start(config)))
		f.Pass(time.Second)
	}
	slices.Reverse(want)
	var got, cursors []string
	path := "/api/jobs?cursor=&size=3&jobconfigid=" + config
	for path != "" {
		r := f.do("GET", path, nil).want(t, 200, "")
		if r.json["totalRecords"] != nil || r.json["pageNumber"] != nil {
			t.Errorf("totals with a cursor: %s", r.text)
		}
		for _, item := range r.json["items"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		next, _ := r.json["links"].(map[string]any)["next"].(string)
		if path = strings.TrimPrefix(next, "http://localhost:8080"); path != "" {
			u, err := url.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			cursors = append(cursors, u.Query().Get("cursor"))
		}
	}
	if !slices.Equal(got, want) || len(cursors) != 2 {
		t.Errorf("got %v, want %v, cursors %v", got, want, cursors)
	}
	q := "/api/jobs?jobconfigid=" + config + "&cursor="
	f.do("GET", q+cursors[0]+"&size=1", nil).want(t, 200, "") // another size is no other list
	forged := []byte(cursors[0])
	forged[40] ^= 1
	f.Account(t, "other", "eve", "password-of-eve")
	for name, path := range map[string]string{
		"changed": q + string(forged), "another filter": "/api/jobs?cursor=" + cursors[0], "cut": q + cursors[0][:20], "not base64": q + "!",
		"another order": q + cursors[0] + "&direction=asc", "another route": "/api/jobconfigs?cursor=" + cursors[0],
	} {
		r := f.do("GET", path, nil)
		if r.Code != 400 || r.json["code"] != "invalid_cursor" {
			t.Errorf("%s: %d %s", name, r.Code, r.text)
		}
	}
	admin := f.token
	f.token = f.login("eve", "password-of-eve")
	f.do("GET", q+cursors[0], nil).fault(t, 400, "invalid_cursor", "")
	f.token = admin
	f.Pass(9 * time.Hour)
	f.token = f.login("admin", "example-password")
	f.do("GET", q+cursors[0], nil).want(t, 200, "")
	f.Pass(15 * time.Hour)
	f.token = f.login("admin", "example-password")
	f.do("GET", q+cursors[0], nil).fault(t, 400, "invalid_cursor", "The cursor is older than 24 hours")
}

func TestJobLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.config("one", "run.sh"), f.config("two", "run.sh")
	object := f.do("GET", "/api/jobconfigs/"+two, nil).json["objectId"].(string)
	ids := map[string]string{}
	add := func(name, config string) job.ID {
		id := f.start(config)
		ids[name] = string(id)
		f.Pass(time.Minute)
		return id
	}
	f.play(add("finished", one), 0)
	f.play(add("error", one), 2)
	f.Take(t, 1, add("running", two))
	timeout := add("timeout", two)
	f.Finish(t, 1, timeout, f.Take(t, 1, timeout), job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout})
	cancelled := add("cancelled", two)
	f.do("DELETE", "/api/jobs/"+string(cancelled), nil).want(t, 202, "")
	add("queued", two)
	for query, want := range map[string]string{
		"":                                       "queued cancelled timeout running error finished",
		"state=queued":                           "queued",
		"state=running,initializing":             "running",
		"state=finished_all":                     "timeout error finished",
		"state=aborted,finished_error":           "timeout error",
		"state=cancelled":                        "cancelled",
		"state=unknown":                          "",
		"state=waiting":                          "",
		"jobconfigid=" + one:                     "error finished",
		"jobconfigid=" + object:                  "queued cancelled timeout running",
		"jobconfigid=" + strings.Repeat("0", 24): "",
		"userid=1&state=queued":                  "queued",
		"userid=2":                               "",
		"jobtemplateid=1":                        "",
		"integid=1":                              "",
		"startdate=Mar 17, 2026 9:41:58 AM&enddate=2026-03-17T09:42:58Z": "running error",
		"startdate=1773740518000":                                             "queued cancelled timeout running error",
		"enddate=1773740458":                                                  "finished",
		"filterby=status&operators=in&filter=ERROR|FAILED":                    "timeout error",
		"filterby=status,jobConfig.id&operators=ne,eq&filter=FINISHED," + one: "error",
		"filter=TWO":                             "queued cancelled timeout running",
		"sortby=runNumber,id&direction=desc,asc": "queued cancelled timeout error running finished",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		r := f.do("GET", "/api/jobs?"+values.Encode(), nil)
		var got []string
		for _, item := range r.want(t, 200, "").json["items"].([]any) {
			for name, id := range ids {
				if id == item.(map[string]any)["id"] {
					got = append(got, name)
				}
			}
		}
		if strings.HasPrefix(query, "sortby=runNumber") { // both configs count from 1
			slices.Sort(got)
			want = "cancelled error finished queued running timeout"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	f.do("GET", "/api/jobconfigs/"+object+"/jobs?size=1", nil).want(t, 200, `{"totalRecords":4,"totalPages":4,
		"stats":{"queued":1,"running":1,"finished":0,"error":0,"failed":1,"cancelled":1,"totalJobs":4}}`)
	f.do("GET", "/api/jobconfigs/99/jobs", nil).fault(t, 404, "not_found", "")
	for _, bad := range []string{"state=x", "userid=x", "jobconfigid=x", "startdate=x", "enddate=Apr 31"} {
		values, _ := url.ParseQuery(bad)
		f.do("GET", "/api/jobs?"+values.Encode(), nil).fault(t, 400, "invalid_field", "")
	}
	f.do("GET", "/api/jobstats", nil).want(t, 200, `{"queued":1,"running":1,"finished":1,"error":1,"failed":1,"cancelled":1,"timeout":1,"stopped":0,
		"totalJobs":6,"totalDuration":"PT0S","window":{"windowBegins":"Mar 17, 2026 9:40:58 AM","windowEnds":"Mar 17, 2026 9:46:58 AM","windowDuration":"PT6M"}}`)
	f.do("GET", "/api/jobstats?jobconfigid="+one+"&enddate=1773740458&startdate=1773740398", nil).
		want(t, 200, `{"finished":1,"totalJobs":1,"window":{"windowDuration":"PT1M"}}`)
	f.do("GET", "/api/jobstats?jobtemplateid=7", nil).want(t, 200, `{"totalJobs":0,"window":{"windowEnds":"Mar 17, 2026 9:46:58 AM"}}`)
	for path, want := range map[string][]string{
		"pending": {ids["queued"]}, "running": {ids["running"]}, "unfinished": {ids["running"], ids["queued"]},
	} {
		var got []string
		if err := json.Unmarshal([]byte(f.do("GET", "/api/jobs/"+path, nil).text), &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", path, got, err, want)
		}
	}
}

func TestIDListsAreCompleteBeyondOnePage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("sample config", "run.sh")
	const jobs = 1003
	for range jobs {
		f.start(config)
	}
	var got []string
	if err := json.Unmarshal([]byte(f.do("GET", "/api/jobs/pending", nil).text), &got); err != nil || len(got) != jobs || !slices.IsSorted(got) {
		t.Errorf("%d ids, %v", len(got), err)
	}
	f.do("GET", "/api/jobs?size=1", nil).want(t, 200, `{"totalRecords":1003}`)
}

func TestStepsOfAJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	f.do("GET", "/api/jobs/"+string(id)+"/steps", nil).want(t, 200, `{"items":[]}`)
	fence := f.Take(t, 1, id)
	f.do("GET", "/api/jobs/"+string(id)+"/steps", nil).want(t, 200, `{"items":[{"index":0,"name":"main","status":"RUNNING","recordsRead":0}]}`)
	f.Pass(1500 * time.Millisecond)
	f.Finish(t, 1, id, fence, controltest.Exit(4))
	f.do("GET", "/api/jobs/"+string(id)+"/steps", nil).want(t, 200, `{"items":[{"status":"ERROR","returnCode":"4","duration":"PT1.5S"}]}`)
}

func TestQueriesThatAreNotWellFormedAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, query := range []string{"filterby=name&operators=eq&filter=a;b", "filter=%zz", "size=1&%"} {
		f.do("GET", "/api/jobconfigs?"+query, nil).fault(t, 400, "invalid_field", "")
	}
	f.do("GET", "/api/jobconfigs?filter=a%3Bb", nil).want(t, 200, "")
}
