package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// TestJobLists filters and pages over thirty jobs of two configs, a third of which failed.
func TestJobLists(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "lists")
	s := script(`exit "${CODE:-0}"`)
	odd, even := c.configure(t, "odd", s), c.configure(t, "even", s)
	const jobs = 30
	var all, failed []string // ids, oldest first
	for i := range jobs {
		config := []string{even, odd}[i%2]
		body := object{"tags": []string{fmt.Sprintf("batch-%d", i%5)}}
		if i%3 == 0 {
			body["runtimeConfig"] = object{"macros": []object{{"key": "CODE", "value": "7"}}}
		}
		id := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", body).object(t).text("id")
		all = append(all, id)
		if i%3 == 0 {
			failed = append(failed, id)
		}
	}
	for _, id := range all {
		c.finish(t, id, time.Minute)
	}
	newest := slices.Clone(all)
	slices.Reverse(newest)

	ids := func(query string) []string {
		t.Helper()
		var ids []string
		for _, j := range c.get(t, "/api/jobs?"+query).items() {
			ids = append(ids, j.text("id"))
		}
		return ids
	}
	count := func(query string, want int) {
		t.Helper()
		list := c.get(t, "/api/jobs?size=100&"+query)
		expect(t, "the total of "+query, list.text("totalRecords"), want)
		expect(t, "the length of "+query, len(list.items()), want)
	}
	first := c.get(t, "/api/jobs")
	for name, want := range map[string]any{
		"totalRecords": jobs, "totalPages": 2, "size": 25, "pageNumber": 0, "stats.finished": 20, "stats.error": 10, "stats.totalJobs": jobs,
	} {
		expect(t, name, first.text(name), want)
	}
	expect(t, "the default order", ids("size=30"), newest)
	expect(t, "oldest first", ids("size=30&sortby=id&direction=asc"), all)

	// By page.
	expect(t, "page 1 of 12", ids("size=12&offset=1"), newest[12:24])
	expect(t, "page 2 of 12", ids("size=12&offset=2"), newest[24:])
	expect(t, "page 3 of 12", ids("size=12&offset=3"), []string{})
	clamped := c.get(t, "/api/jobs?size=5000")
	expect(t, "a size that is too large", clamped.text("size"), 1000)
	expect(t, "its warnings", clamped.text("warnings"), "[size_clamped]")

	// By cursor.
	var walked []string
	for next, pages := "/api/jobs?cursor=&size=7", 0; next != ""; pages++ {
		if pages > jobs {
			t.Fatal("the cursor does not come to an end")
		}
		list := c.get(t, next)
		if list["totalRecords"] != nil {
			t.Error("a reply to a cursor has a total")
		}
		for _, j := range list.items() {
			walked = append(walked, j.text("id"))
		}
		next = list.text("links.next")
	}
	expect(t, "what a cursor walks", walked, newest)

	// By filter.
	count("state=finished_error", 10)
	count("state=finished_ok", 20)
	count("state=finished_all", jobs)
	count("state=finished_ok,finished_error", jobs)
	count("state=running,queued,unknown", 0)
	count("jobconfigid="+odd, 15)
	count("state=finished_error&jobconfigid="+odd, 5)
	count("filterby=status&operators=eq&filter=ERROR", 10)
	count("filterby=status,jobConfig.id&operators="+url.QueryEscape("eq,eq")+"&filter=ERROR,"+odd, 5)
	count("filterby=status,jobConfig.id&operators="+url.QueryEscape("eq|eq")+"&filter=ERROR,"+odd, 20)
	count("filterby=id&operators=in&filter="+url.QueryEscape(all[3]+"|"+all[4]), 2)
	count("filterby=id&operators="+url.QueryEscape("!in")+"&filter="+url.QueryEscape(all[3]+"|"+all[4]), jobs-2)
	count("filterby=tags&operators=like&filter=BATCH-3", 6)
	count("filter=batch-3", 6)
	count("filter="+url.QueryEscape("batch_3"), 0) // _ is a plain character
	count("startdate="+url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format("Jan 2, 2006 3:04:05 PM")), jobs)
	count("startdate="+fmt.Sprint(time.Now().Add(time.Hour).Unix()), 0)
	count("enddate="+url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)), 0)
	expect(t, "a config's jobs", c.get(t, "/api/jobconfigs/"+even+"/jobs").text("totalRecords"), 15)
	got := ids("size=100&state=finished_error&sortby=scheduled&direction=asc")
	slices.Sort(got)
	slices.Sort(failed)
	expect(t, "the failed jobs", got, failed)

	for query, code := range map[string]string{
		"filterby=colour&operators=eq&filter=red": "unknown_property",
		"sortby=colour": "unknown_property",
		"filterby=id,status&operators=eq&filter=a": "invalid_field",
		"state=asleep":     "invalid_field",
		"size=0":           "invalid_field",
		"size=many":        "invalid_field",
		"cursor=nonsense":  "invalid_cursor",
		"cursor=&offset=1": "invalid_field",
		"filterby=id&operators=" + url.QueryEscape("(eq") + "&filter=a": "invalid_field",
	} {
		r := c.do(t, http.StatusBadRequest, http.MethodGet, "/api/jobs?"+query, nil)
		expect(t, "the code of "+query, r.object(t).text("code"), code)
	}
}

// TestConfigLists is the same for job configs, and their bulk routes.
func TestConfigLists(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "configs")
	var ids []string
	for _, name := range []string{"delta", "Alpha", "charlie 100%", "bravo"} {
		config := c.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": name}).object(t)
		ids = append(ids, config.text("id"))
	}
	names := func(path string) (names []string) {
		t.Helper()
		for _, i := range c.get(t, path).items() {
			names = append(names, i.text("name"))
		}
		return names
	}
	expect(t, "by name", names("/api/jobconfigs"), []string{"Alpha", "bravo", "charlie 100%", "delta"})
	expect(t, "newest first", names("/api/jobconfigs?sortby=id&direction=desc"), []string{"bravo", "charlie 100%", "Alpha", "delta"})
	expect(t, "a filter alone", names("/api/jobconfigs?filter=ALPH"), []string{"Alpha"})
	expect(t, "a percent sign", names("/api/jobconfigs?filter="+url.QueryEscape("0%")), []string{"charlie 100%"})
	expect(t, "references", names("/api/jobconfigs/dropdown"), []string{"Alpha", "bravo", "charlie 100%", "delta"})
	r := c.do(t, http.StatusConflict, http.MethodPost, "/api/jobconfigs", object{"name": " ALPHA "}).object(t)
	expect(t, "the same name in another case", r.text("code"), "duplicate_name")

	c.do(t, http.StatusOK, http.MethodPatch, "/api/jobconfigs/deactivate", object{"recordIds": ids[:2]})
	expect(t, "the inactive", names("/api/jobconfigs?active=false"), []string{"Alpha", "delta"})
	c.do(t, http.StatusNotFound, http.MethodDelete, "/api/jobconfigs/delete", object{"recordIds": []string{ids[0], "99999999"}})
	expect(t, "after a bulk delete that names an unknown one", len(names("/api/jobconfigs")), 4)
	c.do(t, http.StatusNoContent, http.MethodDelete, "/api/jobconfigs/delete", object{"recordIds": ids[:2]})
	expect(t, "what is left", names("/api/jobconfigs"), []string{"bravo", "charlie 100%"})
}
